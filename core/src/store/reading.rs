//! Where a read of messages begins and ends, whatever engine has the rows.

use super::rows::{BadRow, Row, RowKey};
use super::{ReadMessages, StoredMessage};
use crate::names::Offset;

/// Reads messages out of rows, and out of what will be written over them.
///
/// Rows come in the order of their keys, from the first at or behind the read's first offset on; each is a key, and what
/// is looked at only when it is needed: what the read can use of it, or more. Pending messages come in the order of their
/// offsets, from that offset on.
pub fn read_through<'p, E: From<BadRow>, L: FnOnce() -> Row<Vec<StoredMessage>>>(
    read: &ReadMessages,
    rows: impl Iterator<Item = Result<(Offset, L), E>>,
    pending: impl Iterator<Item = &'p StoredMessage>,
) -> Result<Vec<StoredMessage>, E> {
    let mut reading = Reading { read, next: read.from, bytes: 0, ended: false, messages: Vec::new() };
    let (mut rows, mut pending) = (rows.peekable(), pending.peekable());
    while !reading.is_full() {
        let next = reading.next;
        if pending.next_if(|message| message.offset < next).is_some()
            || rows.next_if(|row| row.as_ref().is_ok_and(|(last, _)| *last < next)).is_some()
        {
            continue;
        }
        if let Some(message) = pending.next_if(|message| message.offset == next) {
            reading.take(message.clone())?;
        } else if let Some(row) = rows.next() {
            let (_, look) = row?;
            let run = look()?;
            run.into_iter()
                .skip_while(|message| message.offset < next)
                .try_for_each(|message| reading.take(message))?;
        } else if let Some(message) = pending.next() {
            reading.take(message.clone())?;
        } else {
            break;
        }
    }
    Ok(reading.messages)
}

/// A read under way.
struct Reading<'r> {
    read: &'r ReadMessages,
    next: Offset,
    bytes: u64,
    /// The read's last offset was passed.
    ended: bool,
    messages: Vec<StoredMessage>,
}

impl Reading<'_> {
    /// No more messages are wanted.
    fn is_full(&self) -> bool {
        let limited = self.bytes > self.read.max_bytes || self.messages.len() as u64 >= self.read.max_messages.into();
        self.ended || self.next >= self.read.end || (limited && !self.messages.is_empty())
    }

    /// A message that is missing before this one fails the read.
    fn take(&mut self, message: StoredMessage) -> Row<()> {
        if self.is_full() {
            return Ok(());
        }
        if message.offset >= self.read.end {
            self.ended = true;
            return Ok(());
        }
        if message.offset != self.next {
            let key = RowKey::Messages(self.read.group.to_code(), self.read.topic.0, self.next.0);
            return Err(BadRow { key, why: "is missing" });
        }
        self.next = message.offset.next();
        self.bytes += message.content.len() as u64;
        self.messages.push(message);
        Ok(())
    }
}
