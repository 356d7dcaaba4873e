//! How long the eye sees a frame on its way, and which frames look alike.

use cubecast_core::wire::event::FrameKind;

use crate::model::traffic::PULSE_MS;

/// How time goes in the cube: in a simulation slower, faster, or not at all.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pace {
    /// Virtual time a time on the wall.
    pub factor: f64,
    pub stands: bool,
    /// Changes whenever time does not simply go on: what moves is then drawn anew, where it is.
    pub turn: u64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { factor: 1.0, stands: false, turn: 0 }
    }
}

/// A frame's way over an edge, in milliseconds on the wall.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Travel {
    takes_ms: f64,
    /// So much of it lies behind.
    gone_ms: f64,
}

impl Pace {
    /// The travel of a frame that was sent so long ago, virtual milliseconds; `None`: it has arrived. In slow motion its way
    /// takes the eye as long as ever, and virtual time less.
    pub fn travel(self, age_ms: u64) -> Option<Travel> {
        let takes_ms = PULSE_MS as f64 / self.factor.max(1.0);
        let gone_ms = age_ms as f64 / self.factor;
        (gone_ms < takes_ms).then_some(Travel { takes_ms, gone_ms })
    }
}

impl Travel {
    /// How much of its time has passed, so many milliseconds on the wall after this was said; 1: it has arrived.
    pub fn share_after(self, passed_ms: f64) -> f64 {
        (self.gone_ms + passed_ms) / self.takes_ms
    }
}

/// All that [`group`] gives; the style sheet has a colour for each.
pub const GROUPS: [&str; 6] = ["entries", "acks", "requests", "votes", "snapshots", "background"];

/// Kinds that are drawn alike: what a person can tell apart.
pub(super) fn group(what: FrameKind) -> &'static str {
    match what {
        FrameKind::Append => "entries",
        FrameKind::Acknowledge => "acks",
        FrameKind::Ask | FrameKind::Reply => "requests",
        FrameKind::Vote => "votes",
        FrameKind::Snapshot => "snapshots",
        FrameKind::Heartbeat | FrameKind::Overlay => "background",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eye_sees_a_frame_for_as_long_in_slow_motion_and_for_less_in_fast() {
        let takes = |factor, age_ms| Pace { factor, ..Pace::default() }.travel(age_ms).map(|travel| travel.takes_ms);
        assert_eq!([takes(1.0, 0), takes(1.0, 899), takes(1.0, 900)], [Some(900.0), Some(900.0), None]);
        assert_eq!([takes(0.01, 8), takes(0.01, 9)], [Some(900.0), None]);
        assert_eq!([takes(4.0, 899), takes(4.0, 900)], [Some(225.0), None]);
    }

    #[test]
    fn a_frame_goes_on_from_where_it_was_first_seen() {
        let travel = Pace::default().travel(450).unwrap();
        assert_eq!([0.0, 225.0, 450.0].map(|passed| travel.share_after(passed)), [0.5, 0.75, 1.0]);
    }
}
