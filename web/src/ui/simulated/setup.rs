//! The form for the next run: scenario, cube and seed, or a file.

use cubecast_core::cube::Dimension;
use cubecast_core::visible::visible;
use web_sys::{DragEvent, File, HtmlInputElement};
use yew::prelude::*;

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
    let is_over = use_state(|| false);
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
    let open_chosen = props.open.clone();
    let onchange = Callback::from(move |event: Event| {
        let input = event.target_unchecked_into::<HtmlInputElement>();
        if let Some(file) = input.files().and_then(|files| files.get(0)) {
            open_chosen.emit(file);
        }
        // Cleared, so that the same file can be chosen again.
        input.set_value("");
    });
    let over = |over: bool| {
        let is_over = is_over.clone();
        Callback::from(move |event: DragEvent| {
            event.prevent_default();
            is_over.set(over);
        })
    };
    let ondrop = {
        let (open, is_over) = (props.open.clone(), is_over.clone());
        Callback::from(move |event: DragEvent| {
            event.prevent_default();
            is_over.set(false);
            if let Some(file) = event.data_transfer().and_then(|data| data.files()).and_then(|files| files.get(0)) {
                open.emit(file);
            }
        })
    };
    html! {
        <form
            class={classes!("setup", is_over.then_some("is-over"))}
            data-testid="setup"
            {onsubmit}
            ondragover={over(true)}
            ondragleave={over(false)}
            {ondrop}
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
            <label class="chip file">
                {"Open a trace"}
                <input type="file" accept=".json,application/json" data-testid="trace-file" {onchange} />
            </label>
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
        user_actions: Vec::new(),
    })
}
