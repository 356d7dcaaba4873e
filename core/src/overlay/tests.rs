//! A cube of overlays in virtual time: every frame takes a millisecond.

use std::collections::BTreeMap;

use super::*;
use crate::bugs::Bugs;
use crate::cube::Dimension;
use crate::route::Trail;
use crate::states::StorageState;
use crate::time::Timestamp;
use crate::wire::event::{DropReason, FrameKind};
use crate::wire::peer::Body;

const WAY: Duration = Duration::from_millis(1);
const SOON: Duration = Duration::from_millis(20);

#[test]
fn after_connecting_everyone_sees_everyone_within_a_few_frames() {
    let mut net = Net::connected(3, 1);
    net.run(SOON);
    net.assert_all_see(&net.all());
    assert!(net.node("000").links().iter().all(|link| link.up));
    assert_eq!(net.node("000").links().len(), 24);
}

#[test]
fn a_death_is_known_to_all_as_fast_as_frames_travel() {
    let mut net = Net::settled(3, 2);
    net.seen.clear();
    net.kill("101");
    net.run(WAY * 4);
    let others: Vec<_> = net.all().into_iter().filter(|&v| v != vertex("101")).collect();
    net.assert_all_see(&others);
    assert_eq!(net.node("000").state_of(vertex("101")), NodeState::Failed);
    for other in others {
        assert_eq!(net.seen[&other], [(vertex("101"), false)], "seen by {other}");
    }
}

#[test]
fn two_neighbours_that_die_together_are_both_dead() {
    let mut net = Net::settled(3, 3);
    net.kill("110");
    net.kill("111");
    net.run(SOON);
    let left: Vec<_> = net.all().into_iter().filter(|v| !["110", "111"].contains(&v.to_string().as_str())).collect();
    net.assert_all_see(&left);
}

#[test]
fn one_that_returns_is_seen_again_with_its_new_incarnation() {
    let mut net = Net::settled(3, 4);
    net.kill("101");
    net.run(SOON);
    net.start("101", Incarnation(7));
    net.run(SOON);
    net.assert_all_see(&net.all());
    assert_eq!(net.node("010").incarnation_of(vertex("101")), Some(Incarnation(7)));
}

#[test]
fn one_whose_clock_was_set_back_is_believed_all_the_same() {
    let mut net = Net::settled(3, 5);
    net.kill("101");
    net.run(SOON);
    net.wall_offset_us = 10;
    net.start("101", Incarnation(7));
    net.run(SOON);
    net.assert_all_see(&net.all());
    assert_eq!(net.node("010").incarnation_of(vertex("101")), Some(Incarnation(7)));
}

#[test]
fn packets_go_along_the_shortest_path_lowest_bit_first() {
    let mut net = Net::settled(3, 6);
    net.send("000", "111", 1);
    net.run(SOON);
    assert_eq!(net.delivered, [arrival("111", 1, &["000", "001", "011"])]);
    net.send("010", "010", 2);
    assert_eq!(net.delivered[1], arrival("010", 2, &[]));
}

#[test]
fn an_edge_cut_one_way_is_avoided_in_that_direction_only() {
    let mut net = Net::settled(3, 7);
    net.set_link("000", "001", LinkConditions { cut: true, ..LinkConditions::PERFECT });
    net.send("000", "001", 1);
    net.run(Duration::from_secs(1));
    assert_eq!(net.delivered, [], "swallowed before the cut was noticed");
    assert!(net.events.contains(&dropped("001", FrameKind::Overlay, DropReason::Cut)));

    net.assert_all_see(&net.all());
    net.send("000", "001", 2);
    net.send("001", "000", 3);
    net.run(SOON);
    assert_eq!(net.delivered, [arrival("000", 3, &["001"]), arrival("001", 2, &["000", "010", "011"])]);
    let (out, back) = (net.node("000").link_statuses()[0].clone(), net.node("001").link_statuses()[0].clone());
    assert_eq!((out.hears, out.heard, back.hears, back.heard), (true, false, false, true));
    assert!(
        net.node("111").links().iter().all(|link| link.up != (link.from == vertex("000") && link.to == vertex("001")))
    );

    net.set_link("000", "001", LinkConditions::PERFECT);
    net.run(PING_EVERY + SOON);
    net.send("000", "001", 4);
    net.run(SOON);
    assert_eq!(net.delivered[2], arrival("001", 4, &["000"]));
}

#[test]
fn a_node_that_nobody_hears_is_dead_to_all_until_it_is_heard() {
    let mut net = Net::settled(3, 8);
    for other in ["001", "010", "100"] {
        net.set_link("000", other, LinkConditions { cut: true, ..LinkConditions::PERFECT });
    }
    net.run(Duration::from_secs(1));
    assert!(!net.node("111").is_alive(vertex("000")));
    assert_eq!(net.node("000").incarnation_of(vertex("111")), Some(Incarnation::FOUNDING));
    assert!(!net.node("000").is_alive(vertex("111")), "no path leads out, so nothing is in reach");
    net.set_link("000", "010", LinkConditions::PERFECT);
    net.run(Duration::from_secs(1));
    net.assert_all_see(&net.all());
}

#[test]
fn a_cut_through_the_middle_makes_two_halves_that_find_each_other_again() {
    let mut net = Net::settled(3, 9);
    let edges = ["00", "01", "10", "11"].map(|rest| (format!("0{rest}"), format!("1{rest}")));
    let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
    for (low, high) in &edges {
        net.set_link(low, high, cut);
        net.set_link(high, low, cut);
    }
    net.run(Duration::from_secs(2));
    for node in net.all() {
        let half: Vec<_> = net.all().into_iter().filter(|v| v.index() >> 2 == node.index() >> 2).collect();
        assert_eq!(net.seen_by(node), half);
    }
    net.set_self("000", NodeState::Up, vec![(vertex("001"), 9)]);
    for (low, high) in &edges {
        net.set_link(low, high, LinkConditions::PERFECT);
        net.set_link(high, low, LinkConditions::PERFECT);
    }
    net.run(Duration::from_secs(1));
    net.assert_all_see(&net.all());
    assert_eq!(net.node("111").leader_of(vertex("001")), Some(vertex("000")), "what was missed is made up for");
}

#[test]
fn one_who_cannot_tell_that_it_lacks_something_gets_it_all_the_same() {
    // 01 hears only 00, which does not hear it.
    let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
    let mut net = Net::settled(2, 17);
    net.set_link("11", "01", cut);
    net.set_link("01", "00", cut);
    net.run(Duration::from_secs(1));
    net.set_link("00", "01", cut);
    net.set_self("10", NodeState::Up, vec![(vertex("10"), 5)]);
    net.run(SOON);
    net.set_link("00", "01", LinkConditions::PERFECT);
    net.run(SOON);
    assert_eq!(net.node("01").leader_of(vertex("10")), None);
    net.run(REFRESH_EVERY * 2);
    assert_eq!(net.node("01").leader_of(vertex("10")), Some(vertex("10")));
}

#[test]
fn with_a_fifth_of_all_frames_lost_everyone_still_learns_everything() {
    for seed in 0..20 {
        let mut net = Net::connected(3, seed);
        net.set_all_links(LinkConditions { loss: 0.2, ..LinkConditions::PERFECT });
        net.run(Duration::from_secs(5));
        net.set_self("011", NodeState::Up, vec![(vertex("011"), 3)]);
        net.kill("101");
        net.run(Duration::from_secs(5));
        // An edge can happen to carry no frames; a vertex cannot.
        let others: Vec<_> = net.all().into_iter().filter(|&v| v != vertex("101")).collect();
        net.assert_all_see(&others);
        for &other in &others {
            assert_eq!(net.nodes[&other].leader_of(vertex("011")), Some(vertex("011")), "seed {seed}");
        }
    }
}

#[test]
fn packets_under_delay_jitter_arrive_in_order() {
    let mut net = Net::settled(1, 10);
    net.set_link("0", "1", LinkConditions { delay_ms: 10, jitter_ms: 40, ..LinkConditions::PERFECT });
    for number in 0..200 {
        net.send("0", "1", number);
        net.run(WAY);
    }
    net.run(Duration::from_secs(1));
    let arrived: Vec<_> = net.delivered.iter().map(|arrival| arrival.number).collect();
    assert_eq!(arrived, (0..200).collect::<Vec<_>>());
    let round_trip = net.node("0").link_statuses()[0].round_trip_us.unwrap();
    assert!((12_000..=52_000).contains(&round_trip), "{round_trip} µs");
}

#[test]
fn the_leader_is_the_living_claimant_of_the_highest_term() {
    let mut net = Net::settled(3, 11);
    let group = vertex("100");
    net.set_self("100", NodeState::Up, vec![(group, 2)]);
    net.set_self("110", NodeState::Up, vec![(group, 3)]);
    net.set_self("011", NodeState::Up, vec![(group, 99)]);
    net.run(SOON);
    assert_eq!(net.node("001").leader_of(group), Some(vertex("110")), "011 is no member");
    net.kill("110");
    net.run(SOON);
    assert_eq!(net.node("001").leader_of(group), Some(vertex("100")));
    assert_eq!(net.node("001").leader_of(vertex("111")), None);
}

#[test]
fn what_is_for_the_dead_is_dropped_at_once_and_told() {
    let mut net = Net::settled(3, 12);
    net.kill("111");
    net.run(SOON);
    net.events.clear();
    net.send("000", "111", 1);
    assert_eq!(net.events, [dropped("111", FrameKind::Overlay, DropReason::NoRoute)]);
    assert_eq!(net.node("000").counters().dropped, 1);
}

#[test]
fn a_packet_on_its_way_when_the_graph_breaks_still_arrives() {
    let mut net = Net::settled(3, 13);
    net.send("000", "111", 1);
    net.run(WAY);
    // The packet is at 001 or on its way to 011, which dies now.
    net.kill("011");
    net.send("000", "111", 2);
    net.run(SOON);
    assert_eq!(
        net.delivered.iter().map(|arrival| arrival.number).collect::<Vec<_>>(),
        [2],
        "the first was in 011's arms"
    );
    assert_eq!(net.delivered[0].path.len(), 3);
}

#[test]
fn one_that_was_stopped_does_not_blame_its_neighbours() {
    let mut net = Net::settled(3, 14);
    net.now = net.now + Duration::from_secs(3);
    net.act(vertex("000"), |overlay, now| overlay.handle_deadline(now));
    assert!(net.node("000").link_statuses().iter().all(|link| link.hears));
    net.run(Duration::from_secs(1));
    assert_eq!(net.events, []);
}

#[test]
fn strange_frames_are_ignored() {
    let mut net = Net::settled(3, 15);
    let (now, overlay) = (net.clock(), net.nodes.get_mut(&vertex("000")).unwrap());
    let foreign = Packet { from: vertex("01"), to: vertex("10"), trail: Trail::default(), trace: None, body: body(1) };
    overlay.handle_frame(now, vertex("001"), PeerFrame::Packet(Box::new(foreign)));
    overlay.handle_frame(now, vertex("011"), PeerFrame::Ping { sent_us: 0, link_states_digest: 0 });
    overlay.handle_frame(now, vertex("01"), PeerFrame::Pong { sent_us: 0, held_us: 0 });
    overlay.handle_connected(now, vertex("111"));
    assert_eq!(overlay.poll_effect(), None);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut net = Net::connected(4, seed);
        net.set_all_links(LinkConditions { cut: false, delay_ms: 1, jitter_ms: 5, loss: 0.3 });
        net.run(Duration::from_secs(3));
        (net.events, net.nodes.values().map(Overlay::counters).collect::<Vec<_>>())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).1, run(6).1);
}

#[test]
fn a_larger_cube_with_broken_edges_delivers_between_all_that_are_alive() {
    let mut net = Net::connected(5, 16);
    net.run(SOON);
    let mut rng = fastrand::Rng::with_seed(16);
    for from in net.all() {
        for to in from.neighbours().filter(|_| rng.u8(0..100) < 25).collect::<Vec<_>>() {
            net.set_link(&from.to_string(), &to.to_string(), LinkConditions { cut: true, ..LinkConditions::PERFECT });
        }
    }
    net.run(Duration::from_secs(4));
    let mut expected = 0;
    for (from, to) in net.all().into_iter().zip(net.all().into_iter().rev()) {
        if net.nodes[&from].is_alive(to) {
            expected += 1;
            net.send(&from.to_string(), &to.to_string(), 1);
        }
    }
    net.run(SOON);
    assert!(expected > 25, "{expected}");
    assert_eq!(net.delivered.len(), expected);
}

#[test]
fn whatever_broke_once_all_is_whole_everyone_sees_everyone_and_every_edge() {
    for seed in 0..20 {
        let mut net = Net::settled(3, seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..40 {
            net.break_or_mend_something(&mut rng);
            net.run(Duration::from_millis(rng.u64(0..300)));
        }
        for vertex in net.all().into_iter().filter(|vertex| !net.nodes.contains_key(vertex)).collect::<Vec<_>>() {
            net.start(&vertex.to_string(), Incarnation::FOUNDING);
        }
        net.set_all_links(LinkConditions::PERFECT);
        net.run(Duration::from_secs(1));
        net.assert_all_see(&net.all());
        for node in net.nodes.values() {
            assert!(node.links().iter().all(|link| link.up), "seed {seed}");
        }
    }
}

/// The overlays, and the frames in transit.
struct Net {
    now: Instant,
    /// Wall-clock microseconds at the start.
    wall_offset_us: u64,
    nodes: BTreeMap<Vertex, Overlay>,
    /// By arrival time, then by order of sending: from, to, frame.
    flying: BTreeMap<(Instant, u64), (Vertex, Vertex, PeerFrame)>,
    sent: u64,
    cube: Dimension,
    seed: u64,
    delivered: Vec<Arrival>,
    events: Vec<Event>,
    seen: BTreeMap<Vertex, Vec<(Vertex, bool)>>,
}

#[derive(PartialEq, Debug)]
struct Arrival {
    at: Vertex,
    number: u64,
    path: Vec<Vertex>,
}

impl Net {
    /// All nodes up and just connected.
    fn connected(dimension: u8, seed: u64) -> Net {
        let mut net = Net {
            now: Instant(1_000_000),
            wall_offset_us: 1_795_379_000_000_000,
            nodes: BTreeMap::new(),
            flying: BTreeMap::new(),
            sent: 0,
            cube: Dimension::new(dimension).unwrap(),
            seed,
            delivered: Vec::new(),
            events: Vec::new(),
            seen: BTreeMap::new(),
        };
        for vertex in net.all() {
            net.start(&vertex.to_string(), Incarnation::FOUNDING);
        }
        net
    }

    /// All nodes up with complete link states, and no frame in transit: between two pings.
    fn settled(dimension: u8, seed: u64) -> Net {
        let mut net = Net::connected(dimension, seed);
        net.run(PING_EVERY * 5 + PING_EVERY / 2);
        assert!(net.flying.is_empty());
        net.events.clear();
        net.seen.clear();
        net
    }

    fn all(&self) -> Vec<Vertex> {
        self.cube.vertices().collect()
    }

    fn clock(&self) -> Now {
        Now { monotonic: self.now, wall: Timestamp(self.wall_offset_us + self.now.0) }
    }

    fn node(&self, name: &str) -> &Overlay {
        &self.nodes[&vertex(name)]
    }

    fn start(&mut self, name: &str, incarnation: Incarnation) {
        let (me, now) = (vertex(name), self.clock());
        let seed = self.seed << 16 | me.index() as u64;
        let mut overlay = Overlay::new(OverlayConfig { me, seed, bugs: Bugs::default() }, now);
        overlay.set_self(now, NodeId { vertex: me, incarnation }, NodeState::Up, StorageState::Ok, Vec::new());
        self.nodes.insert(me, overlay);
        for other in me.neighbours().filter(|other| self.nodes.contains_key(other)).collect::<Vec<_>>() {
            self.act(me, |overlay, now| overlay.handle_connected(now, other));
            self.act(other, |overlay, now| overlay.handle_connected(now, me));
        }
    }

    /// The process dies: its neighbours' connections break, and frames in transit are lost.
    fn kill(&mut self, name: &str) {
        let dead = vertex(name);
        self.nodes.remove(&dead);
        self.flying.retain(|_, (from, to, _)| *from != dead && *to != dead);
        for other in dead.neighbours().filter(|other| self.nodes.contains_key(other)).collect::<Vec<_>>() {
            self.act(other, |overlay, now| overlay.handle_disconnected(now, dead));
        }
    }

    fn send(&mut self, from: &str, to: &str, number: u64) {
        self.act(vertex(from), |overlay, now| overlay.send(now, vertex(to), None, body(number)));
    }

    fn set_link(&mut self, from: &str, to: &str, conditions: LinkConditions) {
        self.act(vertex(from), |overlay, now| overlay.set_conditions(now, vertex(to), conditions));
    }

    fn set_all_links(&mut self, conditions: LinkConditions) {
        for from in self.all() {
            for to in from.neighbours() {
                self.set_link(&from.to_string(), &to.to_string(), conditions);
            }
        }
    }

    fn set_self(&mut self, name: &str, state: NodeState, leads: Vec<(Vertex, u64)>) {
        let me = vertex(name);
        self.act(me, |overlay, now| overlay.set_self(now, NodeId::founding(me), state, StorageState::Ok, leads));
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next_moment().filter(|&next| next <= end) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    fn next_moment(&self) -> Option<Instant> {
        let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
        self.nodes.values().filter_map(Overlay::next_deadline).chain(arrival).min()
    }

    fn step(&mut self) {
        while let Some(first) = self.flying.first_entry().filter(|first| first.key().0 <= self.now) {
            let (from, to, frame) = first.remove();
            self.act(to, |overlay, now| overlay.handle_frame(now, from, frame));
        }
        let now = self.now;
        let due =
            self.nodes.iter().filter(|(_, node)| node.next_deadline().is_some_and(|at| at <= now)).map(|(&v, _)| v);
        for vertex in due.collect::<Vec<_>>() {
            self.act(vertex, |overlay, now| overlay.handle_deadline(now));
        }
    }

    /// One input to one overlay, and all of its effects.
    fn act(&mut self, at: Vertex, input: impl FnOnce(&mut Overlay, Now)) {
        let now = self.clock();
        let overlay = self.nodes.get_mut(&at).expect("only the living act");
        input(overlay, now);
        while let Some(effect) = overlay.poll_effect() {
            match effect {
                OverlayEffect::SendPeer { to, frame } => {
                    self.sent += 1;
                    self.flying.insert((self.now + WAY, self.sent), (at, to, frame));
                }
                OverlayEffect::Deliver(packet) => self.delivered.push(Arrival::of(at, packet)),
                OverlayEffect::Event(event, _) => self.events.push(event),
                OverlayEffect::Seen { vertex, alive } => self.seen.entry(at).or_default().push((vertex, alive)),
            }
        }
    }

    fn break_or_mend_something(&mut self, rng: &mut fastrand::Rng) {
        let at = self.cube.vertex(rng.u32(0..self.cube.size() as u32)).unwrap();
        let (name, other) = (at.to_string(), at.across(rng.u8(0..self.cube.bits())).to_string());
        let is_up = self.nodes.contains_key(&at);
        match rng.u8(0..4) {
            0 if is_up => self.kill(&name),
            _ if !is_up => self.start(&name, Incarnation::FOUNDING),
            1 => self.set_link(&name, &other, LinkConditions { cut: true, ..LinkConditions::PERFECT }),
            2 => self.set_link(
                &name,
                &other,
                LinkConditions { delay_ms: 5, jitter_ms: 30, loss: 0.5, ..LinkConditions::PERFECT },
            ),
            _ => self.set_link(&name, &other, LinkConditions::PERFECT),
        }
    }

    fn seen_by(&self, node: Vertex) -> Vec<Vertex> {
        self.all().into_iter().filter(|&other| self.nodes[&node].is_alive(other)).collect()
    }

    /// Asserts that each of these nodes sees exactly these.
    fn assert_all_see(&self, expected: &[Vertex]) {
        for &node in expected {
            assert_eq!(self.seen_by(node), expected, "as seen by {node} (seed {})", self.seed);
        }
    }
}

impl Arrival {
    fn of(at: Vertex, packet: Box<Packet>) -> Arrival {
        assert_eq!(packet.to, at);
        let Body::Introduce { nonce } = packet.body else { panic!("nobody sent {packet:?}") };
        Arrival { at, number: nonce, path: packet.trail.path }
    }
}

fn vertex(text: &str) -> Vertex {
    text.parse().unwrap()
}

fn body(number: u64) -> Body {
    Body::Introduce { nonce: number }
}

fn arrival(at: &str, number: u64, path: &[&str]) -> Arrival {
    Arrival { at: vertex(at), number, path: path.iter().map(|v| vertex(v)).collect() }
}

fn dropped(to: &str, what: FrameKind, why: DropReason) -> Event {
    Event::FrameDropped { to: vertex(to), what, why }
}
