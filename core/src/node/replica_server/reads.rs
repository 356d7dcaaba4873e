//! Reads of messages from disk, and the reader of each.
//!
//! The reads under way are limited by the bytes that they may return; further reads wait here in order. Beyond
//! [`MAX_WAITING`] waiting reads, a read is refused: the requesters of pulls, fetches and snapshots ask again, and a
//! session retries by itself.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::super::out::{GroupAsk, Out, PartEffect};
use super::super::queues::Queue;
use super::super::view::View;
use super::super::vocabulary::{ReadRange, Requester, SessionId, SnapshotPart, message};
use super::ReplicaServer;
use super::pulls::Pull;
use crate::identity::GroupId;
use crate::names::{Offset, TopicId, TopicName};
use crate::records::StoredMessage;
use crate::states::Role;
use crate::store::{Damaged, ReadFailed, ReadId, ReadMessages};
use crate::wire::answer::{ErrorCode, Failure};
use crate::wire::peer::Reply;

/// Bytes of contents in one answer to a pull.
const PULL_BYTES: u64 = 4 * 1024 * 1024;
const SNAPSHOT_MESSAGES: u32 = 4096;
/// Bytes of contents that reads under way may return: enough to keep the disk busy, and acceptable in a node's memory.
const MAX_BYTES_UNDER_WAY: u64 = 128 * 1024 * 1024;
/// Most waiting reads.
const MAX_WAITING: usize = 8_192;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Reads {
    next: u64,
    under_way: BTreeMap<ReadId, UnderWay>,
    bytes_under_way: u64,
    waiting: VecDeque<(ReadRange, Reader)>,
}

#[derive(Serialize, Deserialize)]
struct UnderWay {
    range: ReadRange,
    reader: Reader,
    /// The most bytes that the read may return.
    bytes: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Reader {
    Pull {
        group: GroupId,
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
    Snapshot(SnapshotPart),
}

/// The most bytes that a read may return if one content has at most `max_content` bytes. The last content may pass the
/// limit.
fn most_bytes(range: &ReadRange, max_content: u64) -> u64 {
    let messages = u64::from(range.max_messages).min(range.end.0 - range.from.0);
    messages.saturating_mul(max_content).min(range.max_bytes.saturating_add(max_content))
}

impl Reads {
    pub(super) fn queues(&self) -> [Queue; 2] {
        [
            Queue { name: "bytes of reads under way", len: self.bytes_under_way, limit: MAX_BYTES_UNDER_WAY },
            Queue::of("reads that wait", self.waiting.len(), MAX_WAITING),
        ]
    }
}

impl ReplicaServer {
    /// The reads that the disk has not answered.
    pub fn reads_under_way(&self) -> Vec<ReadMessages> {
        self.reads.under_way.iter().map(|(read, under_way)| under_way.range.as_read(*read)).collect()
    }

    pub(super) fn read(&mut self, range: ReadRange, reader: Reader, view: &View, out: &mut Out) {
        if self.reads.waiting.len() >= MAX_WAITING {
            return self.refuse_read(reader, view, out);
        }
        self.reads.waiting.push_back((range, reader));
        self.begin_reads(view, out);
    }

    /// Starts waiting reads in order, as far as there is room.
    fn begin_reads(&mut self, view: &View, out: &mut Out) {
        let max_content = view.config.limits.max_content_bytes as u64;
        while let Some((range, reader)) = self.reads.waiting.pop_front() {
            let bytes = most_bytes(&range, max_content);
            if self.reads.bytes_under_way > 0 && self.reads.bytes_under_way + bytes > MAX_BYTES_UNDER_WAY {
                return self.reads.waiting.push_front((range, reader));
            }
            self.reads.next += 1;
            let read = ReadId(self.reads.next);
            self.reads.bytes_under_way += bytes;
            out.read(range.as_read(read));
            self.reads.under_way.insert(read, UnderWay { range, reader, bytes });
        }
    }

    /// Refuses a read because too many wait. Its requester asks again.
    fn refuse_read(&mut self, reader: Reader, view: &View, out: &mut Out) {
        let why = format!("node {} has reached its limit of {MAX_WAITING} reads that wait for its disk", view.me);
        match reader {
            Reader::Pull { pull, .. } => self.reply_to_pull(pull.key, Reply::Unavailable { why }, out),
            Reader::Session(session) => out.push(PartEffect::SessionReadRefused(session)),
            Reader::Fetch(requester) | Reader::Stored(requester) => out.reply(&requester, Reply::Unavailable { why }),
            // The receiver asks again.
            Reader::Snapshot(_) => {}
        }
    }

    pub(super) fn read_for_pull(&mut self, group: GroupId, pull: Pull, view: &View, out: &mut Out) {
        let Some(member) = view.groups.get(group) else {
            return self.reply_to_pull(pull.key, Reply::NotLeader { leader: None, proposed: false }, out);
        };
        let place = member.topics().place(&pull.topic);
        let cursor = member.topics().cursor(&pull.topic, &pull.subscriber);
        if cursor.is_none() && member.role() == Role::Learner {
            let why = format!("node {} is still catching up and may not know this subscription yet", view.me);
            return self.reply_to_pull(pull.key, Reply::Unavailable { why }, out);
        }
        let (Some((topic, end)), Some(cursor)) = (place, cursor) else {
            let failure = match place {
                None => unknown_topic(&pull.topic),
                Some(_) => ErrorCode::NotSubscribed.because(format!(
                    "subscriber `{}` is not subscribed to topic `{}`; subscribe first",
                    pull.subscriber, pull.topic
                )),
            };
            return self.answer_pull(pull.key, Err(failure), view, out);
        };
        let from = pull.from.unwrap_or(cursor).min(end);
        if from >= end || pull.max == 0 {
            return self.finish_pull(group, pull, Vec::new(), from..end, view, out);
        }
        let range = ReadRange { group, topic, from, end, max_messages: pull.max, max_bytes: PULL_BYTES };
        self.read(range, Reader::Pull { group, topic, start: from, topic_end: end, pull }, view, out);
    }

    /// Reads messages for a push session of this node.
    pub fn read_for_session(&mut self, range: ReadRange, session: SessionId, view: &View, out: &mut Out) {
        self.read(range, Reader::Session(session), view, out);
    }

    /// Reads messages for the receiver `to` of a snapshot.
    pub fn read_for_snapshot(&mut self, part: SnapshotPart, view: &View, out: &mut Out) {
        let SnapshotPart { group, topic, from, end, .. } = part;
        let (max_messages, max_bytes) = (SNAPSHOT_MESSAGES, crate::group::snapshot::PIECE_BYTES);
        self.read(ReadRange { group, topic, from, end, max_messages, max_bytes }, Reader::Snapshot(part), view, out);
    }

    /// Handles the end of a read from disk: gives the messages to the reader, begins waiting reads, and starts a repair
    /// of lost messages.
    pub fn handle_messages_read(
        &mut self,
        read: ReadId,
        result: Result<Vec<StoredMessage>, ReadFailed>,
        view: &View,
        out: &mut Out,
    ) {
        let Some(UnderWay { range, reader, bytes }) = self.reads.under_way.remove(&read) else { return };
        self.reads.bytes_under_way -= bytes;
        self.begin_reads(view, out);
        match result {
            // Only ranges that contain messages are read, so an empty result means loss or deletion.
            Ok(messages) if messages.is_empty() => self.handle_nothing_read(range, reader, view, out),
            Ok(messages) => self.use_messages(reader, messages, view, out),
            Err(failed) => self.handle_read_failed(range, reader, failed, view, out),
        }
    }

    fn use_messages(&mut self, reader: Reader, messages: Vec<StoredMessage>, view: &View, out: &mut Out) {
        match reader {
            Reader::Pull { group, start, topic_end, pull, .. } => {
                self.finish_pull(group, pull, messages, start..topic_end, view, out)
            }
            Reader::Session(session) => out.push(PartEffect::SessionMessages(session, messages)),
            Reader::Fetch(requester) => {
                let messages = messages.into_iter().map(message).collect();
                out.reply(&requester, Reply::Fetched { messages });
            }
            Reader::Stored(requester) => out.reply(&requester, Reply::Stored { messages }),
            Reader::Snapshot(part) => {
                let group = part.group;
                out.push(PartEffect::Group(group, GroupAsk::SendSnapshot(part, messages)));
            }
        }
    }

    /// Handles an empty result: the topic was deleted meanwhile, or the disk has lost the messages.
    fn handle_nothing_read(&mut self, range: ReadRange, reader: Reader, view: &View, out: &mut Out) {
        match reader {
            // Another topic may have that name now.
            Reader::Pull { group, topic, pull, .. } if view.is_deleted(group, topic) => {
                self.read_for_pull(group, pull, view, out)
            }
            // The transfer ended with the topic.
            Reader::Snapshot(part) if view.is_deleted(part.group, part.topic) => {}
            reader if view.is_deleted(range.group, range.topic) => {
                self.fail_read(reader, ReadFailed::because("the topic was deleted in the meantime"), view, out);
            }
            reader => {
                let damaged = Damaged { from: range.from, end: range.end };
                let why = "the messages are not on disk".into();
                self.handle_read_failed(range, reader, ReadFailed { why, damaged: Some(damaged) }, view, out);
            }
        }
    }

    pub(super) fn fail_read(&mut self, reader: Reader, error: ReadFailed, view: &View, out: &mut Out) {
        match reader {
            Reader::Pull { pull, .. } => {
                let failure = ErrorCode::Unavailable.because(format!("node {} cannot read its disk: {error}", view.me));
                self.answer_pull(pull.key, Err(failure), view, out);
            }
            Reader::Session(session) => out.push(PartEffect::SessionUnreadable(session)),
            Reader::Fetch(requester) => out.reply(&requester, Reply::Unreadable { why: error.to_string() }),
            Reader::Stored(requester) => out.reply(&requester, Reply::Unavailable { why: error.to_string() }),
            // The receiver asks again, perhaps another leader.
            Reader::Snapshot(part) => out.push(PartEffect::Group(part.group, GroupAsk::HandOver)),
        }
    }
}

fn unknown_topic(topic: &TopicName) -> Failure {
    ErrorCode::UnknownTopic.because(format!("there is no topic `{topic}`; create it first"))
}
