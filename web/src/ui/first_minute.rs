//! The first minute on the live page: an invitation with one button, then what happens, in one sentence at a time.

use gloo_timers::callback::Interval;
use yew::prelude::*;

use super::dispatch::{Command, use_dispatch};
use super::field::deliberate;
use crate::format::{duration, plural};
use crate::model::first_minute::{self, EVERY_MS, MOST, Step, Story, story};
use crate::model::preset::Preset;
use crate::model::{Act, State, ViewAction};

/// Properties of [`FirstMinute`].
#[derive(Properties, PartialEq)]
pub struct FirstMinuteProps {
    pub state: State,
}

/// The story of the first minute. It is offered while no topic is chosen.
#[component]
pub fn FirstMinute(props: &FirstMinuteProps) -> Html {
    let dispatch = use_dispatch();
    let step = use_state(Step::default);
    let state = &props.state;
    let is_publishing = *step != Step::Invited;
    use_effect_with(is_publishing, {
        let dispatch = dispatch.clone();
        move |is_publishing| {
            let mut number = 0;
            let interval = is_publishing.then(|| {
                Interval::new(EVERY_MS, move || {
                    number += 1;
                    if let Ok(task) = first_minute::publish(number).map_err(drop).and_then(within_limit(number)) {
                        dispatch.send(Command::Insist(task));
                    }
                })
            });
            move || drop(interval)
        }
    });
    let Some(story) = story(state, *step).filter(|_| is_publishing || state.topic_text.is_empty()) else {
        return Html::default();
    };
    let on_start = {
        let (dispatch, step) = (dispatch.clone(), step.clone());
        deliberate(Callback::from(move |()| {
            dispatch.send(ViewAction::ChooseTopic(first_minute::TOPIC.to_owned()));
            if let (Ok(create), Ok(subscribe), Some((subscriber, topic))) =
                (first_minute::create(), first_minute::subscribe(), first_minute::names())
            {
                dispatch.send(ViewAction::NamePublisher(subscriber.as_str().to_owned()));
                dispatch.send(ViewAction::NameSubscriber(subscriber.as_str().to_owned()));
                dispatch.send(create);
                dispatch.send(Act::OpenInbox { subscriber, topic });
                dispatch.send(subscribe);
            }
            step.set(Step::Publishing);
        }))
    };
    let on_crash = {
        let (dispatch, step) = (dispatch.clone(), step.clone());
        let crash = Preset::CrashLeader.task(state).ok();
        let (leader, at_ms) = (leader_of(&story), state.now_ms);
        deliberate(Callback::from(move |()| {
            if let (Some(task), Some(leader)) = (crash.clone(), leader) {
                dispatch.send(task);
                step.set(Step::Crashed { leader, at_ms });
            }
        }))
    };
    let on_stop = {
        let step = step.clone();
        deliberate(Callback::from(move |()| step.set(Step::Invited)))
    };
    let can_crash = leader_of(&story).is_some();
    html! {
        <div class="story" data-testid="first-minute" data-step={step_name(&story)}>
            <p role="status">{told(&story)}</p>
            <div class="actions">
                if is_publishing {
                    <button
                        type="button"
                        class="danger"
                        data-testid="first-minute-crash"
                        disabled={!can_crash}
                        onclick={on_crash}
                    >
                        {"Crash the leader"}
                    </button>
                    <button type="button" class="quiet" data-testid="first-minute-stop" onclick={on_stop}>
                        {"Stop publishing"}
                    </button>
                } else {
                    <button type="button" class="primary" data-testid="first-minute-start" onclick={on_start}>
                        {"Show me"}
                    </button>
                }
            </div>
        </div>
    }
}

/// Passes on a value unless the limit of messages is reached.
fn within_limit<T>(number: u64) -> impl FnOnce(T) -> Result<T, ()> {
    move |value| if number <= MOST { Ok(value) } else { Err(()) }
}

fn leader_of(story: &Story) -> Option<cubecast_core::identity::HostId> {
    match story {
        Story::Publishing { leader, .. } => *leader,
        Story::TakenOver { leader, .. } => Some(*leader),
        Story::Invitation { .. } | Story::Electing { .. } => None,
    }
}

fn step_name(story: &Story) -> &'static str {
    match story {
        Story::Invitation { .. } => "invitation",
        Story::Publishing { .. } => "publishing",
        Story::Electing { .. } => "electing",
        Story::TakenOver { .. } => "taken-over",
    }
}

fn told(story: &Story) -> Html {
    match story {
        Story::Invitation { nodes } => html! {
            <>
                <strong>{format!("{nodes} real processes. Kill one.")}</strong>
                {" This creates the topic demo and publishes to it twice a second, so that you can see what a crash costs."}
            </>
        },
        Story::Publishing { stored, leader } => {
            let leader = leader.map_or_else(
                || "No node leads yet.".to_owned(),
                |leader| format!("Node {leader} leads demo and orders its messages."),
            );
            html! { {format!("{leader} {} stored, each on a majority of four replicas or more. Crash the leader.", plural(*stored as u64, "message"))} }
        }
        Story::Electing { crashed } => {
            html! { {format!("{crashed} is down. The other replicas notice its silence and vote.")} }
        }
        Story::TakenOver { leader, after_ms, stored, lost } => html! {
            <>
                <strong>{match after_ms {
                    Some(after_ms) => format!("{leader} took over in {}.", duration(*after_ms)),
                    None => format!("{leader} took over."),
                }}</strong>
                {format!(" {lost} of {} lost.", plural(*stored as u64, "message"))}
            </>
        },
    }
}
