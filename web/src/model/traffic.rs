//! Frames in flight over an edge, as animated on the cube.

use std::collections::VecDeque;

use cubecast_core::identity::HostId;
use cubecast_core::wire::event::FrameKind;

/// Pulses drawn at once; more could not be told apart, so further frames are not drawn.
pub const MAX_PULSES: usize = 240;
/// How long the page mentions that frames were left out, milliseconds.
const SAID_FOR_MS: u64 = 2_000;
/// How long a pulse travels, milliseconds. (Much longer than a frame takes, so that it can be seen.)
pub const PULSE_MS: u64 = 900;

/// The pulses on the cube.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Oldest first.
    pub pulses: VecDeque<Pulse>,
    /// Frames since the page was opened, drawn or not.
    pub seen: u64,
    left_out_at_ms: Option<u64>,
}

/// One animated frame.
#[derive(Clone, PartialEq, Debug)]
pub struct Pulse {
    /// Unique; never reused.
    pub number: u64,
    pub from: HostId,
    pub to: HostId,
    pub what: FrameKind,
    /// The frame was dropped in transit.
    pub dropped: bool,
    /// Milliseconds since 1970.
    pub born_ms: u64,
}

impl Traffic {
    /// Counts a frame, and draws it unless [`MAX_PULSES`] are drawn already.
    pub fn add(&mut self, now_ms: u64, from: HostId, to: HostId, what: FrameKind, dropped: bool) {
        let number = self.seen;
        self.seen += 1;
        if self.pulses.len() < MAX_PULSES {
            self.pulses.push_back(Pulse { number, from, to, what, dropped, born_ms: now_ms });
        } else {
            self.left_out_at_ms = Some(now_ms);
        }
    }

    /// Whether frames were left out recently.
    pub fn leaves_out(&self, now_ms: u64) -> bool {
        self.left_out_at_ms.is_some_and(|at| now_ms < at + SAID_FOR_MS)
    }

    /// Whether a pulse has reached its end.
    pub fn has_expired(&self, now_ms: u64) -> bool {
        self.pulses.front().is_some_and(|pulse| pulse.born_ms + PULSE_MS <= now_ms)
    }

    /// Removes the pulses that have reached their end.
    pub fn expire(&mut self, now_ms: u64) {
        while self.has_expired(now_ms) {
            self.pulses.pop_front();
        }
    }
}

/// Heartbeats, their answers and link states cross every edge constantly; they are drawn only on request.
pub fn is_background(what: FrameKind) -> bool {
    matches!(what, FrameKind::Heartbeat | FrameKind::Overlay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_burst_no_more_than_the_limit_is_drawn_and_what_is_left_out_is_said() {
        let mut traffic = Traffic::default();
        assert!(!traffic.leaves_out(0));
        for _ in 0..MAX_PULSES + 10 {
            traffic.add(0, "100".parse().unwrap(), "101".parse().unwrap(), FrameKind::Append, false);
        }
        assert_eq!(traffic.pulses.len(), MAX_PULSES);
        assert_eq!(traffic.pulses.back().map(|pulse| pulse.number), Some(MAX_PULSES as u64 - 1));
        assert_eq!(traffic.seen, MAX_PULSES as u64 + 10);
        assert!(traffic.leaves_out(SAID_FOR_MS - 1) && !traffic.leaves_out(SAID_FOR_MS));
    }

    #[test]
    fn a_pulse_ends_when_it_has_arrived() {
        let mut traffic = Traffic::default();
        traffic.add(1_000, "100".parse().unwrap(), "101".parse().unwrap(), FrameKind::Append, false);
        traffic.expire(1_000 + PULSE_MS - 1);
        assert_eq!(traffic.pulses.len(), 1);
        traffic.expire(1_000 + PULSE_MS);
        assert!(traffic.pulses.is_empty());
    }
}
