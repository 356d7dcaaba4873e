//! What an action does to a cursor, and what may still happen to it though nobody waits for it.

use crate::wire::client::{Action, StartAt};

/// What an action does to the cursor.
#[derive(Clone, Copy)]
pub(super) enum Effect {
    None,
    /// Forward, to the offset.
    Commit(u64),
    /// Forward, behind at most so many messages.
    Pull(u64),
    /// To the offset, back or forth.
    Put(u64),
    /// Behind the last message there is.
    PutAtEnd,
    /// To 0, if it was away.
    Begin,
    /// Away.
    Remove,
}

pub(super) fn effect_of(action: &Action) -> Effect {
    match action {
        Action::Commit { offset, .. } => Effect::Commit(offset.0),
        Action::Pull { commit: true, max, .. } => Effect::Pull((*max).into()),
        Action::Subscribe { from, .. } | Action::ReplicaSubscribe { from, .. } => match from {
            None => Effect::Begin,
            Some(StartAt::Beginning) => Effect::Put(0),
            Some(StartAt::Offset(offset)) => Effect::Put(offset.0),
            Some(StartAt::Latest) => Effect::PutAtEnd,
        },
        Action::Unsubscribe { .. } => Effect::Remove,
        _ => Effect::None,
    }
}

/// What may still happen to the cursor at any time, though nobody waits for it.
#[derive(Default)]
pub(super) struct Late {
    /// It may be moved forward to here.
    forward: u64,
    /// It may be put back to here.
    back: Option<u64>,
    /// It may be moved behind so many messages more, from wherever it is.
    pulls: u64,
}

impl Late {
    pub fn add(&mut self, effect: Effect, end: u64) {
        match effect {
            Effect::Commit(offset) if offset <= end => self.forward = self.forward.max(offset),
            Effect::Put(offset) if offset <= end => {
                self.forward = self.forward.max(offset);
                self.add_back(offset);
            }
            // Refused whenever they come: there never were so many messages.
            Effect::Commit(_) | Effect::Put(_) => {}
            Effect::PutAtEnd => self.forward = end,
            Effect::Pull(max) => self.pulls = self.pulls.saturating_add(max),
            Effect::Remove => self.add_back(0),
            // To begin does nothing to a cursor that is there; that it was taken away is allowed for already.
            Effect::Begin | Effect::None => {}
        }
    }

    fn add_back(&mut self, offset: u64) {
        self.back = Some(self.back.map_or(offset, |back| back.min(offset)));
    }

    /// How far back a cursor can be that would be at `low`.
    pub fn lowest(&self, low: u64) -> u64 {
        self.back.map_or(low, |back| back.min(low))
    }

    /// How far on a cursor can be that would be at `high`.
    pub fn highest(&self, high: u64, end: u64) -> u64 {
        let high = high.max(self.forward);
        high.saturating_add(self.pulls).min(end).max(high)
    }
}
