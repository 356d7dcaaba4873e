//! The length and limit of every queue that others can fill: clients, neighbours, a slow disk.
//!
//! Each part states its own limits next to the constant, with the reaction. This module collects them for checkers and
//! for monitoring. Collecting walks through much of the node, so do not do it in every turn.

use super::{MAX_HELD, Node};
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
        let mut queues = Vec::new();
        queues.extend(self.clients_queues());
        queues.extend(self.requests.queues());
        queues.push(self.uses.queue());
        queues.push(self.pull_limiter.queue());
        queues.extend(self.serving.queues());
        queues.extend(self.pulls.queues());
        queues.extend(self.reads.queues());
        queues.extend(self.repairs.queues());
        queues.extend(self.push.queues());
        queues.extend(self.outbox.queues());
        queues.push(Queue::of("held messages of members not yet met", self.held.len(), MAX_HELD));
        queues.push(Queue::of("delayed frames of one edge", self.overlay.most_delayed(), DELAYED_FRAMES));
        let sizes = self.groups.values().map(|group| group.topics().sizes()).fold(Sizes::default(), Sizes::or_more);
        queues.extend(topics_queues(sizes));
        queues
    }
}

fn topics_queues(sizes: Sizes) -> [Queue; 8] {
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
    use super::super::NodeConfig;
    use super::*;
    use crate::content::Content;
    use crate::group::LogLimits;
    use crate::identity::NodeId;
    use crate::io::{ConnectionId, Effect, Input};
    use crate::store::{NodeRecord, Recovered};
    use crate::time::{Instant, Now, Timestamp};
    use crate::wire::answer::{Answer, ErrorCode, Failure, ServerFrame};
    use crate::wire::client::{Ack, Action, Request, RequestId, Write};
    use crate::wire::limits::Limits;

    /// A lone node of a cube of two: it serves, and there is no leader.
    fn lonely_node() -> Node {
        let vertex = "0".parse().unwrap();
        let config = NodeConfig {
            vertex,
            addresses: Vec::new(),
            allow_faults: false,
            seed: 1,
            sync: "always".into(),
            version: "test".into(),
            limits: Limits::default(),
            observe_all: false,
            log: LogLimits::default(),
            bug: None,
        };
        let record = NodeRecord { identity: Some(NodeId::founding(vertex)), vertex, starts: 0, met: Vec::new() };
        let recovered = Recovered { record: Some(record), groups: Vec::new(), outbox: Vec::new() };
        Node::new(config, recovered, NOW)
    }

    const NOW: Now = Now { monotonic: Instant(0), wall: Timestamp(0) };
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

    #[test]
    fn when_too_much_waits_for_all_clients_the_one_that_lets_most_wait_is_closed() {
        let mut node = lonely_node();
        let reading = ConnectionId(0);
        let limit = queue(&node, "bytes that wait for all clients").limit;
        let deaf = limit / (20 << 20) + 1;
        node.handle(
            NOW,
            (0..=deaf).map(|number| Input::ClientConnected { connection: ConnectionId(number) }).collect(),
        );
        node.send_client(reading, frame(1 << 20));
        for connection in (1..=deaf).map(ConnectionId) {
            node.send_client(connection, frame(20 << 20));
        }
        assert_eq!(closed(&std::mem::take(&mut node.effects)).len(), 1);
        assert!(node.clients.contains_key(&reading));
        assert!(node.queues().iter().all(Queue::is_within_limit), "{:?}", node.queues());
    }

    #[test]
    fn what_left_for_a_client_or_is_gone_with_it_no_longer_counts() {
        let mut node = lonely_node();
        let other = ConnectionId(2);
        node.handle(NOW, [CLIENT, other].map(|connection| Input::ClientConnected { connection }).into());
        let sent = frame(1000);
        let bytes = sent.weight();
        node.send_client(CLIENT, sent.clone());
        node.send_client(other, sent);
        assert_eq!(queue(&node, "bytes that wait for all clients").len, 2 * bytes);
        node.handle(NOW, vec![Input::ClientDrained { connection: CLIENT, bytes }]);
        assert_eq!(queue(&node, "bytes that wait for all clients").len, bytes);
        node.handle(NOW, vec![Input::ClientDisconnected { connection: other }]);
        assert_eq!(queue(&node, "bytes that wait for all clients").len, 0);
    }

    fn frame(bytes: usize) -> ServerFrame {
        use crate::names::Offset;
        use crate::wire::answer::{Delivery, Message};
        let (publisher, content) = ("p".parse().unwrap(), "x".repeat(bytes).into());
        let message = Message { offset: Offset(0), publisher, content, time: Timestamp(0) };
        ServerFrame::Message(Delivery { topic: "t".parse().unwrap(), subscriber: "s".parse().unwrap(), message })
    }
}
