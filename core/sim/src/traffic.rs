//! Frames between nodes by purpose, counted when they are sent.

use std::ops::Sub;

use cubecast_core::wire::event::FrameKind;
use cubecast_core::wire::peer::PeerFrame;
use serde::{Deserialize, Serialize};

/// Frame counts by purpose. Each frame crosses one edge: a packet over three hops counts as three frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Pings and their answers.
    pub pings: u64,
    /// Frames with link states.
    pub link_states: u64,
    /// Link states in these frames. One frame has up to
    /// [`LINK_STATES_PER_FRAME`](cubecast_core::overlay::LINK_STATES_PER_FRAME).
    pub words: u64,
    /// Queries of new nodes whether they were members before, and the answers.
    pub introductions: u64,
    /// Raft heartbeats and their answers.
    pub heartbeats: u64,
    /// Raft votes.
    pub votes: u64,
    /// Log entries, their acknowledgements, and snapshots.
    pub replication: u64,
    /// Client requests and their answers.
    pub requests: u64,
}

impl Traffic {
    pub(super) fn count(&mut self, frame: &PeerFrame) {
        match frame {
            PeerFrame::Ping { .. } | PeerFrame::Pong { .. } => self.pings += 1,
            PeerFrame::LinkStates(words) => {
                self.link_states += 1;
                self.words += words.len() as u64;
            }
            PeerFrame::Packet(packet) => match packet.kind() {
                FrameKind::Append | FrameKind::Acknowledge | FrameKind::Snapshot => self.replication += 1,
                FrameKind::Heartbeat => self.heartbeats += 1,
                FrameKind::Vote => self.votes += 1,
                FrameKind::Ask | FrameKind::Reply => self.requests += 1,
                FrameKind::Overlay => self.introductions += 1,
            },
        }
    }

    /// The total number of frames.
    pub fn frames(&self) -> u64 {
        self.pings
            + self.link_states
            + self.introductions
            + self.heartbeats
            + self.votes
            + self.replication
            + self.requests
    }

    /// Frames that are sent without requests or failures.
    pub fn background(&self) -> u64 {
        self.pings + self.heartbeats
    }
}

/// The frames sent between two counts.
impl Sub for Traffic {
    type Output = Traffic;

    fn sub(self, earlier: Traffic) -> Traffic {
        Traffic {
            pings: self.pings - earlier.pings,
            link_states: self.link_states - earlier.link_states,
            words: self.words - earlier.words,
            introductions: self.introductions - earlier.introductions,
            heartbeats: self.heartbeats - earlier.heartbeats,
            votes: self.votes - earlier.votes,
            replication: self.replication - earlier.replication,
            requests: self.requests - earlier.requests,
        }
    }
}
