//! One node as a state machine without I/O: all decisions of one process.
//!
//! One call of `handle(now, inputs) -> effects` is one turn. The turn takes the inputs, delivers packets, proposes
//! commands and flushes groups until nothing changes any more. It then emits one write batch for all groups, followed
//! by the reads that must come after that batch. Every answer that promises durability waits for
//! [`Input::Written`](crate::io::Input).
//!
//! # Parts
//!
//! A node consists of parts that each own their state. A part has `handle_*` methods, one for each kind of input, and
//! other methods whose names say what they do at a fixed point of a turn. They take what happened, `&View` (what all
//! parts may look at) and `&mut Out` (what all parts produce), and return nothing. A part never calls another: it
//! pushes a `PartEffect`, and `Node::carry_out` passes it on after the call. `Lifecycle`, `Groups` and `Storage` stand
//! in the `View`; their methods take the single values that they need.
//!
//! | part | owns |
//! |---|---|
//! | `coordinator` | what clients asked here until it is answered; their connections and push sessions |
//! | `replica_server` | what other nodes ask of this one as a leader or replica |
//! | `outbox` | publishes with `ack: one` that are not in the log yet |
//! | `lifecycle` | the identity of this process, its phase, and its requested faults |
//! | `groups` | the members of groups that this node runs |
//! | `storage` | the room on this node's disk |
//! | `asks` | the asks of this node that await a reply, and the part that receives it |
//! | `altered` | messages of other nodes that were altered in transit |
//!
//! | module | content |
//! |---|---|
//! | `view`, `out` | what all parts may look at; what all parts produce |
//! | `status`, `room`, `usability` | queries on the view: status, room on the disks, whether groups take publishes |
//! | `dispatch`, `admin` | carries out the effects of the parts, the overlay and the groups; requested faults |
//! | `vocabulary`, `supply`, `expiry` | small types and functions that several parts use |
//! | `queues` | the length and limit of every queue that others can fill |

mod admin;
mod altered;
mod asks;
mod config;
mod coordinator;
mod dispatch;
mod expiry;
mod groups;
mod lifecycle;
mod out;
mod outbox;
mod queues;
mod replica_server;
mod room;
mod soundness;
mod status;
mod storage;
mod supply;
#[cfg(test)]
mod testing;
mod usability;
mod view;
mod vocabulary;

pub use config::NodeConfig;
pub use queues::Queue;
pub use usability::Usability;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bugs::Bug;
use crate::group::{Group, TICK, check_entry};
use crate::identity::{GroupId, HostId, Incarnation, Member};
use crate::io::{ConnectionId, Effect, Input};
use crate::states::StorageState;
use crate::store::{ReadMessages, Recovered, Write, recovery};
use crate::time::{Instant, Now};
use crate::wire::answer::{ClusterView, NodeStatus};
use altered::Altered;
use asks::Asks;
use coordinator::Coordinator;
use out::Out;
use outbox::Outbox;
use replica_server::ReplicaServer;
use view::View;

/// Interval of the checks for retries, timeouts and co-members.
const HOUSEKEEPING: Duration = Duration::from_millis(50);
/// Most rounds of one turn. They suffice for one request to pass through; the rest waits for the next turn.
const MAX_ROUNDS: usize = 64;

/// One node: glue between its parts.
///
/// The methods of `Node` fall into three groups:
///
/// - **Turns.** [`Node::handle`] takes the time and all inputs that have arrived, and returns the effects, which the
///   caller performs in order before the next call. [`Node::next_deadline`] is the time of the next turn if no input
///   arrives; ask for it after each turn, and then pass [`Input::DeadlineReached`](crate::io::Input).
/// - **Queries**, at any time between two turns: [`Node::identity`], [`Node::group`], [`Node::sees`],
///   [`Node::cluster_view`], [`Node::status`], [`Node::usability`], [`Node::storage_state`], [`Node::queues`].
/// - **Inside a turn**, in this order: `pass_time` accounts for the time since the last turn; `handle_input` passes
///   each input to its part; `handle_time` carries out what is due; `settle` runs rounds (deliver packets, propose
///   commands, flush groups) until nothing changes, answers what was waiting for that, and emits the writes and then
///   the reads of the turn. After each call to a part, `carry_out` passes its effects on.
#[derive(Serialize, Deserialize)]
pub struct Node {
    view: View,
    out: Out,
    asks: Asks,
    coordinator: Coordinator,
    replica_server: ReplicaServer,
    outbox: Outbox,
    altered: Altered,
    next_housekeeping: Instant,
    /// The last turn reached its limit of rounds.
    unsettled: bool,
}

/// Answers and closures that a node awaits from the runtime.
#[derive(Clone, PartialEq, Debug)]
pub struct Awaits {
    /// The number of the last batch that it emitted.
    pub written: u64,
    /// Reads that were not answered.
    pub reads: Vec<ReadMessages>,
    /// The disk is to be read again; `true`: after it is erased.
    pub reopened: Option<bool>,
    /// Connections of clients that were not closed.
    pub connections: Vec<ConnectionId>,
    /// The neighbours to which it has a connection.
    pub peers: Vec<HostId>,
}

/// Why bytes are not the saved state of a node.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SavedStateError {
    #[error("the saved state cannot be read: {0}")]
    Encoding(#[from] postcard::Error),
    #[error("the saved state is not one of a node: {0} cannot be true")]
    Unsound(&'static str),
}

impl Node {
    /// Creates a node from the state that was recovered from its disk.
    pub fn new(config: NodeConfig, recovered: Recovered, now: Now) -> Node {
        let mut node = Node {
            view: View::new(config, now),
            out: Out::default(),
            asks: Asks::default(),
            coordinator: Coordinator::default(),
            replica_server: ReplicaServer::default(),
            outbox: Outbox::default(),
            altered: Altered::default(),
            next_housekeeping: now.monotonic,
            unsettled: true,
        };
        node.start(recovered, false);
        node
    }

    /// Runs one turn. The caller performs the effects in order before the next turn.
    pub fn handle(&mut self, now: Now, inputs: Vec<Input>) -> Vec<Effect> {
        self.pass_time(now);
        self.view.now = now;
        for input in inputs {
            self.handle_input(input);
            self.carry_out();
        }
        self.handle_time();
        self.settle();
        std::mem::take(&mut self.out.effects)
    }

    /// The state between two turns, from which [`Node::restore`] makes an equal node. `None` if the last turn left work
    /// for the next one.
    pub fn save(&self) -> Option<Vec<u8>> {
        let is_settled = !self.unsettled && self.out.is_empty() && self.view.overlay.is_drained();
        let is_complete = is_settled && self.view.groups.iter().all(Group::is_flushed);
        is_complete.then(|| postcard::to_allocvec(self).expect("memory takes any state"))
    }

    /// The node that was saved. It creates an event for all that happens, whoever watches. The module `soundness` says
    /// what is checked.
    pub fn restore(state: &[u8]) -> Result<Node, SavedStateError> {
        let mut node: Node = postcard::from_bytes(state)?;
        node.check().map_err(SavedStateError::Unsound)?;
        node.view.groups.iter_mut().for_each(Group::restored);
        Ok(node)
    }

    /// The writes that make an empty disk equal to this node's state, except messages.
    pub fn as_writes(&self) -> Vec<Write> {
        let groups = self.view.groups.iter().flat_map(Group::as_writes);
        std::iter::once(self.view.lifecycle.as_write()).chain(groups).chain(self.outbox.as_writes()).collect()
    }

    /// Whether the node accepts connections of neighbours.
    pub fn allows_peers(&self) -> bool {
        !self.view.lifecycle.is_crashed()
    }

    /// The answers and closures that this node awaits, for a runtime that continues with it.
    pub fn awaits(&self) -> Awaits {
        Awaits {
            written: self.out.batch() - 1,
            reads: self.replica_server.reads_under_way(),
            reopened: self.view.lifecycle.reopens(),
            connections: self.coordinator.connections(),
            peers: self.view.overlay.connected_peers(),
        }
    }

    /// The time of the last turn.
    pub fn now(&self) -> Now {
        self.view.now
    }

    /// The configuration with which the node started.
    pub fn config(&self) -> &NodeConfig {
        &self.view.config
    }

    /// When the next turn is due if no input arrives. `None`: only an input causes a turn.
    pub fn next_deadline(&self) -> Option<Instant> {
        let now = self.view.monotonic();
        if self.unsettled {
            return Some(now);
        }
        if self.view.lifecycle.is_silent() {
            return Some(self.next_housekeeping);
        }
        if self.view.groups.is_maintenance_due(now) {
            return Some(now);
        }
        let housekeeping = self.is_anything_waiting().then_some(self.next_housekeeping);
        let deadlines = [self.view.groups.next_deadline(), self.view.overlay.next_deadline(), housekeeping];
        deadlines.into_iter().flatten().min()
    }

    /// Whether the checks at each [`HOUSEKEEPING`] interval have any work.
    fn is_anything_waiting(&self) -> bool {
        self.view.lifecycle.is_anything_waiting()
            || self.asks.is_anything_waiting()
            || self.coordinator.is_anything_waiting()
            || self.replica_server.is_anything_waiting()
            || self.outbox.is_anything_waiting()
    }

    /// The identity of this node; `None` until it is known.
    pub fn identity(&self) -> Option<Member> {
        self.view.identity()
    }

    /// This node's member of a group, if it has one now.
    pub fn group(&self, group: GroupId) -> Option<&Group> {
        self.view.groups.get(group)
    }

    /// This node's members of groups.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.view.groups.iter()
    }

    /// Whether `host` appears alive from this node.
    pub fn sees(&self, host: HostId) -> bool {
        self.view.overlay.is_alive(host)
    }

    /// The state of this node's disk.
    pub fn storage_state(&self) -> StorageState {
        self.view.storage.state()
    }

    /// The usability of a group of which this node is a member.
    pub fn usability(&self, group: GroupId) -> Usability {
        self.view.usability(group)
    }

    /// The cluster as this node sees it.
    pub fn cluster_view(&self) -> ClusterView {
        self.view.cluster_view()
    }

    /// The status of this node.
    pub fn status(&self) -> NodeStatus {
        self.view.status(&self.out.counters)
    }

    fn handle_input(&mut self, input: Input) {
        let Node { view, out, coordinator, replica_server, .. } = self;
        match input {
            Input::DeadlineReached => {}
            Input::PeerConnected { peer } => view.overlay.handle_connected(view.now, peer),
            Input::PeerDisconnected { peer } => view.overlay.handle_disconnected(view.now, peer),
            Input::PeerFrame { from, frame } => {
                if !view.lifecycle.is_silent() {
                    view.overlay.handle_frame(view.now, from, frame);
                    self.drain_overlay();
                }
            }
            Input::PeerAltered { from } => self.handle_altered(from, None),
            Input::ClientConnected { connection } => coordinator.handle_client_connected(connection, view, out),
            Input::ClientRequest { connection, request } => coordinator.handle_request(connection, request, view, out),
            Input::ClientDrained { connection, bytes } => coordinator.handle_drained(connection, bytes, view, out),
            Input::ClientDisconnected { connection } => coordinator.handle_client_disconnected(connection, out),
            Input::Written { number } => self.handle_written(number),
            Input::MessagesRead { read, result } => replica_server.handle_messages_read(read, result, view, out),
            Input::StorageReopened { recovered } => self.handle_reopened(recovered),
            Input::StorageMeasured { space } => {
                view.storage.handle_measured(space);
                self.review_storage();
            }
        }
    }

    /// Starts with the state found on disk. `wiped` as in [`lifecycle::Lifecycle::start`].
    fn start(&mut self, mut recovered: Recovered, wiped: bool) {
        for nonsense in recovery::reject_nonsense(&mut recovered, self.view.seating.dimension(), check_entry) {
            self.out.warn(format!(
                "the data folder of node {} is damaged, or was written by another version: {nonsense}. The node \
                 rejoins as a new member and is refilled by its neighbours; if that fails, move the folder away and \
                 start with an empty one",
                self.view.me
            ));
        }
        let found = std::mem::take(&mut recovered.outbox);
        self.outbox = Outbox::restore(self.view.monotonic(), found, self.view.bugs, &mut self.out);
        let seen = self.view.overlay.incarnation_of(self.view.me);
        self.view.lifecycle.start(self.view.now, recovered, wiped, seen, &mut self.out);
        self.carry_out();
        self.unsettled = true;
    }

    /// Accounts for the time since the last turn. If this process stalled or was silent, that time does not count
    /// towards its peers' timeouts, because the process could not observe them.
    fn pass_time(&mut self, now: Now) {
        let is_silent = self.view.lifecycle.is_silent();
        let awaited = if is_silent { Some(self.view.monotonic()) } else { self.next_deadline() };
        let missed = awaited.map_or(Duration::ZERO, |due| now.monotonic.since(due));
        if is_silent || missed >= TICK {
            self.view.groups.pass_stall(now.monotonic, missed);
        } else {
            self.view.groups.pass_time(now.monotonic);
        }
    }

    fn handle_time(&mut self) {
        let now = self.view.monotonic();
        self.handle_faults();
        self.carry_out();
        if self.view.lifecycle.is_silent() {
            self.next_housekeeping = now + HOUSEKEEPING;
            return;
        }
        self.view.overlay.handle_deadline(self.view.now);
        self.view.groups.handle_time(now);
        if now >= self.next_housekeeping {
            self.next_housekeeping = now + HOUSEKEEPING;
            self.handle_housekeeping();
        }
        if self.view.groups.is_maintenance_due(now) {
            self.maintain_groups();
            self.replica_server.expire_names(&self.view, &mut self.out);
            self.carry_out();
        }
    }

    fn handle_housekeeping(&mut self) {
        let now = self.view.monotonic();
        self.asks.handle_time(now);
        self.view.lifecycle.handle_time(now, &mut self.out);
        self.carry_out();
        self.coordinator.handle_requests_time(&self.view, &mut self.out);
        self.carry_out();
        self.replica_server.handle_time(&self.view, &mut self.out);
        self.carry_out();
        self.coordinator.handle_sessions_time(&self.view, &mut self.out);
        self.carry_out();
        self.outbox.handle_time(&self.view, &mut self.out);
        self.carry_out();
    }

    fn maintain_groups(&mut self) {
        let (me, now) = (self.view.me, self.view.monotonic());
        let View { groups, overlay, seating, .. } = &mut self.view;
        groups.note_maintenance(now);
        groups.note_alive(now, seating, |host| host == me || overlay.is_alive(host));
        let tasks = self.view.maintenance();
        self.view.groups.maintain(now, tasks);
    }

    fn handle_written(&mut self, number: u64) {
        let was_starting = self.view.is_starting();
        self.view.written = self.view.written.max(number);
        self.view.storage.handle_written(number);
        if was_starting && !self.view.is_starting() {
            self.coordinator.handle_requests_time(&self.view, &mut self.out);
            self.carry_out();
        }
        for (group, message) in self.view.groups.handle_written(number) {
            self.step(group, message);
        }
        self.outbox.handle_written(&self.view, &mut self.out);
    }

    /// Runs rounds until nothing changes, then emits the effects that belong after them.
    fn settle(&mut self) {
        self.unsettled = true;
        for _ in 0..MAX_ROUNDS {
            let delivered = self.drain_overlay();
            self.view.groups.keep_heartbeats_together(self.view.now.monotonic);
            self.replica_server.propose_queued(&mut self.view.groups);
            self.replica_server.confirm_reads(&self.view, &mut self.out);
            self.replica_server.have_commits_confirmed(&self.view, &mut self.out);
            self.carry_out();
            let flushed = self.flush_groups();
            if !delivered && !flushed {
                self.unsettled = false;
                break;
            }
        }
        if self.view.bugs.has(Bug::OutboxAcknowledgesBeforeSync) {
            self.outbox.handle_written(&self.view, &mut self.out);
            self.carry_out();
        }
        self.replica_server.check_awaited_replicas(&self.view, &mut self.out);
        self.replica_server.acknowledge_subscriptions(&self.view, &mut self.out);
        self.carry_out();
        self.coordinator.pump_sessions(&self.view, &mut self.out);
        self.carry_out();
        self.review_storage();
        self.announce();
        self.drain_overlay();
        self.emit_writes();
    }

    fn emit_writes(&mut self) {
        if let Some(batch) = self.out.take_batch() {
            self.view.storage.handle_emitted(&batch);
            self.out.effects.push(Effect::Write(batch));
        }
        self.out.emit_reads();
    }

    /// Reports a change of the disk's state, and lets the groups act on it.
    fn review_storage(&mut self) {
        if let Some(change) = self.view.storage.review() {
            self.out.event(change);
            self.carry_out();
            self.view.groups.save_room(self.view.storage.state() != StorageState::Ok);
            // A full node hands over leadership; a node with room again may get it back.
            self.view.groups.look_after_members_soon(self.view.now.monotonic);
        }
    }

    fn announce(&mut self) {
        let view = &mut self.view;
        let unknown = Member { host: view.me, incarnation: Incarnation(0) };
        let (identity, state) = (view.identity().unwrap_or(unknown), view.state());
        view.overlay.set_self(view.now, identity, state, view.storage.state(), view.groups.led());
    }
}
