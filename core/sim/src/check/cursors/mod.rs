//! Cursors only move forward, and no subscriber skips messages that it did not receive.
//!
//! For each subscriber of a topic without a deletion, the checker tracks the range of possible cursors: from the last
//! observed position (`low`) to the furthest requested one (`high`). Answers with more information narrow the range.
//!
//! * `commit` moves the cursor to the offset, unless it is further already. The answer reports the position. It never
//!   moves back.
//! * `subscribe` with `from` sets the cursor, backward or forward. Without `from` the cursor stays, or begins at 0.
//! * A `pull` from the leader begins at the cursor. With `commit: true` the cursor then moves past the messages, or
//!   stays if it cannot be moved in time, and they are delivered again. If the answer is lost, the cursor may have
//!   passed messages that the client did not receive (at most once).
//! * A `pull` with `read: any` and a `replica_pull` begin at the replica's state, which may be old. The cursor moves
//!   shortly after the answer, or not at all.
//!
//! A pull from the leader therefore begins between `low` and `high`, and `high` never exceeds the messages that the
//! subscriber received or asked to skip. An action in doubt may take effect once at any later time, and widens the
//! range by exactly that effect. So do overlapping actions of two clients that share a subscriber.

mod late;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use cubecast_core::time::Instant;
use cubecast_core::wire::answer::{Done, Message};
use cubecast_core::wire::client::{Action, Read, ReadLevel, Registry, Write};
use late::{Effect, Late, effect_of};

use super::case::{Case, Topic};
use super::history::{Operation, Outcome};
use super::words::Told;
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let mut checked = 0;
    for topic in case.lasting_topics() {
        for operations in by_subscriber(topic).into_values() {
            checked += Follower::new(topic, operations).follow()?;
        }
    }
    Ok(Checked(checked))
}

fn by_subscriber<'a>(topic: &Topic<'a>) -> BTreeMap<&'a str, Vec<&'a Operation>> {
    let mut sorted: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for operation in &topic.operations {
        if let Some((Registry::Subscriber, subscriber)) = operation.action.who() {
            sorted.entry(subscriber).or_default().push(*operation);
        }
    }
    sorted
}

enum Event {
    Asked(usize),
    Answered(usize),
}

/// Invocations and answers in order of time; at equal times invocations come first.
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

/// Tracks one subscriber's cursor.
struct Follower<'a> {
    /// The length of the topic's log.
    end: u64,
    operations: Vec<&'a Operation>,
    /// The cursor is not below this, except through late effects.
    low: Bound<'a>,
    /// The cursor is not above this, except through late effects.
    high: Bound<'a>,
    /// The cursor was never above this.
    peak: u64,
    late: Late,
    /// The furthest position to which answered pulls should have moved the cursor, if it was not observed there.
    unconfirmed: u64,
    open: BTreeSet<usize>,
    /// Operations that overlap with others.
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
        // The position before the record is known only if the topic was created during the record.
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
            // Their order is unknown: the effect of each may still come, or may have come already.
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
            (
                Action::Read(Read::Pull { read: ReadLevel::Leader, commit, .. }),
                Done::Pulled { messages, cursor, .. },
            ) => {
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
            (Action::Read(Read::Pull { read: ReadLevel::Any, commit, .. }), Done::Pulled { messages, cursor, .. }) => {
                self.check_range(operation, start_of(messages, cursor.0), 0, self.peak)?;
                if *commit {
                    self.late.add(Effect::Commit(cursor.0), self.end);
                    self.raise(cursor.0, operation);
                }
            }
            (Action::Read(Read::ReplicaPull { from, .. }), Done::Pulled { messages, cursor, .. }) => {
                let most = from.map_or(self.peak, |from| from.0);
                self.check_range(operation, start_of(messages, cursor.0), 0, most)?;
            }
            (Action::Write(Write::Commit { offset, .. }), Done::Committed { cursor, .. }) => {
                let (least, most) = (self.lowest().max(offset.0), self.highest().max(offset.0));
                self.check_range(operation, cursor.0, least, most)?;
                self.raise(cursor.0, operation);
                if is_alone {
                    self.see(cursor.0, operation);
                }
            }
            (
                Action::Write(Write::Subscribe { .. } | Write::ReplicaSubscribe { .. }),
                Done::Subscribed { cursor, .. },
            ) => {
                self.handle_subscribed(operation, cursor.0, is_alone)?;
            }
            (Action::Write(Write::Unsubscribe { .. }), _) if is_alone => {
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

    /// The cursor is at this position, or was at some time during the operation.
    fn see(&mut self, at: u64, by: &'a Operation) {
        self.low = Bound { at, by: Some(by) };
        self.raise(at, by);
        if at >= self.unconfirmed {
            self.unconfirmed = 0;
        }
    }

    /// The cursor may be at this position.
    fn raise(&mut self, at: u64, by: &'a Operation) {
        if at > self.high.at {
            self.high = Bound { at, by: Some(by) };
        }
    }

    /// The cursor was set to this position.
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

/// The cursor position at which a pull began.
fn start_of(messages: &[Message], cursor: u64) -> u64 {
    messages.first().map_or(cursor, |first| first.offset.0)
}

fn creates(operation: &Operation) -> bool {
    matches!(operation.action, Action::Write(Write::CreateTopic { .. }))
        && !matches!(operation.outcome(), Outcome::Refused(_))
}
