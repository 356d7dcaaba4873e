//! Encodes the turns of a running node, in segments that each begin with a saved state.
//!
//! The recorder neither keeps nor deletes anything: the caller takes the encoded pieces, keeps as many segments as it
//! wants, and deletes the oldest. It asks for the next segment, because only it knows its limits.

use std::time::Duration;

use super::digest::digest;
use super::segment::{self, Head};
use crate::identity::HostId;
use crate::io::{Effect, Input};
use crate::node::Node;
use crate::time::Now;

/// A new segment begins after this many bytes of turns, or after several times as many bytes as its saved state has, if
/// that is more. States then are a small part of a recording, and of the time that it takes.
const SEGMENT_BYTES: usize = 16 * 1024 * 1024;
const BYTES_TO_STATE_RATIO: usize = 6;
/// The most bytes that are allocated for a piece beforehand.
const MAX_CAPACITY: usize = 1024 * 1024;
/// A new segment begins after this time.
const SEGMENT_AGE: Duration = Duration::from_secs(60);

/// A part of a recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// A new segment, which begins with these bytes.
    Begin { number: u64, bytes: Vec<u8> },
    /// More bytes of the newest segment.
    More(Vec<u8>),
}

/// See the [module](self).
#[derive(Debug)]
pub struct Recorder {
    host: HostId,
    process: u64,
    version: String,
    /// The number of the next segment.
    next: u64,
    /// The tag of the newest segment.
    tag: u32,
    /// When the newest segment began; `None` before the first.
    began: Option<Now>,
    /// Bytes of turns in the newest segment, and of its state.
    bytes: usize,
    state_bytes: usize,
    last: Now,
    /// Turns that were not taken yet.
    turns: Vec<u8>,
    /// Where the turn under way begins in `turns`.
    turn_at: Option<usize>,
    pieces: Vec<Piece>,
}

impl Recorder {
    /// A recorder for one process of a host, which is the process with this number.
    pub fn new(host: HostId, process: u64, version: String) -> Recorder {
        Recorder {
            host,
            process,
            version,
            next: 0,
            tag: 0,
            began: None,
            bytes: 0,
            state_bytes: 0,
            last: Now::default(),
            turns: Vec::new(),
            turn_at: None,
            pieces: Vec::new(),
        }
    }

    /// Must be called before [`Node::handle`], with the same arguments. Turns before the first one that finds the node
    /// in a state that can be saved are not recorded; that is usually only the very first.
    pub fn begin_turn(&mut self, node: &Node, now: Now, inputs: &[Input]) {
        if self.is_segment_due(now)
            && let Some(state) = node.save()
        {
            self.begin_segment(node.now(), state);
        }
        if self.began.is_some() {
            self.turn_at = Some(self.turns.len());
            segment::begin_turn(&mut self.turns, self.tag, self.last, now, inputs);
            self.last = now;
        }
    }

    /// Must be called after [`Node::handle`], with the effects that it returned.
    pub fn end_turn(&mut self, effects: &[Effect]) {
        let Some(turn_at) = self.turn_at.take() else { return };
        segment::finish_turn(&mut self.turns, turn_at, digest(effects));
        self.bytes += self.turns.len() - turn_at;
    }

    /// The number of bytes that [`Recorder::take`] would return at least.
    pub fn waiting(&self) -> usize {
        self.turns.len()
    }

    /// Takes everything that was encoded since the last call, in order.
    pub fn take(&mut self) -> Vec<Piece> {
        self.cut();
        std::mem::take(&mut self.pieces)
    }

    /// The pieces that were taken last are lost: the next turn begins a new segment.
    pub fn begin_anew(&mut self) {
        self.began = None;
    }

    fn is_segment_due(&self, now: Now) -> bool {
        let Some(began) = self.began else { return true };
        now.monotonic.since(began.monotonic) >= SEGMENT_AGE
            || self.bytes >= SEGMENT_BYTES.max(BYTES_TO_STATE_RATIO * self.state_bytes)
    }

    fn begin_segment(&mut self, began: Now, state: Vec<u8>) {
        self.cut();
        (self.bytes, self.state_bytes, self.began, self.last) = (0, state.len(), Some(began), began);
        let number = self.next;
        self.next += 1;
        self.tag = segment::tag(self.process, number);
        let (host, process, version) = (self.host, self.process, self.version.clone());
        let head = Head { host, process, number, version, began, state };
        self.pieces.push(Piece::Begin { number, bytes: head.encode() });
    }

    fn cut(&mut self) {
        if !self.turns.is_empty() {
            // The next piece will be about as long.
            let next = Vec::with_capacity(self.turns.len().min(MAX_CAPACITY));
            self.pieces.push(Piece::More(std::mem::replace(&mut self.turns, next)));
        }
    }
}
