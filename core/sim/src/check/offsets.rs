//! Offsets have no gaps.
//!
//! Within an answer to a pull and within a replica's log, each offset is the previous one plus one. A replica's first
//! offset is 0, and an answer's cursor comes after its last message. In a topic without a deletion, no two messages are
//! acknowledged at one offset, and no message at two offsets. (Push sessions have their own checker,
//! [`super::deliveries`].)

use std::collections::BTreeMap;

use cubecast_core::names::Offset;
use cubecast_core::wire::answer::Done;
use cubecast_core::wire::client::{Action, Read};

use super::case::{Case, Publish, Topic};
use super::history::{Operation, Outcome};
use super::words::{Content, Told};
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let mut checked = 0;
    for topic in &case.topics {
        checked += check_replicas(topic)?;
        for operation in &topic.operations {
            checked += check_answer(operation)?;
        }
        if topic.is_lasting {
            checked += check_acknowledged(topic)?;
        }
    }
    Ok(Checked(checked))
}

/// The number of offsets, if each is the previous one plus one. Otherwise the first two neighbours that violate this.
pub fn check_run(offsets: impl IntoIterator<Item = Offset>) -> Result<u64, (Offset, Offset)> {
    let mut offsets = offsets.into_iter();
    let Some(mut last) = offsets.next() else { return Ok(0) };
    let mut count = 1;
    for offset in offsets {
        if offset != last.next() {
            return Err((last, offset));
        }
        (last, count) = (offset, count + 1);
    }
    Ok(count)
}

fn check_replicas(topic: &Topic<'_>) -> Result<u64, Broken> {
    let mut checked = 0;
    for (replica, log) in topic.logs() {
        if let Some(first) = log.first().filter(|first| first.offset != Offset(0)) {
            return Err(Broken(format!(
                "the log of topic `{}` on replica {replica} begins at {}, not at 0",
                topic.name, first.offset
            )));
        }
        checked += check_run(log.iter().map(|message| message.offset)).map_err(|(before, after)| {
            Broken(format!("replica {replica} of topic `{}` has offset {after} directly after {before}", topic.name))
        })?;
    }
    Ok(checked)
}

fn check_answer(operation: &Operation) -> Result<u64, Broken> {
    let Outcome::Done(Done::Pulled { messages, cursor, end, .. }) = operation.outcome() else { return Ok(0) };
    let count = check_run(messages.iter().map(|message| message.offset)).map_err(|(before, after)| {
        Broken(format!("the answer to {} has offset {after} directly after {before}", Told(operation)))
    })?;
    if let Some(last) = messages.last().filter(|last| last.offset.next() != *cursor) {
        return Err(Broken(format!(
            "the answer to {} ends with offset {}, but its cursor is {cursor}",
            Told(operation),
            last.offset
        )));
    }
    if let Action::Read(Read::Pull { max, .. } | Read::ReplicaPull { max, .. }) = &operation.action
        && count > u64::from(*max)
    {
        return Err(Broken(format!("{} requested {max} messages and received {count}", Told(operation))));
    }
    if count == 0 && cursor < end {
        return Err(Broken(format!(
            "the answer to {} has no message, although the topic continues from {cursor} to {end}",
            Told(operation)
        )));
    }
    Ok(count)
}

/// Each acknowledged offset belongs to one message, and each message has one.
fn check_acknowledged(topic: &Topic<'_>) -> Result<u64, Broken> {
    let mut places: BTreeMap<Offset, (&Publish<'_>, &Operation)> = BTreeMap::new();
    for publish in &topic.publishes {
        let mut own: Option<(Offset, &Operation)> = None;
        for (attempt, acknowledgement) in publish.acknowledged() {
            let Some(offset) = acknowledgement.offset else { continue };
            let (known, first) = *own.get_or_insert((offset, attempt));
            if known != offset {
                return Err(Broken(format!(
                    "{} has two offsets: {known} by {}, {offset} by {}",
                    Content(publish.content),
                    Told(first),
                    Told(attempt)
                )));
            }
            let (other, told) = *places.entry(offset).or_insert((publish, attempt));
            if other.content != publish.content {
                return Err(Broken(format!(
                    "offset {offset} of topic `{}` was given to two messages: by {}, and by {}",
                    topic.name,
                    Told(told),
                    Told(attempt)
                )));
            }
        }
    }
    Ok(places.len() as u64)
}

#[cfg(test)]
mod tests {
    use cubecast_core::names::Offset;

    use super::super::story::Story;
    use super::{check, check_run};

    #[test]
    fn offsets_that_follow_each_other_pass() {
        let mut story = Story::new();
        story.publish("a", 10..20).done(0);
        story.publish("a", 30..40).repeated(0);
        story.pull(10..20).saw(0, ["a", "b"]);
        story.log(["a", "b"]);
        assert_eq!(story.passes(check), 1 + 2 + 4 * 2);
    }

    #[test]
    fn a_gap_in_an_answer_is_found() {
        let mut story = Story::new();
        story.pull(10..20).saw(3, ["a", "b"]).edit(|messages| messages[1].offset.0 = 5);
        story.fails(check, &["pull on `news`", "offset 5 directly after 3"]);
    }

    #[test]
    fn an_answer_that_ends_elsewhere_than_its_cursor_is_found() {
        let mut story = Story::new();
        story.pull(10..20).saw(3, ["a", "b"]).edit(|messages| {
            messages.pop();
        });
        story.fails(check, &["ends with offset 3", "cursor is 5"]);
    }

    #[test]
    fn an_answer_with_more_than_was_asked_for_is_found() {
        let mut story = Story::new();
        story.pull(10..20).max(1).saw(3, ["a", "b"]);
        story.fails(check, &["requested 1", "received 2"]);
    }

    #[test]
    fn an_empty_answer_before_the_end_is_found() {
        let mut story = Story::new();
        story.pull(10..20).saw(3, []).of(4);
        story.fails(check, &["has no message", "from 3 to 4"]);
    }

    #[test]
    fn a_replica_with_a_gap_or_without_a_beginning_is_found() {
        let mut story = Story::new();
        story.log(["a", "b", "c"]);
        story.holding("110").unwrap().remove(1);
        story.fails(check, &["replica 110", "offset 2 directly after 0"]);
        story.holding("110").unwrap().remove(0);
        story.fails(check, &["110", "begins at 2"]);
    }

    #[test]
    fn an_offset_is_given_to_one_message_and_a_message_has_one_offset() {
        let mut story = Story::new();
        story.publish("a", 10..20).done(0);
        story.publish("b", 30..40).done(0);
        story.fails(check, &["offset 0", "two messages", "`a`", "`b`"]);
        let mut story = Story::new();
        story.publish("a", 10..20).done(0);
        story.publish("a", 30..40).repeated(1);
        story.fails(check, &["`a` has two offsets", "0 by", "1 by"]);
    }

    #[test]
    fn runs_may_begin_anywhere() {
        assert_eq!(check_run([]), Ok(0));
        assert_eq!(check_run([7, 8, 9].map(Offset)), Ok(3));
        assert_eq!(check_run([7, 8, 8].map(Offset)), Err((Offset(8), Offset(8))));
    }
}
