//! Cursors only go forward, and no subscriber skips what it was not given.
//!
//! For each subscriber of a topic that nobody deleted, the checker follows where the cursor can be: between the last place at which
//! it was seen (`low`) and the furthest to which anybody asked for it to be moved (`high`). Answers that tell more narrow this.
//!
//! * `commit` moves it to the offset, or leaves it where it is further; the answer tells where it is. It never goes back.
//! * `subscribe` with `from` puts it there, back or forth; without, it stays, or begins at 0.
//! * A leader's `pull` begins at the cursor. With `commit: true` it is moved behind the messages, or stays when it cannot be moved in
//!   time: then they come again. When the answer is lost it may have moved past messages that nobody saw (at most once).
//! * A `pull` with `read: any` and a `replica_pull` begin at what the replica knows, which may be an old place. The cursor moves a little after
//!   the answer, if at all.
//!
//! So a leader's pull begins between `low` and `high`, where `high` lies behind what the subscriber was given or asked to skip. What is
//! in doubt may happen at any time later, once; it widens what is allowed by just that. So does what overlaps in time, where two clients share a
//! subscriber.

mod late;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Topic};
use super::history::{Operation, Outcome};
use super::words::Told;
use super::{Broken, Checked, Verdict};
use crate::names::SubscriberId;
use crate::time::Instant;
use crate::wire::answer::{Done, Message};
use crate::wire::client::{Action, ReadLevel};
use late::{Effect, Late, effect_of};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let mut checked = 0;
    for topic in case.lasting_topics() {
        for operations in by_subscriber(topic).into_values() {
            checked += Follower::new(topic, operations).follow()?;
        }
    }
    Ok(Checked(checked))
}

fn by_subscriber<'a>(topic: &Topic<'a>) -> BTreeMap<&'a SubscriberId, Vec<&'a Operation>> {
    let mut sorted: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for operation in &topic.operations {
        if let Some(subscriber) = subscriber_of(&operation.action) {
            sorted.entry(subscriber).or_default().push(*operation);
        }
    }
    sorted
}

fn subscriber_of(action: &Action) -> Option<&SubscriberId> {
    match action {
        Action::Subscribe { subscriber, .. }
        | Action::ReplicaSubscribe { subscriber, .. }
        | Action::Unsubscribe { subscriber, .. }
        | Action::Pull { subscriber, .. }
        | Action::ReplicaPull { subscriber, .. }
        | Action::Commit { subscriber, .. } => Some(subscriber),
        _ => None,
    }
}

enum Event {
    Asked(usize),
    Answered(usize),
}

/// In order of time; at one moment, what was asked comes first.
fn events(operations: &[&Operation]) -> Vec<Event> {
    let mut timed: Vec<(Instant, bool, usize)> = Vec::with_capacity(2 * operations.len());
    for (index, operation) in operations.iter().enumerate() {
        timed.push((operation.invoked, false, index));
        if operation.outcome() != Outcome::InDoubt {
            timed.push((operation.over(), true, index));
        }
    }
    timed.sort_unstable();
    timed
        .into_iter()
        .map(|(_, is_answer, index)| if is_answer { Event::Answered(index) } else { Event::Asked(index) })
        .collect()
}

/// Follows one subscriber's cursor.
struct Follower<'a> {
    /// The length of the topic's log.
    end: u64,
    operations: Vec<&'a Operation>,
    /// The cursor is not before this, but for what is late.
    low: Bound<'a>,
    /// Nor behind this, but for what is late.
    high: Bound<'a>,
    /// It never was behind this.
    peak: u64,
    late: Late,
    /// Answered pulls meant to move it to here, and it was not seen there.
    unconfirmed: u64,
    open: BTreeSet<usize>,
    /// Not alone on their way.
    shared: BTreeSet<usize>,
    checked: u64,
}

#[derive(Clone, Copy)]
struct Bound<'a> {
    at: u64,
    by: Option<&'a Operation>,
}

impl<'a> Follower<'a> {
    fn new(topic: &Topic<'a>, operations: Vec<&'a Operation>) -> Self {
        // What was before the record is known only where the topic was created in it.
        let is_new = topic.operations.iter().any(|operation| creates(operation));
        let end = topic.log.len() as u64;
        let unknown = if is_new { 0 } else { end };
        Follower {
            end,
            operations,
            low: Bound { at: 0, by: None },
            high: Bound { at: unknown, by: None },
            peak: unknown,
            late: Late::default(),
            unconfirmed: 0,
            open: BTreeSet::new(),
            shared: BTreeSet::new(),
            checked: 0,
        }
    }

    fn follow(mut self) -> Result<u64, Broken> {
        for event in events(&self.operations) {
            match event {
                Event::Asked(index) => self.handle_asked(index),
                Event::Answered(index) => self.handle_answered(index)?,
            }
            self.peak = self.peak.max(self.highest());
        }
        Ok(self.checked)
    }

    fn handle_asked(&mut self, index: usize) {
        if self.operations[index].outcome() == Outcome::InDoubt {
            self.late.add(effect_of(&self.operations[index].action), self.end);
            return;
        }
        self.open.insert(index);
        if self.open.len() > 1 {
            // Which comes first is not known: whatever each does may still happen, or have happened.
            for other in self.open.iter().filter(|other| !self.shared.contains(other)) {
                self.late.add(effect_of(&self.operations[*other].action), self.end);
            }
            self.shared.extend(&self.open);
        }
    }

    fn handle_answered(&mut self, index: usize) -> Result<(), Broken> {
        self.open.remove(&index);
        let operation = self.operations[index];
        let Outcome::Done(done) = operation.outcome() else { return Ok(()) };
        let is_alone = !self.shared.contains(&index);
        match (&operation.action, done) {
            (Action::Pull { read: ReadLevel::Leader, commit, .. }, Done::Pulled { messages, cursor, .. }) => {
                let start = start_of(messages, cursor.0);
                self.check_range(operation, start, self.lowest(), self.highest())?;
                if is_alone {
                    self.see(start, operation);
                }
                if *commit {
                    self.unconfirmed = self.unconfirmed.max(cursor.0);
                    self.raise(cursor.0, operation);
                }
            }
            (Action::Pull { read: ReadLevel::Any, commit, .. }, Done::Pulled { messages, cursor, .. }) => {
                self.check_range(operation, start_of(messages, cursor.0), 0, self.peak)?;
                if *commit {
                    self.late.add(Effect::Commit(cursor.0), self.end);
                    self.raise(cursor.0, operation);
                }
            }
            (Action::ReplicaPull { from, .. }, Done::Pulled { messages, cursor, .. }) => {
                let most = from.map_or(self.peak, |from| from.0);
                self.check_range(operation, start_of(messages, cursor.0), 0, most)?;
            }
            (Action::Commit { offset, .. }, Done::Committed { cursor, .. }) => {
                let (least, most) = (self.lowest().max(offset.0), self.highest().max(offset.0));
                self.check_range(operation, cursor.0, least, most)?;
                self.raise(cursor.0, operation);
                if is_alone {
                    self.see(cursor.0, operation);
                }
            }
            (Action::Subscribe { .. } | Action::ReplicaSubscribe { .. }, Done::Subscribed { cursor, .. }) => {
                self.handle_subscribed(operation, cursor.0, is_alone)?;
            }
            (Action::Unsubscribe { .. }, _) if is_alone => {
                self.put(0, operation);
            }
            _ => return Ok(()),
        }
        self.checked += 1;
        Ok(())
    }

    fn handle_subscribed(&mut self, operation: &'a Operation, cursor: u64, is_alone: bool) -> Result<(), Broken> {
        let effect = effect_of(&operation.action);
        let (least, most) = match effect {
            Effect::Put(offset) => (offset, offset.max(self.unconfirmed)),
            Effect::PutAtEnd => (self.low.at, self.end),
            _ => (self.low.at, self.high.at),
        };
        self.check_range(operation, cursor, self.late.lowest(least), self.late.highest(most, self.end))?;
        match effect {
            Effect::Begin if is_alone => self.see(cursor, operation),
            _ if is_alone => self.put(cursor, operation),
            _ => {}
        }
        Ok(())
    }

    fn lowest(&self) -> u64 {
        self.late.lowest(self.low.at)
    }

    fn highest(&self) -> u64 {
        self.late.highest(self.high.at, self.end)
    }

    /// It is here, or was a moment ago.
    fn see(&mut self, at: u64, by: &'a Operation) {
        self.low = Bound { at, by: Some(by) };
        self.raise(at, by);
        if at >= self.unconfirmed {
            self.unconfirmed = 0;
        }
    }

    /// It may be here.
    fn raise(&mut self, at: u64, by: &'a Operation) {
        if at > self.high.at {
            self.high = Bound { at, by: Some(by) };
        }
    }

    /// It was put here, from wherever it was.
    fn put(&mut self, at: u64, by: &'a Operation) {
        self.low = Bound { at, by: Some(by) };
        self.high = Bound { at: at.max(self.unconfirmed), by: Some(by) };
    }

    fn check_range(&self, operation: &Operation, at: u64, least: u64, most: u64) -> Result<(), Broken> {
        let by = |bound: Bound<'_>| bound.by.map_or(String::new(), |operation| format!(" ({})", Told(operation)));
        if at < least {
            return Err(Broken(format!(
                "a cursor moved back: {} shows it at {at}, but it must be at least {least}{}",
                Told(operation),
                by(self.low)
            )));
        }
        if at > most {
            return Err(Broken(format!(
                "a cursor skipped messages: {} shows it at {at}, but it must be at most {most}{}",
                Told(operation),
                by(self.high)
            )));
        }
        Ok(())
    }
}

/// Where the cursor was that a pull began at.
fn start_of(messages: &[Message], cursor: u64) -> u64 {
    messages.first().map_or(cursor, |first| first.offset.0)
}

fn creates(operation: &Operation) -> bool {
    matches!(operation.action, Action::CreateTopic { .. }) && !matches!(operation.outcome(), Outcome::Refused(_))
}
