//! Moving a group's state to a member that is too far behind for the log.
//!
//! The leader *offers*; the receiver pulls the checkpoint in bounded pieces and then, topic by topic, the messages it lacks
//! (messages never change, so those it has it keeps). Each piece can be asked for again. When all is there, raft's own snapshot
//! message is stepped and the state installed. One transfer a group at each end.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::identity::NodeId;
use crate::names::Offset;
use crate::store::StoredMessage;
use crate::time::Instant;
use crate::topics::Topics;
use crate::topics::command::TopicId;
use crate::wire::peer::{RaftMessage, SnapshotFrame};

/// The size of one piece, in bytes of state or of message contents.
pub const PIECE_BYTES: u64 = 512 * 1024;
/// A piece not received in this time is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(400);
/// A transfer without progress for this long is given up by either end.
const GIVE_UP: Duration = Duration::from_secs(10);

/// The leader's end of a transfer.
pub struct Sending {
    pub transfer: u64,
    pub to: NodeId,
    pub state: Vec<u8>,
    /// The topics of `state`, with their ends: what may be asked for.
    ends: BTreeMap<TopicId, Offset>,
    last_asked: Instant,
}

/// What the leader does about a request.
pub enum Piece {
    Answer(SnapshotFrame),
    /// Read from disk, then answer with `SnapshotFrame::Messages`.
    Read {
        topic: TopicId,
        from: Offset,
        end: Offset,
    },
    /// Asked for something that is not in the offer.
    Nothing,
}

impl Sending {
    pub fn new(now: Instant, transfer: u64, to: NodeId, topics: &Topics) -> Sending {
        let ends = topics.topics().map(|topic| (topic.id, topic.end)).collect();
        Sending { transfer, to, state: topics.encode(), ends, last_asked: now }
    }

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

    pub fn is_given_up(&self, now: Instant) -> bool {
        now.since(self.last_asked) >= GIVE_UP
    }

    /// A topic of the offer was deleted: its messages cannot be had any more.
    pub fn offers(&self, topic: TopicId) -> bool {
        self.ends.contains_key(&topic)
    }
}

/// The receiver's end of a transfer.
pub struct Receiving {
    pub transfer: u64,
    pub from: NodeId,
    message: RaftMessage,
    state_bytes: u64,
    state: Vec<u8>,
    /// Known once the state is complete.
    topics: Option<Topics>,
    /// Topics of which messages are lacking: the next offset and the end.
    lacking: BTreeMap<TopicId, (Offset, Offset)>,
    received_messages: u64,
    lacking_messages: u64,
    last_asked: Instant,
    last_progress: Instant,
}

/// Where a transfer stands after something came.
pub enum Progress {
    Ask(SnapshotFrame),
    /// All there: step this message, then install these topics.
    Complete {
        message: Box<RaftMessage>,
        topics: Box<Topics>,
    },
    /// The state does not decode: a bug or a broken sender.
    Broken(String),
    Nothing,
}

impl Receiving {
    pub fn new(now: Instant, from: NodeId, transfer: u64, message: RaftMessage, state_bytes: u64) -> Receiving {
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

    /// What to ask for next.
    pub fn ask(&mut self, now: Instant) -> SnapshotFrame {
        self.last_asked = now;
        let transfer = self.transfer;
        match self.lacking.first_key_value() {
            _ if self.topics.is_none() => SnapshotFrame::FetchState { transfer, from_byte: self.state.len() as u64 },
            Some((topic, (from, _))) => SnapshotFrame::FetchMessages { transfer, topic: *topic, from: *from },
            None => SnapshotFrame::Done { transfer, installed: true },
        }
    }

    /// A piece of the checkpoint; `held` says how many messages of a topic this member has already.
    pub fn handle_state(
        &mut self,
        now: Instant,
        from_byte: u64,
        bytes: &[u8],
        held: impl Fn(TopicId) -> Offset,
    ) -> Progress {
        if self.topics.is_some() || from_byte != self.state.len() as u64 {
            return Progress::Nothing;
        }
        self.last_progress = now;
        self.state.extend_from_slice(bytes);
        if (self.state.len() as u64) < self.state_bytes {
            return if bytes.is_empty() {
                Progress::Broken("a piece is empty".into())
            } else {
                Progress::Ask(self.ask(now))
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
            Err(error) => Progress::Broken(error.to_string()),
        }
    }

    /// Whether these messages are the ones asked for; the caller stores them when so.
    pub fn handle_messages(
        &mut self,
        now: Instant,
        topic: TopicId,
        from: Offset,
        messages: &[StoredMessage],
    ) -> Option<Progress> {
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

    fn go_on(&mut self, now: Instant) -> Progress {
        if !self.lacking.is_empty() {
            return Progress::Ask(self.ask(now));
        }
        let topics = self.topics.clone().expect("nothing is known to lack before the state is complete");
        Progress::Complete { message: Box::new(self.message.clone()), topics: Box::new(topics) }
    }

    pub fn must_ask_again(&self, now: Instant) -> bool {
        now.since(self.last_asked) >= ASK_AGAIN
    }

    pub fn is_given_up(&self, now: Instant) -> bool {
        now.since(self.last_progress) >= GIVE_UP
    }

    /// Messages received and lacking at the start.
    pub fn progress(&self) -> (u64, u64) {
        (self.received_messages, self.lacking_messages)
    }

    pub fn is_newer_than(&self, transfer: u64, message: &RaftMessage) -> bool {
        let index = |message: &RaftMessage| message.snapshot.as_ref().map_or(0, |head| head.index);
        self.transfer == transfer || (self.message.term, index(&self.message)) > (message.term, index(message))
    }
}
