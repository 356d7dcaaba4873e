//! Routing of packets, and sending of frames over an edge.

use super::{Overlay, OverlayEffect};
use crate::bugs::Bug;
use crate::identity::{GroupId, HostId, TraceId};
use crate::route::{NextHop, Trail, next_hop};
use crate::time::Now;
use crate::wire::event::{DropReason, Event, FrameKind};
use crate::wire::peer::{Body, Packet, PeerFrame};

impl Overlay {
    /// Sends a packet to any host. A packet to this host is delivered locally.
    ///
    /// A packet to a host that is known to be unreachable is dropped at once: searching the whole cube for every
    /// heartbeat to a dead member would cost more than the sender's retry.
    pub fn send(&mut self, now: Now, to: HostId, trace: Option<TraceId>, body: Body) {
        let packet = Packet { from: self.me, to, trail: Trail::default(), trace, body };
        if self.is_alive(to) {
            self.route(now, Box::new(packet));
        } else {
            self.drop_packet(&packet, DropReason::NoRoute);
        }
    }

    /// As [`Overlay::send`], for non-urgent packets. To a neighbour, the packet travels with the next frame, or alone
    /// after [`COMPANY_AWAITED`](super::links::COMPANY_AWAITED).
    pub fn send_along(&mut self, now: Now, to: HostId, body: Body) {
        let Some(bit) = self.seating.edge(self.me, to).filter(|bit| self.usable_edges() & 1 << bit != 0) else {
            return self.send(now, to, None, body);
        };
        let mut packet = Packet { from: self.me, to, trail: Trail::default(), trace: None, body };
        packet.trail.leave_forward(self.me);
        self.hold(now, bit, PeerFrame::Packet(Box::new(packet)));
    }

    pub(super) fn handle_packet(&mut self, now: Now, packet: Box<Packet>) {
        if !self.fits(&packet) {
            return;
        }
        if packet.to != self.me {
            self.counters.forwarded += 1;
        }
        self.route(now, packet);
    }

    fn fits(&self, packet: &Packet) -> bool {
        let mut named = [packet.from, packet.to].into_iter().chain(packet.trail.path.iter().copied());
        named.all(|host| self.seating.has(host))
    }

    fn route(&mut self, now: Now, mut packet: Box<Packet>) {
        match self.next_hop(&packet) {
            NextHop::Arrived => self.effects.push_back(OverlayEffect::Deliver(packet)),
            NextHop::Forward(bit) => {
                packet.trail.leave_forward(self.me);
                self.send_packet(now, bit, packet);
            }
            NextHop::BackTo(back) => {
                let bit = self.seating.edge(self.me, back).expect("a packet goes back over an edge of its own");
                packet.trail.leave_back(self.me, back);
                self.send_packet(now, bit, packet);
            }
            NextHop::Unreachable => self.drop_packet(&packet, DropReason::NoRoute),
            NextHop::HopLimit => self.drop_packet(&packet, DropReason::HopLimit),
        }
    }

    fn next_hop(&mut self, packet: &Packet) -> NextHop {
        // A leader often sends to itself, which needs no edges.
        if packet.to == self.me {
            return NextHop::Arrived;
        }
        let usable = self.usable_edges();
        let distances = self.graph.distances_to(packet.to);
        let forgotten = Trail { hops: packet.trail.hops, ..Trail::default() };
        let trail = if self.bugs.has(Bug::PacketsForgetTheirTrail) { &forgotten } else { &packet.trail };
        next_hop(&self.seating, self.me, packet.to, trail, usable, |host| distances.from(host))
    }

    /// The edges that have a connection and whose other end reports that it receives frames from this node.
    fn usable_edges(&self) -> u16 {
        let is_usable = |bit: &u8| self.link(*bit).is_connected() && self.graph.carries(self.me, *bit);
        (0..self.seating.links()).filter(is_usable).fold(0, |mask, bit| mask | 1 << bit)
    }

    fn send_packet(&mut self, now: Now, bit: u8, packet: Box<Packet>) {
        if self.send_frame(now, bit, PeerFrame::Packet(packet)) && self.link(bit).is_nearly_due(now.monotonic) {
            self.ping(now, bit);
            self.refresh_unheard(now);
        }
    }

    /// Sends a frame over an edge, together with the held frames. Returns `false` if the edge dropped it.
    pub(super) fn send_frame(&mut self, now: Now, bit: u8, frame: PeerFrame) -> bool {
        let sent = self.send_alone(now, bit, frame);
        self.send_held(now, bit);
        sent
    }

    /// Holds a frame until another is sent in the same direction.
    pub(super) fn hold(&mut self, now: Now, bit: u8, frame: PeerFrame) {
        if !self.links[usize::from(bit)].hold(now.monotonic, frame) {
            self.send_held(now, bit);
        }
    }

    pub(super) fn send_held(&mut self, now: Now, bit: u8) {
        for frame in self.links[usize::from(bit)].take_held(now.monotonic) {
            self.send_alone(now, bit, frame);
        }
    }

    fn send_alone(&mut self, now: Now, bit: u8, frame: PeerFrame) -> bool {
        let to = self.seating.across(self.me, bit);
        let (what, group, trace) = describe(&frame);
        let group = group.and_then(|group| self.seating.home(group).ok());
        let sent = self.links[usize::from(bit)].send(now.monotonic, frame, &mut self.rng);
        match sent {
            Err(why) => self.tell_dropped(to, what, why, trace),
            Ok(()) if what == FrameKind::Overlay => {}
            Ok(()) => self.tell(Event::FrameSent { to, what, group }, trace),
        }
        self.release(now, bit);
        sent.is_ok()
    }

    /// Sends the frames whose delay is over.
    pub(super) fn release(&mut self, now: Now, bit: u8) {
        let to = self.seating.across(self.me, bit);
        while let Some(frame) = self.links[usize::from(bit)].poll_due(now.monotonic) {
            self.counters.sent += 1;
            self.effects.push_back(OverlayEffect::SendPeer { to, frame });
        }
    }

    fn drop_packet(&mut self, packet: &Packet, why: DropReason) {
        self.tell_dropped(packet.to, packet.kind(), why, packet.trace);
    }

    pub(super) fn tell_dropped(&mut self, to: HostId, what: FrameKind, why: DropReason, trace: Option<TraceId>) {
        self.counters.dropped += 1;
        self.tell(Event::FrameDropped { to, what, why }, trace);
    }

    pub(super) fn tell(&mut self, event: Event, trace: Option<TraceId>) {
        self.effects.push_back(OverlayEffect::Event(event, trace));
    }
}

fn describe(frame: &PeerFrame) -> (FrameKind, Option<GroupId>, Option<TraceId>) {
    match frame {
        PeerFrame::Ping { .. } | PeerFrame::Pong { .. } | PeerFrame::LinkStates(_) => (FrameKind::Overlay, None, None),
        PeerFrame::Packet(packet) => (packet.kind(), packet.group(), packet.trace),
    }
}
