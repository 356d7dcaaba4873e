//! Client requests from their arrival until they are answered: the *coordinator's* part of a node.
//!
//! The coordinator owns the connections of clients with their queues and push sessions, the requests under way, and
//! what it knows about the names that its clients use. It asks other nodes, or this one, through
//! [`PartEffect::Ask`], and receives their replies from the node.
//!
//! | module | content |
//! |---|---|
//! | `requests`, `replies` | a request from arrival to answer |
//! | `here` | requests that need no other node |
//! | `pending` | the state of each request under way |
//! | `names`, `registering` | names that are known here, and the limit of new ones |
//! | `uses` | reports of names in use |
//! | `gathering`, `gather` | requests that ask several nodes |
//! | `pull_limiter` | the limit of pulls that one client has under way |
//! | `clients` | connections, their queues, and the events that they watch |
//! | `sessions`, `push` | deliveries to push subscribers |

mod clients;
mod gather;
mod gathering;
mod here;
mod names;
mod pending;
mod pull_limiter;
mod push;
mod registering;
mod replies;
mod requests;
mod sessions;
mod uses;

use serde::{Deserialize, Serialize};

use super::out::Out;
use super::queues::Queue;
use super::view::View;
use crate::identity::TraceId;
use crate::io::{ConnectionId, Dismissal, Effect};
use crate::wire::answer::{ErrorCode, ServerFrame};
use crate::wire::client::Write;
use crate::wire::event::{Event, WatchEvent};
use clients::Clients;
use names::Names;
use pending::{Requests, Stage};
use pull_limiter::PullLimiter;
use sessions::Sessions;
use uses::Uses;

/// See the [module](self).
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Coordinator {
    clients: Clients,
    requests: Requests,
    names: Names,
    uses: Uses,
    pull_limiter: PullLimiter,
    sessions: Sessions,
}

impl Coordinator {
    /// Whether time has to pass for this part.
    pub fn is_anything_waiting(&self) -> bool {
        self.requests.is_anything_waiting() || self.sessions.is_anything_waiting()
    }

    /// Bounded queues and tables; of those that exist per client, the fullest.
    pub fn queues(&self) -> Vec<Queue> {
        let names = [self.names.known.queue(), self.names.waiting.queue(), self.uses.queue()];
        let rest = [self.pull_limiter.queue(), self.sessions.queue()];
        [&self.clients.queues()[..], &self.requests.queues(), &names, &rest].concat()
    }

    // Clients.

    /// The connections that are open.
    pub fn connections(&self) -> Vec<ConnectionId> {
        self.clients.connections()
    }

    /// A client has connected. Beyond the limit of clients, its connection is closed.
    pub fn handle_client_connected(&mut self, connection: ConnectionId, view: &View, out: &mut Out) {
        self.clients.connect(view.me, connection, out);
    }

    /// A client's connection has closed: drops its queue, its sessions and its requests.
    pub fn handle_client_disconnected(&mut self, connection: ConnectionId, out: &mut Out) {
        self.clients.disconnect(connection, out);
        self.sessions.remove_client(connection);
        self.forget_requests_of(connection);
    }

    /// Frames of this weight have left for a client.
    pub fn handle_drained(&mut self, connection: ConnectionId, bytes: u64, view: &View, out: &mut Out) {
        if self.clients.drain(connection, bytes) {
            self.sessions.wake_client(connection);
        }
        self.begin_pulls(connection, view, out);
    }

    fn send_client(&mut self, connection: ConnectionId, frame: ServerFrame, out: &mut Out) {
        if let Some(closed) = self.clients.send(connection, frame, out) {
            self.handle_client_disconnected(closed, out);
        }
    }

    // Events.

    /// Whether a frequent event has any recipient. Creating such events has a cost.
    pub fn observes_frequent(&self, view: &View) -> bool {
        view.config.observe_all || self.clients.is_any_watching()
    }

    /// Passes an event to the clients that watch it, and to the runtime.
    pub fn handle_event(&mut self, event: Event, trace: Option<TraceId>, view: &View, out: &mut Out) {
        let (kind, frequent) = (event.kind(), event.is_frequent());
        if frequent && !self.observes_frequent(view) {
            return;
        }
        let (time, at_us) = (view.now.wall, view.now.monotonic.0);
        let event = WatchEvent { node: view.me, time, at_us, trace, event };
        for connection in self.clients.recipients(kind) {
            self.send_client(connection, ServerFrame::Event(event.clone()), out);
        }
        if !frequent || view.config.observe_all {
            out.effects.push(Effect::Observe(event));
        }
    }

    // Time and failures.

    /// Wakes the push sessions, and reports the uses of their subscribers.
    pub fn handle_sessions_time(&mut self, view: &View, out: &mut Out) {
        self.sessions.wake(view.monotonic());
        self.report_uses_of_sessions(view, out);
    }

    /// The node crashes: drops all sessions and closes their connections, as the death of the process would. Without
    /// this their clients would wait forever.
    pub fn handle_crash(&mut self, view: &View, out: &mut Out) {
        for connection in std::mem::take(&mut self.sessions).clients() {
            let reason = format!("node {} was crashed by a requested fault, and its push subscriptions ended", view.me);
            out.effects.push(Effect::CloseClient { connection, why: Dismissal::NodeFails, reason });
        }
    }

    /// The node is stopped by a requested fault: answers all requests.
    pub fn handle_stopped(&mut self, view: &View, out: &mut Out) {
        // Not `node_failed`: that error states that nothing was done, but some of these requests may already be in a
        // log.
        let why = format!(
            "node {} was stopped by a requested fault: the request may or may not have been done; retry on another \
             node",
            view.me
        );
        let failure = ErrorCode::Timeout.because(why);
        let (requests, names) = (std::mem::take(&mut self.requests), &mut self.names);
        names.waiting = Default::default();
        for (_, mut pending) in requests.pending {
            match std::mem::replace(&mut pending.stage, Stage::Acting) {
                // The cursor may have moved already; without this answer the client would never receive these messages.
                Stage::Committing(pulled) => {
                    self.answer(pending, Ok(pulled.done), pulled.served_by, pulled.hops, view, out)
                }
                _ => self.answer(pending, Err(failure.clone()), view.me, vec![view.me], view, out),
            }
        }
        self.pull_limiter = PullLimiter::default();
    }

    /// A replica has this node request something, without a client.
    pub fn handle_own_request(&mut self, write: Write, view: &View, out: &mut Out) {
        self.request_for_myself(write.into(), Stage::Acting, view, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::out::PartEffect;
    use super::super::testing::{part_effects, serving_view};
    use super::super::vocabulary::AskedFor;
    use super::*;
    use crate::names::Offset;
    use crate::wire::answer::{Answer, Done};
    use crate::wire::client::{Read, ReadLevel, Request};
    use crate::wire::peer::Reply;

    const CLIENT: ConnectionId = ConnectionId(1);

    fn pull() -> Request {
        let (subscriber, topic) = ("s".parse().unwrap(), "t".parse().unwrap());
        let read = Read::Pull { subscriber, topic, max: 1, read: ReadLevel::Any, commit: false };
        Request { id: None, trace: false, action: read.into() }
    }

    fn pulled(view: &View) -> Reply {
        let topic = "t".parse().unwrap();
        let (cursor, end) = (Offset(0), Offset(0));
        let done = Done::Pulled { topic, messages: Vec::new(), cursor, end, behind: None, original_node: None };
        Reply::Answer(view.answer_with(Vec::new(), Ok(done)))
    }

    /// A coordinator with a client and one pull, and the number of that request.
    fn asked(view: &View, out: &mut Out) -> (Coordinator, u64) {
        let mut coordinator = Coordinator::default();
        coordinator.handle_client_connected(CLIENT, view, out);
        coordinator.handle_request(CLIENT, pull(), view, out);
        let asked_for = |effect| match effect {
            PartEffect::Ask { asked_for: AskedFor::Request(number), .. } => Some(number),
            _ => None,
        };
        let number = part_effects(out).into_iter().find_map(asked_for).expect("this node has a replica to ask");
        (coordinator, number)
    }

    fn answers(out: &mut Out) -> Vec<Answer> {
        let answer = |effect| match effect {
            Effect::SendClient { frame: ServerFrame::Answer(answer), .. } => Some(answer),
            _ => None,
        };
        std::mem::take(&mut out.effects).into_iter().filter_map(answer).collect()
    }

    #[test]
    fn a_request_is_answered_once() {
        let (view, mut out) = (serving_view(), Out::default());
        let (mut coordinator, number) = asked(&view, &mut out);
        assert!(coordinator.is_anything_waiting() && answers(&mut out).is_empty());
        for expected in [1, 0] {
            coordinator.handle_request_reply(number, pulled(&view), &view, &mut out);
            assert_eq!(answers(&mut out).len(), expected);
        }
        assert!(!coordinator.is_anything_waiting());
        assert!(coordinator.queues().iter().all(Queue::is_within_limit));
    }

    #[test]
    fn a_stop_answers_what_is_under_way_with_doubt() {
        let (view, mut out) = (serving_view(), Out::default());
        let (mut coordinator, number) = asked(&view, &mut out);
        coordinator.handle_stopped(&view, &mut out);
        let codes: Vec<_> = answers(&mut out).into_iter().map(|answer| answer.result.unwrap_err().code).collect();
        assert_eq!(codes, [ErrorCode::Timeout]);
        coordinator.handle_request_reply(number, pulled(&view), &view, &mut out);
        assert!(answers(&mut out).is_empty());
    }
}
