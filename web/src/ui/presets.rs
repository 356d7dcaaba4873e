//! Buttons that break several things at once.

use yew::prelude::*;

use super::dispatch::use_dispatch;
use super::report::ReportBox;
use crate::model::State;
use crate::model::preset::Preset;
use crate::model::report::Report;

const QUICK: [Preset; 3] = [Preset::CrashLeader, Preset::SplitInTwo, Preset::LossyCube];

/// Properties of [`Presets`].
#[derive(Properties, PartialEq)]
pub struct PresetsProps {
    pub state: State,
    pub report: Option<Report>,
}

/// One button per [`Preset`].
#[component]
pub fn Presets(props: &PresetsProps) -> Html {
    let dispatch = use_dispatch();
    // The preset that was refused last; its reason is shown while it would still be refused.
    let refused = use_state(|| None::<&'static Preset>);
    let why = refused.and_then(|preset| preset.task(&props.state).err());
    let button = |preset: &'static Preset| {
        let (state, dispatch, refused) = (props.state.clone(), dispatch.clone(), refused.clone());
        let onclick = Callback::from(move |_: MouseEvent| match preset.task(&state) {
            Ok(task) => {
                refused.set(None);
                dispatch.send(task);
            }
            Err(_) => refused.set(Some(preset)),
        });
        html! {
            <button type="button" class="preset" id={id(*preset)} data-testid={id(*preset)} key={id(*preset)} {onclick}>
                <strong>{name(*preset)}</strong>
                <span>{about(*preset)}</span>
            </button>
        }
    };
    html! {
        <section class="presets" aria-label="Break several things at once">
            <h3>{"Or several at once"}</h3>
            <div class="preset-list">{ for Preset::ALL.iter().map(button) }</div>
            <ReportBox id="preset-result" report={props.report.clone()} refused={why} />
        </section>
    }
}

/// Properties of [`QuickPresets`].
#[derive(Properties, PartialEq)]
pub struct QuickPresetsProps {
    pub state: State,
}

/// The presets that a visitor tries first, above the cube. A preset that cannot be carried out now gives its reason.
#[component]
pub fn QuickPresets(props: &QuickPresetsProps) -> Html {
    let dispatch = use_dispatch();
    let button = |preset: &Preset| {
        let (task, dispatch, id) = (preset.task(&props.state), dispatch.clone(), format!("quick-{}", id(*preset)));
        let title = task.as_ref().map_or_else(String::clone, |_| about(*preset).to_owned());
        let disabled = task.is_err();
        let onclick = Callback::from(move |_: MouseEvent| {
            if let Ok(task) = &task {
                dispatch.send(task.clone());
            }
        });
        html! {
            <button type="button" class="chip is-danger" data-testid={id} {title} {disabled} {onclick}>
                {name(*preset)}
            </button>
        }
    };
    html! {
        <div class="quick" role="group" aria-label="Break something">
            { for QUICK.iter().map(button) }
        </div>
    }
}

/// A stable id for tests and `data-testid` attributes.
fn id(preset: Preset) -> &'static str {
    match preset {
        Preset::IsolateHome => "preset-isolate",
        Preset::CrashLeader => "preset-leader",
        Preset::CrashMinority => "preset-minority",
        Preset::RollingCrash => "preset-rolling",
        Preset::SplitInTwo => "preset-split",
        Preset::SlowLink => "preset-slow",
        Preset::LossyCube => "preset-lossy",
    }
}

/// The label of its button.
pub fn name(preset: Preset) -> &'static str {
    match preset {
        Preset::IsolateHome => "Isolate the home",
        Preset::CrashLeader => "Crash the leader",
        Preset::CrashMinority => "Lose a minority",
        Preset::RollingCrash => "Rolling crash",
        Preset::SplitInTwo => "Split in two",
        Preset::SlowLink => "Slow link",
        Preset::LossyCube => "Lossy cube",
    }
}

/// What it does, and what to look for.
fn about(preset: Preset) -> &'static str {
    match preset {
        Preset::IsolateHome => {
            "Cuts every link of the topic's home. A neighbour becomes leader; the home refuses publishes."
        }
        Preset::CrashLeader => {
            "Crashes the topic's leader for 15 s. Watch the election and the return of the home as leader."
        }
        Preset::CrashMinority => "Crashes as many replicas as the topic can lose. Quorum publishes still succeed.",
        Preset::RollingCrash => "Crashes one node after the other, as in an upgrade, each for 2 s.",
        Preset::SplitInTwo => "Cuts the cube along its last bit. Only the side with a quorum continues.",
        Preset::SlowLink => "Delays frames by 250 ms on the selected link, or on one of the home's links.",
        Preset::LossyCube => "Every link loses a tenth of its frames. Lost frames are resent.",
    }
}
