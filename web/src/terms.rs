//! The page's words for values of the protocol: states, roles, faults and frames.

use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::states::{NodeState, Role};
use cubecast_core::wire::event::FrameKind;

/// The word for a node's state.
pub fn state(state: NodeState) -> &'static str {
    match state {
        NodeState::Up => "up",
        NodeState::Failed => "failed",
        NodeState::Recovering => "recovering",
    }
}

/// The verb for the way in which a node stops.
pub fn stop_verb(mode: StopMode) -> &'static str {
    match mode {
        StopMode::Crash => "crashes",
        StopMode::Wipe => "crashes and loses its disk",
        StopMode::Pause => "is paused",
    }
}

/// Link conditions as a verb phrase, for example `is cut, loses 10 % of the frames`.
pub fn conditions(conditions: &LinkConditions) -> String {
    if *conditions == LinkConditions::PERFECT {
        return "works".to_owned();
    }
    let mut parts = Vec::new();
    if conditions.cut {
        parts.push("is cut".to_owned());
    }
    if conditions.delay_ms > 0 {
        parts.push(format!("delays frames by {} ms", conditions.delay_ms));
    }
    if conditions.jitter_ms > 0 {
        parts.push(format!("adds up to {} ms of jitter", conditions.jitter_ms));
    }
    if conditions.loss > 0.0 {
        parts.push(format!("loses {:.0} % of the frames", conditions.loss * 100.0));
    }
    parts.join(", ")
}

/// The content of a frame, for the legend.
pub fn frame(what: FrameKind) -> &'static str {
    match what {
        FrameKind::Append => "log entries",
        FrameKind::Acknowledge => "acknowledgement",
        FrameKind::Heartbeat => "heartbeat",
        FrameKind::Vote => "vote",
        FrameKind::Snapshot => "snapshot",
        FrameKind::Ask => "request",
        FrameKind::Reply => "answer",
        FrameKind::Overlay => "link state",
    }
}

/// The protocol's name of an action as words, for example `Create topic`.
pub fn action(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut chars = words.chars();
    let first: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}", chars.as_str())
}

/// The verb for a member's role.
pub fn role(role: Role) -> &'static str {
    match role {
        Role::Leader => "leads",
        Role::Follower => "follows",
        Role::Candidate => "is a candidate",
        Role::Learner => "is a learner",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_says_all_that_is_wrong_with_it() {
        let bad = LinkConditions { cut: false, delay_ms: 200, jitter_ms: 0, loss: 0.25 };
        assert_eq!(conditions(&bad), "delays frames by 200 ms, loses 25 % of the frames");
        assert_eq!(conditions(&LinkConditions::PERFECT), "works");
    }
}
