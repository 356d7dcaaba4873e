//! Where a read of messages begins and ends, whatever engine has the rows.

use super::rows::{BadRow, Row, RowKey};
use super::{ReadMessages, StoredMessage};
use crate::names::Offset;

/// A read under way: an engine gives it the rows in the range of its offsets, in order, until it is full.
#[derive(Debug)]
pub struct Reading<'r> {
    read: &'r ReadMessages,
    next: Offset,
    bytes: u64,
    messages: Vec<StoredMessage>,
}

impl<'r> Reading<'r> {
    pub fn new(read: &'r ReadMessages) -> Reading<'r> {
        Reading { read, next: read.from, bytes: 0, messages: Vec::new() }
    }

    /// No more rows are wanted.
    pub fn is_full(&self) -> bool {
        let limited = self.bytes > self.read.max_bytes || self.messages.len() as u64 >= self.read.max_messages.into();
        self.read.from >= self.read.end || (limited && !self.messages.is_empty())
    }

    /// A bad row fails the read, and so does one that is missing before this one.
    pub fn take(&mut self, offset: Offset, row: Row<StoredMessage>) -> Row<()> {
        let message = row?;
        if offset != self.next {
            let key = RowKey::Message(self.read.group.to_code(), self.read.topic.0, self.next.0);
            return Err(BadRow { key, why: "is missing" });
        }
        self.next = offset.next();
        self.bytes += message.content.len() as u64;
        self.messages.push(message);
        Ok(())
    }

    /// What was read: consecutive, from the read's first offset on.
    pub fn finish(self) -> Vec<StoredMessage> {
        self.messages
    }
}
