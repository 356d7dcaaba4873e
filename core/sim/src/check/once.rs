//! No message is stored twice.
//!
//! Contents are used once, and a repeated publish has the sequence number of its first attempt. Therefore no content is
//! at two places of a replica's log, whether a client, a node or an outbox repeated it.

use std::collections::BTreeMap;

use cubecast_core::identity::HostId;
use cubecast_core::names::Offset;
use cubecast_core::wire::answer::Message;

use super::case::{Case, Topic};
use super::words::{Content, Told};
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let mut checked = 0;
    for topic in &case.topics {
        for (replica, log) in topic.logs() {
            check_log(topic, replica, log)?;
            checked += log.len() as u64;
        }
    }
    Ok(Checked(checked))
}

fn check_log(topic: &Topic<'_>, replica: HostId, log: &[Message]) -> Result<(), Broken> {
    let mut places = BTreeMap::new();
    for message in log {
        // If this replica agrees with the longest log, the first place is known without a lookup.
        let place = topic.publish_of(message).and_then(|publish| publish.place);
        if place != Some(message.offset) {
            places.insert(&*message.content, message.offset);
        }
    }
    let other = |message: &&Message| places.get(&*message.content).is_some_and(|place| *place != message.offset);
    match log.iter().find(other) {
        Some(first) => Err(Broken(twice(topic, replica, first, places[&*first.content]))),
        None => Ok(()),
    }
}

fn twice(topic: &Topic<'_>, replica: HostId, message: &Message, again: Offset) -> String {
    let attempts = topic.publish_of(message).map_or(String::new(), |publish| {
        let attempts: Vec<String> = publish.attempts.iter().map(|attempt| Told(attempt).to_string()).collect();
        format!("; it was sent by {}", attempts.join("; again by "))
    });
    format!(
        "{} is stored twice on replica {replica} of topic `{}`, at {} and at {again}{attempts}",
        Content(&message.content),
        topic.name,
        message.offset
    )
}

#[cfg(test)]
mod tests {
    use super::super::story::Story;
    use super::check;

    #[test]
    fn repeats_are_stored_once() {
        let mut story = Story::new();
        story.publish("a", 10..20).in_doubt();
        story.publish("a", 30..40).repeated(0);
        story.publish("b", 50..60).done(1);
        story.log(["a", "b"]);
        assert_eq!(story.passes(check), 8);
    }

    #[test]
    fn a_repeat_that_is_stored_again_is_found() {
        let mut story = Story::new();
        story.publish("a", 10..20).in_doubt();
        story.publish("b", 20..30).done(1);
        story.publish("a", 30..40).done(2);
        story.log(["a", "b", "a"]);
        story.fails(check, &["`a` is stored twice", "at 0 and at 2", "never answered", "again by", "0.040000 s"]);
    }

    #[test]
    fn a_replica_that_differs_has_not_stored_twice() {
        let mut story = Story::new();
        story.publish("b", 20..30).done(1);
        story.log(["a", "b"]);
        story.log_of("101", ["b"]);
        assert_eq!(story.passes(check), 7);
    }

    #[test]
    fn what_nobody_published_counts_as_well() {
        let mut story = Story::new();
        story.log(["x", "x"]);
        story.fails(check, &["`x` is stored twice"]);
    }
}
