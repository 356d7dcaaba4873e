//! The lines of reports as text: answers, failures, and why a request was not sent.

use cubecast_core::client::{ClientError, FellOver};
use cubecast_core::identity::HostId;
use cubecast_core::names::TopicName;
use cubecast_core::time::Timestamp;
use cubecast_core::wire::answer::{Answer, Done, ErrorCode, Failure, Location};
use cubecast_core::wire::client;

use super::status;
use crate::format::{count_of, date_and_time, duration, grouped, millis, nodes, plural, sentence};
use crate::model::report::Remark;
use crate::model::seek::NotFound;
use crate::terms;

/// A line of a report.
pub fn words(remark: &Remark) -> String {
    match remark {
        Remark::Answered { answer, took_ms, in_cluster_us } => self::answer(answer, *took_ms, *in_cluster_us),
        Remark::FellOver(FellOver { from, to, why }) => format!("{from} is unavailable ({why}); sent to {to}."),
        Remark::NotConnected { action, node } => {
            format!("Not sent: `{action}` must be sent to {node} itself, and this page has no connection to it.")
        }
        Remark::Held(obstacle) => format!("Not sent: {}", status::obstacle(obstacle)),
        Remark::Obstructed(obstacle) => {
            format!("{} The request is retried for up to 10 s.", status::obstacle(obstacle))
        }
        Remark::TopicExisted { topic, publisher } => format!("{topic} already exists: {publisher} created it."),
        Remark::Unanswered { goal, error } => unanswered(goal.as_ref(), error),
        Remark::FoundAt { topic, offset, time, reads } => format!(
            "{topic} #{offset} is the first message at or after {} UTC, found with {}.",
            at(*time),
            plural(u64::from(*reads), "read")
        ),
        Remark::NotFound { topic, why } => not_found(topic, *why),
        Remark::ChangesMade(count) => format!("{} made.", plural(*count, "change")),
    }
}

/// The text for a task's answer, with its latency at this page and, if known, the time spent inside the cluster.
fn answer(answer: &Answer, took_ms: f64, in_cluster_us: Option<u64>) -> String {
    match &answer.result {
        Ok(done) if is_preparation(done) => self::done(done),
        Ok(done) => {
            let took = match in_cluster_us {
                Some(inside) => {
                    format!("{} in the cluster, {} at this page", millis(inside as f64 / 1_000.0), millis(took_ms))
                }
                None => format!("{} at this page", millis(took_ms)),
            };
            format!("{} {} answered after {took}.", self::done(done), answer.served_by)
        }
        Err(failure) => self::failure(answer.served_by, failure),
    }
}

/// Whether the request only prepared a later step.
fn is_preparation(done: &Done) -> bool {
    matches!(done, Done::PublisherCreated { .. } | Done::SubscriberCreated { .. })
}

/// A successful result as a sentence.
fn done(done: &Done) -> String {
    match done {
        Done::PublisherCreated { publisher, existed: false } => format!("Publisher {publisher} is registered."),
        Done::PublisherCreated { publisher, existed: true } => format!("Publisher {publisher} was already registered."),
        Done::SubscriberCreated { subscriber, existed: false } => format!("Subscriber {subscriber} is registered."),
        Done::SubscriberCreated { subscriber, existed: true } => {
            format!("Subscriber {subscriber} was already registered.")
        }
        Done::PublisherDeleted { publisher } => format!("Publisher {publisher} is deleted."),
        Done::SubscriberDeleted { subscriber } => format!("Subscriber {subscriber} is deleted."),
        Done::TopicCreated { topic, home, neighbours } => {
            format!("{topic} is created. Home {home}, replicas {}.", nodes(neighbours))
        }
        Done::TopicDeleted { topic, .. } => format!("{topic} is deleted."),
        Done::Published { topic, offset, replicas, repeated } => {
            let what = if *repeated { "Already stored as" } else { "Stored as" };
            match offset {
                Some(offset) => format!("{what} {topic} #{offset} on {}.", nodes(replicas)),
                None => {
                    format!("Kept safe on {} until {topic} has a leader; it then enters the log once.", nodes(replicas))
                }
            }
        }
        Done::Subscribed { topic, cursor, original_node: None, .. } => {
            format!("Subscribed to {topic} from #{cursor} on.")
        }
        Done::Subscribed { topic, cursor, original_node: Some(home), .. } => {
            format!("Subscribed to {topic} from #{cursor} on, through a replica of {home}.")
        }
        Done::Unsubscribed { topic } => format!("Unsubscribed from {topic}."),
        Done::Pulled { topic, messages, cursor, end, behind, original_node } => {
            let count = plural(messages.len() as u64, "message");
            let behind = match behind {
                Some(0) => " The replica is not behind.".to_owned(),
                Some(behind) => {
                    format!(" The replica is {} behind its group's log.", count_of(*behind, "entry", "entries"))
                }
                None => String::new(),
            };
            let origin = original_node.map(|home| format!(" (home {home})")).unwrap_or_default();
            let more = match end.0.saturating_sub(cursor.0) {
                0 => String::new(),
                1 => " 1 more follows.".to_owned(),
                left => format!(" {} more follow.", grouped(left)),
            };
            format!("{count} of {topic}{origin}; next is #{cursor}.{behind}{more}")
        }
        Done::Committed { topic, cursor } => format!("{topic} is read up to #{cursor}."),
        Done::Located(location) => located(location),
        Done::Topics { topics, .. } => format!("{} listed.", plural(topics.len() as u64, "topic")),
        Done::Cluster(view) => format!("A cube of {} nodes.", view.nodes.len()),
        Done::Status(status) => format!("{} is {}.", status.node, terms::state(status.state)),
        Done::NodeStopped { node, mode, duration_ms } => {
            format!("{node} {} for {}.", terms::stop_verb(*mode), duration(*duration_ms))
        }
        Done::NodeRecovered { node } => format!("{node} is being recovered."),
        Done::LinkSet { from, to, conditions: set } => format!("{from} → {to} {}.", terms::conditions(set)),
        Done::Watching => "Watching.".to_owned(),
    }
}

/// A failure as a sentence, with advice.
fn failure(served_by: HostId, failure: &Failure) -> String {
    let advice = match failure.code {
        ErrorCode::FaultsForbidden => {
            " To inject faults, start the nodes with --allow-faults, or the cluster with `cubecast up --faults on`."
        }
        ErrorCode::UnknownTopic => " Create it first.",
        ErrorCode::Unavailable | ErrorCode::Overloaded => " Try again in a moment.",
        _ => "",
    };
    format!("{served_by} reports {}: {}.{advice}", failure.code, failure.message.trim_end_matches('.'))
}

/// The text for a request that no node answered: the known facts and advice.
fn unanswered(goal: Option<&client::Action>, error: &ClientError) -> String {
    match error {
        ClientError::InDoubt { why } => {
            let (what, advice) = in_doubt(goal);
            format!("It is unknown whether {what}: {}. {advice}", why.trim_end_matches('.'))
        }
        ClientError::Unavailable { why } => {
            format!("Nothing was done: {}. Try again in a moment.", why.trim_end_matches('.'))
        }
        other => sentence(&other.to_string()),
    }
}

/// The effect that may or may not have happened, and how to find out.
fn in_doubt(goal: Option<&client::Action>) -> (String, &'static str) {
    match goal {
        Some(client::Action::Write(client::Write::Publish { topic, .. })) => (
            format!("the message to {topic} was stored"),
            "Check whether it arrived before you publish it again: a second copy would be a separate message.",
        ),
        Some(client::Action::Write(client::Write::CreateTopic { topic, .. })) => {
            (format!("{topic} was created"), "Create it again: if it exists and is yours, this succeeds.")
        }
        Some(client::Action::Write(client::Write::DeleteTopic { topic, .. })) => {
            (format!("{topic} was deleted"), "Check whether it is still in the list.")
        }
        Some(client::Action::Read(client::Read::Pull { subscriber, commit: true, .. })) => (
            format!("the cursor of {subscriber} moved"),
            "If it did, the next pull skips the messages of the lost answer; subscribe from the beginning to see them.",
        ),
        Some(client::Action::Write(client::Write::Subscribe { .. } | client::Write::Unsubscribe { .. })) => {
            ("the request was carried out".to_owned(), "Repeat it: this is safe.")
        }
        _ => ("the request was carried out".to_owned(), "Check the state of the cube before you try again."),
    }
}

fn not_found(topic: &TopicName, why: NotFound) -> String {
    match why {
        NotFound::Empty => format!("{topic} has no messages yet."),
        NotFound::PastEnd { end } => {
            format!("{topic} ends before that: its last message is #{}.", end.0.saturating_sub(1))
        }
        NotFound::BeforeFirst { offset, time } => {
            format!("{topic} begins after that: its first message is #{offset}, of {} UTC.", at(time))
        }
        NotFound::AfterLast { offset, time } => {
            format!("{topic} ends before that: its last message is #{offset}, of {} UTC.", at(time))
        }
        NotFound::Unreadable(offset) => {
            format!("The node that was asked cannot read {topic} #{offset} now. Try again in a moment.")
        }
    }
}

fn at(time: Timestamp) -> String {
    date_and_time(time.0 / 1_000)
}

fn located(location: &Location) -> String {
    let leader = location.leader.map_or("it has no leader".to_owned(), |leader| format!("its leader is {leader}"));
    format!("The home of {} is {}; {leader}.", location.topic, location.home)
}

#[cfg(test)]
mod tests {
    use cubecast_core::names::Offset;

    use super::*;

    #[test]
    fn a_publish_says_where_it_is_and_how_long_it_took() {
        let served_by: HostId = "100".parse().unwrap();
        let published = Done::Published {
            topic: TopicName::new("news").unwrap(),
            offset: Some(Offset(5)),
            replicas: vec![served_by, "101".parse().unwrap()],
            repeated: false,
        };
        let published = Answer { id: None, served_by, hops: None, result: Ok(published) };
        let text = answer(&published, 24.24, None);
        assert_eq!(text, "Stored as news #5 on 100, 101. 100 answered after 24 ms at this page.");
        let text = answer(&published, 24.24, Some(1_100));
        assert_eq!(
            text,
            "Stored as news #5 on 100, 101. 100 answered after 1.1 ms in the cluster, 24 ms at this page."
        );
    }

    #[test]
    fn a_search_says_what_it_found_or_what_is_nearest() {
        let (topic, time) = (TopicName::new("news").unwrap(), Timestamp(1_795_379_000_000_000));
        let found = Remark::FoundAt { topic: topic.clone(), offset: Offset(120), time, reads: 14 };
        let text = "news #120 is the first message at or after 2026-11-22 20:23:20 UTC, found with 14 reads.";
        assert_eq!(words(&found), text);
        let last = NotFound::AfterLast { offset: Offset(7), time };
        let text = "news ends before that: its last message is #7, of 2026-11-22 20:23:20 UTC.";
        assert_eq!(words(&Remark::NotFound { topic: topic.clone(), why: last }), text);
        let past = NotFound::PastEnd { end: Offset(8) };
        assert!(words(&Remark::NotFound { topic, why: past }).ends_with("its last message is #7."));
    }

    #[test]
    fn a_failure_names_the_node_the_code_and_what_to_do() {
        let text = failure("011".parse().unwrap(), &ErrorCode::Unavailable.because("no quorum for group 011."));
        assert_eq!(text, "011 reports unavailable: no quorum for group 011. Try again in a moment.");
    }

    #[test]
    fn what_is_in_doubt_says_so_and_how_to_find_out() {
        let goal = client::Action::Write(client::Write::Publish {
            publisher: "p".parse().unwrap(),
            topic: "news".parse().unwrap(),
            content: "hello".into(),
            ack: client::Ack::Quorum,
            sequence: None,
        });
        let doubt = ClientError::InDoubt { why: "no answer in 10 s".into() };
        let text = unanswered(Some(&goal), &doubt);
        assert!(
            text.starts_with("It is unknown whether the message to news was stored: no answer in 10 s. Check"),
            "{text}"
        );
        let unavailable = ClientError::Unavailable { why: "no node answers.".into() };
        assert_eq!(unanswered(Some(&goal), &unavailable), "Nothing was done: no node answers. Try again in a moment.");
    }
}
