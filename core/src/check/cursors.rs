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

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Topic};
use super::history::{Operation, Outcome};
use super::words::Told;
use super::{Broken, Checked, Verdict};
use crate::names::SubscriberId;
use crate::time::Instant;
use crate::wire::answer::{Done, Message};
use crate::wire::client::{Action, ReadLevel, StartAt};

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

/// What an action does to the cursor.
#[derive(Clone, Copy)]
enum Effect {
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

fn effect_of(action: &Action) -> Effect {
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

/// What may still happen to the cursor at any time, though nobody waits for it.
#[derive(Default)]
struct Late {
    /// It may be moved forward to here.
    forward: u64,
    /// It may be put back to here.
    back: Option<u64>,
    /// It may be moved behind so many messages more, from wherever it is.
    pulls: u64,
}

impl Late {
    fn add(&mut self, effect: Effect, end: u64) {
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
            Effect::Begin | Effect::Remove => self.add_back(0),
            Effect::None => {}
        }
    }

    fn add_back(&mut self, offset: u64) {
        self.back = Some(self.back.map_or(offset, |back| back.min(offset)));
    }

    /// How far back a cursor can be that would be at `low`.
    fn lowest(&self, low: u64) -> u64 {
        self.back.map_or(low, |back| back.min(low))
    }

    /// How far on a cursor can be that would be at `high`.
    fn highest(&self, high: u64, end: u64) -> u64 {
        let high = high.max(self.forward);
        high.saturating_add(self.pulls).min(end).max(high)
    }
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
                "a cursor went back: {} shows it at {at}, and it cannot be before {least}{}",
                Told(operation),
                by(self.low)
            )));
        }
        if at > most {
            return Err(Broken(format!(
                "a cursor skipped messages: {} shows it at {at}, and it cannot be behind {most}{}",
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

#[cfg(test)]
mod tests {
    use super::super::story::Story;
    use super::check;
    use crate::names::Offset;
    use crate::wire::answer::ErrorCode;
    use crate::wire::client::{ReadLevel, StartAt};

    /// A new topic with ten messages, and one subscriber, whose cursor is at 0.
    fn story() -> Story {
        let mut story = Story::new();
        story.create_topic(1..2).created();
        story.log(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
        story.subscribe(None, 3..4).subscribed(0);
        story
    }

    #[test]
    fn a_reader_reads_on() {
        let mut story = story();
        story.pull(10..11).commit().saw(0, ["a", "b", "c"]);
        story.pull(12..13).saw(3, ["d"]);
        story.commit(5, 14..15).committed(5);
        story.commit(4, 16..17).committed(5);
        story.pull(18..19).level(ReadLevel::Any).commit().saw(3, ["d", "e", "f"]);
        story.pull(20..21).saw(6, []);
        story.replica_pull(None, 22..23).saw(0, ["a"]);
        story.replica_pull(Some(9), 24..25).saw(9, ["j"]);
        story.subscribe(Some(StartAt::Beginning), 26..27).subscribed(0);
        story.replica_subscribe(28..29).subscribed(0);
        story.subscribe(Some(StartAt::Latest), 30..31).subscribed(8);
        story.unsubscribe(32..33).unsubscribed();
        story.subscribe(None, 34..35).subscribed(0);
        assert_eq!(story.passes(check), 14);
    }

    #[test]
    fn a_pull_may_be_given_again_and_nothing_before_it() {
        let mut story = story();
        story.commit(2, 5..6).committed(2);
        story.pull(10..11).commit().saw(2, ["c", "d"]);
        story.pull(12..13).commit().saw(2, ["c", "d"]);
        story.pull(14..15).saw(4, ["e"]);
        story.passes(check);
        story.pull(16..17).saw(3, ["d"]);
        story.fails(check, &["went back", "pull on `news`", "at 3", "before 4", "0.014000 s"]);
    }

    #[test]
    fn a_pull_that_skips_is_found() {
        let mut story = story();
        story.pull(10..11).commit().saw(0, ["a", "b"]);
        story.pull(12..13).saw(3, ["d"]);
        story.fails(check, &["skipped", "at 3", "behind 2", "asked of 010 at 0.010000 s"]);
        let mut story = self::story();
        story.pull(10..11).saw(0, ["a", "b"]);
        story.pull(12..13).saw(1, ["b"]);
        story.fails(check, &["skipped", "at 1", "behind 0"]);
    }

    #[test]
    fn a_pull_whose_answer_was_lost_may_have_moved_the_cursor_by_what_it_asked_for() {
        let mut story = story();
        story.pull(10..11).commit().max(3).in_doubt();
        story.pull(12..13).saw(3, ["d"]);
        story.passes(check);
        story.pull(14..15).saw(4, ["e"]);
        assert_eq!(story.passes(check), 3, "the lost pull may come now");
        story.pull(16..17).saw(8, ["i"]);
        story.fails(check, &["skipped", "at 8", "behind 7"]);
    }

    #[test]
    fn a_lost_pull_that_moves_nothing_moves_nothing() {
        let mut story = story();
        story.pull(10..11).in_doubt();
        story.pull(10..11).commit().refused(ErrorCode::Unavailable);
        story.pull(12..13).saw(1, ["b"]);
        story.fails(check, &["skipped"]);
    }

    #[test]
    fn a_commit_tells_where_the_cursor_is() {
        let mut story = story();
        story.commit(4, 10..11).committed(3);
        story.fails(check, &["went back", "commit on `news`", "at 3", "before 4"]);
        let mut story = self::story();
        story.commit(4, 10..11).committed(5);
        story.fails(check, &["skipped", "at 5", "behind 4"]);
        let mut story = self::story();
        story.commit(4, 10..11).committed(4);
        story.commit(2, 12..13).committed(2);
        story.fails(check, &["went back", "at 2", "before 4"]);
        let mut story = self::story();
        story.commit(4, 10..11).in_doubt();
        story.pull(12..13).saw(0, ["a"]);
        story.commit(2, 14..15).committed(4);
        story.passes(check);
    }

    #[test]
    fn a_subscription_begins_where_it_was_asked_to() {
        for (from, cursor) in [
            (None, 1),
            (Some(StartAt::Beginning), 1),
            (Some(StartAt::Offset(Offset(3))), 2),
            (Some(StartAt::Offset(Offset(3))), 4),
        ] {
            let mut story = Story::new();
            story.create_topic(1..2).created();
            story.log(["a", "b", "c", "d", "e"]);
            story.subscribe(from, 3..4).subscribed(cursor);
            story.fails(check, &["subscribe on `news`", &format!("at {cursor}")]);
        }
        let mut story = story();
        story.commit(4, 10..11).committed(4);
        story.subscribe(None, 12..13).subscribed(0);
        story.fails(check, &["went back", "subscribe on `news`", "before 4"]);
    }

    #[test]
    fn who_went_back_on_purpose_skips_nothing_then() {
        let mut story = story();
        story.commit(8, 10..11).committed(8);
        story.subscribe(Some(StartAt::Offset(Offset(2))), 12..13).subscribed(2);
        story.pull(14..15).saw(8, ["i"]);
        story.fails(check, &["skipped", "at 8", "behind 2", "subscribe on `news`"]);
        let mut story = self::story();
        story.commit(8, 10..11).committed(8);
        story.subscribe(Some(StartAt::Beginning), 12..13).in_doubt();
        story.pull(14..15).saw(8, ["i"]);
        story.pull(16..17).saw(0, ["a"]);
        story.passes(check);
    }

    #[test]
    fn a_replica_knows_old_places_and_no_new_ones() {
        for level in [ReadLevel::Any, ReadLevel::Leader] {
            let mut story = story();
            story.commit(4, 10..11).committed(4);
            story.subscribe(Some(StartAt::Beginning), 12..13).subscribed(0);
            story.pull(14..15).level(level).saw(4, ["e"]);
            match level {
                ReadLevel::Any => assert_eq!(story.passes(check), 4),
                ReadLevel::Leader => story.fails(check, &["skipped"]),
            }
        }
        let mut story = story();
        story.pull(14..15).level(ReadLevel::Any).saw(1, ["b"]);
        story.fails(check, &["skipped", "at 1"]);
        let mut story = self::story();
        story.replica_pull(Some(2), 14..15).saw(3, ["d"]);
        story.fails(check, &["skipped", "replica_pull on `news`", "behind 2"]);
    }

    #[test]
    fn what_overlaps_may_come_in_either_order() {
        let mut story = story();
        story.subscribe(Some(StartAt::Beginning), 10..20).subscribed(0);
        story.commit(4, 12..18).committed(4);
        story.pull(21..22).saw(4, ["e"]);
        story.pull(23..24).saw(0, ["a"]);
        story.passes(check);
        story.pull(25..26).saw(5, ["f"]);
        story.fails(check, &["skipped", "at 5", "behind 4"]);
    }

    #[test]
    fn of_a_topic_older_than_the_record_the_first_cursor_may_be_anywhere() {
        let mut story = Story::new();
        story.log(["a", "b", "c"]);
        story.pull(10..11).saw(2, ["c"]);
        story.passes(check);
        story.pull(12..13).saw(1, ["b"]);
        story.fails(check, &["went back"]);
    }
}
