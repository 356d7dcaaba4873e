//! A push subscription delivers messages in order, without gaps and repeats.

use std::collections::BTreeMap;

use super::tally::{Finding, Tally};
use crate::identity::HostId;
use crate::io::{ConnectionId, Effect, Input};
use crate::names::{Offset, SubscriberId, TopicName};
use crate::time::Timestamp;
use crate::wire::answer::{Answer, Delivery, Done, ServerFrame};

/// The deliveries to one subscription of one connection.
type Session = (HostId, ConnectionId, TopicName, SubscriberId);

#[derive(Debug, Default)]
pub(super) struct Deliveries {
    /// The offset after the last delivered message.
    next: BTreeMap<Session, Offset>,
    tally: Tally,
}

impl Deliveries {
    pub fn forget(&mut self, host: HostId) {
        self.next.retain(|(other, ..), _| *other != host);
    }

    pub fn handle_inputs(&mut self, host: HostId, inputs: &[Input]) {
        for input in inputs {
            if let Input::ClientDisconnected { connection } = input {
                self.end(host, *connection, None);
            }
        }
    }

    pub fn handle_effects(&mut self, host: HostId, at: Timestamp, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::SendClient { connection, frame } => self.handle_frame(host, at, *connection, frame),
                Effect::CloseClient { connection, .. } => self.end(host, *connection, None),
                _ => {}
            }
        }
    }

    fn handle_frame(&mut self, host: HostId, at: Timestamp, connection: ConnectionId, frame: &ServerFrame) {
        match frame {
            ServerFrame::Message(Delivery { topic, subscriber, message }) => {
                let session = (host, connection, topic.clone(), subscriber.clone());
                let due = self.next.insert(session, Offset(message.offset.0.saturating_add(1)));
                if let Some(due) = due {
                    self.tally.check(at, message.offset == due, || {
                        format!(
                            "node {host} delivered offset {} of `{topic}` to `{subscriber}`, but offset {due} was due",
                            message.offset
                        )
                    });
                }
            }
            // A subscription that begins again begins anywhere.
            ServerFrame::Answer(Answer { result: Ok(Done::Subscribed { topic, .. }), .. }) => {
                self.end(host, connection, Some(topic));
            }
            ServerFrame::SubscriptionEnded(ended) => {
                self.next.remove(&(host, connection, ended.topic.clone(), ended.subscriber.clone()));
            }
            ServerFrame::Answer(_) | ServerFrame::Event(_) => {}
        }
    }

    /// Ends the sessions of a connection, or those of one topic.
    fn end(&mut self, host: HostId, connection: ConnectionId, topic: Option<&TopicName>) {
        let is_ended =
            |(other, of, to, _): &Session| (*other, *of) == (host, connection) && topic.is_none_or(|topic| topic == to);
        self.next.retain(|session, _| !is_ended(session));
    }

    pub fn finding(self) -> Finding {
        self.tally.finding("deliveries", "A push subscription delivers messages in order, without gaps and repeats.")
    }
}
