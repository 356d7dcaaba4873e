//! The events of an incident, as sentences.

use std::collections::{BTreeMap, BTreeSet};

use cubecast_core::identity::HostId;
use cubecast_core::io::Effect;
use cubecast_core::recording::replay::{HostStep, Replay, Step};
use cubecast_core::states::{NodeState, Role};
use cubecast_core::time::Timestamp;
use cubecast_core::wire::event::{Event, WatchEvent};
use serde_json::json;

use super::super::status;
use crate::failure::Failure;
use crate::output::{self, Format, line};

/// Prints what happened, without repetition: several nodes report the same.
#[derive(Default)]
pub(super) struct Story {
    told: BTreeMap<String, Timestamp>,
    /// The nodes that were last reported to be in another state than up.
    not_up: BTreeMap<HostId, NodeState>,
    /// The directions of links that were last reported to carry nothing.
    silent: BTreeSet<(HostId, HostId)>,
}

/// The same sentence is told again after this time, in microseconds.
const TELL_AGAIN_US: u64 = 1_000_000;

impl Story {
    /// Tells what is new in a step.
    pub(super) fn tell(&mut self, step: &HostStep, format: Format, replay: &Replay) -> Result<(), Failure> {
        match &step.step {
            Step::Began { .. } => self.say(step, format, replay, format!("node {} runs", step.host)),
            Step::Ended => self.say(step, format, replay, format!("node {} is gone", step.host)),
            Step::Turned { effects, is_equal, .. } => {
                for effect in effects {
                    if let Effect::Observe(WatchEvent { event, .. }) = effect
                        && self.is_news(event)
                        && let Some(text) = sentence(step.host, event)
                    {
                        self.say(step, format, replay, text)?;
                    }
                }
                if *is_equal { Ok(()) } else { self.say(step, format, replay, format!("node {} differs", step.host)) }
            }
        }
    }

    /// A process that starts reports all nodes and links; those that are well are no news.
    fn is_news(&mut self, event: &Event) -> bool {
        match event {
            Event::NodeState { subject, state: NodeState::Up } => self.not_up.remove(subject).is_some(),
            Event::NodeState { subject, state } => self.not_up.insert(*subject, *state) != Some(*state),
            Event::LinkState { from, to, up: true } => self.silent.remove(&(*from, *to)),
            Event::LinkState { from, to, up: false } => self.silent.insert((*from, *to)),
            _ => true,
        }
    }

    fn say(&mut self, step: &HostStep, format: Format, replay: &Replay, text: String) -> Result<(), Failure> {
        let last = self.told.insert(text.clone(), step.at);
        if last.is_some_and(|last| step.at.0.saturating_sub(last.0) < TELL_AGAIN_US) {
            return Ok(());
        }
        let seconds = step.at.0.saturating_sub(replay.begins().0) as f64 / 1e6;
        match format {
            Format::Json => output::json(&json!({ "at": step.at, "node": step.host, "text": text })),
            Format::Table => line(&format!("{seconds:>9.3} s  {text}")),
        }
    }
}

/// A rare event in words; `None` for others.
fn sentence(host: HostId, event: &Event) -> Option<String> {
    Some(match event {
        Event::RoleChanged { group, role: Role::Leader, term, .. } => {
            format!("node {host} leads group {group} in term {term}")
        }
        Event::RoleChanged { group, role: Role::Candidate, term, .. } => {
            format!("node {host} stands for election in group {group}, term {term}")
        }
        Event::NodeState { subject, state } => format!("node {subject} is {}", status::state(*state)),
        Event::LinkState { from, to, up: false } => format!("nothing arrives from {from} at {to}"),
        Event::LinkState { from, to, up: true } => format!("frames arrive from {from} at {to}"),
        Event::MembersChanged { group, voters, .. } => {
            let voters: Vec<String> = voters.iter().map(ToString::to_string).collect();
            format!("voters of group {group}: {}", voters.join(" "))
        }
        Event::Stopped { mode, .. } => format!("node {host} is stopped on request ({mode:?})"),
        Event::Returned { .. } => format!("node {host} returns"),
        Event::CaughtUp { group, .. } => format!("node {host} has caught up in group {group}"),
        Event::StorageState { state, .. } => format!("the disk of node {host} is {state:?}"),
        Event::Warning { text } => format!("node {host}: {text}"),
        _ => return None,
    })
}
