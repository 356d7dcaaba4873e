//! Playback controls: buttons, their keys, and the timeline.

use web_sys::KeyboardEvent;
use yew::prelude::*;

use super::timeline::{Reading, TimelineBar};
use crate::format::exact_seconds;
use crate::model::shared::Shared;
use crate::simulated::timeline::Timeline;
use crate::simulated::{Mode, Player, Speed};
use crate::ui::field::on_choice;

/// One step back, milliseconds.
const BACK_MS: i64 = -10;
/// A jump in either direction, milliseconds.
const JUMP_MS: i64 = 1_000;

/// A playback action of the user.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum PlayerCommand {
    Toggle,
    Rewind,
    /// Advances until something happens.
    StepOn,
    Step(i64),
    Begin,
    End,
    Scrub(u64),
    Seek(u64),
    Speed(Speed),
    Fork,
    CopyLink,
}

impl PlayerCommand {
    /// The key's action, unless the focused element uses the key itself.
    pub fn of_key(event: &KeyboardEvent, focused: &str) -> Option<PlayerCommand> {
        if event.ctrl_key() || event.alt_key() || event.meta_key() {
            return None;
        }
        let types = matches!(focused, "INPUT" | "TEXTAREA" | "SELECT");
        let presses = matches!(focused, "BUTTON" | "A" | "SUMMARY" | "g");
        match (event.key().as_str(), event.shift_key()) {
            _ if types => None,
            (" ", _) if presses => None,
            (" ", false) => Some(PlayerCommand::Toggle),
            ("ArrowRight", true) => Some(PlayerCommand::Step(JUMP_MS)),
            ("ArrowLeft", true) => Some(PlayerCommand::Step(-JUMP_MS)),
            ("ArrowRight", false) => Some(PlayerCommand::StepOn),
            ("ArrowLeft", false) => Some(PlayerCommand::Step(BACK_MS)),
            ("Home", false) => Some(PlayerCommand::Begin),
            ("End", false) => Some(PlayerCommand::End),
            _ => None,
        }
    }

    /// Executes every action that needs no browser.
    pub fn apply(self, player: &mut Player) {
        match self {
            PlayerCommand::Toggle => match player.mode() {
                Mode::Playing | Mode::Seeking { then_play: true, .. } => player.pause(),
                Mode::Paused | Mode::Seeking { .. } | Mode::Rewinding { .. } | Mode::Scrubbing { .. } => player.play(),
            },
            PlayerCommand::Rewind => match player.mode() {
                Mode::Rewinding { .. } => player.pause(),
                _ => player.rewind(),
            },
            PlayerCommand::StepOn => player.step_on(),
            PlayerCommand::Step(by_ms) => player.step(by_ms),
            PlayerCommand::Begin => player.seek(player.began_ms()),
            PlayerCommand::End => player.seek(player.reached_ms()),
            PlayerCommand::Scrub(at_ms) => player.scrub(at_ms),
            PlayerCommand::Seek(at_ms) => player.seek(at_ms),
            PlayerCommand::Speed(speed) => player.set_speed(speed),
            PlayerCommand::Fork => player.fork(),
            PlayerCommand::CopyLink => {}
        }
    }
}

/// Properties of [`Transport`]; equal properties are rendered equally.
#[derive(Properties, PartialEq)]
pub struct TransportProps {
    pub mode: Mode,
    pub speed: Speed,
    pub shown_ms: u64,
    pub reached_ms: u64,
    pub ends_ms: Option<u64>,
    /// Whether this is an incident: it becomes a simulation at a fork.
    pub is_recorded: bool,
    /// Whether a link can lead here.
    pub has_link: bool,
    pub timeline: Shared<Timeline>,
    pub user_actions: Vec<(u64, String)>,
    /// The last change of time, announced to screen readers.
    pub note: String,
    pub command: Callback<PlayerCommand>,
}

/// The playback controls.
#[component]
pub fn Transport(props: &TransportProps) -> Html {
    let command = |command: PlayerCommand| props.command.reform(move |_: MouseEvent| command);
    let is_playing = matches!(props.mode, Mode::Playing | Mode::Seeking { then_play: true, .. });
    let has_future = props.reached_ms >= props.shown_ms + 100;
    let note = match props.mode {
        Mode::Seeking { .. } => format!("Simulating up to {} s…", exact_seconds(props.shown_ms)),
        _ => props.note.clone(),
    };
    let choose = props.command.reform(|value: String| {
        PlayerCommand::Speed(Speed::ALL.into_iter().find(|speed| speed.words() == value).unwrap_or_default())
    });
    html! {
        <div
            class="transport"
            role="group"
            aria-label="Time"
            data-testid="transport"
            data-state={state_name(props.mode)}
        >
            <TimelineBar
                timeline={props.timeline.clone()}
                shown_ms={props.shown_ms}
                reached_ms={props.reached_ms}
                ends_ms={props.ends_ms}
                is_recorded={props.is_recorded}
                user_actions={props.user_actions.clone()}
                scrub={props.command.reform(PlayerCommand::Scrub)}
                seek={props.command.reform(PlayerCommand::Seek)}
            />
            <div class="keys">
                { button("to-begin", "Go to the beginning (Home)", BEGIN, command(PlayerCommand::Begin)) }
                { button("rewind", "Play backwards", REWIND, command(PlayerCommand::Rewind)) }
                { button(
                    "step-back",
                    "Back by 10 ms (left arrow; with shift by 1 s)",
                    BACK,
                    command(PlayerCommand::Step(BACK_MS)),
                ) }
                <button
                    type="button"
                    class="play"
                    data-testid="play"
                    aria-label={if is_playing { "Pause (space)" } else { "Play (space)" }}
                    title={if is_playing { "Pause (space)" } else { "Play (space)" }}
                    onclick={command(PlayerCommand::Toggle)}
                >
                    { icon(if is_playing { PAUSE } else { PLAY }) }
                </button>
                { button("step", "Next event (right arrow; with shift by 1 s)", STEP, command(PlayerCommand::StepOn)) }
                { button("to-end", "Go to the end of the simulated time (End)", END, command(PlayerCommand::End)) }
                <output class="clock" data-testid="clock" data-ms={props.shown_ms.to_string()}>
                    {exact_seconds(props.shown_ms)}<span>{" s"}</span>
                </output>
                <select data-testid="speed" aria-label="Speed" onchange={on_choice(choose)}>
                    { for Speed::ALL.iter().map(|speed| html! {
                        <option value={speed.words()} selected={*speed == props.speed}>{speed.words()}</option>
                    }) }
                </select>
                <span class="apart">
                    if has_future || props.is_recorded {
                        <button type="button" class="chip" data-testid="fork" onclick={command(PlayerCommand::Fork)}>
                            {"Fork here"}
                        </button>
                    }
                    if props.has_link {
                        <button
                            type="button"
                            class="chip"
                            data-testid="copy-link"
                            onclick={command(PlayerCommand::CopyLink)}
                        >
                            {"Copy link"}
                        </button>
                    }
                </span>
            </div>
            <div class="foot">
                <Reading timeline={props.timeline.clone()} shown_ms={props.shown_ms} />
                <p class="note" role="status" data-testid="time-note">{note}</p>
            </div>
        </div>
    }
}

fn state_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Paused => "paused",
        Mode::Playing => "playing",
        Mode::Seeking { .. } => "seeking",
        Mode::Rewinding { .. } => "rewinding",
        Mode::Scrubbing { .. } => "scrubbing",
    }
}

const BEGIN: &str = "M6 5v14M19 5L9 12l10 7z";
const REWIND: &str = "M12 5L3 12l9 7zM21 5l-9 7 9 7z";
const BACK: &str = "M17 5L7 12l10 7z";
const PLAY: &str = "M7 4l13 8-13 8z";
const PAUSE: &str = "M7 4v16h3.5V4zM13.5 4v16H17V4z";
const STEP: &str = "M6 5l9 7-9 7zM18 5v14";
const END: &str = "M18 5v14M5 5l10 7-10 7z";

fn icon(path: &'static str) -> Html {
    html! { <svg viewBox="0 0 24 24" aria-hidden="true"><path d={path} /></svg> }
}

fn button(id: &'static str, label: &'static str, path: &'static str, onclick: Callback<MouseEvent>) -> Html {
    html! { <button type="button" data-testid={id} aria-label={label} title={label} {onclick}>{icon(path)}</button> }
}
