//! Checks of data that is stored on disk and replicated to members: rows, commands in log entries, changes of members,
//! states.

use cubecast_core::group::MemberChange;
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::store::journal::{self, Chain};
use cubecast_core::store::recovery::{Found, Refused};
use cubecast_core::store::rows::{Row, RowKey, RowWriter, decode, decode_entry, decode_run};
use cubecast_core::store::{Checkpoint, HardState, NodeRecord};
use cubecast_core::topics::Topics;
use cubecast_core::topics::command::{Command, decode_commands, encode_commands, let_commands_fit};
use cubecast_node::storage::FolderIdentity;
use serde::de::DeserializeOwned;
use serde::ser::SerializeTuple;
use serde::{Serialize, Serializer};

use crate::cube;
use crate::memory::{Allowance, within};

/// A list may claim as many commands as bytes are left; a command takes 112 bytes of memory.
const ENTRY: Allowance = Allowance { per_byte: 128, beside: 2 << 10 };
/// Tree nodes have room for eleven entries even if they hold one.
const STATE: Allowance = Allowance { per_byte: 96, beside: 8 << 10 };

/// A list may claim as many items as bytes are left. A message takes 96 bytes of memory, and so does a write of five
/// bytes.
const JOURNAL: Allowance = Allowance { per_byte: 128, beside: 4 << 10 };

/// A list may claim as many items as bytes are left. The largest items, a member or an entry of a group, take 48 bytes
/// of memory.
const ROWS: Allowance = Allowance { per_byte: 64, beside: 4 << 10 };

/// Checks the rows of a store as at its start: read one by one, then judged together.
pub fn check_rows(input: &[u8]) {
    let rows: Vec<StoredRow> = rows(input).collect();
    rows.iter().for_each(StoredRow::check);
    let bytes = rows.iter().map(|row| row.value.len()).sum();
    let _ = within(ROWS, bytes, || {
        let mut found = Found::default();
        let told = rows.iter().try_for_each(|row| row.tell(&mut found));
        told.and_then(|()| found.recover(cube())).map_err(|refused| refused.text(cube()))
    });
}

/// Checks the payload of a record. The record gets a correct checksum; otherwise its payload would not be read.
pub fn check_journal(input: &[u8]) {
    const BEHIND: u64 = 7;
    let record =
        |payload: &[u8]| journal::encode(Chain::begin(BEHIND), BEHIND + 1, [Verbatim(payload)].iter(), Vec::new()).0;
    let bytes = record(input);
    if let Ok(replayed) = within(JOURNAL, bytes.len(), || journal::read(BEHIND, &bytes)) {
        assert_eq!(replayed.number, BEHIND + 1);
        let (again, _) = journal::encode(Chain::begin(BEHIND), BEHIND + 1, replayed.writes.iter(), Vec::new());
        assert_eq!(journal::read(BEHIND, &again).as_ref(), Ok(&replayed));
    }
    // Without a checksum the input is not a journal, except by a rare coincidence.
    let _ = within(JOURNAL, input.len(), || journal::read(BEHIND, input));
}

/// The rows of an input. A row is its kind, a number for its key, the length of its payload, and the payload.
fn rows(mut input: &[u8]) -> impl Iterator<Item = StoredRow> {
    std::iter::from_fn(move || {
        let (&[kind, number, length], rest) = input.split_first_chunk()?;
        let (payload, rest) = rest.split_at(rest.len().min(length.into()));
        input = rest;
        Some(StoredRow::new(kind, number, payload))
    })
}

/// A row of such an input. Its payload must not exceed 255 bytes.
pub fn row_bytes(kind: u8, number: u8, value: &impl Serialize) -> Vec<u8> {
    let payload = postcard::to_allocvec(value).expect("a row encodes");
    let length = u8::try_from(payload.len()).expect("an example is short");
    [&[kind, number, length], payload.as_slice()].concat()
}

struct StoredRow {
    key: RowKey,
    value: Vec<u8>,
}

impl StoredRow {
    const GROUP: u32 = 0b100;
    /// Rows of this kind and above get a wrong checksum.
    const DAMAGED: u8 = 128;

    fn new(kind: u8, number: u8, payload: &[u8]) -> StoredRow {
        let (group, number) = (Self::GROUP, u64::from(number));
        let key = match kind % 8 {
            0 => RowKey::Owner,
            1 => RowKey::Transaction,
            2 => RowKey::Record,
            3 => RowKey::HardState(group),
            4 => RowKey::Checkpoint(group),
            5 => RowKey::Log(group, number),
            6 => RowKey::Messages(group, 1, number),
            _ => RowKey::Outbox(number),
        };
        let mut value = RowWriter::default().encode(key, &Verbatim(payload)).to_vec();
        value[0] ^= u8::from(kind >= Self::DAMAGED);
        StoredRow { key, value }
    }

    fn check(&self) {
        let Self { key, value } = self;
        match *key {
            RowKey::Owner => self.check_as::<FolderIdentity>(|| decode(*key, value)),
            RowKey::Transaction | RowKey::Usage => self.check_as::<u64>(|| decode(*key, value)),
            RowKey::Record => self.check_as::<NodeRecord>(|| decode(*key, value)),
            RowKey::HardState(_) => self.check_as::<HardState>(|| decode(*key, value)),
            RowKey::Checkpoint(_) => self.check_as::<Checkpoint>(|| decode(*key, value)),
            RowKey::Log(group, index) => self.check_as(|| decode_entry(group, index, value)),
            RowKey::Messages(group, topic, last) => {
                self.check_as(|| decode_run(group, TopicId(topic), Offset(last), value))
            }
            RowKey::Outbox(_) => self.check_as::<Command>(|| decode(*key, value)),
        }
    }

    fn check_as<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(&self, read: impl Fn() -> Row<T>) {
        let Ok(value) = within(ROWS, self.value.len(), read) else { return };
        let mut writer = RowWriter::default();
        assert_eq!(decode(self.key, writer.encode(self.key, &value)), Ok(value));
    }

    /// Reports the row as an engine does when it opens a store.
    fn tell(&self, found: &mut Found) -> Result<(), Refused> {
        let Self { key, value } = self;
        match *key {
            RowKey::Owner | RowKey::Transaction | RowKey::Usage | RowKey::Messages(..) => Ok(()),
            RowKey::Record => found.record(decode(*key, value)),
            RowKey::HardState(group) => found.hard_state(group, decode(*key, value)),
            RowKey::Checkpoint(group) => found.checkpoint(group, decode(*key, value)),
            RowKey::Log(group, index) => {
                found.entry(group, index, decode_entry(group, index, value));
                Ok(())
            }
            RowKey::Outbox(id) => found.outbox(id, decode(*key, value)),
        }
    }
}

/// Bytes that are serialized as they are, without their length.
struct Verbatim<'a>(&'a [u8]);

impl Serialize for Verbatim<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

/// Checks the data of a log entry, decoded as commands and as a change of members.
pub fn check_log_entry(input: &[u8]) {
    // Random bytes rarely have a correct checksum, so it is corrected first.
    let mut fitting = input.to_vec();
    let_commands_fit(&mut fitting);
    for input in [input, fitting.as_slice()] {
        if let Ok(commands) = within(ENTRY, input.len(), || decode_commands(input)) {
            assert_eq!(decode_commands(&encode_commands(&commands)), Ok(commands));
        }
    }
    let _ = within(ENTRY, input.len(), || MemberChange::decode(input));
    let change: Result<MemberChange, _> = within(ENTRY, input.len(), || postcard::from_bytes(input));
    if let Ok(change) = change {
        assert_eq!(MemberChange::decode(&change.encode()), Ok(change));
    }
}

/// Checks a group's state, as contained in checkpoints and snapshots.
pub fn check_state(input: &[u8]) {
    let Ok(topics) = within(STATE, input.len(), || Topics::decode(input)) else { return };
    let again = topics.encode();
    let decoded = Topics::decode(&again).expect("what was encoded decodes");
    assert_eq!(decoded.encode(), again, "equal states give equal bytes");
    assert_eq!(decoded, topics);
    let _ = topics.counts();
    for topic in topics.topics() {
        assert!(topics.topic_by_id(topic.id).is_some(), "topic {} is found by its number", topic.name);
    }
}
