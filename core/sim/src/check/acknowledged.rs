//! No acknowledged message is lost.
//!
//! A publish that was answered with `Published` is on every replica after healing, at the reported offset. An
//! acknowledgement without an offset guarantees only one disk until the message enters the log. Its loss is excused if
//! the disks of all nodes that had it were lost. (The loss need only come after the request, because the answer may
//! have been under way.) It is also excused if the topic need not have existed yet, which the storing node cannot know.
//! The loss of a message with a reported offset is never excused, whatever its `ack`: it was committed.

use cubecast_core::identity::HostId;
use cubecast_core::wire::answer::Message;

use super::case::{Acknowledgement, Case, Publish, Topic};
use super::history::Operation;
use super::words::{Content, Told};
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let mut checked = 0;
    for topic in case.lasting_topics() {
        for publish in &topic.publishes {
            for (attempt, acknowledgement) in publish.acknowledged() {
                if !is_excused(case, topic, attempt, &acknowledgement) {
                    check_replicas(topic, publish, attempt, &acknowledgement)?;
                    checked += 1;
                }
            }
        }
    }
    Ok(Checked(checked))
}

/// Whether the loss of an acknowledged message is excused.
pub(super) fn is_excused(
    case: &Case<'_>,
    topic: &Topic<'_>,
    attempt: &Operation,
    acknowledgement: &Acknowledgement<'_>,
) -> bool {
    let lost = |node: &HostId| case.lost_disk_since(*node, attempt.invoked);
    let may_be_dropped = attempt.invoked < topic.exists_since || acknowledgement.replicas.iter().all(lost);
    acknowledgement.offset.is_none() && may_be_dropped
}

fn check_replicas(
    topic: &Topic<'_>,
    publish: &Publish<'_>,
    attempt: &Operation,
    acknowledgement: &Acknowledgement<'_>,
) -> Result<(), Broken> {
    for (replica, held) in &topic.replicas {
        let Some(log) = held else {
            return Err(Broken(format!(
                "{replica} holds no topic `{}`, but {} was acknowledged",
                topic.name,
                Told(attempt)
            )));
        };
        let place = acknowledgement.offset.or(publish.place);
        let at_place = place.and_then(|place| log.get(usize::try_from(place.0).ok()?));
        if at_place.is_none_or(|message| message.content != publish.content) {
            check_elsewhere(*replica, log, publish, attempt, acknowledgement)?;
        }
    }
    Ok(())
}

/// Reports a message that is not at its place: it is lost, or at another place.
fn check_elsewhere(
    replica: HostId,
    log: &[Message],
    publish: &Publish<'_>,
    attempt: &Operation,
    acknowledgement: &Acknowledgement<'_>,
) -> Result<(), Broken> {
    let found = log.iter().find(|message| message.content == publish.content);
    match (found, acknowledgement.offset) {
        (None, _) => Err(Broken(format!(
            "{} is lost: {} was acknowledged, but replica {replica} has {} messages and this is not one of them",
            Content(publish.content),
            Told(attempt),
            log.len()
        ))),
        (Some(found), Some(offset)) => Err(Broken(format!(
            "{} returned offset {offset}, but on replica {replica} the message is at {}",
            Told(attempt),
            found.offset
        ))),
        (Some(_), None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::wire::client::Ack;

    use super::super::story::Story;
    use super::check;

    #[test]
    fn what_every_replica_has_is_kept() {
        let mut story = Story::new();
        story.publish("a", 10..20).done(0);
        story.publish("b", 20..30).in_doubt();
        story.publish("c", 30..40).ack(Ack::One).put_aside("011");
        story.log(["a", "c"]);
        assert_eq!(story.passes(check), 2);
    }

    #[test]
    fn a_message_that_one_replica_lacks_is_lost() {
        let mut story = Story::new();
        story.publish("a", 10..20).done(0);
        story.publish("b", 20..30).ack(Ack::All).done(1);
        story.log(["a", "b"]);
        story.log_of("101", ["a"]);
        story.fails(check, &["`b`", "101", "is lost", "0.020000 s"]);
    }

    #[test]
    fn a_topic_that_a_replica_does_not_know_has_lost_its_messages() {
        let mut story = Story::new();
        story.publish("a", 10..20).done(0);
        story.log(["a"]);
        story.unknown_to("110");
        story.fails(check, &["110", "`a`", "holds no topic"]);
    }

    #[test]
    fn a_message_stands_where_its_publisher_was_told() {
        let mut story = Story::new();
        story.publish("a", 10..20).done(1);
        story.log(["a"]);
        story.fails(check, &["`a`", "returned offset 1", "at 0"]);
    }

    #[test]
    fn one_disk_was_promised_and_one_disk_was_lost() {
        let mut story = Story::new();
        story.publish("a", 10..20).ack(Ack::One).put_aside("011");
        story.log([]);
        story.fails(check, &["`a`", "is lost"]);
        story.lose_disk("010", 30);
        story.lose_disk("011", 5);
        story.fails(check, &["`a`", "is lost"]);
        story.lose_disk("011", 30);
        assert_eq!(story.passes(check), 0);
    }

    #[test]
    fn what_was_put_aside_for_a_topic_that_was_created_later_may_be_dropped() {
        let mut story = Story::without_topic();
        story.publish("a", 10..20).ack(Ack::One).put_aside("011");
        story.create_topic(15..25).created();
        story.log([]);
        assert_eq!(story.passes(check), 0);
        story.publish("b", 26..30).ack(Ack::One).put_aside("011");
        story.fails(check, &["`b`", "is lost"]);
    }

    #[test]
    fn what_was_put_aside_for_a_topic_that_never_was_may_be_dropped() {
        let mut story = Story::without_topic();
        story.publish("b", 30..40).ack(Ack::One).put_aside("011");
        for replica in ["100", "101", "110", "000"] {
            story.unknown_to(replica);
        }
        assert_eq!(story.passes(check), 0);
        let mut story = Story::new();
        story.publish("b", 30..40).ack(Ack::One).put_aside("011");
        story.unknown_to("100");
        story.fails(check, &["100", "`b`", "holds no topic"]);
    }

    #[test]
    fn a_lost_disk_is_no_excuse_for_what_was_in_the_log() {
        let mut story = Story::new();
        story.publish("a", 10..20).ack(Ack::One).done(0);
        story.log([]);
        story.lose_disk("100", 30);
        story.fails(check, &["`a`", "is lost"]);
    }
}
