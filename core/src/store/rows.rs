//! The format of rows on disk: values with a checksum that includes the row's key.
//!
//! A value is a crc32 (little-endian) over table, key and payload, followed by the payload in postcard. Because the key
//! is part of the checksum, a row found under another key or in another table is detected like changed bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cube::{Dimension, VertexId};
use crate::identity::GroupId;
use crate::names::{Offset, TopicId};
use crate::records::{LogEntry, StoredMessage};

/// A group in keys: the id of its home. Larger numbers are not in use.
pub type GroupCode = u32;

impl GroupId {
    /// The group in keys.
    pub fn code(self) -> GroupCode {
        let GroupId::Home(home) = self;
        home.0.into()
    }

    /// The inverse of [`GroupId::code`]; `None` for a number that is not in use.
    pub fn from_code(code: GroupCode) -> Option<GroupId> {
        u16::try_from(code).ok().map(|home| GroupId::Home(VertexId(home)))
    }
}

/// The result of reading a row.
pub type Row<T> = Result<T, BadRow>;

/// The place of a row: the table and the key. Damage is reported with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RowKey {
    /// The owner of the folder.
    Owner,
    /// The number of the newest transaction in the tables. Grows with each transaction.
    Transaction,
    /// The node's record.
    Record,
    /// How much of an engine's space is in use, in a format of the engine.
    Usage,
    HardState(GroupCode),
    Checkpoint(GroupCode),
    Log(GroupCode, u64),
    /// Group, topic, and the offset of the last message in the row: a row contains a [run](super::runs).
    Messages(GroupCode, u64, u64),
    Outbox(u64),
}

impl RowKey {
    /// The key of a row in the meta table. Panics for rows of other tables.
    pub fn meta(self) -> u8 {
        match self {
            RowKey::Owner => 0,
            RowKey::Transaction => 1,
            RowKey::Record => 2,
            RowKey::Usage => 3,
            other => unreachable!("{other:?} is not a row of the meta table"),
        }
    }

    /// The parts of the key; the first one identifies the table.
    fn words(self) -> [u64; 4] {
        match self {
            RowKey::Owner => [1, 0, 0, 0],
            RowKey::Transaction => [1, 1, 0, 0],
            RowKey::Record => [1, 2, 0, 0],
            RowKey::Usage => [1, 3, 0, 0],
            RowKey::HardState(group) => [2, group.into(), 0, 0],
            RowKey::Checkpoint(group) => [3, group.into(), 0, 0],
            RowKey::Log(group, index) => [4, group.into(), index, 0],
            RowKey::Messages(group, topic, last) => [5, group.into(), topic, last],
            RowKey::Outbox(id) => [6, id, 0, 0],
        }
    }

    fn crc(self, payload: &[u8]) -> [u8; 4] {
        let mut hasher = crc32fast::Hasher::new();
        self.words().iter().for_each(|word| hasher.update(&word.to_le_bytes()));
        hasher.update(payload);
        hasher.finalize().to_le_bytes()
    }
}

impl RowKey {
    /// The row's name for people. It names groups as a cube of this dimension does.
    pub fn name(self, cube: Dimension) -> String {
        let name = |group| GroupId::from_code(group).map_or_else(|| format!("#{group}"), |group| group.name(cube));
        match self {
            RowKey::Owner => "the owner's record".into(),
            RowKey::Transaction => "the transaction number".into(),
            RowKey::Record => "the node's record".into(),
            RowKey::Usage => "the space usage record".into(),
            RowKey::HardState(group) => format!("the hard state of group {}", name(group)),
            RowKey::Checkpoint(group) => format!("the checkpoint of group {}", name(group)),
            RowKey::Log(group, index) => format!("log entry {index} of group {}", name(group)),
            RowKey::Messages(group, topic, last) => {
                format!("the row with message {last} of topic number {topic} in group {}", name(group))
            }
            RowKey::Outbox(id) => format!("outbox entry {id}"),
        }
    }
}

/// A damaged row and the reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadRow {
    pub key: RowKey,
    pub why: &'static str,
}

impl BadRow {
    /// The damage, for people. It names groups as a cube of this dimension does.
    pub fn text(&self, cube: Dimension) -> String {
        format!("{} {}", self.key.name(cube), self.why)
    }
}

/// Encodes rows, reusing its memory.
#[derive(Default, Debug)]
pub struct RowWriter {
    buffer: Vec<u8>,
}

impl RowWriter {
    /// A buffer larger than this is freed after use.
    const KEPT_BYTES: usize = 256 << 10;

    /// The value of a row, valid until the next call.
    pub fn encode(&mut self, key: RowKey, value: &impl Serialize) -> &[u8] {
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.capacity() > Self::KEPT_BYTES {
            buffer = Vec::new();
        }
        buffer.clear();
        buffer.extend_from_slice(&[0; 4]);
        // Our own types contain nothing that postcard refuses, and a `Vec` grows as needed.
        self.buffer = postcard::to_extend(value, buffer).expect("a row encodes");
        let crc = key.crc(&self.buffer[4..]);
        self.buffer[..4].copy_from_slice(&crc);
        &self.buffer
    }
}

/// Overwrites the checksum of an encoded value with the correct one, so that damage is not detected. Only the
/// simulated disk calls it, for the deliberate bug
/// [`ChecksumsAreNotCompared`](crate::bugs::Bug::ChecksumsAreNotCompared).
pub fn overwrite_checksum(key: RowKey, value: &mut [u8]) {
    let crc = key.crc(&value[4..]);
    value[..4].copy_from_slice(&crc);
}

/// Decodes a value, if it was written under this key.
pub fn decode<T: DeserializeOwned>(key: RowKey, value: &[u8]) -> Row<T> {
    let (crc, payload) = value.split_at_checked(4).ok_or(BadRow { key, why: "is truncated" })?;
    if key.crc(payload) != crc {
        return Err(BadRow { key, why: "has a wrong checksum" });
    }
    postcard::from_bytes(payload).map_err(|_| BadRow { key, why: "has a correct checksum but cannot be decoded" })
}

/// Decodes a log entry and checks its index.
pub fn decode_entry(group: GroupCode, index: u64, value: &[u8]) -> Row<LogEntry> {
    let key = RowKey::Log(group, index);
    let entry: LogEntry = decode(key, value)?;
    if entry.index == index { Ok(entry) } else { Err(BadRow { key, why: "is stored under the wrong index" }) }
}

/// Decodes the messages of a row: at least one, with consecutive offsets up to `last`.
pub fn decode_run(group: GroupCode, topic: TopicId, last: Offset, value: &[u8]) -> Row<Vec<StoredMessage>> {
    let key = RowKey::Messages(group, topic.0, last.0);
    let run: Vec<StoredMessage> = decode(key, value)?;
    let offsets = run.iter().rev().map(|message| message.offset.0);
    if !run.is_empty() && offsets.eq((0..=last.0).rev().take(run.len())) {
        Ok(run)
    } else {
        Err(BadRow { key, why: "is stored under the wrong offset" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::Vertex;

    #[test]
    fn a_row_is_only_good_under_its_own_key() {
        let mut writer = RowWriter::default();
        let row = writer.encode(RowKey::Log(8, 5), &"entry").to_vec();
        assert_eq!(decode(RowKey::Log(8, 5), &row), Ok("entry".to_owned()));
        for other in [RowKey::Log(8, 6), RowKey::Log(9, 5), RowKey::HardState(8), RowKey::Messages(8, 5, 0)] {
            assert!(decode::<String>(other, &row).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_groups_key_does_not_depend_on_the_dimension() {
        let (small, large): (Vertex, Vertex) = ("10".parse().unwrap(), "010".parse().unwrap());
        assert_eq!(GroupId::of(small), GroupId::of(large));
        assert_eq!(GroupId::of(small).code(), 2);
        for home in Dimension::new(4).unwrap().vertices() {
            assert_eq!(GroupId::from_code(GroupId::of(home).code()), Some(GroupId::of(home)));
        }
        assert_eq!(GroupId::from_code(1 << 16), None);
    }

    #[test]
    fn a_rows_name_names_the_group_by_the_bits_of_its_home() {
        let cube = Dimension::new(3).unwrap();
        assert_eq!(RowKey::Log(2, 5).name(cube), "log entry 5 of group 010");
        assert_eq!(RowKey::HardState(8).name(cube), "the hard state of group #8");
    }

    #[test]
    fn every_flipped_bit_of_a_row_is_noticed() {
        let key = RowKey::Messages(9, 1, 7);
        let row = RowWriter::default().encode(key, &(7u64, "content")).to_vec();
        for bit in 0..row.len() * 8 {
            let mut bad = row.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<(u64, String)>(key, &bad).is_err(), "bit {bit}");
        }
        assert!(decode::<(u64, String)>(key, &row[..3]).is_err());
    }

    #[test]
    fn a_rows_bytes_are_pinned() {
        // In Python: zlib.crc32(struct.pack("<4Q", 2, 10, 0, 0) + bytes([3, 4]))
        let row = RowWriter::default().encode(RowKey::HardState(10), &(3u64, 4u64)).to_vec();
        assert_eq!(row[4..], [3, 4]);
        assert_eq!(u32::from_le_bytes(row[..4].try_into().unwrap()), 0x6456_3f4f);
    }
}
