//! The order of nodes to ask, and which actions are safe to repeat.

use crate::cube::{Dimension, Vertex};
use crate::placement;
use crate::wire::answer::{Done, ErrorCode};
use crate::wire::client::{Action, Read, Write};

/// Every vertex in order of distance from `home`: the home, its replicas across bits 0, 1, 2 …, then the rest.
pub fn nearest_first(home: Vertex) -> impl Iterator<Item = Vertex> {
    let mut vertices: Vec<_> = home.dimension().vertices().collect();
    vertices.sort_by_key(|vertex| (vertex.distance(home), vertex.index() ^ home.index()));
    vertices.into_iter()
}

/// Whether an attempt whose answer was lost may be repeated.
///
/// A publish has a sequence number by then, and a subscribe states where to start. For creations and deletions,
/// [`settles`] and a check of the owner tell the client's own effect from that of others. The exception is a committing
/// pull: performed twice, it would skip the messages of the lost answer.
pub fn is_repeatable(action: &Action) -> bool {
    !matches!(action, Action::Read(Read::Pull { commit: true, .. }))
}

/// If a refusal of a repeat shows that an earlier attempt was performed, returns the answer that was lost.
pub fn settles(action: &Action, code: ErrorCode, dimension: Dimension) -> Option<Done> {
    match (action, code) {
        (Action::Write(Write::DeleteTopic { topic, .. }), ErrorCode::UnknownTopic) => {
            let home = placement::home(topic.as_str(), dimension);
            Some(Done::TopicDeleted { topic: topic.clone(), home, neighbours: home.neighbours().collect() })
        }
        (Action::Write(Write::DeletePublisher { publisher }), ErrorCode::UnknownPublisher) => {
            Some(Done::PublisherDeleted { publisher: publisher.clone() })
        }
        (Action::Write(Write::DeleteSubscriber { subscriber }), ErrorCode::UnknownSubscriber) => {
            Some(Done::SubscriberDeleted { subscriber: subscriber.clone() })
        }
        (Action::Write(Write::Unsubscribe { topic, .. }), ErrorCode::NotSubscribed) => {
            Some(Done::Unsubscribed { topic: topic.clone() })
        }
        _ => None,
    }
}

/// Returns the lost answer to a `create_topic` if the topic now exists and belongs to the publisher. (If it existed
/// before, the request had no effect.)
pub fn created_by_us(action: &Action, topics: &Done, dimension: Dimension) -> Option<Done> {
    let (Action::Write(Write::CreateTopic { publisher, topic }), Done::Topics { topics, .. }) = (action, topics) else {
        return None;
    };
    let ours = topics.iter().any(|summary| summary.topic == *topic && summary.owner == *publisher);
    let home = placement::home(topic.as_str(), dimension);
    ours.then(|| Done::TopicCreated { topic: topic.clone(), home, neighbours: home.neighbours().collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::client::ReadLevel;

    #[test]
    fn after_the_home_come_its_replicas_in_their_order_and_then_the_rest() {
        let names: Vec<_> = nearest_first("100".parse().unwrap()).map(|vertex| vertex.to_string()).collect();
        assert_eq!(names, ["100", "101", "110", "000", "111", "001", "010", "011"]);
    }

    #[test]
    fn only_a_pull_that_commits_must_not_be_repeated() {
        let pull = |commit| {
            Action::Read(Read::Pull {
                subscriber: "s".parse().unwrap(),
                topic: "t".parse().unwrap(),
                max: 1,
                read: ReadLevel::Leader,
                commit,
            })
        };
        assert!(!is_repeatable(&pull(true)));
        assert!(is_repeatable(&pull(false)));
    }
}
