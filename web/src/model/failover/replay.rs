//! Playing a failover: the state of the page at any time of it.

use std::rc::Rc;

use super::Failover;
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
    state: State,
    /// Number of events that `state` contains.
    applied: usize,
}

impl Replay {
    /// Shortly before the first step.
    pub fn of(failover: Rc<Failover>) -> Replay {
        let at_us = failover.steps.first().map_or(0, |step| step.at_us.saturating_sub(LEAD_IN_US));
        let mut replay = Replay { state: State::default(), failover, at_us, applied: 0 };
        replay.restart();
        replay.go_to(at_us);
        replay
    }

    /// The state at this time; later than the end: at the end.
    pub fn go_to(&mut self, at_us: u64) {
        let at_us = at_us.min(self.failover.length_us());
        if at_us < self.at_us {
            self.restart();
        }
        self.at_us = at_us;
        let failover = self.failover.clone();
        let due = |applied: usize, until_us: u64| {
            let waiting = failover.events[applied..].iter().take_while(move |(event_us, _)| *event_us <= until_us);
            waiting.map(|(event_us, told)| (*event_us, Action::Event(told.event.clone())))
        };
        let settled: Vec<Action> =
            due(self.applied, at_us.saturating_sub(SETTLED_US)).map(|(_, action)| action).collect();
        self.apply(at_us.saturating_sub(SETTLED_US), settled);
        let recent: Vec<(u64, Action)> = due(self.applied, at_us).collect();
        for (event_us, action) in recent {
            self.apply(event_us, vec![action]);
        }
        self.apply(at_us, Vec::new());
    }

    /// Whether everything was played.
    pub fn is_over(&self) -> bool {
        self.at_us >= self.failover.length_us()
    }

    /// The page as it is now, with the cluster of the replay.
    pub fn shown(&self, present: &State) -> State {
        let State { now_ms, cluster, topics, traffic, .. } = self.state.clone();
        State { now_ms, cluster, topics, traffic, ..present.clone() }
    }

    fn restart(&mut self) {
        let picture = &self.failover.picture;
        let (cluster, topics) = (picture.cluster.clone(), picture.topics.clone());
        self.state = State { cluster, topics, ..State::default() };
        self.applied = 0;
    }

    fn apply(&mut self, at_us: u64, actions: Vec<Action>) {
        let now_ms = (self.failover.start_us + at_us as i64) as u64 / 1_000;
        self.applied += actions.len();
        self.state = std::mem::take(&mut self.state).after(Moment { now_ms, actions });
    }
}
