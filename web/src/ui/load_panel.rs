//! The load generator's slider and results.

use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::dispatch::use_dispatch;
use super::field::{ChoiceField, deliberate, setter, use_refused};
use super::words::words;
use crate::format::grouped;
use crate::model::Act;
use crate::model::load::{Load, LoadPlan, MAX_RATE};
use crate::model::shared::Shared;
use crate::model::tasks::Refusal;
use cubecast_core::wire::client::Ack;

const SIZES: &[(&str, &str)] = &[("100", "100 bytes"), ("1000", "1 kB"), ("10000", "10 kB"), ("65536", "64 kB")];
const ACKS: &[(&str, &str)] = &[("one", "one"), ("quorum", "quorum"), ("all", "all")];

/// Properties of [`LoadPanel`].
#[derive(Properties, PartialEq)]
pub struct LoadPanelProps {
    pub load: Shared<Load>,
    /// As typed.
    pub topic: String,
    pub publisher: String,
}

/// The load generator's controls.
#[component]
pub fn LoadPanel(props: &LoadPanelProps) -> Html {
    let dispatch = use_dispatch();
    let rate = use_state(|| 100_u32);
    let size = use_state(|| "100".to_owned());
    let ack = use_state(|| "quorum".to_owned());
    let refused = use_refused((props.topic.clone(), props.publisher.clone()));
    let runs = props.load.plan.is_some();
    let start = {
        let (topic, publisher, dispatch, refused) =
            (props.topic.clone(), props.publisher.clone(), dispatch.clone(), refused.clone());
        let (size, ack) = (size.parse().unwrap_or(100), ack_of(&ack));
        Callback::from(move |rate: u32| {
            if let Some(plan) = refused.unless(LoadPlan::new(&publisher, &topic, rate, size, ack)) {
                dispatch.send(Act::SetLoad(Some(plan)));
            }
        })
    };
    let oninput = {
        let (rate, start) = (rate.clone(), start.clone());
        Callback::from(move |event: InputEvent| {
            let value = event.target_unchecked_into::<HtmlInputElement>().value_as_number() as u32;
            rate.set(value);
            if runs {
                start.emit(value);
            }
        })
    };
    let toggle = {
        let rate = *rate;
        deliberate(Callback::from(move |()| if runs { dispatch.send(Act::SetLoad(None)) } else { start.emit(rate) }))
    };
    html! {
        <div class="load" data-testid="load" data-state={if runs { "running" } else { "still" }}>
            <div class="load-rate">
                <label for="load-rate">
                    {"Load"}
                    <output for="load-rate">{format!("{} messages/s", grouped(u64::from(*rate)))}</output>
                </label>
                <input
                    id="load-rate"
                    data-testid="load-rate"
                    type="range"
                    min="0"
                    max={MAX_RATE.to_string()}
                    step="10"
                    value={rate.to_string()}
                    {oninput}
                />
            </div>
            <ChoiceField
                id="load-size"
                label="Message size"
                value={(*size).clone()}
                options={SIZES}
                set={setter(&size)}
            />
            <ChoiceField
                id="load-ack"
                label="Acknowledged by"
                value={(*ack).clone()}
                options={ACKS}
                set={setter(&ack)}
            />
            <div class="actions">
                <button
                    type="button"
                    class={if runs { "danger" } else { "primary" }}
                    data-testid="load-button"
                    onclick={toggle}
                >
                    { if runs { "Stop" } else { "Start" } }
                </button>
            </div>
            <p class="load-report" role="status" data-testid="load-report" data-done={props.load.done.to_string()}>
                {report(&props.load, refused.shown())}
            </p>
        </div>
    }
}

fn report(load: &Load, refused: Option<Refusal>) -> Html {
    if let Some(refused) = refused {
        return html! { <span class="bad">{words(&refused)}</span> };
    }
    let errors = load
        .last_error
        .as_ref()
        .map(|error| html! { <span class="bad">{words(&format!(" Last error: {error}."))}</span> });
    let failed = if load.failed > 0 { format!(", {} failed", grouped(load.failed)) } else { String::new() };
    let sums = format!("{} acknowledged{failed}", grouped(load.done));
    let text = match (&load.plan, &load.stopped) {
        (Some(plan), _) => {
            let achieved = grouped(u64::from(load.achieved));
            format!("{achieved} /s achieved to {}, {} under way. {sums}.", plan.topic, load.under_way)
        }
        (None, Some(why)) => format!("Stopped: {why}. {sums}."),
        (None, None) if load.sent == 0 => {
            "Publishes to the chosen topic; stops when this page is hidden or the topic is deleted.".to_owned()
        }
        (None, None) => format!("{sums}."),
    };
    html! { <>{words(&text)}{errors}</> }
}

fn ack_of(value: &str) -> Ack {
    match value {
        "one" => Ack::One,
        "all" => Ack::All,
        _ => Ack::Quorum,
    }
}
