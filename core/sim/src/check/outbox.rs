//! Messages from an outbox enter the log exactly once.
//!
//! A publish acknowledged without an offset is stored on one node's disk until it is in the log. After healing it is on
//! every replica once, although a node that may have crashed in between offers it repeatedly, and its client may repeat
//! it too. It may be missing if the disks of the nodes that had it were lost, or if its topic did not exist yet. It is
//! never there twice.

use cubecast_core::identity::HostId;
use cubecast_core::wire::answer::Message;

use super::acknowledged::is_excused;
use super::case::{Case, Publish, Topic};
use super::history::Operation;
use super::words::{Content, Told};
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let mut checked = 0;
    for topic in case.lasting_topics() {
        let put_aside: Vec<PutAside<'_>> = topic
            .publishes
            .iter()
            .enumerate()
            .filter_map(|(index, publish)| find(case, topic, index, publish))
            .collect();
        if !put_aside.is_empty() {
            topic.logs().try_for_each(|(replica, log)| check_log(topic, replica, log, &put_aside))?;
            checked += put_aside.len() as u64;
        }
    }
    Ok(Checked(checked))
}

/// A publish that was acknowledged without an offset.
struct PutAside<'a> {
    /// Index among the topic's publishes.
    index: usize,
    /// The acknowledged attempt; of several, one whose loss is not excused.
    attempt: &'a Operation,
    may_be_missing: bool,
}

fn find<'a>(case: &Case<'_>, topic: &Topic<'_>, index: usize, publish: &Publish<'a>) -> Option<PutAside<'a>> {
    publish
        .acknowledged()
        .filter(|(_, acknowledgement)| acknowledgement.offset.is_none())
        .map(|(attempt, acknowledgement)| PutAside {
            index,
            attempt,
            may_be_missing: is_excused(case, topic, attempt, &acknowledgement),
        })
        .min_by_key(|put_aside| put_aside.may_be_missing)
}

fn check_log(topic: &Topic<'_>, replica: HostId, log: &[Message], put_aside: &[PutAside<'_>]) -> Result<(), Broken> {
    let mut counts = vec![0; topic.publishes.len()];
    for index in log.iter().filter_map(|message| topic.index_of(message)) {
        counts[index] += 1;
    }
    for PutAside { index, attempt, may_be_missing } in put_aside {
        let count = counts[*index];
        if count > 1 || count == 0 && !may_be_missing {
            return Err(Broken(format!(
                "{} was stored in an outbox and is on replica {replica} {count} times, not once: {}",
                Content(topic.publishes[*index].content),
                Told(attempt)
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use cubecast_core::wire::client::Ack;

    use super::super::story::Story;
    use super::check;

    #[test]
    fn what_was_put_aside_comes_once() {
        let mut story = Story::new();
        story.publish("a", 10..20).ack(Ack::One).put_aside("011");
        story.publish("b", 20..30).ack(Ack::One).done(0);
        story.log(["b", "a"]);
        assert_eq!(story.passes(check), 1);
    }

    #[test]
    fn what_was_put_aside_and_never_came_is_found() {
        let mut story = Story::new();
        story.publish("a", 10..20).ack(Ack::One).put_aside("011");
        story.log([]);
        story.fails(check, &["`a`", "0 times", "answered by 011 at 0.020000 s"]);
        story.lose_disk("011", 40);
        assert_eq!(story.passes(check), 1);
    }

    #[test]
    fn what_was_put_aside_twice_and_kept_once_has_no_excuse() {
        let mut story = Story::new();
        story.publish("a", 10..20).ack(Ack::One).put_aside("011");
        story.publish("a", 30..40).ack(Ack::One).put_aside("010");
        story.lose_disk("011", 50);
        story.log([]);
        story.fails(check, &["0 times", "answered by 010"]);
    }

    #[test]
    fn what_came_twice_is_found_whatever_was_lost() {
        let mut story = Story::new();
        story.publish("a", 10..20).ack(Ack::One).put_aside("011");
        story.lose_disk("011", 40);
        story.log(["a", "b"]);
        story.log_of("110", ["a", "a"]);
        story.fails(check, &["`a`", "replica 110 2 times"]);
    }
}
