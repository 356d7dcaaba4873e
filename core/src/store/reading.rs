//! The range of messages that a read returns, for all engines.
//!
//! A read that needs a damaged or missing row fails, and reports which messages are lost.

use super::rows::{BadRow, Row, RowKey};
use super::{Damaged, ReadMessages};
use crate::names::Offset;
use crate::records::StoredMessage;

/// A read needs messages that are damaged or missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// The first bad row.
    pub bad: BadRow,
    /// The lost messages, as far as the read has come.
    pub lost: Damaged,
}

impl Unreadable {
    /// Extends the loss back to the end of the previous row.
    pub fn behind(self, row_before: Option<Offset>) -> Unreadable {
        let from = row_before.map_or(Offset(0), Offset::next);
        Unreadable { lost: Damaged { from: from.min(self.lost.from), ..self.lost }, ..self }
    }
}

/// Reads messages from rows, overlaid with pending messages that are not in rows yet.
///
/// Rows come in the order of their keys, beginning with the first at or after the read's first offset. Each is a key
/// and a function that decodes the row; it is called only if the row is needed. It must return at least those messages
/// of the row that are in the range of the read. Pending messages come in the order of their offsets, beginning at the
/// read's first offset.
pub fn read_through<'p, E: From<Unreadable>, L: FnOnce() -> Row<Vec<StoredMessage>>>(
    read: &ReadMessages,
    rows: impl Iterator<Item = Result<(Offset, L), E>>,
    pending: impl Iterator<Item = &'p StoredMessage>,
) -> Result<Vec<StoredMessage>, E> {
    let mut reading = Reading { read, next: read.from, bytes: 0, ended: false, unreadable: None, messages: Vec::new() };
    let (mut rows, mut pending) = (rows.peekable(), pending.peekable());
    while !reading.is_full() {
        let next = reading.next;
        if pending.next_if(|message| message.offset < next).is_some()
            || rows.next_if(|row| row.as_ref().is_ok_and(|(last, _)| *last < next)).is_some()
        {
            continue;
        }
        if let Some(message) = pending.next_if(|message| message.offset == next) {
            reading.take(message.clone());
        } else if let Some(row) = rows.next() {
            let (last, look) = row?;
            match look() {
                Ok(run) => run
                    .into_iter()
                    .skip_while(|message| message.offset < next)
                    .for_each(|message| reading.take(message)),
                Err(bad) => reading.stop(bad, last.next()),
            }
        } else if let Some(message) = pending.next() {
            reading.take(message.clone());
        } else {
            break;
        }
    }
    match reading.unreadable {
        Some(unreadable) => Err(unreadable.into()),
        None => Ok(reading.messages),
    }
}

/// A read in progress.
struct Reading<'r> {
    read: &'r ReadMessages,
    next: Offset,
    bytes: u64,
    /// The read's last offset was passed.
    ended: bool,
    /// The messages from here on are lost.
    unreadable: Option<Unreadable>,
    messages: Vec<StoredMessage>,
}

impl Reading<'_> {
    /// Whether no more messages are needed.
    fn is_full(&self) -> bool {
        let limited = self.bytes > self.read.max_bytes || self.messages.len() as u64 >= self.read.max_messages.into();
        self.ended || self.unreadable.is_some() || self.next >= self.read.end || (limited && !self.messages.is_empty())
    }

    /// Adds a message. A gap before it ends the read.
    fn take(&mut self, message: StoredMessage) {
        if self.is_full() {
            return;
        }
        if message.offset >= self.read.end {
            self.ended = true;
            return;
        }
        if message.offset != self.next {
            let key = RowKey::Messages(self.read.group.code(), self.read.topic.0, self.next.0);
            return self.stop(BadRow { key, why: "is missing" }, message.offset);
        }
        self.next = message.offset.next();
        self.bytes += message.content.len() as u64;
        self.messages.push(message);
    }

    /// Ends the read: all messages from the next one to before `end` are lost.
    fn stop(&mut self, bad: BadRow, end: Offset) {
        self.unreadable = Some(Unreadable { bad, lost: Damaged { from: self.next, end } });
    }
}
