//! Nothing is invented.
//!
//! Every message in a read of any level, in a push and in a replica's final log was published by a client on that topic
//! under that publisher, and was shown no earlier than its publish was sent. It need not have been acknowledged.

use cubecast_core::wire::answer::Message;

use super::case::{Case, Publish, Sighting, Topic, Witness};
use super::words::{At, Content, Placed, Pushed, Told};
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let mut checked = 0;
    for topic in &case.topics {
        for sighting in topic.sightings() {
            check_sighting(topic, &sighting)?;
            checked += 1;
        }
        for (replica, log) in topic.logs() {
            for message in log {
                check_publisher(topic, message, || format!("replica {replica}"))?;
                checked += 1;
            }
        }
    }
    Ok(Checked(checked))
}

fn check_sighting(topic: &Topic<'_>, sighting: &Sighting<'_>) -> Result<(), Broken> {
    let first = check_publisher(topic, sighting.message, || witness(sighting))?.first_attempt();
    if first.invoked <= sighting.at {
        return Ok(());
    }
    Err(Broken(format!(
        "{} shows {} before any client sent it: {}",
        witness(sighting),
        Placed(topic.name, sighting.message),
        Told(first)
    )))
}

/// The publish of a message, or a violation if there is none.
fn check_publisher<'c, 'a>(
    topic: &'c Topic<'a>,
    message: &Message,
    who: impl FnOnce() -> String,
) -> Result<&'c Publish<'a>, Broken> {
    match topic.publish_of(message) {
        None => Err(Broken(format!("{} has {}, which no client published there", who(), Placed(topic.name, message)))),
        Some(publish) if *publish.publisher != message.publisher => Err(Broken(format!(
            "{} has {} as published by `{}`, but `{}` published {}",
            who(),
            Placed(topic.name, message),
            message.publisher,
            publish.publisher,
            Content(publish.content)
        ))),
        Some(publish) => Ok(publish),
    }
}

fn witness(sighting: &Sighting<'_>) -> String {
    match sighting.by {
        Witness::Pull(operation) => Told(operation).to_string(),
        Witness::Push(session) => format!("{}, at {},", Pushed(session), At(sighting.at)),
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::names::PublisherId;

    use super::super::story::Story;
    use super::check;

    #[test]
    fn what_was_asked_for_may_be_shown_before_it_is_acknowledged() {
        let mut story = Story::new();
        story.publish("a", 10..20).in_doubt();
        story.pull(12..15).saw(0, ["a"]);
        story.push(0, 10).deliver(10, 0, "a");
        story.log(["a"]);
        assert_eq!(story.passes(check), 6);
    }

    #[test]
    fn what_nobody_asked_for_is_found_wherever_it_is_shown() {
        let mut story = Story::new();
        story.pull(12..15).saw(0, ["a"]);
        story.fails(check, &["pull on `news`", "`a` at offset 0", "no client published"]);
        let mut story = Story::new();
        story.push(3, 10).deliver(11, 3, "a");
        story.fails(check, &["push subscription", "`a` at offset 3", "0.011000 s"]);
        let mut story = Story::new();
        story.log(["a"]);
        story.fails(check, &["replica 000", "`a` at offset 0"]);
    }

    #[test]
    fn what_is_shown_before_it_was_asked_for_is_found() {
        let mut story = Story::new();
        story.pull(5..15).saw(0, ["a"]);
        story.publish("a", 16..20).done(0);
        story.fails(check, &["shows `a`", "before any client sent it", "at 0.016000 s"]);
    }

    #[test]
    fn what_is_shown_under_another_name_is_found() {
        let mut story = Story::new();
        story.publish("a", 10..20).done(0);
        story.pull(12..25).saw(0, ["a"]).edit(|messages| messages[0].publisher = PublisherId::new("eve").unwrap());
        story.fails(check, &["`a`", "published by `eve`", "but `ann` published `a`"]);
    }
}
