//! The effects of actions on a cursor, and the effects of unanswered ones that are still possible.

use cubecast_core::names::StartAt;
use cubecast_core::wire::client::{Action, Read, Write};

/// The effect of an action on the cursor.
#[derive(Clone, Copy)]
pub(super) enum Effect {
    None,
    /// Moves it forward to the offset.
    Commit(u64),
    /// Moves it forward past at most this many messages.
    Pull(u64),
    /// Sets it to the offset, backward or forward.
    Put(u64),
    /// Sets it to the end of the topic.
    PutAtEnd,
    /// Creates it at 0 if it did not exist.
    Begin,
    /// Removes it.
    Remove,
}

pub(super) fn effect_of(action: &Action) -> Effect {
    match action {
        Action::Write(Write::Commit { offset, .. }) => Effect::Commit(offset.0),
        Action::Read(Read::Pull { commit: true, max, .. }) => Effect::Pull((*max).into()),
        Action::Write(Write::Subscribe { from, .. } | Write::ReplicaSubscribe { from, .. }) => match from {
            None => Effect::Begin,
            Some(StartAt::Beginning) => Effect::Put(0),
            Some(StartAt::Offset(offset)) => Effect::Put(offset.0),
            Some(StartAt::Latest) => Effect::PutAtEnd,
        },
        Action::Write(Write::Unsubscribe { .. }) => Effect::Remove,
        Action::Write(
            Write::CreatePublisher { .. }
            | Write::CreateSubscriber { .. }
            | Write::DeletePublisher { .. }
            | Write::DeleteSubscriber { .. }
            | Write::CreateTopic { .. }
            | Write::DeleteTopic { .. }
            | Write::Publish { .. },
        )
        | Action::Read(Read::Pull { commit: false, .. } | Read::ReplicaPull { .. })
        | Action::Query(_)
        | Action::Admin(_)
        | Action::Local(_) => Effect::None,
    }
}

/// Effects of unanswered actions that are still possible at any time.
#[derive(Default)]
pub(super) struct Late {
    /// The furthest offset to which the cursor may be moved forward.
    forward: u64,
    /// The lowest offset to which the cursor may be set back.
    back: Option<u64>,
    /// The number of messages by which it may be moved forward from any position.
    pulls: u64,
}

impl Late {
    /// Adds the possible effect of an unanswered action. `end` is the topic's end; offsets beyond it have no effect.
    pub fn add(&mut self, effect: Effect, end: u64) {
        match effect {
            Effect::Commit(offset) if offset <= end => self.forward = self.forward.max(offset),
            Effect::Put(offset) if offset <= end => {
                self.forward = self.forward.max(offset);
                self.add_back(offset);
            }
            // Refused at any time: the topic never had that many messages.
            Effect::Commit(_) | Effect::Put(_) => {}
            Effect::PutAtEnd => self.forward = end,
            Effect::Pull(max) => self.pulls = self.pulls.saturating_add(max),
            Effect::Remove => self.add_back(0),
            // `Begin` does not affect an existing cursor, and its possible removal is counted already.
            Effect::Begin | Effect::None => {}
        }
    }

    fn add_back(&mut self, offset: u64) {
        self.back = Some(self.back.map_or(offset, |back| back.min(offset)));
    }

    /// The lowest possible position of a cursor that is at least `low` without late effects.
    pub fn lowest(&self, low: u64) -> u64 {
        self.back.map_or(low, |back| back.min(low))
    }

    /// The highest possible position of a cursor that is at most `high` without late effects.
    pub fn highest(&self, high: u64, end: u64) -> u64 {
        let high = high.max(self.forward);
        high.saturating_add(self.pulls).min(end).max(high)
    }
}
