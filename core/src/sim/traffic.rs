//! What the frames between nodes were for, counted as they leave.

use std::ops::Sub;

use serde::{Deserialize, Serialize};

use crate::wire::event::FrameKind;
use crate::wire::peer::PeerFrame;

/// Frames by what they were for. Each crosses one edge: a packet that takes three hops is three frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Pings and their answers.
    pub pings: u64,
    pub link_states: u64,
    /// What link states were in these frames: one frame bears up to
    /// [`LINK_STATES_PER_FRAME`](crate::overlay::LINK_STATES_PER_FRAME).
    pub words: u64,
    /// New nodes ask whether they were here before.
    pub introductions: u64,
    /// raft's heartbeats and their answers.
    pub heartbeats: u64,
    pub votes: u64,
    /// Log entries, acknowledgements of them, snapshots.
    pub replication: u64,
    /// Clients' requests and their answers.
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

    pub fn frames(&self) -> u64 {
        self.pings
            + self.link_states
            + self.introductions
            + self.heartbeats
            + self.votes
            + self.replication
            + self.requests
    }

    /// What flows while nobody asks and nothing fails.
    pub fn background(&self) -> u64 {
        self.pings + self.heartbeats
    }
}

/// What was sent between two counts.
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
