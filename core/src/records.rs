//! Log entries and stored messages: the records of logs and topics. Nodes store them and send them to each other.

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

use crate::content::Content;
use crate::names::{Offset, PublisherId, Sequence};
use crate::time::Timestamp;

/// One entry of a group's log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogEntry {
    pub index: u64,
    pub term: u64,
    pub kind: EntryKind,
    /// For `Commands`: an encoded list of [`Command`](crate::topics::command::Command)s, empty in the entry that begins
    /// a leader's term. For `MemberChange`: an encoded [`crate::group::MemberChange`].
    #[serde(serialize_with = "serialize_data")]
    pub data: Bytes,
}

impl LogEntry {
    /// The name of `data` in serde, by which [`recording::masking`](crate::recording::masking) finds it. Encodings
    /// contain only the bytes.
    pub const DATA_SERDE_NAME: &str = "LogData";
}

fn serialize_data<S: Serializer>(data: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(LogEntry::DATA_SERDE_NAME, data)
}

/// The content of a log entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EntryKind {
    Commands,
    MemberChange,
}

/// A message as stored on disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredMessage {
    pub offset: Offset,
    pub publisher: PublisherId,
    /// The publisher's own number, if it gave one.
    pub sequence: Option<Sequence>,
    pub time: Timestamp,
    pub content: Content,
}
