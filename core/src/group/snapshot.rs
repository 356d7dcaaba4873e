//! Snapshot transfers: copying a group's state to a member that is too far behind for the log.
//!
//! The leader *offers*. The receiver fetches the checkpoint in bounded pieces and then, topic by topic, the messages
//! that it lacks. Messages never change, so it keeps those that it has. Each piece can be requested again. When the
//! receiver has everything, Raft processes its own snapshot message and the state is installed. A leader has at most
//! one transfer to each member, and a receiver at most one in total.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::identity::Member;
use crate::names::{Offset, TopicId};
use crate::records::StoredMessage;
use crate::time::Instant;
use crate::topics::Topics;
use crate::wire::peer::{RaftMessage, SnapshotFrame};

/// The size of one piece, in bytes of state or of message contents.
pub const PIECE_BYTES: u64 = 512 * 1024;
/// A piece that was not received within this time is requested again.
const ASK_AGAIN: Duration = Duration::from_millis(400);
/// Either end gives up a transfer that makes no progress for this long.
const GIVE_UP: Duration = Duration::from_secs(10);

/// The leader's end of a transfer.
#[derive(Serialize, Deserialize)]
pub struct Sending {
    /// The transfer's number.
    pub transfer: u64,
    /// The receiver.
    pub to: Member,
    /// The encoded checkpoint.
    pub state: Vec<u8>,
    /// The topics of `state` with their ends: the messages that can be requested.
    ends: BTreeMap<TopicId, Offset>,
    last_asked: Instant,
}

/// The leader's response to a request.
pub enum Piece {
    /// Send this frame.
    Answer(SnapshotFrame),
    /// Read from disk, then answer with `SnapshotFrame::Messages`.
    Read { topic: TopicId, from: Offset, end: Offset },
    /// The request is for something that is not in the offer.
    Nothing,
}

impl Sending {
    /// Starts a transfer of these topics.
    pub fn new(now: Instant, transfer: u64, to: Member, topics: &Topics) -> Sending {
        let ends = topics.topics().map(|topic| (topic.id, topic.end)).collect();
        Sending { transfer, to, state: topics.encode(), ends, last_asked: now }
    }

    /// Handles a request of the receiver.
    pub fn handle_fetch(&mut self, now: Instant, frame: &SnapshotFrame) -> Piece {
        self.last_asked = now;
        match *frame {
            SnapshotFrame::FetchState { transfer, from_byte } => {
                let start = (from_byte as usize).min(self.state.len());
                let end = (start + PIECE_BYTES as usize).min(self.state.len());
                Piece::Answer(SnapshotFrame::State { transfer, from_byte, bytes: self.state[start..end].to_vec() })
            }
            SnapshotFrame::FetchMessages { topic, from, .. } => match self.ends.get(&topic) {
                Some(end) if from < *end => Piece::Read { topic, from, end: *end },
                _ => Piece::Nothing,
            },
            _ => Piece::Nothing,
        }
    }

    /// Whether the receiver has requested nothing for too long.
    pub fn is_given_up(&self, now: Instant) -> bool {
        now.since(self.last_asked) >= GIVE_UP
    }

    /// Whether the topic is part of the offer. If it is deleted, its messages are no longer available.
    pub fn offers(&self, topic: TopicId) -> bool {
        self.ends.contains_key(&topic)
    }
}

/// The receiver's end of a transfer.
#[derive(Serialize, Deserialize)]
pub struct Receiving {
    /// The transfer's number.
    pub transfer: u64,
    /// The leader that sends.
    pub from: Member,
    message: RaftMessage,
    state_bytes: u64,
    state: Vec<u8>,
    /// Known once the state is complete.
    #[serde(with = "crate::saved::optional_topics")]
    topics: Option<Topics>,
    /// Topics with missing messages: the next offset and the end.
    lacking: BTreeMap<TopicId, (Offset, Offset)>,
    received_messages: u64,
    lacking_messages: u64,
    last_asked: Instant,
    last_progress: Instant,
}

/// The next step of a transfer.
pub enum TransferStep {
    /// Send this request.
    Ask(SnapshotFrame),
    /// Everything is there: process this message in Raft, then install these topics.
    Complete {
        message: Box<RaftMessage>,
        topics: Box<Topics>,
    },
    /// The state cannot be decoded: a bug, or a broken sender.
    Broken(String),
    Nothing,
}

impl Receiving {
    /// Starts a transfer of `state_bytes` bytes of state.
    pub fn new(now: Instant, from: Member, transfer: u64, message: RaftMessage, state_bytes: u64) -> Receiving {
        Receiving {
            transfer,
            from,
            message,
            state_bytes,
            state: Vec::new(),
            topics: None,
            lacking: BTreeMap::new(),
            received_messages: 0,
            lacking_messages: 0,
            last_asked: now,
            last_progress: now,
        }
    }

    /// The next request.
    pub fn ask(&mut self, now: Instant) -> SnapshotFrame {
        self.last_asked = now;
        let transfer = self.transfer;
        match self.lacking.first_key_value() {
            _ if self.topics.is_none() => SnapshotFrame::FetchState { transfer, from_byte: self.state.len() as u64 },
            Some((topic, (from, _))) => SnapshotFrame::FetchMessages { transfer, topic: *topic, from: *from },
            None => SnapshotFrame::Done { transfer, installed: true },
        }
    }

    /// Handles a piece of the checkpoint. `held` returns the number of messages of a topic that this member has
    /// already.
    pub fn handle_state(
        &mut self,
        now: Instant,
        from_byte: u64,
        bytes: &[u8],
        held: impl Fn(TopicId) -> Offset,
    ) -> TransferStep {
        if self.topics.is_some() || from_byte != self.state.len() as u64 {
            return TransferStep::Nothing;
        }
        self.last_progress = now;
        self.state.extend_from_slice(bytes);
        if (self.state.len() as u64) < self.state_bytes {
            return if bytes.is_empty() {
                TransferStep::Broken("a piece is empty".into())
            } else {
                TransferStep::Ask(self.ask(now))
            };
        }
        match Topics::decode(&self.state) {
            Ok(topics) => {
                self.lacking = topics
                    .topics()
                    .map(|topic| (topic.id, (held(topic.id).min(topic.end), topic.end)))
                    .filter(|(_, (have, end))| have < end)
                    .collect();
                self.lacking_messages = self.lacking.values().map(|(have, end)| end.0 - have.0).sum();
                self.topics = Some(topics);
                self.go_on(now)
            }
            Err(error) => TransferStep::Broken(error.to_string()),
        }
    }

    /// Handles messages. `None` if they are not the requested ones; otherwise the caller stores them.
    pub fn handle_messages(
        &mut self,
        now: Instant,
        topic: TopicId,
        from: Offset,
        messages: &[StoredMessage],
    ) -> Option<TransferStep> {
        let (next, end) = self.lacking.get_mut(&topic)?;
        let consecutive = messages.iter().enumerate().all(|(i, message)| message.offset.0 == from.0 + i as u64);
        if *next != from || messages.is_empty() || !consecutive {
            return None;
        }
        self.last_progress = now;
        self.received_messages += messages.len() as u64;
        next.0 += messages.len() as u64;
        if *next >= *end {
            self.lacking.remove(&topic);
        }
        Some(self.go_on(now))
    }

    fn go_on(&mut self, now: Instant) -> TransferStep {
        if !self.lacking.is_empty() {
            return TransferStep::Ask(self.ask(now));
        }
        let topics = self.topics.clone().expect("missing messages are known only after the state is complete");
        TransferStep::Complete { message: Box::new(self.message.clone()), topics: Box::new(topics) }
    }

    /// Whether the last request has been unanswered for too long.
    pub fn must_ask_again(&self, now: Instant) -> bool {
        now.since(self.last_asked) >= ASK_AGAIN
    }

    /// Whether the transfer has made no progress for too long.
    pub fn is_given_up(&self, now: Instant) -> bool {
        now.since(self.last_progress) >= GIVE_UP
    }

    /// The number of messages received, and the number that was missing at the start.
    pub fn progress(&self) -> (u64, u64) {
        (self.received_messages, self.lacking_messages)
    }

    /// Whether this transfer is the offered one, or carries a newer snapshot than the offer.
    pub fn is_newer_than(&self, transfer: u64, message: &RaftMessage) -> bool {
        let index = |message: &RaftMessage| message.snapshot.as_ref().map_or(0, |head| head.index);
        self.transfer == transfer || (self.message.term, index(&self.message)) > (message.term, index(message))
    }
}
