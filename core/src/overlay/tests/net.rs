//! A cube of overlays in virtual time: every frame takes a millisecond.

use super::*;

/// The overlays, and the frames in transit.
pub(super) struct Net {
    pub now: Instant,
    /// Wall-clock microseconds at the start.
    pub wall_offset_us: u64,
    pub nodes: BTreeMap<HostId, Overlay>,
    /// By arrival time, then by order of sending: from, to, frame.
    flying: BTreeMap<(Instant, u64), (HostId, HostId, PeerFrame)>,
    sent: u64,
    pub seating: Seating,
    seed: u64,
    pub delivered: Vec<Arrival>,
    pub events: Vec<Event>,
    pub seen: BTreeMap<HostId, Vec<(HostId, bool)>>,
}

#[derive(PartialEq, Debug)]
pub(super) struct Arrival {
    at: HostId,
    pub number: u64,
    pub path: Vec<HostId>,
}

impl Net {
    /// All nodes up and just connected.
    pub fn connected(dimension: u8, seed: u64) -> Net {
        let mut net = Net {
            now: Instant(1_000_000),
            wall_offset_us: 1_795_379_000_000_000,
            nodes: BTreeMap::new(),
            flying: BTreeMap::new(),
            sent: 0,
            seating: Seating::founding(Dimension::new(dimension).unwrap()),
            seed,
            delivered: Vec::new(),
            events: Vec::new(),
            seen: BTreeMap::new(),
        };
        for host in net.all() {
            net.start(&host.to_string(), Incarnation::FOUNDING);
        }
        net
    }

    /// All nodes up with complete link states, and no frame in transit: between two pings.
    pub fn settled(dimension: u8, seed: u64) -> Net {
        let mut net = Net::connected(dimension, seed);
        net.run(PING_EVERY * 5 + PING_EVERY / 2);
        assert!(net.flying.is_empty());
        net.events.clear();
        net.seen.clear();
        net
    }

    pub fn all(&self) -> Vec<HostId> {
        self.seating.hosts().collect()
    }

    pub fn clock(&self) -> Now {
        Now { monotonic: self.now, wall: Timestamp(self.wall_offset_us + self.now.0) }
    }

    pub fn node(&self, name: &str) -> &Overlay {
        &self.nodes[&host(name)]
    }

    pub fn start(&mut self, name: &str, incarnation: Incarnation) {
        let (me, now) = (host(name), self.clock());
        let seed = self.seed << 16 | self.seating.index_of(me).unwrap() as u64;
        let mut overlay =
            Overlay::new(OverlayConfig { me, seating: self.seating.clone(), seed, bugs: Bugs::default() }, now);
        overlay.set_self(now, Member { host: me, incarnation }, NodeState::Up, StorageState::Ok, Vec::new());
        self.nodes.insert(me, overlay);
        for other in self.seating.neighbours(me).filter(|other| self.nodes.contains_key(other)).collect::<Vec<_>>() {
            self.act(me, |overlay, now| overlay.handle_connected(now, other));
            self.act(other, |overlay, now| overlay.handle_connected(now, me));
        }
    }

    /// The process dies: its neighbours' connections break, and frames in transit are lost.
    pub fn kill(&mut self, name: &str) {
        let dead = host(name);
        self.nodes.remove(&dead);
        self.flying.retain(|_, (from, to, _)| *from != dead && *to != dead);
        for other in self.seating.neighbours(dead).filter(|other| self.nodes.contains_key(other)).collect::<Vec<_>>() {
            self.act(other, |overlay, now| overlay.handle_disconnected(now, dead));
        }
    }

    pub fn send(&mut self, from: &str, to: &str, number: u64) {
        self.act(host(from), |overlay, now| overlay.send(now, host(to), None, body(number)));
    }

    pub fn set_link(&mut self, from: &str, to: &str, conditions: LinkConditions) {
        self.act(host(from), |overlay, now| overlay.set_conditions(now, host(to), conditions));
    }

    pub fn set_all_links(&mut self, conditions: LinkConditions) {
        for from in self.all() {
            for to in self.seating.neighbours(from) {
                self.set_link(&from.to_string(), &to.to_string(), conditions);
            }
        }
    }

    pub fn set_self(&mut self, name: &str, state: NodeState, leads: Vec<(GroupId, u64)>) {
        let me = host(name);
        self.act(me, |overlay, now| overlay.set_self(now, Member::founding(me), state, StorageState::Ok, leads));
    }

    pub fn run(&mut self, time: Duration) {
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
        for host in due.collect::<Vec<_>>() {
            self.act(host, |overlay, now| overlay.handle_deadline(now));
        }
    }

    /// One input to one overlay, and all of its effects.
    pub fn act(&mut self, at: HostId, input: impl FnOnce(&mut Overlay, Now)) {
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
                OverlayEffect::Seen { host, alive } => self.seen.entry(at).or_default().push((host, alive)),
            }
        }
    }

    pub fn break_or_mend_something(&mut self, rng: &mut fastrand::Rng) {
        let at = self.all()[rng.u32(0..self.seating.hosts().len() as u32) as usize];
        let other = self.seating.across(at, rng.u8(0..self.seating.links()));
        let (name, other) = (at.to_string(), other.to_string());
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

    pub fn seen_by(&self, node: HostId) -> Vec<HostId> {
        self.all().into_iter().filter(|&other| self.nodes[&node].is_alive(other)).collect()
    }

    /// Asserts that each of these nodes sees exactly these.
    pub fn assert_all_see(&self, expected: &[HostId]) {
        for &node in expected {
            assert_eq!(self.seen_by(node), expected, "as seen by {node} (seed {})", self.seed);
        }
    }
}

impl Arrival {
    fn of(at: HostId, packet: Box<Packet>) -> Arrival {
        assert_eq!(packet.to, at);
        let Body::Introduce { nonce } = packet.body else { panic!("nobody sent {packet:?}") };
        Arrival { at, number: nonce, path: packet.trail.path }
    }
}

pub(super) fn group(home: &str) -> GroupId {
    GroupId::of(home.parse().unwrap())
}

pub(super) fn host(text: &str) -> HostId {
    text.parse().unwrap()
}

pub(super) fn body(number: u64) -> Body {
    Body::Introduce { nonce: number }
}

pub(super) fn arrival(at: &str, number: u64, path: &[&str]) -> Arrival {
    Arrival { at: host(at), number, path: path.iter().map(|v| host(v)).collect() }
}

pub(super) fn dropped(to: &str, what: FrameKind, why: DropReason) -> Event {
    Event::FrameDropped { to: host(to), what, why }
}
