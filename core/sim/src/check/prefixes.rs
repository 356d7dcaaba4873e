//! Every replica has a prefix of one log, and every message ever shown agrees with it.
//!
//! A topic without a deletion has one sequence of messages. Every message in a replica's final log, in a read of any
//! level and in a push equals the message at its offset: content, publisher and time. No shown message is beyond the
//! end of the longest replica's log, because only committed messages are shown, and these are never lost.

use std::collections::BTreeMap;
use std::fmt;

use cubecast_core::identity::HostId;
use cubecast_core::names::TopicName;
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::Message;

use super::case::{Case, Topic, Witness};
use super::words::{At, Content, Placed, Pushed, Told};
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let mut checked = 0;
    for topic in &case.topics {
        let mut agreement = Agreement::new(topic.name);
        let longest_first = topic.logs().filter(|(_, log)| log.len() == topic.log.len());
        let others = topic.logs().filter(|(_, log)| log.len() < topic.log.len());
        for (replica, log) in longest_first.chain(others) {
            log.iter().try_for_each(|message| agreement.add(Source::Replica(replica), message))?;
        }
        if topic.is_lasting {
            check_sightings(topic, &mut agreement)?;
        }
        checked += agreement.seen();
    }
    Ok(Checked(checked))
}

fn check_sightings<'a>(topic: &Topic<'a>, agreement: &mut Agreement<'a, Source<'a>>) -> Result<(), Broken> {
    for sighting in topic.sightings() {
        let source = Source::Shown(sighting.by, sighting.at);
        let message = sighting.message;
        if message.offset.0 >= topic.log.len() as u64 && !topic.replicas.is_empty() {
            return Err(Broken(format!(
                "{source} showed {}, but no replica has more than {} messages",
                Placed(topic.name, message),
                topic.log.len()
            )));
        }
        agreement.add(source, message)?;
    }
    Ok(())
}

/// Checks that all observed parts of one topic agree at each offset. `S` describes a source.
///
/// It is cheap if the sequence is first added from its beginning, and all other parts after that.
pub struct Agreement<'a, S> {
    topic: &'a TopicName,
    /// Messages from offset 0 on, without gaps.
    first: Vec<(S, &'a Message)>,
    /// Messages after a gap.
    beyond: BTreeMap<u64, (S, &'a Message)>,
    seen: u64,
}

impl<'a, S: fmt::Display> Agreement<'a, S> {
    /// Starts without any message.
    pub fn new(topic: &'a TopicName) -> Self {
        Agreement { topic, first: Vec::new(), beyond: BTreeMap::new(), seen: 0 }
    }

    /// Number of messages that were added.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Adds a message. Fails if another one was seen at its offset.
    pub fn add(&mut self, source: S, message: &'a Message) -> Result<(), Broken> {
        self.seen += 1;
        let (at, end) = (message.offset.0, self.first.len() as u64);
        let known = if at < end { self.first.get(at as usize) } else { self.beyond.get(&at) };
        match known {
            Some((_, known)) if *known == message => {}
            Some((witness, known)) => return Err(Broken(self.difference(witness, known, &source, message))),
            None if at == end => self.first.push((source, message)),
            None => {
                self.beyond.insert(at, (source, message));
            }
        }
        Ok(())
    }

    fn difference(&self, one: &S, first: &Message, other: &S, second: &Message) -> String {
        let offset = first.offset;
        let text =
            |message: &Message| format!("{} by `{}` of {}", Content(&message.content), message.publisher, message.time);
        format!(
            "offset {offset} of topic `{}` differs: {one} has {}, {other} has {}",
            self.topic,
            text(first),
            text(second)
        )
    }
}

/// Where a message was seen.
#[derive(Clone, Copy)]
enum Source<'a> {
    Replica(HostId),
    Shown(Witness<'a>, Instant),
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Replica(replica) => write!(f, "replica {replica}"),
            Source::Shown(Witness::Pull(operation), _) => write!(f, "{}", Told(operation)),
            Source::Shown(Witness::Push(session), at) => write!(f, "{} at {}", Pushed(session), At(*at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::names::TopicName;

    use super::super::story::{Story, message};
    use super::{Agreement, check};

    #[test]
    fn prefixes_of_one_log_and_reads_of_it_agree() {
        let mut story = Story::new();
        story.pull(10..20).saw(1, ["b"]);
        story.push(0, 10).deliver(12, 0, "a").deliver(13, 1, "b");
        story.log(["a", "b", "c"]);
        story.log_of("101", ["a", "b"]);
        story.unknown_to("110");
        assert_eq!(story.passes(check), 3 + 3 + 2 + 1 + 2);
    }

    #[test]
    fn replicas_that_differ_are_found() {
        let mut story = Story::new();
        story.log(["a", "b", "c"]);
        story.log_of("101", ["a", "x"]);
        story.fails(check, &["offset 1", "`news`", "`b`", "replica 101 has `x`"]);
    }

    #[test]
    fn the_publisher_and_the_time_count_as_well() {
        let mut story = Story::new();
        story.log(["a"]);
        story.holding("101").unwrap()[0].time.0 += 1;
        story.fails(check, &["offset 0", "replica 101"]);
    }

    #[test]
    fn a_read_that_showed_something_else_is_found() {
        let mut story = Story::new();
        story.pull(10..20).saw(0, ["x"]);
        story.log(["a"]);
        story.fails(check, &["offset 0", "pull on `news`", "`x`", "`a`"]);
    }

    #[test]
    fn a_delivery_of_what_was_lost_later_is_found() {
        let mut story = Story::new();
        story.push(0, 10).deliver(12, 0, "a").deliver(13, 1, "b");
        story.log(["a"]);
        story.fails(check, &["push subscription", "0.013000 s", "`b` at offset 1", "more than 1 messages"]);
    }

    #[test]
    fn parts_of_a_topic_can_be_compared_as_they_become_known() {
        let topic = TopicName::new("news").unwrap();
        let (a, b, c, x) = (message(5, "a"), message(6, "b"), message(7, "c"), message(6, "x"));
        let mut agreement = Agreement::new(&topic);
        for (who, message) in [("page", &a), ("page", &c), ("100", &b), ("101", &b)] {
            assert_eq!(agreement.add(who, message), Ok(()));
        }
        assert!(agreement.add("110", &x).unwrap_err().0.contains("100 has `b`"));
    }
}
