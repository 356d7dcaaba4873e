//! Reads of messages from disk, and the purpose of each.
//!
//! The reads under way are limited by the bytes that they may return; further reads wait here in order. Beyond
//! [`MAX_WAITING`] waiting reads, a read is refused: the requesters of pulls, fetches and snapshots ask again, and a
//! session retries by itself.

use std::collections::{BTreeMap, VecDeque};

use super::Node;
use super::pulls::Pull;
use super::push::SessionId;
use super::queues::Queue;
use super::serve::{Requester, unknown_topic};
use crate::cube::Vertex;
use crate::identity::NodeId;
use crate::names::{Offset, TopicId};
use crate::records::StoredMessage;
use crate::states::Role;
use crate::store::{Damaged, ReadFailed, ReadId, ReadMessages};
use crate::topics::Known;
use crate::wire::answer::{ErrorCode, Message};
use crate::wire::peer::Reply;

/// Bytes of contents in one answer to a pull.
const PULL_BYTES: u64 = 4 * 1024 * 1024;
const SNAPSHOT_MESSAGES: u32 = 4096;
/// Bytes of contents that reads under way may return: enough to keep the disk busy, and acceptable in a node's memory.
const MAX_BYTES_UNDER_WAY: u64 = 128 * 1024 * 1024;
/// Most waiting reads.
const MAX_WAITING: usize = 8_192;

#[derive(Default)]
pub(super) struct Reads {
    next: u64,
    under_way: BTreeMap<ReadId, UnderWay>,
    bytes_under_way: u64,
    waiting: VecDeque<(Range, Purpose)>,
}

struct UnderWay {
    range: Range,
    purpose: Purpose,
    /// The most bytes that the read may return.
    bytes: u64,
}

pub(super) enum Purpose {
    Pull {
        group: Vertex,
        topic: TopicId,
        start: Offset,
        /// The topic's end when the read began.
        topic_end: Offset,
        pull: Pull,
    },
    Session(SessionId),
    Fetch(Requester),
    /// For another member whose disk has lost them.
    Stored(Requester),
    Snapshot {
        group: Vertex,
        to: NodeId,
        transfer: u64,
        topic: TopicId,
        from: Offset,
    },
}

/// A range of a topic's messages, with limits.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub group: Vertex,
    pub topic: TopicId,
    pub from: Offset,
    pub end: Offset,
    pub max_messages: u32,
    pub max_bytes: u64,
}

impl Range {
    /// The most bytes that a read may return if one content has at most `max_content` bytes. The last content may pass
    /// the limit.
    fn most_bytes(&self, max_content: u64) -> u64 {
        let messages = u64::from(self.max_messages).min(self.end.0 - self.from.0);
        messages.saturating_mul(max_content).min(self.max_bytes.saturating_add(max_content))
    }
}

impl Reads {
    pub(super) fn queues(&self) -> [Queue; 2] {
        [
            Queue { name: "bytes of reads under way", len: self.bytes_under_way, limit: MAX_BYTES_UNDER_WAY },
            Queue::of("reads that wait", self.waiting.len(), MAX_WAITING),
        ]
    }
}

impl Node {
    pub(super) fn read(&mut self, range: Range, purpose: Purpose) {
        if self.reads.waiting.len() >= MAX_WAITING {
            return self.refuse_read(purpose);
        }
        self.reads.waiting.push_back((range, purpose));
        self.begin_reads();
    }

    /// Starts waiting reads in order, as far as there is room.
    fn begin_reads(&mut self) {
        let max_content = self.config.limits.max_content_bytes as u64;
        while let Some((range, purpose)) = self.reads.waiting.pop_front() {
            let bytes = range.most_bytes(max_content);
            if self.reads.bytes_under_way > 0 && self.reads.bytes_under_way + bytes > MAX_BYTES_UNDER_WAY {
                return self.reads.waiting.push_front((range, purpose));
            }
            self.reads.next += 1;
            let read = ReadId(self.reads.next);
            self.reads.bytes_under_way += bytes;
            self.reads.under_way.insert(read, UnderWay { range, purpose, bytes });
            let Range { group, topic, from, end, max_messages, max_bytes } = range;
            self.disk_reads.push(ReadMessages { read, group, topic, from, end, max_messages, max_bytes });
        }
    }

    /// Refuses a read because too many wait. Its requester asks again.
    fn refuse_read(&mut self, purpose: Purpose) {
        let why = format!("node {} has reached its limit of {MAX_WAITING} reads that wait for its disk", self.me);
        match purpose {
            Purpose::Pull { pull, .. } => self.reply_to_pull(pull.key, Reply::Unavailable { why }),
            Purpose::Session(session) => self.try_session_later(session),
            Purpose::Fetch(requester) | Purpose::Stored(requester) => {
                self.reply(&requester, Reply::Unavailable { why })
            }
            // The receiver asks again.
            Purpose::Snapshot { .. } => {}
        }
    }

    pub(super) fn read_for_pull(&mut self, home: Vertex, pull: Pull) {
        let Some(group) = self.groups.get(&home) else {
            return self.reply_to_pull(pull.key, Reply::NotLeader { leader: None, proposed: false });
        };
        let place = group.topics().place(&pull.topic);
        let cursor = group.topics().cursor(&pull.topic, &pull.subscriber);
        if cursor.is_none() && group.role() == Role::Learner {
            let why = format!("node {} is still catching up and may not know this subscription yet", self.me);
            return self.reply_to_pull(pull.key, Reply::Unavailable { why });
        }
        let (Some((topic, end)), Some(cursor)) = (place, cursor) else {
            let failure = match place {
                None => unknown_topic(&pull.topic),
                Some(_) => ErrorCode::NotSubscribed.because(format!(
                    "subscriber `{}` is not subscribed to topic `{}`; subscribe first",
                    pull.subscriber, pull.topic
                )),
            };
            return self.answer_pull(pull.key, Err(failure));
        };
        let from = pull.from.unwrap_or(cursor).min(end);
        if from >= end || pull.max == 0 {
            return self.finish_pull(home, pull, Vec::new(), from..end);
        }
        let range = Range { group: home, topic, from, end, max_messages: pull.max, max_bytes: PULL_BYTES };
        self.read(range, Purpose::Pull { group: home, topic, start: from, topic_end: end, pull });
    }

    pub(super) fn read_for_session(&mut self, range: Range, session: SessionId) {
        self.read(range, Purpose::Session(session));
    }

    pub(super) fn read_for_fetch(&mut self, range: Range, requester: Requester) {
        self.read(range, Purpose::Fetch(requester));
    }

    pub(super) fn read_for_snapshot(
        &mut self,
        group: Vertex,
        to: NodeId,
        transfer: u64,
        topic: TopicId,
        from: Offset,
        end: Offset,
    ) {
        let range = Range {
            group,
            topic,
            from,
            end,
            max_messages: SNAPSHOT_MESSAGES,
            max_bytes: crate::group::snapshot::PIECE_BYTES,
        };
        self.read(range, Purpose::Snapshot { group, to, transfer, topic, from });
    }

    pub(super) fn handle_messages_read(&mut self, read: ReadId, result: Result<Vec<StoredMessage>, ReadFailed>) {
        let Some(UnderWay { range, purpose, bytes }) = self.reads.under_way.remove(&read) else { return };
        self.reads.bytes_under_way -= bytes;
        self.begin_reads();
        match result {
            // Only ranges that contain messages are read, so an empty result means loss or deletion.
            Ok(messages) if messages.is_empty() => self.handle_nothing_read(range, purpose),
            Ok(messages) => self.use_messages(purpose, messages),
            Err(failed) => self.handle_read_failed(range, purpose, failed),
        }
    }

    fn use_messages(&mut self, purpose: Purpose, messages: Vec<StoredMessage>) {
        match purpose {
            Purpose::Pull { group, start, topic_end, pull, .. } => {
                self.finish_pull(group, pull, messages, start..topic_end)
            }
            Purpose::Session(session) => self.handle_session_messages(session, messages),
            Purpose::Fetch(requester) => {
                let messages = messages.into_iter().map(message).collect();
                self.reply(&requester, Reply::Fetched { messages });
            }
            Purpose::Stored(requester) => self.reply(&requester, Reply::Stored { messages }),
            Purpose::Snapshot { group, to, transfer, topic, from } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.handle_read_for_snapshot(to, transfer, topic, from, messages);
                }
            }
        }
    }

    /// Handles an empty result: the topic was deleted meanwhile, or the disk has lost the messages.
    fn handle_nothing_read(&mut self, range: Range, purpose: Purpose) {
        match purpose {
            // Another topic may have that name now.
            Purpose::Pull { group, topic, pull, .. } if self.is_deleted(group, topic) => {
                self.read_for_pull(group, pull)
            }
            // The transfer ended with the topic.
            Purpose::Snapshot { group, topic, .. } if self.is_deleted(group, topic) => {}
            purpose if self.is_deleted(range.group, range.topic) => {
                self.fail_read(purpose, ReadFailed::because("the topic was deleted in the meantime"));
            }
            purpose => {
                let damaged = Damaged { from: range.from, end: range.end };
                let why = "the messages are not on disk".into();
                self.handle_read_failed(range, purpose, ReadFailed { why, damaged: Some(damaged) });
            }
        }
    }

    pub(super) fn is_deleted(&self, group: Vertex, topic: TopicId) -> bool {
        self.groups.get(&group).is_some_and(|group| group.topics().known(topic) == Known::Deleted)
    }

    pub(super) fn fail_read(&mut self, purpose: Purpose, error: ReadFailed) {
        match purpose {
            Purpose::Pull { pull, .. } => {
                let failure = ErrorCode::Unavailable.because(format!("node {} cannot read its disk: {error}", self.me));
                self.answer_pull(pull.key, Err(failure));
            }
            Purpose::Session(session) => self.handle_session_read_failed(session),
            Purpose::Fetch(requester) => self.reply(&requester, Reply::Unreadable { why: error.to_string() }),
            Purpose::Stored(requester) => self.reply(&requester, Reply::Unavailable { why: error.to_string() }),
            // The receiver asks again, perhaps another leader.
            Purpose::Snapshot { group, .. } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.hand_over(|_| true);
                }
            }
        }
    }
}

/// The part of a stored message that a client receives.
pub(super) fn message(stored: StoredMessage) -> Message {
    let StoredMessage { offset, publisher, time, content, .. } = stored;
    Message { offset, publisher, content, time }
}
