//! The first minute on the live page: an invitation with one button, then what happens, in one sentence at a time.

use cubecast_core::identity::HostId;
use gloo_timers::callback::Interval;
use yew::prelude::*;

use super::dispatch::{Command, use_dispatch};
use super::field::deliberate;
use crate::format::{duration, plural};
use crate::model::first_minute::{self, EVERY_MS, Step, Story, story};
use crate::model::preset::Preset;
use crate::model::{Act, State, ViewAction};

const CRASH: &str = "first-minute-crash";

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
                    if let Some(task) = first_minute::publish(number) {
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
        let leader = leader_of(&story);
        deliberate(Callback::from(move |()| {
            if let (Some(task), Some(leader)) = (crash.clone(), leader) {
                dispatch.send(task);
                step.set(Step::Crashed(leader));
            }
        }))
    };
    let on_stop = {
        let step = step.clone();
        deliberate(Callback::from(move |()| step.set(Step::Invited)))
    };
    let (first, rest) = told(&story);
    let button = |id: &'static str, class: &'static str, label: &'static str, onclick: Callback<MouseEvent>| {
        let disabled = id == CRASH && leader_of(&story).is_none();
        html! { <button type="button" {class} data-testid={id} {disabled} {onclick}>{label}</button> }
    };
    html! {
        <div class="story" data-testid="first-minute">
            <p role="status"><strong>{first}</strong>{rest}</p>
            <div class="actions">
                if is_publishing {
                    { button(CRASH, "danger", "Crash the leader", on_crash) }
                    { button("first-minute-stop", "quiet", "Stop publishing", on_stop) }
                } else {
                    { button("first-minute-start", "primary", "Show me", on_start) }
                }
            </div>
        </div>
    }
}

fn leader_of(story: &Story) -> Option<HostId> {
    match story {
        Story::Publishing { leader, .. } => *leader,
        Story::TakenOver { leader, .. } => Some(*leader),
        Story::Invitation { .. } | Story::Electing { .. } => None,
    }
}

/// The story in two parts: the first is emphasized.
fn told(story: &Story) -> (String, String) {
    match story {
        Story::Invitation { nodes } => (
            format!("{nodes} real processes. Kill one."),
            " This creates the topic demo and publishes to it twice a second, so that you can see what a crash costs."
                .to_owned(),
        ),
        Story::Publishing { stored, leader: Some(leader) } => {
            (format!("{} stored.", plural(*stored as u64, "message")), format!(" Node {leader} leads demo. Crash it."))
        }
        Story::Publishing { leader: None, .. } => ("No node leads demo yet.".to_owned(), String::new()),
        Story::Electing { crashed } => {
            (format!("{crashed} is down."), " The other replicas notice its silence and vote.".to_owned())
        }
        Story::TakenOver { leader, after_ms, checked, lost } => {
            let after = after_ms.map(|after_ms| format!(" in {}", duration(after_ms))).unwrap_or_default();
            let lost = match checked {
                0 => String::new(),
                _ => format!(" {lost} of {} lost.", plural(*checked as u64, "message")),
            };
            (format!("{leader} took over{after}."), lost)
        }
    }
}
