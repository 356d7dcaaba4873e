//! The form for the next run: scenario, cube and seed, or a file.

use cubecast_core::cube::Dimension;
use cubecast_core::visible::visible;
use web_sys::File;
use yew::prelude::*;

use super::file_input::{FileInput, use_drop};
use crate::simulated::{Course, Permalink, Spec, catalogue};
use crate::ui::field::{on_choice, on_text, setter, use_refused};
use crate::ui::words::{plain_words, shortened, words};

/// Properties of [`Setup`].
#[derive(Properties, PartialEq)]
pub struct SetupProps {
    pub spec: Spec,
    /// Goes to another run.
    pub go: Callback<Permalink>,
    pub open: Callback<File>,
}

/// The form for the next run.
#[component]
pub fn Setup(props: &SetupProps) -> Html {
    let name = use_state(|| props.spec.course.name().to_owned());
    let bits = use_state(|| props.spec.dimension_bits());
    let seed = use_state(|| props.spec.seed.to_string());
    let refused = use_refused(((*name).clone(), *bits, (*seed).clone()));
    let onsubmit = {
        let (name, bits, seed, refused, go) = (name.clone(), *bits, seed.clone(), refused.clone(), props.go.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            if let Some(spec) = refused.unless(spec_of(&name, bits, &seed)) {
                go.emit(Permalink { spec, ..Permalink::default() });
            }
        })
    };
    let set_name = setter(&name);
    let set_bits = {
        let bits = bits.clone();
        Callback::from(move |chosen: String| bits.set(chosen.parse().unwrap_or(3)))
    };
    let about = match (name.as_str(), catalogue::scenario(&name)) {
        ("quiet", _) => "No scenario: only your actions.".to_owned(),
        (_, Some(scenario)) => scenario.about,
        (_, None) => props.spec.course.about().to_owned(),
    };
    let is_own = *name == props.spec.course.name() && catalogue::scenario(&name).is_none() && *name != "quiet";
    let drop = use_drop(&props.open);
    html! {
        <form
            class={classes!("setup", drop.is_over.then_some("is-over"))}
            data-testid="setup"
            {onsubmit}
            ondragover={drop.ondragover}
            ondragleave={drop.ondragleave}
            ondrop={drop.ondrop}
        >
            <label>{"Scenario"}
                <select data-testid="scenario" onchange={on_choice(set_name)}>
                    <option value="quiet" selected={*name == "quiet"}>{"quiet"}</option>
                    { for catalogue::NAMES.iter().map(|known| html! {
                        <option value={*known} selected={*name == *known}>{*known}</option>
                    }) }
                    if is_own {
                        <option value={(*name).clone()} selected=true>
                            {plain_words(&shortened(&visible(&name)))}
                        </option>
                    }
                </select>
            </label>
            <label>{"Nodes"}
                <select data-testid="dimension" onchange={on_choice(set_bits)}>
                    { for (1..=Dimension::MAX_PROCESSES).map(|choice| html! {
                        <option value={choice.to_string()} selected={*bits == choice}>
                            {(1u32 << choice).to_string()}
                        </option>
                    }) }
                </select>
            </label>
            <label>{"Seed"}
                <input
                    type="text"
                    inputmode="numeric"
                    autocomplete="off"
                    data-testid="seed"
                    value={(*seed).clone()}
                    oninput={on_text(setter(&seed))}
                />
            </label>
            <button type="submit" class="chip" data-testid="new-run">{"New run"}</button>
            <FileInput
                label="Open a trace"
                accept=".json,application/json"
                testid="trace-file"
                open={props.open.clone()}
            />
            <p class="aside">
                {words(&about)}
                {" "}
                {"A trace of "}
                <code>{"cubecast-lab sim"}</code>
                {" can also be dropped here."}
            </p>
            if let Some(why) = refused.shown() {
                <p class="bad" role="alert">{words(&why)}</p>
            }
        </form>
    }
}

fn spec_of(name: &str, bits: u8, seed: &str) -> Result<Spec, String> {
    let seed = seed.trim().parse().map_err(|_| format!("A seed is a whole number; `{}` is not.", visible(seed)))?;
    let dimension = Dimension::new(bits).map_err(|error| error.to_string())?;
    if name == "quiet" {
        return Ok(Spec::quiet(dimension, seed));
    }
    let known = catalogue::scenario(name)
        .ok_or_else(|| format!("The scenario {name} came from a file: open the file again."))?;
    let scenario = cubecast_sim::Scenario { dimensions: vec![bits], ..known };
    scenario.check().map_err(|bad| format!("This cannot be run: {bad}."))?;
    Ok(Spec {
        course: Course::Scenario { scenario: Box::new(scenario), reduction: Default::default() },
        seed,
        forked_at_ms: None,
        user_actions: Vec::new(),
    })
}
