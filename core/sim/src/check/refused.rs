//! Refused publishes are not stored.
//!
//! A publish whose attempts were all refused is in no log and was never shown to a client. One attempt in doubt permits
//! it to be stored. `unknown_topic` can also answer a publish that was stored, if the topic was deleted before the node
//! that received the publish learned of it. It therefore counts as a refusal only for topics without a deletion.

use cubecast_core::wire::answer::ErrorCode;

use super::case::{Case, Publish, Topic, Witness};
use super::history::Outcome;
use super::words::{At, Content, Placed, Pushed, Told};
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let mut checked = 0;
    for topic in &case.topics {
        let refused = topic.publishes.iter().filter(|publish| is_refused(topic, publish)).count() as u64;
        if refused > 0 {
            check_logs(topic)?;
            check_sightings(topic)?;
            checked += refused;
        }
    }
    Ok(Checked(checked))
}

fn is_refused(topic: &Topic<'_>, publish: &Publish<'_>) -> bool {
    publish.attempts.iter().all(|attempt| match attempt.outcome() {
        Outcome::Refused(failure) => topic.is_lasting || failure.code != ErrorCode::UnknownTopic,
        Outcome::Done(_) | Outcome::InDoubt => false,
    })
}

fn check_logs(topic: &Topic<'_>) -> Result<(), Broken> {
    for (replica, log) in topic.logs() {
        for message in log {
            if let Some(publish) = topic.publish_of(message).filter(|publish| is_refused(topic, publish)) {
                return Err(Broken(format!(
                    "replica {replica} has {}, but {}",
                    Placed(topic.name, message),
                    refusal(publish)
                )));
            }
        }
    }
    Ok(())
}

fn check_sightings(topic: &Topic<'_>) -> Result<(), Broken> {
    for sighting in topic.sightings() {
        if let Some(publish) = topic.publish_of(sighting.message).filter(|publish| is_refused(topic, publish)) {
            let who = match sighting.by {
                Witness::Pull(operation) => Told(operation).to_string(),
                Witness::Push(session) => format!("{}, at {},", Pushed(session), At(sighting.at)),
            };
            let what = Placed(topic.name, sighting.message);
            return Err(Broken(format!("{who} showed {what}, but {}", refusal(publish))));
        }
    }
    Ok(())
}

fn refusal(publish: &Publish<'_>) -> String {
    let last = publish.attempts[publish.attempts.len() - 1];
    let code = match last.outcome() {
        Outcome::Refused(failure) => failure.code.name(),
        Outcome::Done(_) | Outcome::InDoubt => "nothing",
    };
    format!("{} was refused with `{code}`, as was every other attempt for {}", Told(last), Content(publish.content))
}

#[cfg(test)]
mod tests {
    use cubecast_core::wire::answer::ErrorCode;

    use super::super::story::Story;
    use super::check;

    #[test]
    fn what_is_refused_stays_away_and_what_is_in_doubt_may_come() {
        let mut story = Story::new();
        story.publish("a", 10..20).refused(ErrorCode::Unavailable);
        story.publish("b", 10..20).refused(ErrorCode::Unavailable);
        story.publish("b", 30..40).in_doubt();
        story.publish("c", 50..60).refused(ErrorCode::Timeout);
        story.log(["b", "c"]);
        assert_eq!(story.passes(check), 1);
    }

    #[test]
    fn a_refused_message_in_a_log_is_found() {
        let mut story = Story::new();
        story.publish("a", 10..20).refused(ErrorCode::Overloaded);
        story.log([]);
        story.log_of("110", ["a"]);
        story.fails(check, &["replica 110", "`a` at offset 0", "overloaded"]);
    }

    #[test]
    fn a_refused_message_that_was_shown_is_found_though_it_is_gone() {
        let mut story = Story::new();
        story.publish("a", 10..20).refused(ErrorCode::NodeFailed);
        story.pull(30..40).saw(0, ["a"]);
        story.log([]);
        story.fails(check, &["pull on `news`", "showed `a`", "node_failed"]);
        let mut story = Story::new();
        story.publish("a", 10..20).refused(ErrorCode::NodeFailed);
        story.push(0, 25).deliver(30, 0, "a");
        story.log([]);
        story.fails(check, &["push subscription", "showed `a`", "0.030000 s"]);
    }

    #[test]
    fn where_topics_are_deleted_an_unknown_topic_refuses_nothing() {
        let mut story = Story::new();
        story.publish("a", 10..40).refused(ErrorCode::UnknownTopic);
        story.pull(15..20).saw(0, ["a"]);
        story.fails(check, &["showed `a`"]);
        story.delete_topic(25..30).deleted();
        assert_eq!(story.passes(check), 0);
    }
}
