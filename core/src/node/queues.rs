//! The length and limit of every queue that others can fill: clients, neighbours, a slow disk.
//!
//! Each part states its own limits next to the constant, with the reaction. This module collects them for checkers and
//! for monitoring. Collecting walks through much of the node, so do not do it in every turn.

use super::Node;
use crate::overlay::links::DELAYED_FRAMES;
use crate::topics::{self, Sizes};

/// A queue or table that others can fill, with its limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Queue {
    /// What is counted, as a short phrase.
    pub name: &'static str,
    /// The current number of items or bytes.
    pub len: u64,
    /// The most that `len` may reach.
    pub limit: u64,
}

impl Queue {
    pub(super) fn of(name: &'static str, len: usize, limit: usize) -> Queue {
        Queue { name, len: len as u64, limit: limit as u64 }
    }

    /// Whether `len` is within the limit.
    pub fn is_within_limit(&self) -> bool {
        self.len <= self.limit
    }
}

impl Node {
    /// Every bounded queue and table. Of those that exist per client, edge, topic or group, the fullest.
    pub fn queues(&self) -> Vec<Queue> {
        let mut queues = vec![
            self.asks.queue(),
            Queue::of("delayed frames of one edge", self.view.overlay.most_delayed(), DELAYED_FRAMES),
        ];
        queues.extend(self.coordinator.queues());
        queues.extend(self.replica_server.queues());
        queues.extend(self.outbox.queues());
        queues.extend(self.view.groups.queues());
        queues
    }
}

/// The tables of one group's state.
pub(super) fn topics_queues(sizes: Sizes) -> [Queue; 8] {
    [
        Queue::of("topics of one group", sizes.topics, topics::MAX_TOPICS),
        Queue::of("bytes of topics in one group", sizes.topic_bytes, topics::MAX_TOPIC_BYTES),
        Queue::of("bytes of repeats recognised by one group", sizes.dedup, topics::MAX_REPEAT_BYTES),
        Queue::of("bytes of subscriptions in one group", sizes.subscriptions, topics::MAX_SUBSCRIPTION_BYTES),
        Queue::of("bytes of names registered in one group", sizes.registered, topics::MAX_REGISTERED_BYTES),
        Queue::of("removals remembered by one group", sizes.removals, topics::REMOVALS_REMEMBERED),
        Queue::of("producers remembered by one topic", sizes.producers_of_one, topics::MAX_PRODUCERS),
        Queue::of("runs remembered of one producer", sizes.runs_of_one, topics::MAX_RUNS),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, config};
    use super::*;
    use crate::content::Content;
    use crate::identity::Member;
    use crate::io::{ConnectionId, Effect, Input};
    use crate::store::{NodeRecord, Recovered};
    use crate::time::{Instant, Now};
    use crate::wire::answer::{Answer, ErrorCode, Failure, ServerFrame};
    use crate::wire::client::{Ack, Action, Request, RequestId, Write};

    /// A lone node of a cube of two: it serves, and there is no leader.
    fn lonely_node() -> Node {
        let host = config().host;
        let record = NodeRecord { identity: Some(Member::founding(host)), host, starts: 0, met: Vec::new() };
        let recovered = Recovered { record: Some(record), groups: Vec::new(), outbox: Vec::new() };
        Node::new(config(), recovered, NOW)
    }

    const CLIENT: ConnectionId = ConnectionId(1);

    fn request(id: u64, action: Action) -> Input {
        let request = Request { id: Some(RequestId::Unsigned(id)), trace: false, action };
        Input::ClientRequest { connection: CLIENT, request }
    }

    fn publish(content: Content) -> Action {
        let (publisher, topic) = ("p".parse().unwrap(), "t".parse().unwrap());
        Action::Write(Write::Publish { publisher, topic, content, ack: Ack::Quorum, sequence: None })
    }

    fn queue(node: &Node, name: &str) -> Queue {
        *node.queues().iter().find(|queue| queue.name == name).unwrap()
    }

    fn failures(effects: &[Effect]) -> Vec<Failure> {
        let failure = |effect: &Effect| match effect {
            Effect::SendClient { frame: ServerFrame::Answer(Answer { result, .. }), .. } => result.clone().err(),
            _ => None,
        };
        effects.iter().filter_map(failure).collect()
    }

    fn closed(effects: &[Effect]) -> Vec<ConnectionId> {
        let closed = |effect: &Effect| match effect {
            Effect::CloseClient { connection, .. } => Some(*connection),
            _ => None,
        };
        effects.iter().filter_map(closed).collect()
    }

    #[test]
    fn one_request_too_many_is_answered_with_overloaded() {
        let mut node = lonely_node();
        node.handle(NOW, vec![Input::ClientConnected { connection: CLIENT }]);
        let limit = queue(&node, "requests under way").limit;
        let effects = node.handle(NOW, (0..limit).map(|id| request(id, publish("x".into()))).collect());
        assert_eq!(failures(&effects), []);
        let effects = node.handle(NOW, vec![request(limit, publish("x".into()))]);
        assert_eq!(failures(&effects).iter().map(|failure| failure.code).collect::<Vec<_>>(), [ErrorCode::Overloaded]);
        assert!(node.queues().iter().all(Queue::is_within_limit), "{:?}", node.queues());
    }

    #[test]
    fn the_bytes_of_requests_are_counted_and_given_back() {
        let mut node = lonely_node();
        node.handle(NOW, vec![Input::ClientConnected { connection: CLIENT }]);
        let content = "x".repeat(1 << 20);
        let limit = queue(&node, "bytes of requests under way").limit;
        let fit = limit >> 20;
        let effects = node.handle(NOW, (0..=fit).map(|id| request(id, publish(content.as_str().into()))).collect());
        assert_eq!(failures(&effects).len(), 1, "all but one fit");
        assert_eq!(queue(&node, "bytes of requests under way").len, limit);
        let later = Now { monotonic: Instant(60_000_000), ..NOW };
        assert_eq!(failures(&node.handle(later, vec![Input::DeadlineReached])).len() as u64, fit);
        assert_eq!(queue(&node, "bytes of requests under way").len, 0);
    }

    #[test]
    fn one_client_too_many_is_closed() {
        let mut node = lonely_node();
        let limit = queue(&node, "clients").limit;
        let connect = |number| Input::ClientConnected { connection: ConnectionId(number) };
        assert_eq!(closed(&node.handle(NOW, (0..limit).map(connect).collect())), []);
        assert_eq!(closed(&node.handle(NOW, vec![connect(limit)])), [ConnectionId(limit)]);
        assert_eq!(queue(&node, "clients").len, limit);
    }
}
