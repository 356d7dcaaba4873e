//! Buttons that break several things at once.

use yew::prelude::*;

use super::report::ReportBox;
use crate::model::State;
use crate::model::breakage::Preset;
use crate::model::task::{Report, Task};

/// Properties of [`Presets`].
#[derive(Properties, PartialEq)]
pub struct PresetsProps {
    pub state: State,
    pub report: Option<Report>,
    pub run: Callback<Task>,
}

/// One button per [`Preset`].
#[component]
pub fn Presets(props: &PresetsProps) -> Html {
    // The preset that was refused last; its reason is shown while it would still be refused.
    let refused = use_state(|| None::<&'static Preset>);
    let why = refused.and_then(|preset| preset.task(&props.state).err());
    let button = |preset: &'static Preset| {
        let (state, run, refused) = (props.state.clone(), props.run.clone(), refused.clone());
        let onclick = Callback::from(move |_: MouseEvent| match preset.task(&state) {
            Ok(task) => {
                refused.set(None);
                run.emit(task);
            }
            Err(_) => refused.set(Some(preset)),
        });
        html! {
            <button type="button" class="preset" id={preset.id()} data-testid={preset.id()} key={preset.id()} {onclick}>
                <strong>{preset.name()}</strong>
                <span>{preset.about()}</span>
            </button>
        }
    };
    html! {
        <section class="presets" aria-label="Break several things at once">
            <h3>{"Or all at once"}</h3>
            <div class="preset-list">{ for Preset::ALL.iter().map(button) }</div>
            <ReportBox id="preset-result" report={props.report.clone()} refused={why} />
        </section>
    }
}
