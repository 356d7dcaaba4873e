//! Reads with level `leader` and publishes with `quorum` and `all` are linearizable.
//!
//! For each topic without a deletion, the model is its log, and the state is only the log's length: the final log of
//! the replicas determines which message is appended at length n. A publish takes effect once, during one of its
//! attempts, and an answer with an offset proves that the message was there. A read reports the length of the log
//! (`end`). A publish in doubt took effect at some time after it was sent if its message is in the log, and never
//! otherwise.
//!
//! Three further answers bound the time at which a message entered the log:
//!
//! * Uncommitted messages are never read or pushed: a message in a push, an `any` read or a replica's read was in the
//!   log by then.
//! * A reported cursor lies within the log.
//! * An `ack: one` with an offset counts like any other acknowledgement.
//!
//! The search is [`super::search`].

use cubecast_core::names::Offset;
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::Done;
use cubecast_core::wire::client::{Action, Read, ReadLevel};

use super::case::{Case, Publish, Sighting, Topic, Witness, pulled};
use super::history::{Operation, Outcome};
use super::search::{Model, Stuck, Timed, find_order};
use super::words::{At, Content, Pushed, Told};
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    case.lasting_topics().try_fold(0, |checked, topic| Ok(checked + check_topic(topic)?)).map(Checked)
}

/// Checks one topic. Returns the number of answered operations.
fn check_topic(topic: &Topic<'_>) -> Result<u64, Broken> {
    check_places(topic)?;
    let facts = facts_of(topic);
    let steps: Vec<Timed<Step>> = facts.iter().map(|fact| fact.timed.clone()).collect();
    find_order(&Log, 0, &steps).map_err(|stuck| Broken(explain(topic, &facts, &stuck)))?;
    Ok(facts.iter().filter(|fact| fact.timed.over.is_some()).count() as u64)
}

/// The length of a topic's log.
pub(super) struct Log;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Step {
    /// The message of this offset is appended, unless it is there already.
    Append(u64),
    /// The log had exactly this length.
    SawEnd(u64),
    /// The log had at least this length.
    SawAtLeast(u64),
}

impl Model for Log {
    type State = u64;
    type Step = Step;

    fn apply(&self, length: &u64, step: &Step) -> Option<u64> {
        match *step {
            Step::Append(at) => (*length >= at).then(|| (*length).max(at + 1)),
            Step::SawEnd(end) => (*length == end).then_some(*length),
            Step::SawAtLeast(end) => (*length >= end).then_some(*length),
        }
    }

    /// The log never shrinks, so an append of an existing message only reads.
    fn only_looks(&self, length: &u64, step: &Step) -> bool {
        match *step {
            Step::Append(at) => *length > at,
            Step::SawEnd(_) | Step::SawAtLeast(_) => true,
        }
    }
}

/// A step and its source.
struct Fact<'a> {
    timed: Timed<Step>,
    source: Source<'a>,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Publish(&'a Operation),
    Read(&'a Operation),
    /// A reported cursor.
    Cursor(&'a Operation),
    Shown(Sighting<'a>),
    /// A message of the log that no client sent, or whose attempts were all refused. Other checkers report it.
    Unknown,
}

/// Every message with a reported offset is at that offset in the log.
fn check_places(topic: &Topic<'_>) -> Result<(), Broken> {
    for publish in &topic.publishes {
        for (attempt, acknowledgement) in publish.acknowledged() {
            if let Some(offset) = acknowledgement.offset
                && topic.publish_at(offset).is_none_or(|origin| origin.content != publish.content)
            {
                let found = usize::try_from(offset.0).ok().and_then(|at| topic.log.get(at));
                let found = match found {
                    Some(found) => format!("that offset holds {}", Content(&found.content)),
                    None => format!("the log has {} messages", topic.log.len()),
                };
                return Err(Broken(format!("{} returned offset {offset}, but {found}", Told(attempt))));
            }
        }
    }
    Ok(())
}

fn facts_of<'a>(topic: &Topic<'a>) -> Vec<Fact<'a>> {
    let mut facts = Vec::with_capacity(topic.operations.len() + topic.log.len());
    for at in 0..topic.log.len() as u64 {
        add_appends(topic.publish_at(Offset(at)), at, &mut facts);
    }
    for operation in &topic.operations {
        facts.extend(answer_fact(operation));
    }
    facts.extend(first_sightings(topic));
    facts
}

fn add_appends<'a>(publish: Option<&Publish<'a>>, at: u64, facts: &mut Vec<Fact<'a>>) {
    let before = facts.len();
    for attempt in publish.iter().flat_map(|publish| &publish.attempts) {
        let over = match attempt.outcome() {
            Outcome::Done(Done::Published { offset: Some(_), .. }) => Some(attempt.over()),
            // Acknowledged before it was in the log, or in doubt.
            Outcome::Done(_) | Outcome::InDoubt => None,
            Outcome::Refused(_) => continue,
        };
        let timed = Timed { invoked: attempt.invoked, over, step: Step::Append(at) };
        facts.push(Fact { timed, source: Source::Publish(attempt) });
    }
    if facts.len() == before {
        let timed = Timed { invoked: Instant(0), over: None, step: Step::Append(at) };
        facts.push(Fact { timed, source: Source::Unknown });
    }
}

fn answer_fact(operation: &Operation) -> Option<Fact<'_>> {
    let Outcome::Done(done) = operation.outcome() else { return None };
    let (step, source) = match (&operation.action, done) {
        (Action::Read(Read::Pull { read: ReadLevel::Leader, .. }), Done::Pulled { end, .. }) => {
            (Step::SawEnd(end.0), Source::Read(operation))
        }
        (_, Done::Committed { cursor, .. } | Done::Subscribed { cursor, .. }) => {
            (Step::SawAtLeast(cursor.0), Source::Cursor(operation))
        }
        _ => return None,
    };
    let timed = Timed { invoked: operation.invoked, over: Some(operation.over()), step };
    Some(Fact { timed, source })
}

/// For each message of the log, its first sighting in a source that may be stale.
fn first_sightings<'a>(topic: &Topic<'a>) -> Vec<Fact<'a>> {
    let mut first: Vec<Option<Sighting<'a>>> = vec![None; topic.log.len()];
    for sighting in topic.sightings() {
        let is_fresh = matches!(sighting.by, Witness::Pull(operation) if is_leader_read(operation));
        let at = usize::try_from(sighting.message.offset.0).unwrap_or(usize::MAX);
        if let Some(known) = first.get_mut(at).filter(|_| !is_fresh)
            && known.is_none_or(|known| sighting.at < known.at)
        {
            *known = Some(sighting);
        }
    }
    let fact = |(at, sighting): (u64, Option<Sighting<'a>>)| {
        let sighting = sighting?;
        // It cannot have been in the log before it was sent. Starting there keeps the search short.
        let invoked = topic.publish_at(Offset(at)).map_or(Instant(0), |publish| publish.first_attempt().invoked);
        let timed = Timed { invoked, over: Some(sighting.at), step: Step::SawAtLeast(at + 1) };
        (invoked <= sighting.at).then_some(Fact { timed, source: Source::Shown(sighting) })
    };
    (0..).zip(first).filter_map(fact).collect()
}

fn is_refused(operation: &Operation) -> bool {
    matches!(operation.outcome(), Outcome::Refused(_))
}

fn is_leader_read(operation: &Operation) -> bool {
    matches!(operation.action, Action::Read(Read::Pull { read: ReadLevel::Leader, .. }))
}

// The explanation of a failure.

impl Fact<'_> {
    /// A lower bound of the log's length, and the time by which it was reached.
    fn proves_length(&self) -> Option<(u64, Instant)> {
        let length = match self.timed.step {
            Step::Append(at) => at + 1,
            Step::SawEnd(end) | Step::SawAtLeast(end) => end,
        };
        self.timed.over.map(|over| (length, over))
    }

    /// An upper bound of the log's length, and the time until which it held.
    fn proves_shortness(&self, topic: &Topic<'_>) -> Option<(u64, Instant)> {
        match (self.timed.step, self.source) {
            (Step::SawEnd(end), _) => Some((end, self.timed.invoked)),
            (Step::Append(at), Source::Publish(attempt)) => {
                let first = topic.publish_at(Offset(at))?.attempts.iter().find(|attempt| !is_refused(attempt))?;
                (first.invoked == attempt.invoked).then_some((at, attempt.invoked))
            }
            _ => None,
        }
    }
}

/// Describes the failure. Nearly always two facts contradict each other: the log was longer at one time than at a later
/// one.
fn explain(topic: &Topic<'_>, facts: &[Fact<'_>], stuck: &Stuck<u64>) -> String {
    let contradiction = facts.iter().filter_map(|late| Some((late, late.proves_shortness(topic)?))).find_map(
        |(late, (short, since))| {
            let is_longer =
                |fact: &&Fact<'_>| fact.proves_length().is_some_and(|(length, by)| length > short && by < since);
            facts.iter().find(is_longer).map(|early| (early, late))
        },
    );
    match contradiction {
        Some((early, late)) => {
            format!("{} of topic `{}`; but before that, {}", late.shortness(), topic.name, early.length())
        }
        None => {
            let next = &facts[stuck.next];
            format!(
                "no order explains the answers about topic `{}`: with {} messages in its log, this is impossible: {}",
                topic.name,
                stuck.state,
                next.length()
            )
        }
    }
}

impl Fact<'_> {
    fn shortness(&self) -> String {
        match (self.source, self.timed.step) {
            (Source::Publish(attempt), Step::Append(at)) => {
                format!("{} is the first attempt for the message at offset {at} that was not refused", Told(attempt))
            }
            (Source::Read(operation), Step::SawEnd(end)) => {
                format!("{} found the end after {end} messages", Told(operation))
            }
            _ => "something else was found".into(),
        }
    }

    fn length(&self) -> String {
        match (self.source, self.timed.step) {
            (Source::Publish(attempt), Step::Append(at)) => format!("{} returned offset {at}", Told(attempt)),
            (Source::Read(operation), _) => {
                let count = pulled(operation).len();
                let end = self.proves_length().map_or(0, |(length, _)| length);
                format!("{} had returned {count} messages, up to offset {end}", Told(operation))
            }
            (Source::Cursor(operation), Step::SawAtLeast(end)) => {
                format!("{} returned cursor {end}", Told(operation))
            }
            (Source::Shown(sighting), _) => {
                let (message, at) = (sighting.message, At(sighting.at));
                let who = match sighting.by {
                    Witness::Pull(operation) => Told(operation).to_string(),
                    Witness::Push(session) => Pushed(session).to_string(),
                };
                format!("{} at offset {} was shown at {at} by {who}", Content(&message.content), message.offset)
            }
            (_, step) => format!("{step:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::names::StartAt;
    use cubecast_core::wire::answer::ErrorCode;
    use cubecast_core::wire::client::{Ack, ReadLevel};

    use super::super::story::Story;
    use super::check;

    #[test]
    fn reads_see_what_was_acknowledged_before() {
        let mut story = Story::new();
        story.pull(1..5).saw(0, []);
        story.publish("a", 2..10).done(0);
        story.publish("b", 3..12).done(1);
        story.pull(4..9).saw(0, ["a", "b"]);
        story.pull(13..14).max(1).saw(0, ["a"]).of(2);
        story.log(["a", "b"]);
        assert_eq!(story.passes(check), 5);
    }

    #[test]
    fn a_read_that_misses_what_was_acknowledged_is_found() {
        let mut story = Story::new();
        story.publish("a", 2..10).done(0);
        story.pull(11..15).saw(0, []);
        story.log(["a"]);
        story
            .fails(check, &["pull on `news`", "sent to 010 at 0.011000 s", "0 messages", "publish of `a`", "offset 0"]);
    }

    #[test]
    fn a_read_that_misses_what_an_earlier_read_saw_is_found() {
        let mut story = Story::new();
        story.publish("a", 1..50).done(0);
        story.pull(2..10).saw(0, ["a"]);
        story.pull(11..15).saw(0, []);
        story.log(["a"]);
        story.fails(check, &["0 messages", "had returned 1 messages", "0.010000 s"]);
    }

    #[test]
    fn a_message_that_stands_before_an_earlier_one_is_found() {
        let mut story = Story::new();
        story.publish("a", 1..10).done(1);
        story.publish("b", 11..20).done(0);
        story.log(["b", "a"]);
        story.fails(check, &["`b`", "first attempt for the message at offset 0", "`a`", "returned offset 1"]);
    }

    #[test]
    fn a_message_was_not_read_before_it_was_sent() {
        let mut story = Story::new();
        story.pull(1..5).saw(0, ["a"]);
        story.publish("a", 6..10).in_doubt();
        story.log(["a"]);
        story.fails(check, &["first attempt", "pull on `news`", "0.005000 s"]);
    }

    #[test]
    fn what_is_in_doubt_may_come_later_or_never_and_stays_when_it_came() {
        let mut story = Story::new();
        story.publish("a", 1..2).in_doubt();
        story.publish("never", 1..2).in_doubt();
        story.pull(10..11).saw(0, []);
        story.publish("b", 12..13).done(0);
        story.pull(14..15).saw(0, ["b", "a"]);
        story.log(["b", "a"]);
        assert_eq!(story.passes(check), 3);
        story.pull(16..17).saw(0, ["b"]);
        story.fails(check, &["1 messages", "had returned 2 messages"]);
    }

    #[test]
    fn what_was_refused_did_not_come_before_it_was_tried_again() {
        let mut story = Story::new();
        story.publish("a", 1..2).refused(ErrorCode::Unavailable);
        story.push(0, 2).deliver(5, 0, "a");
        story.publish("a", 6..7).repeated(0);
        story.log(["a"]);
        story.fails(check, &["sent to 010 at 0.006000 s", "was not refused", "shown at 0.005000 s"]);
    }

    #[test]
    fn a_repeat_finds_the_first_one() {
        let mut story = Story::new();
        story.publish("a", 1..2).in_doubt();
        story.publish("b", 3..4).done(1);
        story.publish("a", 5..6).repeated(0);
        story.log(["a", "b"]);
        assert_eq!(story.passes(check), 2);
    }

    #[test]
    fn what_was_put_aside_comes_when_it_comes() {
        let mut story = Story::new();
        story.publish("a", 1..2).ack(Ack::One).put_aside("011");
        story.pull(3..4).saw(0, []);
        story.publish("b", 5..6).ack(Ack::One).done(0);
        story.log(["b", "a"]);
        assert_eq!(story.passes(check), 2);
        story.pull(7..8).saw(0, []);
        story.fails(check, &["0 messages", "publish of `b`"]);
    }

    #[test]
    fn what_was_told_an_offset_stands_there() {
        let mut story = Story::new();
        story.publish("a", 1..2).done(0);
        story.log(["b"]);
        story.fails(check, &["`a`", "returned offset 0", "that offset holds `b`"]);
        story.log([]);
        story.fails(check, &["`a`", "returned offset 0", "the log has 0 messages"]);
    }

    #[test]
    fn what_a_push_or_a_replica_shows_is_in_the_log() {
        let mut story = Story::new();
        story.publish("a", 1..50).done(0);
        story.push(0, 2).deliver(5, 0, "a");
        story.pull(6..10).saw(0, []);
        story.log(["a"]);
        story.fails(check, &["0 messages", "`a` at offset 0 was shown at 0.005000 s", "push subscription"]);
        let mut story = Story::new();
        story.publish("a", 1..50).done(0);
        story.pull(2..5).level(ReadLevel::Any).saw(0, ["a"]);
        story.pull(6..10).level(ReadLevel::Any).saw(0, []);
        story.pull(6..10).saw(0, ["a"]);
        story.log(["a"]);
        assert_eq!(story.passes(check), 3);
        story.pull(6..10).saw(0, []);
        story.fails(check, &["0 messages", "`a` at offset 0 was shown"]);
    }

    #[test]
    fn a_cursor_lies_within_the_log() {
        let mut story = Story::new();
        story.publish("a", 20..30).done(0);
        story.subscribe(Some(StartAt::Latest), 5..6).subscribed(1);
        story.log(["a"]);
        story.fails(check, &["first attempt", "returned cursor 1"]);
    }

    #[test]
    fn what_nobody_sent_is_for_others_to_tell() {
        let mut story = Story::new();
        story.publish("a", 1..2).done(1);
        story.log(["x", "a"]);
        assert_eq!(story.passes(check), 1);
    }
}
