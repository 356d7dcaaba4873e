//! Serves the asks of other nodes, and of this one, as the leader of a group or as one of its replicas.
//!
//! The node passes each ask to [`ReplicaServer::handle_ask`], and the events of its groups to the other methods. Every
//! ask is answered with one reply to its [`Requester`].
//!
//! | module | content |
//! |---|---|
//! | `commands`, `commanding` | commands under way: taken, proposed, and answered when they are applied |
//! | `ack_all` | publishes that wait for every member that is up |
//! | `rejected` | asks that were rejected, so that a late copy of one is not performed |
//! | `pulls` | pulls under way here, and reads that wait for their leader's confirmation |
//! | `fetches` | fetches that wait for new messages |
//! | `reads` | reads of messages from disk, and the reader of each |
//! | `repairs` | messages that the disk has lost, fetched from another member |
//! | `expiring` | names that are in use, and expiry of unused ones |

mod ack_all;
mod commanding;
mod commands;
mod expiring;
mod fetches;
mod pulls;
mod reads;
mod rejected;
mod repairs;

use serde::{Deserialize, Serialize};

use super::out::{Out, PartEffect};
use super::queues::Queue;
use super::view::View;
use super::vocabulary::{Advance, AnswerTo, ReadRange, Requester};
use crate::bugs::Bug;
use crate::identity::{HostId, RequestKey};
use crate::time::Instant;
use crate::wire::client::{Read, ReadLevel};
use crate::wire::peer::{Call, Reply};
use commands::Commands;
use fetches::Fetches;
use pulls::{Pull, Pulls, ReadJob};
use reads::Reads;
use repairs::Repairs;

/// See the [module](self).
#[derive(Default, Serialize, Deserialize)]
pub(super) struct ReplicaServer {
    commands: Commands,
    pulls: Pulls,
    fetches: Fetches,
    reads: Reads,
    repairs: Repairs,
    /// When the next search for unused names is due.
    expiry_due: Instant,
}

impl ReplicaServer {
    /// Whether time has to pass for this part.
    pub fn is_anything_waiting(&self) -> bool {
        self.commands.is_anything_waiting()
            || self.pulls.is_anything_waiting()
            || self.repairs.is_anything_waiting()
            || self.fetches.is_anything_waiting()
    }

    /// Bounded queues and tables.
    pub fn queues(&self) -> Vec<Queue> {
        let Self { commands, pulls, fetches, reads, repairs, .. } = self;
        let fetches = [fetches.queue()];
        [&commands.queues()[..], &pulls.queues(), &fetches, &reads.queues(), &repairs.queues()].concat()
    }

    /// Repeats and gives up what has waited for too long.
    pub fn handle_time(&mut self, view: &View, out: &mut Out) {
        self.handle_pulls_time(view, out);
        self.handle_repairs_time(view, out);
        self.answer_late_fetches(view, out);
    }

    /// Handles an ask. `path`: the hosts that it crossed.
    pub fn handle_ask(&mut self, requester: Requester, call: Call, path: Vec<HostId>, view: &View, out: &mut Out) {
        let mut hops = path;
        hops.push(view.me);
        match call {
            Call::Write { key, write } => self.take_command(requester, key, write, hops, view, out),
            Call::Read { key, read } => self.handle_read(requester, key, read, hops, view, out),
            Call::Admin { admin } => out.push(PartEffect::Administer { admin, to: AnswerTo::Node { requester, hops } }),
            Call::IsRegistered { kind, name, linearizable } => {
                self.handle_is_registered(requester, kind, name, linearizable, view, out)
            }
            Call::Advance { key, subscriber, topic, from, to } => {
                self.handle_advance(requester, key, Advance { subscriber, topic, from, to }, hops, view, out)
            }
            Call::Use { kind, name } => self.handle_use(requester, kind, name, view, out),
            Call::Fetch { subscription, from, max_bytes } => {
                self.handle_fetch(requester, subscription, from, max_bytes, view, out)
            }
            Call::Stored { group, topic, from, end, max_bytes } => {
                let max_bytes = u64::from(max_bytes);
                let range = ReadRange { group, topic, from, end, max_messages: u32::MAX, max_bytes };
                self.handle_stored(requester, range, view, out)
            }
            Call::Holding { topic } => out.reply(&requester, view.holding(&topic)),
            Call::ListTopics { group } => out.reply(&requester, view.list_topics(group)),
        }
    }

    fn handle_read(
        &mut self,
        requester: Requester,
        key: RequestKey,
        read: Read,
        hops: Vec<HostId>,
        view: &View,
        out: &mut Out,
    ) {
        let group = view.group_of(read.topic().as_str());
        match read {
            Read::Pull { subscriber, topic, max, read: ReadLevel::Any, commit } => {
                if !view.groups.contains(group) {
                    out.reply(&requester, Reply::NotLeader { leader: view.overlay.leader_of(group), proposed: false });
                } else if self.admit_pull(key, requester, hops, view, out) {
                    let pull = Pull { key, subscriber, topic, max, commit, replica: Some(group), from: None };
                    self.read_for_pull(group, pull, view, out);
                }
            }
            Read::Pull { subscriber, topic, max, read: ReadLevel::Leader, commit } => {
                if let Err(reply) = view.check_leads(group) {
                    out.reply(&requester, reply);
                } else if self.admit_pull(key, requester, hops, view, out) {
                    let pull = Pull { key, subscriber, topic, max, commit, replica: None, from: None };
                    if view.bugs.has(Bug::ReadsWithoutReadIndex) {
                        return self.read_for_pull(group, pull, view, out);
                    }
                    self.confirm_first(group, ReadJob::Pull(pull), view, out);
                }
            }
            Read::ReplicaPull { subscriber, topic, max, from } => {
                if self.admit_pull(key, requester, hops, view, out) {
                    let pull = Pull { key, subscriber, topic, max, commit: false, replica: Some(group), from };
                    self.read_for_pull(group, pull, view, out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{part_effects, serving_view};
    use super::*;
    use crate::cube::VertexId;
    use crate::identity::{GroupId, Member};
    use crate::names::{Offset, TopicId};
    use crate::wire::client::{Ack, Write};
    use crate::wire::peer::{Body, Subscription};

    fn requester(token: u64) -> Requester {
        Requester { host: "1".parse().unwrap(), token, trace: None }
    }

    fn publish() -> Call {
        let key = RequestKey { coordinator: Member::founding("1".parse().unwrap()), number: 7 };
        let (publisher, topic) = ("p".parse().unwrap(), "t".parse().unwrap());
        let write = Write::Publish { publisher, topic, content: "x".into(), ack: Ack::Quorum, sequence: None };
        Call::Write { key, write }
    }

    fn replies(out: &mut Out) -> Vec<Reply> {
        let reply = |effect| match effect {
            PartEffect::Send { body: Body::Reply { reply, .. }, .. } => Some(reply),
            _ => None,
        };
        part_effects(out).into_iter().filter_map(reply).collect()
    }

    #[test]
    fn a_member_that_does_not_lead_rejects_a_command_and_ignores_a_late_copy() {
        let (view, mut out, mut server) = (serving_view(), Out::default(), ReplicaServer::default());
        server.handle_ask(requester(1), publish(), Vec::new(), &view, &mut out);
        assert_eq!(replies(&mut out), [Reply::NotLeader { leader: None, proposed: false }]);
        server.handle_ask(requester(1), publish(), Vec::new(), &view, &mut out);
        assert_eq!(replies(&mut out), []);
        server.handle_ask(requester(2), publish(), Vec::new(), &view, &mut out);
        assert_eq!(replies(&mut out).len(), 1, "a new ask is answered again");
    }

    #[test]
    fn a_fetch_without_messages_waits_for_a_while() {
        let (mut view, mut out, mut server) = (serving_view(), Out::default(), ReplicaServer::default());
        let (group, topic, subscriber) = (GroupId::Home(VertexId(0)), TopicId(0), "s".parse().unwrap());
        let subscription = Subscription { group, topic, subscriber, since: 9 };
        let fetch = Call::Fetch { subscription, from: Offset(0), max_bytes: 1 };
        server.handle_ask(requester(1), fetch, Vec::new(), &view, &mut out);
        server.handle_time(&view, &mut out);
        assert_eq!(replies(&mut out), []);
        assert!(server.is_anything_waiting());
        view.now.monotonic = Instant(1_000_000);
        server.handle_time(&view, &mut out);
        assert_eq!(replies(&mut out), [Reply::Fetched { messages: Vec::new() }]);
        assert!(!server.is_anything_waiting());
    }
}
