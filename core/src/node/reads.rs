//! Reads of messages from disk, and what each was for.

use std::collections::BTreeMap;

use super::Node;
use super::push::SessionId;
use super::serve::{Asker, Pull, unknown_topic};
use crate::cube::Vertex;
use crate::identity::NodeId;
use crate::names::Offset;
use crate::store::{ReadFailed, ReadId, ReadMessages, StoredMessage};
use crate::topics::command::TopicId;
use crate::wire::answer::{ErrorCode, Message, Role};
use crate::wire::event::Event;
use crate::wire::peer::Reply;

/// Contents in one answer to a pull.
const PULL_BYTES: u64 = 4 * 1024 * 1024;
const SNAPSHOT_MESSAGES: u32 = 4096;

#[derive(Default)]
pub(super) struct Reads {
    next: u64,
    under_way: BTreeMap<ReadId, Purpose>,
}

enum Purpose {
    Pull { group: Vertex, start: Offset, pull: Pull },
    Session { session: SessionId, from: Offset },
    Fetch { asker: Asker, end: Offset },
    Snapshot { group: Vertex, to: NodeId, transfer: u64, topic: TopicId, from: Offset },
}

/// A range of a topic's messages, with limits.
pub(super) struct Range {
    pub group: Vertex,
    pub topic: TopicId,
    pub from: Offset,
    pub end: Offset,
    pub max_messages: u32,
    pub max_bytes: u64,
}

impl Node {
    fn read(&mut self, range: Range, purpose: Purpose) {
        let Range { group, topic, from, end, max_messages, max_bytes } = range;
        self.reads.next += 1;
        let read = ReadId(self.reads.next);
        self.reads.under_way.insert(read, purpose);
        self.disk_reads.push(ReadMessages { read, group, topic, from, end, max_messages, max_bytes });
    }

    pub(super) fn read_for_pull(&mut self, home: Vertex, pull: Pull) {
        let Some(group) = self.groups.get(&home) else { return };
        let place = group.topics().place(&pull.topic);
        let cursor = group.topics().cursor(&pull.topic, &pull.subscriber);
        if cursor.is_none() && group.role() == Role::Learner {
            let why = format!("node {} is still catching up and cannot tell what it does not hold", self.me);
            return self.reply(&pull.asker, Reply::Unavailable { why });
        }
        let (Some((topic, end)), Some(cursor)) = (place, cursor) else {
            let failure = match place {
                None => unknown_topic(&pull.topic),
                Some(_) => ErrorCode::NotSubscribed
                    .because(format!("'{}' is not subscribed to '{}'; subscribe first", pull.subscriber, pull.topic)),
            };
            return self.reply_result(&pull.asker, pull.hops, Err(failure));
        };
        let from = pull.from.unwrap_or(cursor).min(end);
        if from >= end || pull.max == 0 {
            return self.finish_pull(home, pull, Vec::new(), from);
        }
        let range = Range { group: home, topic, from, end, max_messages: pull.max, max_bytes: PULL_BYTES };
        self.read(range, Purpose::Pull { group: home, start: from, pull });
    }

    pub(super) fn read_for_session(&mut self, range: Range, session: SessionId) {
        let from = range.from;
        self.read(range, Purpose::Session { session, from });
    }

    pub(super) fn read_for_fetch(&mut self, range: Range, asker: Asker) {
        let end = range.end;
        self.read(range, Purpose::Fetch { asker, end });
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
        let Some(purpose) = self.reads.under_way.remove(&read) else { return };
        match result {
            // Only ranges that hold messages are read.
            Ok(messages) if messages.is_empty() => {
                let why = "the messages are not on disk: their topic was deleted meanwhile, or the disk has lost them";
                self.fail_read(purpose, ReadFailed(why.into()));
            }
            Ok(messages) => self.use_messages(purpose, messages),
            Err(error) => {
                self.observe(Event::Warning { text: format!("messages could not be read: {error}") }, None);
                self.fail_read(purpose, error);
            }
        }
    }

    fn use_messages(&mut self, purpose: Purpose, messages: Vec<StoredMessage>) {
        match purpose {
            Purpose::Pull { group, start, pull } => self.finish_pull(group, pull, messages, start),
            Purpose::Session { session, from } => self.handle_session_messages(session, from, messages),
            Purpose::Fetch { asker, end } => {
                let messages = messages.into_iter().map(message).collect();
                self.reply(&asker, Reply::Fetched { messages, end, deleted: false });
            }
            Purpose::Snapshot { group, to, transfer, topic, from } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.handle_read_for_snapshot(to, transfer, topic, from, messages);
                }
            }
        }
    }

    fn fail_read(&mut self, purpose: Purpose, error: ReadFailed) {
        match purpose {
            Purpose::Pull { pull, .. } => {
                let failure = ErrorCode::Unavailable.because(format!("node {} cannot read its disk: {error}", self.me));
                self.reply_result(&pull.asker, pull.hops, Err(failure));
            }
            Purpose::Session { session, .. } => self.handle_session_read_failed(session),
            Purpose::Fetch { asker, .. } => self.reply(&asker, Reply::Unavailable { why: error.to_string() }),
            // The receiver asks again.
            Purpose::Snapshot { .. } => {}
        }
    }
}

/// What a client gets of a stored message.
pub(super) fn message(stored: StoredMessage) -> Message {
    let StoredMessage { offset, publisher, time, content, .. } = stored;
    Message { offset, publisher, content, time }
}
