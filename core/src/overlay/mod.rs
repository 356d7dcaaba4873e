//! Links, who hears whom, and the way to everywhere.
//!
//! Each node tells all others, by flooding, whom of its neighbours it hears ([`link_states`]); so each knows the whole directed
//! graph, who is alive in it and who leads which group ([`graph`]), and sends packets along it ([`crate::route`]).
//!
//! # What is promised
//!
//! * A broken connection is known to all as fast as frames travel; silence, or a cut edge, within [`links::SILENCE_LIMIT`] more.
//! * A flood may be lost: pings compare digests of what both ends know, and a difference is made up for, so that all who can hear
//!   each other end up knowing the same.
//! * Frames on one edge keep their order. Packets may be lost (each loss is an event) and may overtake each other when routes change; none is
//!   delivered twice.
//! * No queue without a limit: an edge holds at most [`links::DELAYED_FRAMES`] frames; the effects are drained in every turn.
//!
//! It never decides from a clock of its own: the same inputs and the same seed give the same effects.

pub mod graph;
pub mod link_states;
pub mod links;
mod packets;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::bugs::Bugs;
use crate::cube::Vertex;
use crate::identity::{Incarnation, NodeId};
use crate::time::{Instant, Now};
use crate::wire::answer::{LinkStatus, LinkView, NodeState, StorageState};
use crate::wire::client::LinkConditions;
use crate::wire::event::{Event, TraceId};
use crate::wire::peer::{LinkState, Packet, PeerFrame};

use graph::Graph;
use link_states::LinkStates;
use links::Link;
pub use links::PING_EVERY;

/// A difference of digests is answered with all link states at most so often on one edge: most differences are floods on their way.
pub const SYNC_EVERY: Duration = Duration::from_millis(400);
/// To hear one more neighbour is told so much later, so that a node that connects to d neighbours tells it once and not d times.
/// To hear one less is told at once.
pub const GAINS_TOLD_AFTER: Duration = Duration::from_millis(2);
/// A neighbour that we do not hear cannot tell that it lacks something: it gets all link states so often.
pub const REFRESH_EVERY: Duration = Duration::from_secs(2);
/// A deadline that is served so late shows that this node was stopped, and not that its neighbours were silent.
pub const OWN_STALL: Duration = Duration::from_millis(400);
/// Link states in one frame, which bounds its size; a whole cube of d = 6 fits.
pub const LINK_STATES_PER_FRAME: usize = 64;

#[derive(Clone, Copy, Debug)]
pub struct OverlayConfig {
    pub me: Vertex,
    /// For loss and jitter.
    pub seed: u64,
    pub bugs: Bugs,
}

/// What shall be done, in this order.
#[derive(Clone, PartialEq, Debug)]
pub enum OverlayEffect {
    SendPeer {
        to: Vertex,
        frame: PeerFrame,
    },
    /// A packet for this node.
    Deliver(Box<Packet>),
    Event(Event, Option<TraceId>),
    /// A vertex came into or went out of sight, or has a new incarnation.
    Seen {
        vertex: Vertex,
        alive: bool,
    },
}

/// Frames, since this overlay was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameCounters {
    /// Given to the connections: packets, pings and all.
    pub sent: u64,
    pub received: u64,
    /// Packets passed on for others.
    pub forwarded: u64,
    /// Swallowed by an edge, or without a route.
    pub dropped: u64,
}

/// One node's part in the overlay.
pub struct Overlay {
    me: Vertex,
    bugs: Bugs,
    rng: fastrand::Rng,
    /// By the bit of the edge.
    links: Vec<Link>,
    states: LinkStates,
    graph: Graph,
    /// What was last told of every vertex, by its index.
    sights: Vec<Sight>,
    next_refresh: Instant,
    /// When to tell whom this node hears, where that is not told yet.
    tell_gains_at: Option<Instant>,
    effects: VecDeque<OverlayEffect>,
    counters: FrameCounters,
}

/// How a vertex looks from here.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sight {
    alive: bool,
    incarnation: Option<Incarnation>,
    state: NodeState,
}

impl Overlay {
    /// Without links and without an identity: [`Overlay::set_self`] gives it one. Dropped when the node crashes, and made anew.
    pub fn new(config: OverlayConfig, now: Now) -> Overlay {
        let me = config.me;
        let states = LinkStates::new(me, now.wall.0);
        let graph = Graph::new(me, &states);
        let mut overlay = Overlay {
            me,
            bugs: config.bugs,
            rng: fastrand::Rng::with_seed(config.seed),
            links: me.neighbours().map(Link::new).collect(),
            states,
            graph,
            sights: Vec::new(),
            next_refresh: now.monotonic + REFRESH_EVERY,
            tell_gains_at: None,
            effects: VecDeque::new(),
            counters: FrameCounters::default(),
        };
        overlay.sights = me.dimension().vertices().map(|vertex| overlay.sight(vertex)).collect();
        overlay
    }

    pub fn handle_connected(&mut self, now: Now, peer: Vertex) {
        let Some(bit) = self.me.edge_to(peer) else { return };
        self.links[usize::from(bit)].handle_connected();
        self.send_all_link_states(now, bit, Duration::ZERO);
        self.ping(now, bit);
    }

    pub fn handle_disconnected(&mut self, now: Now, peer: Vertex) {
        let Some(bit) = self.me.edge_to(peer) else { return };
        self.links[usize::from(bit)].handle_disconnected();
        self.settle(now);
    }

    /// A frame from a neighbour to whom a connection stands; others are ignored.
    pub fn handle_frame(&mut self, now: Now, from: Vertex, frame: PeerFrame) {
        let Some(bit) = self.me.edge_to(from).filter(|&bit| self.link(bit).is_connected()) else { return };
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
        self.settle(now);
    }

    /// [`Overlay::next_deadline`] has come.
    pub fn handle_deadline(&mut self, now: Now) {
        self.forgive_own_stall(now);
        for bit in 0..self.me.dimension().bits() {
            self.links[usize::from(bit)].handle_time(now.monotonic);
            if self.link(bit).has_held_long(now.monotonic) {
                self.send_held(now, bit);
            }
            self.release(now, bit);
        }
        self.settle(now);
        for bit in self.connected_bits() {
            if self.link(bit).next_ping().is_some_and(|due| due <= now.monotonic) {
                self.ping(now, bit);
            }
        }
        self.refresh_unheard(now);
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        let links = self.links.iter();
        let pings = links.clone().filter_map(Link::next_ping);
        links.filter_map(Link::next_deadline).chain(pings).chain(self.tell_gains_at).min()
    }

    /// What this node says of itself: told to all when it differs from before.
    pub fn set_self(
        &mut self,
        now: Now,
        identity: NodeId,
        state: NodeState,
        storage: StorageState,
        leads: Vec<(Vertex, u64)>,
    ) {
        assert_eq!(identity.vertex, self.me, "a node speaks for its own vertex");
        let own = self.states.own();
        if (own.node, own.state, own.storage, &own.leads) != (identity, state, storage, &leads) {
            let say = |own: &mut LinkState| {
                (own.node, own.state, own.storage, own.leads) = (identity, state, storage, leads);
            };
            self.announce(now, say);
            self.settle(now);
        }
    }

    /// How our direction of the edge to a neighbour behaves from now on.
    pub fn set_conditions(&mut self, now: Now, to: Vertex, conditions: LinkConditions) {
        let Some(bit) = self.me.edge_to(to) else { return };
        self.links[usize::from(bit)].set_conditions(conditions);
        self.release(now, bit);
        self.tell(Event::LinkConditions { from: self.me, to, conditions }, None);
    }

    pub fn poll_effect(&mut self) -> Option<OverlayEffect> {
        self.effects.pop_front()
    }

    /// Whether there is a known path from here to it, and one back. Of this node itself: yes.
    pub fn is_alive(&self, vertex: Vertex) -> bool {
        self.graph.is_alive(vertex)
    }

    /// What it says of itself, or that it is out of sight.
    pub fn state_of(&self, vertex: Vertex) -> NodeState {
        self.alive_word(vertex).map_or(NodeState::Failed, |word| word.state)
    }

    /// What its disk leaves it to do, by its own word; `None` while it is out of sight.
    pub fn storage_of(&self, vertex: Vertex) -> Option<StorageState> {
        self.alive_word(vertex).map(|word| word.storage)
    }

    /// The incarnation that was last heard of, of a dead node too; `None` for one that never told.
    pub fn incarnation_of(&self, vertex: Vertex) -> Option<Incarnation> {
        self.states.get(vertex).map(|word| word.node.incarnation).filter(|incarnation| incarnation.0 != 0)
    }

    /// Of the members that are alive and say that they lead the group, the one of the highest term.
    pub fn leader_of(&self, group: Vertex) -> Option<Vertex> {
        let claims = std::iter::once(group).chain(group.neighbours()).filter_map(|member| {
            let (_, term) = *self.alive_word(member)?.leads.iter().find(|(led, _)| *led == group)?;
            Some((term, member))
        });
        claims.max().map(|(_, member)| member)
    }

    /// Every directed edge of the cube.
    pub fn links(&self) -> Vec<LinkView> {
        let edges = self
            .me
            .dimension()
            .vertices()
            .flat_map(|from| (0..).zip(from.neighbours()).map(move |(bit, to)| (from, bit, to)));
        edges.map(|(from, bit, to)| LinkView { from, to, up: self.graph.carries(from, bit) }).collect()
    }

    /// The node's own ends of its edges, bit 0 first.
    pub fn link_statuses(&self) -> Vec<LinkStatus> {
        (0..).zip(&self.links).map(|(bit, link)| link.status(self.graph.carries(self.me, bit))).collect()
    }

    /// Of all edges, the most frames that wait for their delay.
    pub fn most_delayed(&self) -> usize {
        self.links.iter().map(Link::delayed_frames).max().unwrap_or(0)
    }

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

    /// Takes in what is new and passes it on to all but the one who said it.
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

    /// Tells everybody something new of this node.
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

    /// After anything that may have changed what is heard or known: tells all whom this node hears now, and the layers above what that means.
    fn settle(&mut self, now: Now) {
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

    fn look_again(&mut self, changed: Vec<Vertex>) {
        let changes = self.graph.update(&self.states, &changed);
        for (from, to, up) in changes.edges {
            self.tell(Event::LinkState { from, to, up }, None);
        }
        let looked_at: BTreeSet<Vertex> = changed.into_iter().chain(changes.sights).collect();
        for vertex in looked_at {
            let (before, after) = (self.sights[vertex.index()], self.sight(vertex));
            self.sights[vertex.index()] = after;
            self.tell_sight(vertex, before, after);
        }
    }

    fn tell_sight(&mut self, vertex: Vertex, before: Sight, after: Sight) {
        if before.state != after.state {
            self.tell(Event::NodeState { subject: vertex, state: after.state }, None);
        }
        let is_another = after.alive && before.incarnation != after.incarnation;
        if vertex != self.me && (before.alive != after.alive || is_another) {
            self.effects.push_back(OverlayEffect::Seen { vertex, alive: after.alive });
        }
    }

    fn sight(&self, vertex: Vertex) -> Sight {
        Sight { alive: self.is_alive(vertex), incarnation: self.incarnation_of(vertex), state: self.state_of(vertex) }
    }

    fn alive_word(&self, vertex: Vertex) -> Option<&LinkState> {
        self.states.get(vertex).filter(|_| self.is_alive(vertex))
    }
}
