//! The edges between nodes, and their effect on frames.
//!
//! A real edge is a connection that preserves order and loses nothing while it is open. Simulated edges can also lose,
//! duplicate, reorder and alter frames, so that no layer above relies on more than its guarantees.

use std::collections::BTreeMap;
use std::time::Duration;

use cubecast_core::bugs::{Bug, Bugs};
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use cubecast_core::time::Instant;
use cubecast_core::wire::binary::{decode_peer_frames, encode_peer_frames, let_peer_message_fit};
use cubecast_core::wire::peer::PeerFrame;
use serde::{Deserialize, Serialize};

/// The behaviour of one direction of an edge. Times in microseconds; shares from 0 to 1.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeConditions {
    /// Frames are dropped silently.
    pub cut: bool,
    /// Delay of every frame.
    pub delay_us: u32,
    /// Largest random addition to the delay, uniformly distributed.
    pub jitter_us: u32,
    /// Share of frames that are lost.
    pub loss: f32,
    /// Share of frames that arrive twice.
    pub duplication: f32,
    /// Share of frames that may overtake others.
    pub reordering: f32,
    /// Share of frames with a flipped bit.
    pub altering: f32,
}

impl Default for EdgeConditions {
    fn default() -> EdgeConditions {
        EdgeConditions {
            cut: false,
            delay_us: 100,
            jitter_us: 0,
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            altering: 0.0,
        }
    }
}

impl EdgeConditions {
    /// Combines two conditions: the worse value of each field.
    pub fn and(self, other: EdgeConditions) -> EdgeConditions {
        EdgeConditions {
            cut: self.cut || other.cut,
            delay_us: self.delay_us.max(other.delay_us),
            jitter_us: self.jitter_us.max(other.jitter_us),
            loss: self.loss.max(other.loss),
            duplication: self.duplication.max(other.duplication),
            reordering: self.reordering.max(other.reordering),
            altering: self.altering.max(other.altering),
        }
    }
}

/// Counts of frames, for the report of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FrameCounts {
    pub sent: u64,
    pub lost: u64,
    /// Frames that arrive twice.
    pub doubled: u64,
    /// Frames that may overtake others.
    pub overtaking: u64,
    /// Frames in transit when their connection broke.
    pub cut_off: u64,
    pub altered: u64,
}

impl FrameCounts {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: FrameCounts) {
        self.sent += other.sent;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.overtaking += other.overtaking;
        self.cut_off += other.cut_off;
        self.altered += other.altered;
    }
}

/// The result of altering a frame in transit.
pub(super) enum Altering {
    Whole,
    /// It was altered, and the receiver detects it.
    Noticed,
    /// It was altered undetectably into this frame.
    Unnoticed(PeerFrame),
}

#[derive(Debug)]
pub(super) struct Network {
    seating: Seating,
    random: fastrand::Rng,
    bugs: Bugs,
    usual: EdgeConditions,
    unusual: BTreeMap<(HostId, HostId), EdgeConditions>,
    /// The latest arrival of a frame that keeps its order.
    last_arrival: BTreeMap<(HostId, HostId), Instant>,
    pub counts: FrameCounts,
}

impl Network {
    /// A network in which every edge has the conditions `usual`. The seed determines all random choices.
    pub fn new(seating: Seating, seed: u64, usual: EdgeConditions, bugs: Bugs) -> Network {
        Network {
            seating,
            random: fastrand::Rng::with_seed(seed),
            bugs,
            usual,
            unusual: BTreeMap::new(),
            last_arrival: BTreeMap::new(),
            counts: FrameCounts::default(),
        }
    }

    /// Sets the conditions of one direction. `None`: the usual ones.
    pub fn set(&mut self, from: HostId, to: HostId, conditions: Option<EdgeConditions>) {
        match conditions {
            Some(conditions) => self.unusual.insert((from, to), conditions.and(self.usual)),
            None => self.unusual.remove(&(from, to)),
        };
    }

    /// Arrival times of a frame sent now: none, one or two.
    pub fn arrivals(&mut self, now: Instant, from: HostId, to: HostId) -> impl Iterator<Item = Instant> + use<> {
        let conditions = self.unusual.get(&(from, to)).copied().unwrap_or(self.usual);
        self.counts.sent += 1;
        let lost = conditions.cut || self.happens(conditions.loss);
        self.counts.lost += u64::from(lost);
        let first = (!lost).then(|| self.arrival(now, from, to, conditions));
        let doubled = !lost && self.happens(conditions.duplication);
        self.counts.doubled += u64::from(doubled);
        let second = doubled.then(|| self.arrival(now, from, to, conditions));
        first.into_iter().chain(second)
    }

    /// Draws whether to alter a frame sent now. An altered frame is encoded, one of its bits flips, and it is decoded
    /// as a real node decodes it.
    pub fn alter(&mut self, from: HostId, to: HostId, frame: &PeerFrame) -> Altering {
        let conditions = self.unusual.get(&(from, to)).copied().unwrap_or(self.usual);
        if !self.happens(conditions.altering) {
            return Altering::Whole;
        }
        let mut message = encode_peer_frames(std::slice::from_ref(frame));
        let Some((at, bit)) = self.choose_bit(&message) else { return Altering::Whole };
        self.counts.altered += 1;
        message[at] ^= 1 << bit;
        if self.bugs.has(Bug::AlteredFramesAreBelieved) {
            let_peer_message_fit(&mut message);
        }
        match decode_peer_frames(&message, &self.seating).map(|mut frames| frames.pop()) {
            Ok(Some(frame)) => Altering::Unnoticed(frame),
            Ok(None) | Err(_) => Altering::Noticed,
        }
    }

    /// Chooses any bit. If checksums are ignored, it chooses only a bit of a content, because raft treats some messages
    /// as impossible.
    fn choose_bit(&mut self, message: &[u8]) -> Option<(usize, u8)> {
        if !self.bugs.has(Bug::AlteredFramesAreBelieved) {
            return Some((self.random.u64(..message.len() as u64) as usize, self.random.u8(..8)));
        }
        let numbers = message.windows(2).enumerate().filter(|(_, two)| two[0] == b'-' && two[1].is_ascii_digit());
        let places: Vec<usize> = numbers.map(|(at, _)| at + 1).collect();
        (!places.is_empty()).then(|| (places[self.random.u32(..places.len() as u32) as usize], 0))
    }

    fn arrival(&mut self, now: Instant, from: HostId, to: HostId, conditions: EdgeConditions) -> Instant {
        let at = now + self.delay(conditions);
        if self.happens(conditions.reordering) {
            self.counts.overtaking += 1;
            return at;
        }
        let last = self.last_arrival.entry((from, to)).or_default();
        *last = at.max(*last);
        *last
    }

    fn delay(&mut self, conditions: EdgeConditions) -> Duration {
        let jitter = if conditions.jitter_us == 0 { 0 } else { self.random.u32(..=conditions.jitter_us) };
        Duration::from_micros(u64::from(conditions.delay_us) + u64::from(jitter))
    }

    /// Draws only for a positive share, so that a perfect network costs nothing.
    fn happens(&mut self, share: f32) -> bool {
        share > 0.0 && self.random.f32() < share
    }

    /// When the end at `to` detects that its connection with `from` broke. Frames that arrive before then are
    /// delivered.
    pub fn notices_break(&mut self, now: Instant, from: HostId, to: HostId) -> Instant {
        let conditions = self.unusual.get(&(from, to)).copied().unwrap_or(self.usual);
        now + self.delay(conditions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cubecast_core::cube::Dimension;

    fn seating() -> Seating {
        Seating::founding(Dimension::new(3).unwrap())
    }

    fn edge() -> (HostId, HostId) {
        ("000".parse().unwrap(), "001".parse().unwrap())
    }

    fn arrivals(conditions: EdgeConditions, frames: u64) -> Vec<Instant> {
        let (from, to) = edge();
        let mut network = Network::new(seating(), 1, EdgeConditions::default(), Bugs::default());
        network.set(from, to, Some(conditions));
        (0..frames).flat_map(|number| network.arrivals(Instant(number), from, to)).collect()
    }

    #[test]
    fn frames_keep_their_order_unless_reordering_is_asked_for() {
        let jittery = EdgeConditions { jitter_us: 5_000, ..EdgeConditions::default() };
        assert!(arrivals(jittery, 500).is_sorted());
        assert!(!arrivals(EdgeConditions { reordering: 0.5, ..jittery }, 500).is_sorted());
    }

    #[test]
    fn every_altered_frame_is_noticed() {
        let (from, to) = edge();
        let mut network = Network::new(seating(), 1, EdgeConditions::default(), Bugs::default());
        network.set(from, to, Some(EdgeConditions { altering: 1.0, ..EdgeConditions::default() }));
        for number in 0..1_000 {
            let frame = PeerFrame::Pong { sent_us: number, held_us: number * number };
            assert!(matches!(network.alter(from, to, &frame), Altering::Noticed));
        }
        assert_eq!(network.counts.altered, 1_000);
    }

    #[test]
    fn a_cut_swallows_all_and_loss_and_duplication_their_share() {
        assert!(arrivals(EdgeConditions { cut: true, ..EdgeConditions::default() }, 100).is_empty());
        let lossy = arrivals(EdgeConditions { loss: 0.5, ..EdgeConditions::default() }, 1_000).len();
        assert!((400..600).contains(&lossy), "{lossy}");
        let doubling = arrivals(EdgeConditions { duplication: 0.5, ..EdgeConditions::default() }, 1_000).len();
        assert!((1_400..1_600).contains(&doubling), "{doubling}");
    }
}
