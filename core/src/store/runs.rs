//! Rows of messages: each row contains a run of messages with consecutive offsets, and its key is the offset of the
//! last one.
//!
//! Therefore a message, if present, is in the first row whose key is at or after its offset. Messages are never moved
//! between rows: an existing message is only ever replaced by an equal one. New writes replace damaged rows.

use std::ops::RangeInclusive;

use crate::records::StoredMessage;

/// A row accepts no more messages past this many bytes. With its page's header, such a row fits into four pages of 4
/// KiB.
const RUN_BYTES: usize = 15 << 10;
/// The maximum size of a message without its texts.
const MESSAGE_BYTES: usize = 48;

/// A row that may overlap with new messages: its last message is not before the first new one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Present {
    /// The row's key.
    pub last: u64,
    /// `None`: the row is damaged.
    pub first: Option<u64>,
}

/// How to insert new messages between the existing rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan<'m> {
    /// Damaged rows to be deleted, by their keys.
    pub remove: Vec<u64>,
    /// New rows.
    pub runs: Vec<Vec<&'m StoredMessage>>,
}

/// Plans the insertion of messages, which must be in the order of their offsets. `present` must contain all rows from
/// the first whose key is not before the first message, to the first whose key is not before the last message.
pub fn plan<'m>(present: &[Present], messages: impl IntoIterator<Item = &'m StoredMessage>) -> Plan<'m> {
    let held: Vec<RangeInclusive<u64>> = present.iter().filter_map(|row| Some(row.first?..=row.last)).collect();
    let new = messages.into_iter().filter(|message| !held.iter().any(|row| row.contains(&message.offset.0)));
    let runs = split(new);
    let newest = runs.last().and_then(|run| run.last()).map(|message| message.offset.0);
    let is_replaced = |row: &&Present| row.first.is_none() && newest.is_some_and(|newest| row.last <= newest);
    Plan { remove: present.iter().filter(is_replaced).map(|row| row.last).collect(), runs }
}

/// Splits messages at gaps between their offsets, and where a row is full.
fn split<'m>(messages: impl Iterator<Item = &'m StoredMessage>) -> Vec<Vec<&'m StoredMessage>> {
    let mut runs: Vec<Vec<&StoredMessage>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        let size = MESSAGE_BYTES + message.publisher.as_str().len() + message.content.len();
        bytes += size;
        match runs.last_mut().filter(|run| bytes <= RUN_BYTES && is_followed_by(run, message)) {
            Some(run) => run.push(message),
            None => {
                runs.push(vec![message]);
                bytes = size;
            }
        }
    }
    runs
}

fn is_followed_by(run: &[&StoredMessage], message: &StoredMessage) -> bool {
    run.last().is_some_and(|last| last.offset.next() == message.offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Offset;
    use crate::time::Timestamp;

    fn messages(offsets: impl IntoIterator<Item = u64>, bytes: usize) -> Vec<StoredMessage> {
        let message = |offset| StoredMessage {
            offset: Offset(offset),
            publisher: "pia".parse().unwrap(),
            sequence: None,
            time: Timestamp(0),
            content: "x".repeat(bytes).into(),
        };
        offsets.into_iter().map(message).collect()
    }

    fn planned(present: &[Present], new: &[StoredMessage]) -> (Vec<u64>, Vec<(u64, u64)>) {
        let Plan { remove, runs } = plan(present, new);
        (remove, runs.iter().map(|run| (run[0].offset.0, run[run.len() - 1].offset.0)).collect())
    }

    #[test]
    fn runs_end_at_gaps_and_when_they_are_full() {
        assert_eq!(planned(&[], &messages([], 1)), (vec![], vec![]));
        assert_eq!(planned(&[], &messages([3, 4, 5, 8, 9], 1)), (vec![], vec![(3, 5), (8, 9)]));
        assert_eq!(planned(&[], &messages(0..7, 5000)), (vec![], vec![(0, 2), (3, 5), (6, 6)]));
        assert_eq!(planned(&[], &messages(0..3, 1 << 20)), (vec![], vec![(0, 0), (1, 1), (2, 2)]));
    }

    #[test]
    fn what_is_there_stays_and_what_is_damaged_gives_way() {
        let good = |first, last| Present { last, first: Some(first) };
        let bad = |last| Present { last, first: None };
        let new = messages(10..20, 1);
        assert_eq!(planned(&[good(5, 12)], &new), (vec![], vec![(13, 19)]));
        assert_eq!(planned(&[good(5, 12), good(15, 15), good(18, 25)], &new), (vec![], vec![(13, 14), (16, 17)]));
        assert_eq!(planned(&[good(0, 30)], &new), (vec![], vec![]));
        assert_eq!(planned(&[bad(12), bad(19), bad(25)], &new), (vec![12, 19], vec![(10, 19)]));
        assert_eq!(planned(&[bad(12), good(13, 30)], &new), (vec![12], vec![(10, 12)]));
    }
}
