//! A cache of recently read rows, as decoded messages. A reader that continues after its last read, and other readers
//! of the same messages, need not wait for the tables or for the storage thread.
//!
//! Messages are immutable, so a cached row is valid as long as its topic exists.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};

use cubecast_core::identity::GroupId;
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::records::StoredMessage;
use cubecast_core::store::ReadMessages;
use cubecast_core::store::reading::Unreadable;
use cubecast_core::store::rows::Row;

/// The maximum size of the cache. The oldest rows are evicted first; a row that was used since gets a second chance.
const MAX_BYTES: usize = 4 << 20;
/// Larger rows are not cached: a few of them would fill the cache.
const MAX_ROW_BYTES: usize = MAX_BYTES / 16;
/// The approximate overhead of a row, and of each message, beside the contents.
const ROW_OVERHEAD: usize = 256;
const MESSAGE_OVERHEAD: usize = 128;

/// Empty places in `order` are removed when there are this many more places than rows.
const EMPTY_PLACES: usize = 64;

/// The key of a row: group, topic, and the offset of its last message.
type Place = (GroupId, TopicId, Offset);

#[derive(Debug, Default)]
pub(super) struct RowCache {
    rows: BTreeMap<Place, Kept>,
    /// The places of all `rows`, the oldest first, and of some rows that are gone.
    order: VecDeque<Place>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    run: Vec<StoredMessage>,
    bytes: usize,
    used: Cell<bool>,
}

impl RowCache {
    /// Caches the messages of a row, which have consecutive offsets.
    pub(super) fn keep(&mut self, group: GroupId, topic: TopicId, run: Vec<StoredMessage>) {
        let Some(last) = run.last() else { return };
        let place = (group, topic, last.offset);
        let bytes = ROW_OVERHEAD + run.iter().map(|message| MESSAGE_OVERHEAD + message.content.len()).sum::<usize>();
        if bytes > MAX_ROW_BYTES || self.rows.contains_key(&place) {
            return;
        }
        self.rows.insert(place, Kept { run, bytes, used: Cell::new(false) });
        self.order.push_back(place);
        self.bytes += bytes;
        while self.bytes > MAX_BYTES {
            self.forget_oldest();
        }
    }

    /// The cached rows of a topic from the read's first offset on, each limited to the messages that the read can
    /// use.
    pub(super) fn rows(
        &self,
        read: &ReadMessages,
    ) -> impl Iterator<Item = Result<(Offset, impl FnOnce() -> Row<Vec<StoredMessage>>), Unreadable>> {
        let (from, most) = (read.from, read.max_messages.max(1) as usize);
        let place = |offset| (read.group, read.topic, offset);
        let rows = self.rows.range(place(from)..=place(Offset(u64::MAX)));
        rows.map(move |(&(_, _, last), kept)| {
            let look = move || {
                kept.used.set(true);
                let begin = kept.run.partition_point(|message| message.offset < from);
                Ok(kept.run[begin..].iter().take(most).cloned().collect())
            };
            Ok((last, look))
        })
    }

    /// Removes the rows of a deleted topic.
    pub(super) fn forget(&mut self, group: GroupId, topic: TopicId) {
        let range = (group, topic, Offset(0))..=(group, topic, Offset(u64::MAX));
        let gone: Vec<Place> = self.rows.range(range).map(|(place, _)| *place).collect();
        gone.iter().for_each(|place| self.remove(place));
        if self.order.len() > 2 * self.rows.len() + EMPTY_PLACES {
            self.order.retain(|place| self.rows.contains_key(place));
        }
    }

    fn forget_oldest(&mut self) {
        let Some(place) = self.order.pop_front() else { return };
        match self.rows.get(&place) {
            Some(kept) if kept.used.take() => self.order.push_back(place),
            _ => self.remove(&place),
        }
    }

    fn remove(&mut self, place: &Place) {
        self.bytes -= self.rows.remove(place).map_or(0, |kept| kept.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cubecast_core::cube::VertexId;
    use cubecast_core::store::ReadId;
    use cubecast_core::time::Timestamp;

    const TOPIC: TopicId = TopicId(1);

    fn group() -> GroupId {
        GroupId::Home(VertexId(2))
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

    /// The offsets of each row that a read receives.
    fn given(row_cache: &RowCache, topic: TopicId, from: u64, max_messages: u32) -> Vec<Vec<u64>> {
        let (from, end) = (Offset(from), Offset(u64::MAX));
        let read =
            ReadMessages { read: ReadId(0), group: group(), topic, from, end, max_messages, max_bytes: u64::MAX };
        let rows = row_cache.rows(&read).map(|row| (row.unwrap().1)().unwrap());
        rows.map(|row| row.iter().map(|message| message.offset.0).collect()).collect()
    }

    #[test]
    fn a_read_is_given_what_it_can_use_of_each_row() {
        let mut row_cache = RowCache::default();
        for offsets in [0..5, 5..9, 20..22] {
            row_cache.keep(group(), TOPIC, run(offsets, 10));
        }
        assert_eq!(given(&row_cache, TOPIC, 3, 10), [vec![3, 4], vec![5, 6, 7, 8], vec![20, 21]]);
        assert_eq!(given(&row_cache, TOPIC, 6, 2), [[6, 7], [20, 21]]);
        assert_eq!(given(&row_cache, TOPIC, 20, 0), [[20]]);
        assert!(given(&row_cache, TOPIC, 22, 10).is_empty());
        assert!(given(&row_cache, TopicId(2), 0, 10).is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_used_stays_longest() {
        let mut row_cache = RowCache::default();
        let row = |topic| run(topic * 8..topic * 8 + 8, 20_000);
        row_cache.keep(group(), TopicId(1_000), run(0..1, 20_000));
        for topic in 0..1_000 {
            row_cache.keep(group(), TopicId(topic), row(topic));
            row_cache.keep(group(), TopicId(topic), row(topic));
            assert!(row_cache.bytes <= MAX_BYTES);
            assert_eq!(given(&row_cache, TopicId(1_000), 0, 1), [[0]], "it is read again and again");
        }
        assert_eq!(row_cache.rows.len(), row_cache.order.len());
        assert!(row_cache.rows.len() > 15, "{}", row_cache.rows.len());
        assert!(given(&row_cache, TopicId(0), 0, 1).is_empty());
        assert_eq!(given(&row_cache, TopicId(999), 999 * 8, 1), [[999 * 8]]);

        row_cache.keep(group(), TOPIC, run(0..20, 20_000));
        assert!(given(&row_cache, TOPIC, 0, 1).is_empty(), "a row that is large is not kept");
    }

    #[test]
    fn a_deleted_topic_is_forgotten_and_no_other() {
        let mut row_cache = RowCache::default();
        for topic in [1, 2] {
            row_cache.keep(group(), TopicId(topic), run(0..5, 10));
        }
        row_cache.forget(group(), TopicId(1));
        assert!(given(&row_cache, TopicId(1), 0, 10).is_empty());
        assert_eq!(given(&row_cache, TopicId(2), 0, 10).len(), 1);
        assert_eq!(row_cache.rows.len(), 1);
        assert_eq!(row_cache.bytes, ROW_OVERHEAD + 5 * (10 + MESSAGE_OVERHEAD));
    }

    #[test]
    fn topics_that_come_and_go_leave_nothing() {
        let mut row_cache = RowCache::default();
        for topic in 0..1_000 {
            row_cache.keep(group(), TopicId(topic), run(0..5, 10));
            row_cache.forget(group(), TopicId(topic));
            assert!(row_cache.order.len() <= EMPTY_PLACES, "{}", row_cache.order.len());
        }
        assert_eq!((row_cache.rows.len(), row_cache.bytes), (0, 0));
    }
}
