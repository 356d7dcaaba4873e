//! Playing a failover: the state of the page at any time of it.

use std::rc::Rc;

use cubecast_core::wire::event::Event;

use super::{Failover, Picture};
use crate::model::shared::Shared;
use crate::model::spacetime::RecordedEvent;
use crate::model::state::State;
use crate::model::{Action, Moment};

/// The replay begins this long before the first step, microseconds.
const LEAD_IN_US: u64 = 30_000;
/// Events further in the past than this are applied at once, microseconds: their frames have arrived.
const SETTLED_US: u64 = 1_000_000;

/// A failover at one moment.
#[derive(Clone, Debug)]
pub struct Replay {
    pub failover: Rc<Failover>,
    /// Microseconds since the start of the failover's recording.
    pub at_us: u64,
    /// How often the state was built anew: after a jump back, and at each picture.
    pub rebuilds: u64,
    state: State,
    /// The place of the picture that `state` was built from.
    picture: usize,
    /// Number of events that `state` contains, or that the picture does.
    passed: usize,
}

impl Replay {
    /// Shortly before the first step.
    pub fn of(failover: Rc<Failover>) -> Replay {
        let at_us = failover.steps.first().map_or(0, |step| step.at_us.saturating_sub(LEAD_IN_US));
        let mut replay = Replay { failover, at_us, rebuilds: 0, state: State::default(), picture: 0, passed: 0 };
        replay.build_from(replay.picture_at(at_us));
        replay.go_to(at_us);
        replay
    }

    /// The state at this time; later than the end: at the end.
    pub fn go_to(&mut self, at_us: u64) {
        let at_us = at_us.min(self.failover.length_us());
        let picture = self.picture_at(at_us);
        if at_us < self.at_us || picture != self.picture {
            self.build_from(picture);
        }
        self.at_us = at_us;
        let settled_us = at_us.saturating_sub(SETTLED_US);
        let settled = self.take_until(settled_us).into_iter().map(|(_, action)| action).collect();
        self.apply(settled_us, settled);
        for (event_us, action) in self.take_until(at_us) {
            self.apply(event_us, vec![action]);
        }
        self.apply(at_us, Vec::new());
    }

    /// Whether everything was played.
    pub fn is_over(&self) -> bool {
        self.at_us >= self.failover.length_us()
    }

    /// The page as it is now, with the cluster of the replay, and without what is broken now.
    pub fn shown(&self, present: &State) -> State {
        let State { now_ms, cluster, topics, traffic, .. } = self.state.clone();
        let breakages = Shared::default();
        State { now_ms, cluster, topics, traffic, breakages, ..present.clone() }
    }

    /// The place of the newest picture that is not younger than this time.
    fn picture_at(&self, at_us: u64) -> usize {
        let at_ms = self.now_ms(at_us);
        self.failover.pictures.iter().rposition(|picture| picture.at_ms <= at_ms).unwrap_or(0)
    }

    fn build_from(&mut self, picture: usize) {
        let Picture { cluster, topics, .. } = self.failover.pictures[picture].clone();
        self.state = State { cluster, topics, ..State::default() };
        (self.picture, self.passed) = (picture, 0);
        self.rebuilds += 1;
    }

    /// The next events until this time, without those that the picture contains. Frames are no part of a picture.
    fn take_until(&mut self, until_us: u64) -> Vec<(u64, Action)> {
        let picture_ms = self.failover.pictures[self.picture].at_ms;
        let rest = &self.failover.events[self.passed..];
        let due = &rest[..rest.partition_point(|(at_us, _)| *at_us <= until_us)];
        let is_frame = |event: &Event| matches!(event, Event::FrameSent { .. } | Event::FrameDropped { .. });
        let is_new = |told: &RecordedEvent| told.heard_ms >= picture_ms || is_frame(&told.event.event);
        let taken = due.iter().filter(|(_, told)| is_new(told));
        let taken = taken.map(|(at_us, told)| (*at_us, Action::Event(told.event.clone()))).collect();
        self.passed += due.len();
        taken
    }

    fn apply(&mut self, at_us: u64, actions: Vec<Action>) {
        let now_ms = self.now_ms(at_us);
        self.state = std::mem::take(&mut self.state).after(Moment { now_ms, actions });
    }

    fn now_ms(&self, at_us: u64) -> u64 {
        (self.failover.start_us + at_us as i64) as u64 / 1_000
    }
}
