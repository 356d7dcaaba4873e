//! Formats answers, failures, states and numbers as texts for the user.

use cubecast_core::client::ClientError;
use cubecast_core::cube::Vertex;
use cubecast_core::wire::answer::{Answer, Done, ErrorCode, Failure, Location, NodeState, Role};
use cubecast_core::wire::client::{self, LinkConditions, StopMode};
use cubecast_core::wire::event::FrameKind;

use super::feed::Tone;

/// The text for a task's answer, with its latency at this page and, if known, the time spent inside the cluster.
pub fn answer(answer: &Answer, took_ms: f64, in_cluster_us: Option<u64>) -> (Tone, String) {
    match &answer.result {
        Ok(done) if is_preparation(done) => (Tone::Plain, self::done(done)),
        Ok(done) => {
            let took = match in_cluster_us {
                Some(inside) => {
                    format!("{} in the cluster, {} at this page", millis(inside as f64 / 1_000.0), millis(took_ms))
                }
                None => format!("{} at this page", millis(took_ms)),
            };
            (Tone::Good, format!("{} {} answered after {took}.", self::done(done), answer.served_by))
        }
        Err(failure) => (Tone::Bad, self::failure(answer.served_by, failure)),
    }
}

/// Whether the request only prepared a later step.
fn is_preparation(done: &Done) -> bool {
    matches!(done, Done::PublisherCreated { .. } | Done::SubscriberCreated { .. })
}

/// A successful result as a sentence.
pub fn done(done: &Done) -> String {
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
        Done::Status(status) => format!("{} is {}.", status.node, state(status.state)),
        Done::NodeStopped { node, mode, duration_ms } => {
            format!("{node} {} for {}.", stop_verb(*mode), duration(*duration_ms))
        }
        Done::NodeRecovered { node } => format!("{node} is being recovered."),
        Done::LinkSet { from, to, conditions: set } => format!("{from} → {to} {}.", conditions(set)),
        Done::Watching => "Watching.".to_owned(),
    }
}

/// A failure as a sentence, with advice.
pub fn failure(served_by: Vertex, failure: &Failure) -> String {
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
pub fn no_answer(goal: Option<&client::Action>, error: &ClientError) -> String {
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

/// Formats an error text of core as a sentence: capitalised, ending with a full stop.
pub fn sentence(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    let first: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// The word for a node's state.
pub fn state(state: NodeState) -> &'static str {
    match state {
        NodeState::Up => "up",
        NodeState::Failed => "failed",
        NodeState::Recovering => "recovering",
    }
}

/// The verb for the way in which a node stops.
pub fn stop_verb(mode: StopMode) -> &'static str {
    match mode {
        StopMode::Crash => "crashes",
        StopMode::Wipe => "crashes and loses its disk",
        StopMode::Pause => "is paused",
    }
}

/// Link conditions as a verb phrase, for example `is cut, loses 10 % of the frames`.
pub fn conditions(conditions: &LinkConditions) -> String {
    if *conditions == LinkConditions::PERFECT {
        return "works".to_owned();
    }
    let mut parts = Vec::new();
    if conditions.cut {
        parts.push("is cut".to_owned());
    }
    if conditions.delay_ms > 0 {
        parts.push(format!("delays frames by {} ms", conditions.delay_ms));
    }
    if conditions.jitter_ms > 0 {
        parts.push(format!("adds up to {} ms of jitter", conditions.jitter_ms));
    }
    if conditions.loss > 0.0 {
        parts.push(format!("loses {:.0} % of the frames", conditions.loss * 100.0));
    }
    parts.join(", ")
}

/// The content of a frame, for the legend.
pub fn frame(what: FrameKind) -> &'static str {
    match what {
        FrameKind::Append => "log entries",
        FrameKind::Acknowledge => "acknowledgement",
        FrameKind::Heartbeat => "heartbeat",
        FrameKind::Vote => "vote",
        FrameKind::Snapshot => "snapshot",
        FrameKind::Ask => "request",
        FrameKind::Reply => "answer",
        FrameKind::Overlay => "link state",
    }
}

/// The protocol's name of an action as words, for example `Create topic`.
pub fn action(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut chars = words.chars();
    let first: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}", chars.as_str())
}

/// The verb for a member's role.
pub fn role(role: Role) -> &'static str {
    match role {
        Role::Leader => "leads",
        Role::Follower => "follows",
        Role::Candidate => "is a candidate",
        Role::Learner => "is a learner",
    }
}

/// Vertices, separated by commas.
pub fn nodes(nodes: &[Vertex]) -> String {
    nodes.iter().map(Vertex::to_string).collect::<Vec<_>>().join(", ")
}

/// A count with its noun, for nouns with an irregular plural.
pub fn count_of(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A count with its noun; the plural adds an `s`.
pub fn plural(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{} {thing}s", grouped(count)) }
}

/// In groups of three digits, separated by narrow no-break spaces.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join("\u{202f}")
}

/// A duration, rounded down to tenths of a second from 1 s on.
pub fn duration(millis: u64) -> String {
    if millis < 1_000 { format!("{millis} ms") } else { seconds(millis / 100 * 100) }
}

/// Whole seconds, or one decimal place.
pub fn seconds(millis: u64) -> String {
    if millis.is_multiple_of(1000) {
        format!("{} s", millis / 1000)
    } else {
        format!("{:.1} s", millis as f64 / 1000.0)
    }
}

/// Remaining time for a countdown, rounded up to whole seconds.
pub fn whole_seconds(millis: u64) -> String {
    format!("{} s", millis.div_ceil(1_000))
}

/// A latency: one decimal place below 10 ms, and `under 0.1 ms` instead of zero.
pub fn millis(millis: f64) -> String {
    match millis {
        millis if millis < 0.05 => "under 0.1 ms".to_owned(),
        millis if millis < 9.95 => format!("{millis:.1} ms"),
        millis => format!("{millis:.0} ms"),
    }
}

/// The time of day in UTC, from milliseconds since 1970.
pub fn time_of_day(at_ms: u64) -> String {
    let of_day = at_ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

fn located(location: &Location) -> String {
    let leader = location.leader.map_or("it has no leader".to_owned(), |leader| format!("its leader is {leader}"));
    format!("The home of {} is {}; {leader}.", location.topic, location.home)
}

#[cfg(test)]
mod tests {
    use cubecast_core::names::{Offset, TopicName};

    use super::*;

    #[test]
    fn a_publish_says_where_it_is_and_how_long_it_took() {
        let served_by: Vertex = "100".parse().unwrap();
        let published = Done::Published {
            topic: TopicName::new("news").unwrap(),
            offset: Some(Offset(5)),
            replicas: vec![served_by, "101".parse().unwrap()],
            repeated: false,
        };
        let published = Answer { id: None, served_by, hops: None, result: Ok(published) };
        let (tone, text) = answer(&published, 24.24, None);
        assert_eq!(tone, Tone::Good);
        assert_eq!(text, "Stored as news #5 on 100, 101. 100 answered after 24 ms at this page.");
        let (_, text) = answer(&published, 24.24, Some(1_100));
        assert_eq!(
            text,
            "Stored as news #5 on 100, 101. 100 answered after 1.1 ms in the cluster, 24 ms at this page."
        );
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
        let text = no_answer(Some(&goal), &doubt);
        assert!(
            text.starts_with("It is unknown whether the message to news was stored: no answer in 10 s. Check"),
            "{text}"
        );
        let unavailable = ClientError::Unavailable { why: "no node answers.".into() };
        assert_eq!(no_answer(Some(&goal), &unavailable), "Nothing was done: no node answers. Try again in a moment.");
    }

    #[test]
    fn an_edge_says_all_that_is_wrong_with_it() {
        let bad = LinkConditions { cut: false, delay_ms: 200, jitter_ms: 0, loss: 0.25 };
        assert_eq!(conditions(&bad), "delays frames by 200 ms, loses 25 % of the frames");
        assert_eq!(conditions(&LinkConditions::PERFECT), "works");
    }

    #[test]
    fn no_duration_is_called_nothing() {
        assert_eq!([0.0, 0.04, 0.06, 24.0].map(millis), ["under 0.1 ms", "under 0.1 ms", "0.1 ms", "24 ms"]);
        assert_eq!([300, 999, 4_050].map(duration), ["300 ms", "999 ms", "4 s"]);
    }

    #[test]
    fn large_numbers_are_grouped() {
        let [small, large] = [987, 1_234_567].map(|count| plural(count, "message"));
        assert_eq!((small.as_str(), large.as_str()), ("987 messages", "1\u{202f}234\u{202f}567 messages"));
    }

    #[test]
    fn the_time_of_day_has_leading_zeros() {
        assert_eq!(time_of_day(1_795_379_000_123), "20:23:20");
        assert_eq!(time_of_day(86_400_000 + 61_000), "00:01:01");
    }
}
