//! Failovers: the seconds around an election, kept so that they can be played again in slow motion.
//!
//! [`FailoverWatch`] observes the page's states and keeps pictures of the cluster as it was known in the last seconds.
//! After the election of a new leader it assembles a [`Failover`] from them and from the recorded events. A [`Replay`]
//! shows the cluster at any time of it: the newest picture before that time, and the events after that picture, passed
//! to the same reducer again. Several pictures are needed because a page also learns from answers, which are not
//! recorded.

mod replay;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::rc::Rc;

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;

use super::cluster::Cluster;
use super::feed::{Entry, Fact};
use super::shared::Shared;
use super::spacetime::clocks::Clocks;
use super::spacetime::{MAX_EVENTS, RecordedEvent};
use super::state::State;
use super::topics::TopicBook;
pub use replay::Replay;
pub use steps::{Step, StepKind};

/// Interval at which the watch is to look at the state, milliseconds.
pub const LOOK_EVERY_MS: u32 = 500;
/// How far a replay reaches back before the election, milliseconds.
const BEFORE_MS: u64 = 10_000;
/// How far it continues after the election, milliseconds.
const AFTER_MS: u64 = 1_500;

/// Observes the page and notices failovers.
#[derive(Debug, Default)]
pub struct FailoverWatch {
    /// Oldest first; they cover [`BEFORE_MS`] and the time until an election is over.
    pictures: VecDeque<Picture>,
    /// The number of the first feed entry that was not looked at yet.
    next_entry: u64,
    /// The election whose following moments are still being recorded.
    pending: Option<Election>,
}

/// The cluster as it was known at one moment.
#[derive(Clone, Debug)]
struct Picture {
    at_ms: u64,
    cluster: Shared<Cluster>,
    topics: Shared<TopicBook>,
}

/// The election of another leader than before.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Election {
    /// The group, named by its home.
    pub group: Vertex,
    /// The former leader.
    pub before: HostId,
    pub leader: HostId,
    pub term: u64,
    /// When this page learned of it, milliseconds since 1970.
    pub at_ms: u64,
}

/// An election with the events around it.
#[derive(Clone, Debug)]
pub struct Failover {
    pub election: Election,
    /// In order of time, at most 24.
    pub steps: Vec<Step>,
    /// By the clock of the new leader, microseconds since 1970.
    start_us: i64,
    /// Oldest first, at least one. The first is from the start.
    pictures: Vec<Picture>,
    /// With the time of each since the start, microseconds. In order of time.
    events: Vec<(u64, Rc<RecordedEvent>)>,
}

impl FailoverWatch {
    /// To be called every [`LOOK_EVERY_MS`]. Returns a failover once its last moments were recorded. Of several
    /// elections at the same time, that of the chosen topic's group is kept.
    pub fn look(&mut self, now_ms: u64, state: &State) -> Option<Failover> {
        self.note_elections(state);
        let ended = self.pending.take_if(|election| election.at_ms + AFTER_MS <= now_ms);
        let failover = ended.and_then(|election| self.assemble(election, state));
        let oldest_ms = self.pending.map_or(now_ms, |election| election.at_ms).saturating_sub(BEFORE_MS);
        while self.pictures.front().is_some_and(|picture| picture.at_ms < oldest_ms) {
            self.pictures.pop_front();
        }
        let (cluster, topics) = (state.cluster.clone(), state.topics.clone());
        self.pictures.push_back(Picture { at_ms: now_ms, cluster, topics });
        failover
    }

    fn note_elections(&mut self, state: &State) {
        let is_new = |entry: &&Entry| entry.number >= self.next_entry;
        let elections: Vec<Election> =
            state.feed.entries.iter().take_while(is_new).filter_map(|entry| self.election(entry)).collect();
        self.next_entry = state.feed.entries.front().map_or(0, |newest| newest.number + 1);
        let chosen = elections.iter().find(|election| Some(election.group) == state.home());
        if let Some(election) = chosen.or(elections.first().filter(|_| self.pending.is_none())) {
            self.pending = Some(*election);
        }
    }

    /// `None` unless another node led before.
    fn election(&self, entry: &Entry) -> Option<Election> {
        let Fact::LeaderElected { group, leader, term } = entry.fact else { return None };
        let before = self.pictures.iter().rev().find_map(|picture| picture.cluster.leader_of(group))?;
        (before != leader).then_some(Election { group, before, leader, term, at_ms: entry.at_ms })
    }

    /// `None` if the events after the oldest picture were pushed out by newer ones.
    fn assemble(&self, election: Election, state: &State) -> Option<Failover> {
        let recorded = &state.closer.recorder.events;
        let complete_from_ms = match recorded.front() {
            Some(oldest) if recorded.len() == MAX_EVENTS => oldest.heard_ms + 1,
            Some(_) | None => 0,
        };
        let pictures: Vec<Picture> =
            self.pictures.iter().filter(|picture| picture.at_ms >= complete_from_ms).cloned().collect();
        let first_ms = pictures.first().map(|picture| picture.at_ms).filter(|at_ms| *at_ms < election.at_ms)?;
        let events = || recorded.iter().filter(|told| told.heard_ms >= first_ms);
        let clocks = Clocks::of(election.leader, events().map(|told| &**told));
        let start_us = events().map(|told| clocks.corrected_us(told)).min()?;
        let since_start = |told: &RecordedEvent| (clocks.corrected_us(told) - start_us) as u64;
        let mut events: Vec<_> = events().map(|told| (since_start(told), told.clone())).collect();
        events.sort_by_key(|(at_us, _)| *at_us);
        let steps = steps::steps(election, events.iter().map(|(at_us, told)| (*at_us, &told.event)));
        Some(Failover { election, steps, start_us, pictures, events })
    }
}

impl Failover {
    /// The length of the replay, microseconds.
    pub fn length_us(&self) -> u64 {
        self.events.last().map_or(0, |(at_us, _)| *at_us)
    }

    /// From the stop of the former leader to the election, microseconds; `None` unless both were reported. A leader that
    /// is only cut off from some nodes, or hands over, may go on leading meanwhile.
    pub fn took_us(&self) -> Option<u64> {
        let at_us = |is: fn(&StepKind) -> bool| self.steps.iter().find(|step| is(&step.what)).map(|step| step.at_us);
        let elected_us = at_us(|what| matches!(what, StepKind::Elected { .. }))?;
        elected_us.checked_sub(at_us(|what| matches!(what, StepKind::Stopped { .. }))?)
    }
}
