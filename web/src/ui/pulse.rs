//! How long a frame is visible in flight, and which kinds of frames share a colour.

use cubecast_core::wire::event::FrameKind;

use crate::model::traffic::PULSE_MS;

/// The pace of time on the cube: in a simulation it can be slower, faster, or paused.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pace {
    /// Virtual milliseconds per real millisecond.
    pub factor: f64,
    /// Whether time is paused.
    pub stands: bool,
    /// Changes on every change other than the normal passing of time; moving frames are then placed anew.
    pub turn: u64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { factor: 1.0, stands: false, turn: 0 }
    }
}

/// A frame's travel over an edge, in real milliseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Travel {
    takes_ms: f64,
    /// The part that has passed.
    gone_ms: f64,
}

impl Pace {
    /// The travel of a frame that was sent `age_ms` virtual milliseconds ago; `None` if it has arrived. In slow motion
    /// the travel takes as long in real time as at normal speed, and less virtual time.
    pub fn travel(self, age_ms: u64) -> Option<Travel> {
        let takes_ms = PULSE_MS as f64 / self.factor.max(1.0);
        let gone_ms = age_ms as f64 / self.factor;
        (gone_ms < takes_ms).then_some(Travel { takes_ms, gone_ms })
    }
}

impl Travel {
    /// The share of the travel that has passed `passed_ms` real milliseconds after this value was computed. From 1 on,
    /// the frame has arrived.
    pub fn share_after(self, passed_ms: f64) -> f64 {
        (self.gone_ms + passed_ms) / self.takes_ms
    }
}

/// All results of `group`; the style sheet has a colour for each.
pub const GROUPS: [&str; 6] = ["entries", "acks", "requests", "votes", "snapshots", "background"];

/// The colour group of a kind of frame.
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
