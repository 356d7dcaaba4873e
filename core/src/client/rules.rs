//! What may be asked of whom, and what may be asked twice.

use crate::cube::{Dimension, Vertex};
use crate::placement;
use crate::wire::answer::{Done, ErrorCode};
use crate::wire::client::Action;

/// Every vertex, nearest to `home` first: the home, its replicas across bit 0, 1, 2 …, the rest.
pub fn nearest_first(home: Vertex) -> Vec<Vertex> {
    let mut vertices: Vec<_> = home.dimension().vertices().collect();
    vertices.sort_by_key(|vertex| (vertex.distance(home), vertex.index() ^ home.index()));
    vertices
}

/// Whether an attempt whose answer was lost may be made again.
///
/// A publish bears a sequence number by then; a subscribe says where to start; creating and deleting are told apart from
/// somebody else's by [`settles`] and by a look at the owner. A pull that commits is the exception: done twice, it would
/// skip the messages of the lost answer.
pub fn is_repeatable(action: &Action) -> bool {
    !matches!(action, Action::Pull { commit: true, .. })
}

/// Whether a refusal, answered to a repeat of an attempt that may have been carried out, shows that it was; and the answer
/// that was lost.
pub fn settles(action: &Action, code: ErrorCode, dimension: Dimension) -> Option<Done> {
    match (action, code) {
        (Action::DeleteTopic { topic, .. }, ErrorCode::UnknownTopic) => {
            let home = placement::home(topic.as_str(), dimension);
            Some(Done::TopicDeleted { topic: topic.clone(), home, replicas: home.neighbours().collect() })
        }
        (Action::DeletePublisher { publisher }, ErrorCode::UnknownPublisher) => {
            Some(Done::PublisherDeleted { publisher: publisher.clone() })
        }
        (Action::DeleteSubscriber { subscriber }, ErrorCode::UnknownSubscriber) => {
            Some(Done::SubscriberDeleted { subscriber: subscriber.clone() })
        }
        (Action::Unsubscribe { topic, .. }, ErrorCode::NotSubscribed) => {
            Some(Done::Unsubscribed { topic: topic.clone() })
        }
        _ => None,
    }
}

/// The answer to a `create_topic` whose first answer was lost and whose topic is now seen to be the publisher's own.
/// (It may also have been there before: then the request had nothing to do.)
pub fn created_by_us(action: &Action, topics: &Done, dimension: Dimension) -> Option<Done> {
    let (Action::CreateTopic { publisher, topic }, Done::Topics { topics, .. }) = (action, topics) else {
        return None;
    };
    let ours = topics.iter().any(|summary| summary.topic == *topic && summary.owner == *publisher);
    let home = placement::home(topic.as_str(), dimension);
    ours.then(|| Done::TopicCreated { topic: topic.clone(), home, replicas: home.neighbours().collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::client::ReadLevel;

    #[test]
    fn after_the_home_come_its_replicas_in_their_order_and_then_the_rest() {
        let names: Vec<_> = nearest_first("100".parse().unwrap()).iter().map(Vertex::to_string).collect();
        assert_eq!(names, ["100", "101", "110", "000", "111", "001", "010", "011"]);
    }

    #[test]
    fn only_a_pull_that_commits_must_not_be_repeated() {
        let pull = |commit| Action::Pull {
            subscriber: "s".parse().unwrap(),
            topic: "t".parse().unwrap(),
            max: 1,
            read: ReadLevel::Leader,
            commit,
        };
        assert!(!is_repeatable(&pull(true)));
        assert!(is_repeatable(&pull(false)));
    }
}
