//! Push subscriptions deliver every message.
//!
//! A session delivers from the cursor in the answer to its `subscribe`: every offset once, in order, without gaps. A
//! renewed session begins at its new answer's cursor. A session that is still open after healing has delivered
//! everything. No session on a topic without a deletion ends with the notice that the topic was deleted.

use super::case::{Case, Topic};
use super::history::{Session, SessionEnd};
use super::words::{At, Pushed};
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let mut checked = 0;
    for topic in &case.topics {
        for session in &topic.sessions {
            check_order(session)?;
            if topic.is_lasting {
                check_end(topic, session)?;
            }
            checked += 1 + session.deliveries.len() as u64;
        }
    }
    Ok(Checked(checked))
}

fn check_order(session: &Session) -> Result<(), Broken> {
    let mut expected = session.from;
    for (at, message) in &session.deliveries {
        if message.offset != expected {
            let what = if message.offset < expected { "again" } else { "too early" };
            return Err(Broken(format!(
                "{} received offset {} {what} at {}: it began at {}, and the next offset is {expected}",
                Pushed(session),
                message.offset,
                At(*at),
                session.from
            )));
        }
        expected = expected.next();
    }
    Ok(())
}

fn check_end(topic: &Topic<'_>, session: &Session) -> Result<(), Broken> {
    let next = session.next();
    match session.ended {
        Some((at, SessionEnd::TopicDeleted)) => Err(Broken(format!(
            "{} was ended at {} because its topic was deleted, but no client deleted it",
            Pushed(session),
            At(at)
        ))),
        None if !topic.replicas.is_empty() && next.0 < topic.log.len() as u64 => Err(Broken(format!(
            "{} is open to the end but received only {} messages: offset {next} is missing, and the topic has {} \
             messages",
            Pushed(session),
            session.deliveries.len(),
            topic.log.len()
        ))),
        Some((_, SessionEnd::Closed | SessionEnd::Left)) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::SessionEnd;
    use super::super::story::Story;
    use super::check;

    #[test]
    fn sessions_deliver_in_order_from_where_they_begin() {
        let mut story = Story::new();
        story.push(1, 10).deliver(11, 1, "b").deliver(12, 2, "c");
        story.push(0, 20).deliver(21, 0, "a").end(22, SessionEnd::Closed);
        story.push(3, 30);
        story.log(["a", "b", "c"]);
        assert_eq!(story.passes(check), 3 + 3);
    }

    #[test]
    fn gaps_and_repeats_and_wrong_beginnings_are_found() {
        let mut story = Story::new();
        story.push(0, 10).deliver(11, 0, "a").deliver(12, 2, "c");
        story.fails(check, &["offset 2 too early", "0.012000 s", "the next offset is 1"]);
        let mut story = Story::new();
        story.push(0, 10).deliver(11, 0, "a").deliver(12, 0, "a");
        story.fails(check, &["offset 0 again", "the next offset is 1"]);
        let mut story = Story::new();
        story.push(1, 10).deliver(11, 0, "a");
        story.fails(check, &["offset 0 again", "it began at 1"]);
    }

    #[test]
    fn a_session_that_stays_open_gets_everything() {
        let mut story = Story::new();
        story.push(0, 10).deliver(11, 0, "a");
        story.log(["a", "b"]);
        story.fails(check, &["`bob` on `news`", "through 010", "offset 1 is missing", "the topic has 2"]);
    }

    #[test]
    fn a_session_is_not_told_of_a_deletion_that_nobody_made() {
        let mut story = Story::new();
        story.push(0, 10).end(20, SessionEnd::TopicDeleted);
        story.fails(check, &["no client deleted it", "0.020000 s"]);
        story.delete_topic(12..15).in_doubt();
        assert_eq!(story.passes(check), 1);
    }
}
