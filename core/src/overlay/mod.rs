//! The overlay: links, link states, and the routes to all hosts.
//!
//! Each node floods the list of neighbours from which it receives frames ([`link_states`]). So each node has the whole
//! directed graph, with the live nodes and the leaders of groups ([`graph`]), and sends packets along it
//! ([`crate::route`]).
//!
//! # Guarantees
//!
//! * All nodes learn of a broken connection as fast as frames travel, and of silence or of a cut edge at most
//!   [`links::SILENCE_LIMIT`] later.
//! * A flood may be lost. Pings compare digests of the link states of both ends, and a difference is repaired. All
//!   nodes that can communicate end up with the same link states.
//! * Frames on one edge keep their order. Packets can be lost (each loss is an event), and can overtake each other when
//!   routes change. No packet is delivered twice.
//! * Every queue has a limit: an edge holds at most [`links::DELAYED_FRAMES`] frames, and the effects are drained in
//!   every turn.
//!
//! The overlay has no clock of its own: the same inputs and the same seed produce the same effects.

pub mod graph;
pub mod link_states;
pub mod links;
mod packets;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bugs::Bugs;
use crate::faults::LinkConditions;
use crate::identity::{GroupId, HostId, Incarnation, Member, TraceId};
use crate::seating::Seating;
use crate::states::{NodeState, StorageState};
use crate::time::{Instant, Now};
use crate::wire::answer::{LinkStatus, LinkView};
use crate::wire::event::Event;
use crate::wire::peer::{LinkState, Packet, PeerFrame};

use graph::Graph;
use link_states::LinkStates;
use links::Link;
pub use links::PING_EVERY;

/// The minimum time between two answers to differing digests on one edge. An answer contains all link states, and most
/// differences are only floods in transit.
pub const SYNC_EVERY: Duration = Duration::from_millis(400);
/// A node announces the neighbours from which it newly receives frames with this delay, so that a node that connects to
/// d neighbours makes one announcement and not d. It announces the loss of a neighbour at once.
pub const GAINS_TOLD_AFTER: Duration = Duration::from_millis(2);
/// A neighbour from which this node receives no frames cannot report that it lacks something. It gets all link states
/// at this interval.
pub const REFRESH_EVERY: Duration = Duration::from_secs(2);
/// If a deadline is handled this late, this node was stalled; its neighbours are not assumed to have been silent.
pub const OWN_STALL: Duration = Duration::from_millis(400);
/// The maximum number of link states in one frame, which bounds its size. A whole cube of d = 6 fits.
pub const LINK_STATES_PER_FRAME: usize = 64;

/// The configuration of an [`Overlay`].
#[derive(Clone, Debug)]
pub struct OverlayConfig {
    /// This host.
    pub me: HostId,
    /// The hosts of the cluster.
    pub seating: Seating,
    /// The seed for loss and jitter.
    pub seed: u64,
    /// The deliberate bug, if any.
    pub bugs: Bugs,
}

/// Something to be done, in this order.
#[derive(Clone, PartialEq, Debug)]
pub enum OverlayEffect {
    SendPeer {
        to: HostId,
        frame: PeerFrame,
    },
    /// A packet for this node.
    Deliver(Box<Packet>),
    Event(Event, Option<TraceId>),
    /// A host became alive or is no longer alive, or has a new incarnation.
    Seen {
        host: HostId,
        alive: bool,
    },
}

/// Counts of frames since the overlay was created.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FrameCounters {
    /// All frames passed to connections, including packets and pings.
    pub sent: u64,
    /// All frames received from connections.
    pub received: u64,
    /// Packets forwarded for other nodes.
    pub forwarded: u64,
    /// Frames dropped by an edge, and packets without a route.
    pub dropped: u64,
}

/// One node's part of the overlay.
#[derive(Serialize, Deserialize)]
pub struct Overlay {
    seating: Seating,
    me: HostId,
    bugs: Bugs,
    #[serde(with = "crate::saved::random")]
    rng: fastrand::Rng,
    /// Indexed by the bit of the edge.
    links: Vec<Link>,
    states: LinkStates,
    graph: Graph,
    /// The last reported state of every host, by its index.
    views: Vec<PeerView>,
    next_refresh: Instant,
    /// When to announce the neighbours from which this node newly receives frames, if there are any.
    tell_gains_at: Option<Instant>,
    #[serde(skip)]
    effects: VecDeque<OverlayEffect>,
    counters: FrameCounters,
}

/// The state of a host, as seen by this node.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct PeerView {
    alive: bool,
    incarnation: Option<Incarnation>,
    state: NodeState,
}

impl Overlay {
    /// Whether a restored overlay can be that of this host.
    pub fn is_sound(&self, me: HostId, seating: &Seating) -> bool {
        let is_placed = self.me == me && self.seating == *seating;
        let has_links = self.links.iter().map(Link::to).eq(seating.neighbours(me));
        let has_views = self.views.len() == seating.hosts().len();
        is_placed && has_links && has_views && self.states.is_sound(me, seating) && self.graph.is_sound(me, seating)
    }

    /// Creates an overlay without connections and without an identity; [`Overlay::set_self`] sets the identity. When
    /// the node crashes, the overlay is dropped and a new one is created.
    pub fn new(config: OverlayConfig, now: Now) -> Overlay {
        let OverlayConfig { me, seating, seed, bugs } = config;
        let states = LinkStates::new(seating.clone(), me, now.wall.0);
        let graph = Graph::new(seating.clone(), me, &states);
        let mut overlay = Overlay {
            me,
            bugs,
            rng: fastrand::Rng::with_seed(seed),
            links: seating.neighbours(me).map(Link::new).collect(),
            seating,
            states,
            graph,
            views: Vec::new(),
            next_refresh: now.monotonic + REFRESH_EVERY,
            tell_gains_at: None,
            effects: VecDeque::new(),
            counters: FrameCounters::default(),
        };
        overlay.views = overlay.seating.hosts().map(|host| overlay.view(host)).collect();
        overlay
    }

    /// A connection to a neighbour is established.
    pub fn handle_connected(&mut self, now: Now, peer: HostId) {
        let Some(bit) = self.seating.edge(self.me, peer) else { return };
        self.links[usize::from(bit)].handle_connected();
        self.send_all_link_states(now, bit, Duration::ZERO);
        self.ping(now, bit);
    }

    /// The connection to a neighbour broke.
    pub fn handle_disconnected(&mut self, now: Now, peer: HostId) {
        let Some(bit) = self.seating.edge(self.me, peer) else { return };
        self.links[usize::from(bit)].handle_disconnected();
        self.announce_changes(now);
    }

    /// Handles a frame from a neighbour. If there is no connection to the neighbour, the frame is ignored.
    pub fn handle_frame(&mut self, now: Now, from: HostId, frame: PeerFrame) {
        let Some(bit) = self.seating.edge(self.me, from).filter(|&bit| self.link(bit).is_connected()) else { return };
        self.counters.received += 1;
        self.links[usize::from(bit)].handle_heard(now.monotonic);
        match frame {
            PeerFrame::Ping { sent_us, link_states_digest } => self.handle_ping(now, bit, sent_us, link_states_digest),
            PeerFrame::Pong { sent_us, held_us } => {
                self.links[usize::from(bit)].handle_pong(now.monotonic, sent_us, held_us);
            }
            PeerFrame::LinkStates(news) => self.handle_link_states(now, bit, news),
            PeerFrame::Packet(packet) => self.handle_packet(now, packet),
        }
        self.announce_changes(now);
    }

    /// Must be called when [`Overlay::next_deadline`] is reached.
    pub fn handle_deadline(&mut self, now: Now) {
        self.forgive_own_stall(now);
        for bit in 0..self.seating.links() {
            self.links[usize::from(bit)].handle_time(now.monotonic);
            if self.link(bit).has_held_long(now.monotonic) {
                self.send_held(now, bit);
            }
            self.release(now, bit);
        }
        self.announce_changes(now);
        for bit in self.connected_bits() {
            if self.link(bit).next_ping().is_some_and(|due| due <= now.monotonic) {
                self.ping(now, bit);
            }
        }
        self.refresh_unheard(now);
    }

    /// The neighbours to which there is a connection.
    pub fn connected_peers(&self) -> Vec<HostId> {
        let neighbours = self.seating.neighbours(self.me).zip(&self.links);
        neighbours.filter(|(_, link)| link.is_connected()).map(|(peer, _)| peer).collect()
    }

    /// Whether the last turn left no effects.
    pub fn is_drained(&self) -> bool {
        self.effects.is_empty()
    }

    /// When [`Overlay::handle_deadline`] has to be called; `None` if nothing is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let links = self.links.iter();
        let pings = links.clone().filter_map(Link::next_ping);
        links.filter_map(Link::next_deadline).chain(pings).chain(self.tell_gains_at).min()
    }

    /// Sets the state of this node, and announces it to all nodes if it changed.
    pub fn set_self(
        &mut self,
        now: Now,
        identity: Member,
        state: NodeState,
        storage: StorageState,
        leads: Vec<(GroupId, u64)>,
    ) {
        assert_eq!(identity.host, self.me, "a node speaks for itself only");
        let own = self.states.own();
        if (own.node, own.state, own.storage, &own.leads) != (identity, state, storage, &leads) {
            let say = |own: &mut LinkState| {
                (own.node, own.state, own.storage, own.leads) = (identity, state, storage, leads);
            };
            self.announce(now, say);
            self.announce_changes(now);
        }
    }

    /// Sets the conditions of the outgoing direction of the edge to a neighbour.
    pub fn set_conditions(&mut self, now: Now, to: HostId, conditions: LinkConditions) {
        let Some(bit) = self.seating.edge(self.me, to) else { return };
        self.links[usize::from(bit)].set_conditions(conditions);
        self.release(now, bit);
        self.tell(Event::LinkConditions { from: self.me, to, conditions }, None);
    }

    /// The next effect.
    pub fn poll_effect(&mut self) -> Option<OverlayEffect> {
        self.effects.pop_front()
    }

    /// Whether there is a known path from this node to the host and one back. Always true for this node itself.
    pub fn is_alive(&self, host: HostId) -> bool {
        self.graph.is_alive(host)
    }

    /// The state that the node reports, or `Failed` if it is not alive.
    pub fn state_of(&self, host: HostId) -> NodeState {
        self.alive_word(host).map_or(NodeState::Failed, |word| word.state)
    }

    /// The storage state that the node reports; `None` if it is not alive.
    pub fn storage_of(&self, host: HostId) -> Option<StorageState> {
        self.alive_word(host).map(|word| word.storage)
    }

    /// The last known incarnation, even if the node is dead; `None` if it is not known.
    pub fn incarnation_of(&self, host: HostId) -> Option<Incarnation> {
        self.states.get(host).map(|word| word.node.incarnation).filter(|incarnation| incarnation.0 != 0)
    }

    /// The leader of a group: the live member that reports leading it, in the highest term if several do.
    pub fn leader_of(&self, group: GroupId) -> Option<HostId> {
        let claims = self.seating.members(group).into_iter().filter_map(|member| {
            let (_, term) = *self.alive_word(member)?.leads.iter().find(|(led, _)| *led == group)?;
            Some((term, member))
        });
        claims.max().map(|(_, member)| member)
    }

    /// Every directed edge of the cube.
    pub fn links(&self) -> Vec<LinkView> {
        let edges = self
            .seating
            .hosts()
            .flat_map(|from| (0..).zip(self.seating.neighbours(from)).map(move |(bit, to)| (from, bit, to)));
        edges.map(|(from, bit, to)| LinkView { from, to, up: self.graph.carries(from, bit) }).collect()
    }

    /// The node's own ends of its edges, bit 0 first.
    pub fn link_statuses(&self) -> Vec<LinkStatus> {
        (0..).zip(&self.links).map(|(bit, link)| link.status(self.graph.carries(self.me, bit))).collect()
    }

    /// The largest number of delayed frames on any edge.
    pub fn most_delayed(&self) -> usize {
        self.links.iter().map(Link::delayed_frames).max().unwrap_or(0)
    }

    /// Counts of frames since the overlay was created.
    pub fn counters(&self) -> FrameCounters {
        self.counters
    }
}

/// Links and link states.
impl Overlay {
    fn link(&self, bit: u8) -> &Link {
        &self.links[usize::from(bit)]
    }

    fn connected_bits(&self) -> Vec<u8> {
        (0..).zip(&self.links).filter(|(_, link)| link.is_connected()).map(|(bit, _)| bit).collect()
    }

    fn ping(&mut self, now: Now, bit: u8) {
        self.links[usize::from(bit)].handle_pinged(now.monotonic);
        let frame = PeerFrame::Ping { sent_us: now.monotonic.0, link_states_digest: self.states.digest() };
        self.send_frame(now, bit, frame);
    }

    fn handle_ping(&mut self, now: Now, bit: u8, sent_us: u64, digest: u64) {
        self.hold(now, bit, PeerFrame::Pong { sent_us, held_us: 0 });
        if digest != self.states.digest() {
            self.send_all_link_states(now, bit, SYNC_EVERY);
        }
    }

    /// Merges link states and forwards the new ones to all neighbours except the sender.
    fn handle_link_states(&mut self, now: Now, from_bit: u8, news: Vec<LinkState>) {
        let mut fresh = Vec::new();
        for word in news {
            if self.states.is_outdone_by(&word) {
                self.announce(now, |own| own.version = word.version);
            } else if self.states.merge(word.clone()) {
                fresh.push(word);
            }
        }
        for bit in self.connected_bits().into_iter().filter(|&bit| bit != from_bit) {
            self.send_link_states(now, bit, &fresh);
        }
    }

    /// Announces a change of this node's link state to all neighbours.
    fn announce(&mut self, now: Now, say: impl FnOnce(&mut LinkState)) {
        self.states.announce(say);
        let own = [self.states.own().clone()];
        for bit in self.connected_bits() {
            self.send_link_states(now, bit, &own);
        }
    }

    fn send_link_states(&mut self, now: Now, bit: u8, words: &[LinkState]) {
        for part in words.chunks(LINK_STATES_PER_FRAME) {
            self.send_frame(now, bit, PeerFrame::LinkStates(part.to_vec()));
        }
    }

    fn send_all_link_states(&mut self, now: Now, bit: u8, every: Duration) {
        if self.links[usize::from(bit)].may_sync(now.monotonic, every) {
            let all: Vec<_> = self.states.all().cloned().collect();
            self.send_link_states(now, bit, &all);
        }
    }

    fn refresh_unheard(&mut self, now: Now) {
        if self.next_refresh <= now.monotonic {
            self.next_refresh = now.monotonic + REFRESH_EVERY;
            for bit in self
                .connected_bits()
                .into_iter()
                .filter(|&bit| !self.links[usize::from(bit)].hears())
                .collect::<Vec<_>>()
            {
                self.send_all_link_states(now, bit, REFRESH_EVERY);
            }
        }
    }

    fn forgive_own_stall(&mut self, now: Now) {
        let late = self.next_deadline().map_or(Duration::ZERO, |deadline| now.monotonic.since(deadline));
        if late >= OWN_STALL {
            self.links.iter_mut().for_each(|link| link.forgive_silence(now.monotonic));
        }
    }

    /// Must be called after any change of received frames or link states: announces the neighbours from which this node
    /// now receives frames, and reports the consequences to the layers above.
    fn announce_changes(&mut self, now: Now) {
        self.tell_hearing(now);
        let changed = self.states.take_changed();
        if !changed.is_empty() {
            self.look_again(changed);
        }
    }

    fn tell_hearing(&mut self, now: Now) {
        let hears = (0..).zip(&self.links).filter(|(_, link)| link.hears()).fold(0, |mask, (bit, _)| mask | 1 << bit);
        let told = self.states.own().hears;
        let tell_at = if hears == told {
            None
        } else if told & !hears != 0 {
            Some(now.monotonic)
        } else {
            self.tell_gains_at.or(Some(now.monotonic + GAINS_TOLD_AFTER))
        };
        self.tell_gains_at = tell_at.filter(|&at| at > now.monotonic);
        if tell_at.is_some_and(|at| at <= now.monotonic) {
            self.announce(now, |own| own.hears = hears);
        }
    }

    fn look_again(&mut self, changed: Vec<HostId>) {
        let changes = self.graph.update(&self.states, &changed);
        for (from, to, up) in changes.edges {
            self.tell(Event::LinkState { from, to, up }, None);
        }
        let looked_at: BTreeSet<HostId> = changed.into_iter().chain(changes.views).collect();
        for host in looked_at {
            let Some(index) = self.seating.index_of(host) else { continue };
            let after = self.view(host);
            let before = std::mem::replace(&mut self.views[index], after);
            self.report_view_change(host, before, after);
        }
    }

    fn report_view_change(&mut self, host: HostId, before: PeerView, after: PeerView) {
        if before.state != after.state {
            self.tell(Event::NodeState { subject: host, state: after.state }, None);
        }
        let is_another = after.alive && before.incarnation != after.incarnation;
        if host != self.me && (before.alive != after.alive || is_another) {
            self.effects.push_back(OverlayEffect::Seen { host, alive: after.alive });
        }
    }

    fn view(&self, host: HostId) -> PeerView {
        PeerView { alive: self.is_alive(host), incarnation: self.incarnation_of(host), state: self.state_of(host) }
    }

    fn alive_word(&self, host: HostId) -> Option<&LinkState> {
        self.states.get(host).filter(|_| self.is_alive(host))
    }
}
