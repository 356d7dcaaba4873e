//! Rows that were read lately, as messages: who reads on where a read ended, and others who read the same, need not wait for
//! the tables, nor for the thread that reads them.
//!
//! A message never changes, so a row is right for as long as its topic is there.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};

use cubecast_core::cube::Vertex;
use cubecast_core::names::Offset;
use cubecast_core::store::rows::Row;
use cubecast_core::store::{ReadMessages, StoredMessage};
use cubecast_core::topics::command::TopicId;

/// More is forgotten, the oldest first; a row that was used since goes round once more.
const MAX_BYTES: usize = 4 << 20;
/// A larger row is not kept: few of these would leave no room for others.
const MAX_ROW_BYTES: usize = MAX_BYTES / 16;
/// What a message takes beside its content, about.
const MESSAGE_OVERHEAD: usize = 128;

/// A row: group, topic, and the offset of its last message.
type Place = (Vertex, TopicId, Offset);

#[derive(Debug, Default)]
pub(super) struct Lately {
    rows: BTreeMap<Place, Kept>,
    /// All of `rows`, the oldest first.
    order: VecDeque<Place>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    run: Vec<StoredMessage>,
    bytes: usize,
    used: Cell<bool>,
}

impl Lately {
    /// Keeps the messages of a row, which follow each other.
    pub(super) fn keep(&mut self, group: Vertex, topic: TopicId, run: &[StoredMessage]) {
        let Some(last) = run.last() else { return };
        let place = (group, topic, last.offset);
        let bytes = run.iter().map(|message| MESSAGE_OVERHEAD + message.content.len()).sum();
        if bytes > MAX_ROW_BYTES || self.rows.contains_key(&place) {
            return;
        }
        self.rows.insert(place, Kept { run: run.to_vec(), bytes, used: Cell::new(false) });
        self.order.push_back(place);
        self.bytes += bytes;
        while self.bytes > MAX_BYTES {
            self.forget_oldest();
        }
    }

    /// The rows of a topic from the first at or behind the read's first offset on; of each, what the read can use.
    pub(super) fn rows<E>(
        &self,
        read: &ReadMessages,
    ) -> impl Iterator<Item = Result<(Offset, impl FnOnce() -> Row<Vec<StoredMessage>>), E>> {
        let place = |offset| (read.group, read.topic, offset);
        let rows = self.rows.range(place(read.from)..=place(Offset(u64::MAX)));
        rows.map(|(&(_, _, last), kept)| {
            kept.used.set(true);
            let begin = kept.run.partition_point(|message| message.offset < read.from);
            let wanted = kept.run[begin..].iter().take(read.max_messages.max(1) as usize);
            Ok((last, move || Ok(wanted.cloned().collect())))
        })
    }

    /// A topic is deleted.
    pub(super) fn forget(&mut self, group: Vertex, topic: TopicId) {
        let is_gone = |place: &Place| (place.0, place.1) == (group, topic);
        let range = (group, topic, Offset(0))..=(group, topic, Offset(u64::MAX));
        if self.rows.range(range).next().is_some() {
            self.order.retain(|place| !is_gone(place));
            self.rows.retain(|place, _| !is_gone(place));
            self.bytes = self.rows.values().map(|kept| kept.bytes).sum();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(place) = self.order.pop_front() else { return };
        match self.rows.get_mut(&place) {
            Some(kept) if kept.used.take() => {
                self.order.push_back(place);
            }
            _ => self.bytes -= self.rows.remove(&place).map_or(0, |kept| kept.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cubecast_core::store::ReadId;
    use cubecast_core::store::rows::BadRow;
    use cubecast_core::time::Timestamp;

    const TOPIC: TopicId = TopicId(1);

    fn group() -> Vertex {
        "010".parse().unwrap()
    }

    fn run(offsets: std::ops::Range<u64>, bytes: usize) -> Vec<StoredMessage> {
        let message = |offset| StoredMessage {
            offset: Offset(offset),
            publisher: "pia".parse().unwrap(),
            sequence: None,
            time: Timestamp(0),
            content: "x".repeat(bytes).into(),
        };
        offsets.map(message).collect()
    }

    /// The offsets of each row that a read is given.
    fn given(lately: &Lately, topic: TopicId, from: u64, max_messages: u32) -> Vec<Vec<u64>> {
        let (from, end) = (Offset(from), Offset(u64::MAX));
        let read =
            ReadMessages { read: ReadId(0), group: group(), topic, from, end, max_messages, max_bytes: u64::MAX };
        let rows = lately.rows::<BadRow>(&read).map(|row| (row.unwrap().1)().unwrap());
        rows.map(|row| row.iter().map(|message| message.offset.0).collect()).collect()
    }

    #[test]
    fn a_read_is_given_what_it_can_use_of_each_row() {
        let mut lately = Lately::default();
        for offsets in [0..5, 5..9, 20..22] {
            lately.keep(group(), TOPIC, &run(offsets, 10));
        }
        assert_eq!(given(&lately, TOPIC, 3, 10), [vec![3, 4], vec![5, 6, 7, 8], vec![20, 21]]);
        assert_eq!(given(&lately, TOPIC, 6, 2), [[6, 7], [20, 21]]);
        assert_eq!(given(&lately, TOPIC, 20, 0), [[20]]);
        assert!(given(&lately, TOPIC, 22, 10).is_empty());
        assert!(given(&lately, TopicId(2), 0, 10).is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_used_stays_longest() {
        let mut lately = Lately::default();
        let row = |topic| run(topic * 8..topic * 8 + 8, 20_000);
        lately.keep(group(), TopicId(1_000), &run(0..1, 20_000));
        for topic in 0..1_000 {
            lately.keep(group(), TopicId(topic), &row(topic));
            lately.keep(group(), TopicId(topic), &row(topic));
            assert!(lately.bytes <= MAX_BYTES);
            assert_eq!(given(&lately, TopicId(1_000), 0, 1), [[0]], "it is read again and again");
        }
        assert_eq!(lately.rows.len(), lately.order.len());
        assert!(lately.rows.len() > 15, "{}", lately.rows.len());
        assert!(given(&lately, TopicId(0), 0, 1).is_empty());
        assert_eq!(given(&lately, TopicId(999), 999 * 8, 1), [[999 * 8]]);

        lately.keep(group(), TOPIC, &run(0..20, 20_000));
        assert!(given(&lately, TOPIC, 0, 1).is_empty(), "a row that is large is not kept");
    }

    #[test]
    fn a_deleted_topic_is_forgotten_and_no_other() {
        let mut lately = Lately::default();
        for topic in [1, 2] {
            lately.keep(group(), TopicId(topic), &run(0..5, 10));
        }
        lately.forget(group(), TopicId(1));
        assert!(given(&lately, TopicId(1), 0, 10).is_empty());
        assert_eq!(given(&lately, TopicId(2), 0, 10).len(), 1);
        assert_eq!((lately.rows.len(), lately.order.len()), (1, 1));
        assert_eq!(lately.bytes, 5 * (10 + MESSAGE_OVERHEAD));
    }
}
