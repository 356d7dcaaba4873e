//! Message times never decrease.
//!
//! A message's time comes from a leader's wall clock. Clocks differ, are wrong, and are set back. Nevertheless the
//! times of one topic's messages never decrease in any read, push or replica's log. ([`super::prefixes`] checks that
//! they are equal everywhere.) A message is also never older than one that a client received before it was sent, even
//! if the topic was deleted and created again in between.

use cubecast_core::time::Instant;
use cubecast_core::wire::answer::Message;

use super::case::{Case, Topic, Witness, pulled};
use super::words::{At, Placed, Pushed, Told};
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let mut checked = 0;
    for topic in &case.topics {
        for (replica, log) in topic.logs() {
            checked += check_run(topic, log, || format!("the log of replica {replica}"))?;
        }
        for operation in &topic.operations {
            checked += check_run(topic, pulled(operation), || format!("the answer to {}", Told(operation)))?;
        }
        for session in &topic.sessions {
            let delivered = session.deliveries.iter().map(|(_, message)| message);
            checked += check_run(topic, delivered, || Pushed(session).to_string())?;
        }
        checked += check_against_what_was_shown_before(topic)?;
    }
    Ok(Checked(checked))
}

/// Checks messages in order of their offsets. `place` describes where they were seen.
fn check_run<'a>(
    topic: &Topic<'_>,
    messages: impl IntoIterator<Item = &'a Message>,
    place: impl Fn() -> String,
) -> Result<u64, Broken> {
    let mut count = 0;
    let mut last: Option<&Message> = None;
    for message in messages {
        if let Some(last) = last.filter(|last| last.time > message.time) {
            let (before, after) = (Placed(topic.name, last), Placed(topic.name, message));
            let (earlier, later) = (message.time, last.time);
            return Err(Broken(format!(
                "in {}, {after} has the time {earlier}, but the preceding {before} has {later}",
                place()
            )));
        }
        (last, count) = (Some(message), count + 1);
    }
    Ok(count)
}

/// The latest message time that any client had received by `at`.
struct Shown<'a> {
    at: Instant,
    latest: &'a Message,
}

fn check_against_what_was_shown_before(topic: &Topic<'_>) -> Result<u64, Broken> {
    let mut sightings: Vec<_> = topic.sightings().collect();
    sightings.sort_by_key(|sighting| sighting.at);
    let mut shown: Vec<Shown<'_>> = Vec::with_capacity(sightings.len());
    for sighting in &sightings {
        let latest = shown.last().map(|shown| shown.latest).filter(|latest| latest.time >= sighting.message.time);
        shown.push(Shown { at: sighting.at, latest: latest.unwrap_or(sighting.message) });
    }
    for sighting in &sightings {
        let message = sighting.message;
        let Some(sent) = topic.publish_of(message).map(|publish| publish.first_attempt().invoked) else { continue };
        let before = shown.partition_point(|shown| shown.at < sent);
        let latest = before.checked_sub(1).map(|last| shown[last].latest).filter(|latest| latest.time > message.time);
        if let Some(latest) = latest {
            let witness = match sighting.by {
                Witness::Pull(operation) => Told(operation).to_string(),
                Witness::Push(session) => Pushed(session).to_string(),
            };
            return Err(Broken(format!(
                "{} was sent at {} and has the time {}, but before that {} was shown with the time {} (seen in \
                 {witness})",
                Placed(topic.name, message),
                At(sent),
                message.time,
                Placed(topic.name, latest),
                latest.time,
            )));
        }
    }
    Ok(sightings.len() as u64)
}

#[cfg(test)]
mod tests {
    use cubecast_core::time::Timestamp;

    use super::super::story::Story;
    use super::check;

    #[test]
    fn times_that_stay_or_grow_pass() {
        let mut story = Story::new();
        story.log(["a", "b", "c"]);
        story.pull(10..20).saw(0, ["a", "b", "c"]).edit(|messages| messages[1].time = Timestamp(0));
        story.push(0, 5).deliver(6, 0, "a").deliver(7, 1, "b");
        assert_eq!(story.passes(check), 4 * 3 + 3 + 2 + (3 + 2));
    }

    #[test]
    fn a_time_that_goes_back_is_found_in_an_answer_in_a_delivery_and_at_a_replica() {
        let mut story = Story::new();
        story.pull(10..20).saw(0, ["a", "b"]).edit(|messages| messages[0].time = Timestamp(5_000_000));
        story.fails(check, &["`b` at offset 1", "1970-01-01T00:00:00.000001Z", "`a`", "00:00:05", "pull on `news`"]);

        let mut story = Story::new();
        story.push(0, 5).deliver(6, 0, "a").deliver(7, 1, "b").0.deliveries[0].1.time = Timestamp(9);
        story.fails(check, &["push subscription", "`b`"]);

        let mut story = Story::new();
        story.log(["a", "b"]);
        story.holding("110").unwrap()[0].time = Timestamp(9);
        story.fails(check, &["replica 110", "`b`"]);
    }

    #[test]
    fn a_message_in_a_new_topic_that_is_older_than_what_the_old_one_showed_is_found() {
        let later = |messages: &mut Vec<cubecast_core::wire::answer::Message>| messages[0].time = Timestamp(9);
        let mut story = Story::new();
        story.publish("a", 10..20).done(0);
        story.pull(30..40).saw(0, ["a"]).edit(later);
        story.delete_topic(50..60).deleted();
        story.create_topic(70..80).created();
        story.publish("b", 85..90).done(0);
        story.pull(95..99).saw(0, ["b"]);
        story.fails(check, &["`b`", "sent at 0.085000 s", "`a`", "0.000009Z"]);
    }

    #[test]
    fn what_was_sent_before_the_other_was_shown_may_be_older() {
        let mut story = Story::new();
        story.publish("b", 10..90).done(0);
        story.pull(30..40).saw(0, ["a"]).edit(|messages| messages[0].time = Timestamp(9));
        story.pull(95..99).saw(0, ["b"]);
        story.passes(check);
    }
}
