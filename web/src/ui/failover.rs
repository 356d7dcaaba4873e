//! The replay of a failover on the live page: the offer after an election, and its controls.

use std::cell::RefCell;
use std::rc::Rc;

use gloo_timers::callback::Interval;
use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::field::on_choice;
use super::pulse::Pace;
use super::text::failover as text;
use super::words::words;
use crate::model::State;
use crate::model::failover::{Failover, FailoverWatch, LOOK_EVERY_MS, Replay};
use crate::net::browser;
use crate::simulated::Speed;

/// Interval at which the replay advances, real milliseconds.
const ADVANCE_EVERY_MS: u32 = 40;
/// The speeds that make sense for milliseconds.
const SPEEDS: [Speed; 3] = [Speed::Hundredth, Speed::Tenth, Speed::Real];

/// What to draw instead of the present.
pub struct Shown {
    pub state: State,
    pub pace: Pace,
    /// The offer of a replay, or its controls.
    pub bar: Html,
    pub is_replay: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum PlayerCommand {
    Start,
    Toggle,
    Seek(u64),
    Speed(Speed),
    /// Back to the present; the replay can be started again.
    Close,
    /// No longer offers this replay.
    Dismiss,
}

#[derive(Default)]
struct Player {
    offered: Option<Rc<Failover>>,
    replay: Option<Replay>,
    is_playing: bool,
    speed: Speed,
    /// Changes with every jump in time.
    turn: u64,
    /// When the replay advanced last, real milliseconds.
    advanced_ms: u64,
}

impl Player {
    fn execute(&mut self, command: PlayerCommand) {
        match command {
            PlayerCommand::Start => {
                self.replay = self.offered.clone().map(Replay::of);
                (self.is_playing, self.speed) = (true, Speed::Hundredth);
            }
            PlayerCommand::Toggle => self.is_playing = !self.is_playing,
            PlayerCommand::Seek(at_us) => {
                if let Some(replay) = &mut self.replay {
                    replay.go_to(at_us);
                }
            }
            PlayerCommand::Speed(speed) => self.speed = speed,
            PlayerCommand::Close => self.replay = None,
            PlayerCommand::Dismiss => self.offered = None,
        }
        self.turn += 1;
        self.advanced_ms = browser::now_ms();
    }

    fn advance(&mut self) {
        let now_ms = browser::now_ms();
        let passed_ms = now_ms.saturating_sub(self.advanced_ms) as f64;
        self.advanced_ms = now_ms;
        let Some(replay) = &mut self.replay else { return };
        replay.go_to(replay.at_us + (passed_ms * 1_000.0 * self.speed.factor()) as u64);
        if replay.is_over() {
            self.is_playing = false;
            self.turn += 1;
        }
    }
}

/// The state to draw: the present one, or that of a replay.
#[hook]
pub fn use_replay(present: State) -> Shown {
    let player = use_mut_ref(Player::default);
    let redraw = use_force_update();
    use_watch(&present, &player, &redraw);
    let command = {
        let (player, redraw) = (player.clone(), redraw.clone());
        Callback::from(move |command| {
            player.borrow_mut().execute(command);
            redraw.force_update();
        })
    };
    let is_advancing = player.borrow().replay.is_some() && player.borrow().is_playing;
    use_effect_with(is_advancing, {
        let player = player.clone();
        move |is_advancing| {
            let interval = is_advancing.then(|| {
                Interval::new(ADVANCE_EVERY_MS, move || {
                    player.borrow_mut().advance();
                    redraw.force_update();
                })
            });
            move || drop(interval)
        }
    });
    let player = player.borrow();
    match &player.replay {
        Some(replay) => {
            let pace =
                Pace { factor: player.speed.factor(), stands: !player.is_playing, turn: player.turn + replay.rebuilds };
            Shown { state: replay.shown(&present), pace, bar: controls(&player, replay, &command), is_replay: true }
        }
        None => {
            let bar = player.offered.as_ref().map(|failover| offer(failover, &command)).unwrap_or_default();
            Shown { state: present, pace: Pace::default(), bar, is_replay: false }
        }
    }
}

/// Offers each new failover, but not while another one is played.
#[hook]
fn use_watch(present: &State, player: &Rc<RefCell<Player>>, redraw: &UseForceUpdateHandle) {
    let newest = use_mut_ref(State::default);
    *newest.borrow_mut() = present.clone();
    let (player, redraw) = (player.clone(), redraw.clone());
    use_effect_with((), move |()| {
        let mut watch = FailoverWatch::default();
        let interval = Interval::new(LOOK_EVERY_MS, move || {
            let failover = watch.look(browser::now_ms(), &newest.borrow());
            let Some(failover) = failover.filter(|_| player.borrow().replay.is_none()) else { return };
            player.borrow_mut().offered = Some(Rc::new(failover));
            redraw.force_update();
        });
        move || drop(interval)
    });
}

fn offer(failover: &Failover, command: &Callback<PlayerCommand>) -> Html {
    let send = |what: PlayerCommand| command.reform(move |_: MouseEvent| what);
    html! {
        <div class="replay-offer" data-testid="replay-offer">
            <p role="status">{words(&text::summary(failover))}{"."}</p>
            <button type="button" class="chip" data-testid="replay" onclick={send(PlayerCommand::Start)}>
                {"▶ Replay at 1/100"}
            </button>
            <button
                type="button"
                class="chip"
                aria-label="Do not offer this replay"
                onclick={send(PlayerCommand::Dismiss)}
            >
                {"✕"}
            </button>
        </div>
    }
}

fn controls(player: &Player, replay: &Replay, command: &Callback<PlayerCommand>) -> Html {
    let failover = &replay.failover;
    let send = |what: PlayerCommand| command.reform(move |_: MouseEvent| what);
    let seek = command.reform(|event: InputEvent| {
        PlayerCommand::Seek(event.target_unchecked_into::<HtmlInputElement>().value_as_number() as u64)
    });
    let choose = on_choice(command.reform(|value: String| {
        let speed = SPEEDS.into_iter().find(|speed| speed.words() == value);
        PlayerCommand::Speed(speed.unwrap_or(Speed::Hundredth))
    }));
    let jump = |id: &'static str, label: &'static str, sign: &'static str, to: Option<u64>| {
        let onclick = send(PlayerCommand::Seek(to.unwrap_or(replay.at_us)));
        html! {
            <button type="button" class="chip" data-testid={id} aria-label={label} disabled={to.is_none()} {onclick}>
                {sign}
            </button>
        }
    };
    let times = || failover.steps.iter().map(|step| step.at_us);
    let is_over = replay.is_over();
    html! {
        <div
            class="replay"
            role="group"
            aria-label="Replay of a failover"
            data-testid="replay-controls"
            data-before={failover.election.before.to_string()}
            data-leader={failover.election.leader.to_string()}
        >
            <p>
                <strong>{"Replay"}</strong>
                <span class="replay-time" data-testid="replay-time">{text::time(replay)}</span>
                <span role="status" data-testid="replay-step">{words(&text::last_step(replay))}</span>
            </p>
            <div class="replay-keys">
                <button
                    type="button"
                    class="chip"
                    data-testid="replay-toggle"
                    disabled={is_over}
                    onclick={send(PlayerCommand::Toggle)}
                >
                    { if player.is_playing { "Pause" } else { "Play" } }
                </button>
                { jump("replay-back", "Previous step", "◂", times().rev().find(|at_us| *at_us < replay.at_us)) }
                <input
                    type="range"
                    data-testid="replay-slider"
                    aria-label="Time of the replay"
                    aria-valuetext={format!("{}, {}", text::time(replay), text::last_step(replay))}
                    min="0"
                    max={failover.length_us().to_string()}
                    step="100"
                    value={replay.at_us.to_string()}
                    list="replay-steps"
                    oninput={seek}
                />
                <datalist id="replay-steps">
                    { for times().map(|at_us| html! { <option value={at_us.to_string()} /> }) }
                </datalist>
                { jump("replay-on", "Next step", "▸", times().find(|at_us| *at_us > replay.at_us)) }
                <select aria-label="Speed" onchange={choose}>
                    { for SPEEDS.iter().map(|speed| html! {
                        <option value={speed.words()} selected={*speed == player.speed}>{speed.words()}</option>
                    }) }
                </select>
                <button type="button" class="chip" data-testid="replay-close" onclick={send(PlayerCommand::Close)}>
                    {"Back to now"}
                </button>
            </div>
        </div>
    }
}
