//! The format of a segment: a head with a saved state, then turns.
//!
//! ```text
//! segment = magic, length of head: u32, head, turn..
//! turn    = length: u32, tag: u32, inputs with their time, digest of the effects: u32
//! ```
//!
//! Numbers are little-endian; head and inputs are encoded in postcard. The length counts what follows the tag. A
//! segment may be written over an older one, whose rest then follows its last turn: the tag is that of the segment, so
//! a reader stops there. It also stops at a turn that is not whole, because its process was killed.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::identity::HostId;
use crate::io::Input;
use crate::time::{Instant, Now, Timestamp};

/// The first bytes of a segment. The digit is the format's version.
const MAGIC: &[u8; 8] = b"cubecas1";
/// The length of a turn's length, and of its digest.
const WORD: usize = 4;
/// The maximum size of one turn or head, against damaged lengths.
const MAX_PART: usize = 1 << 30;

/// The beginning of a segment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Head {
    /// The recorded host.
    pub host: HostId,
    /// The number of the process among those that opened this host's data folder.
    pub process: u64,
    /// The number of the segment within the process, from 0.
    pub number: u64,
    /// The version of the program that recorded.
    pub version: String,
    /// The time of the turn before the first one, or of the process's start.
    pub began: Now,
    /// The node's state before the first turn.
    #[serde(with = "serde_bytes")]
    pub state: Vec<u8>,
}

/// A recorded turn.
#[derive(Clone, PartialEq, Debug)]
pub struct Turn {
    pub now: Now,
    pub inputs: Vec<Input>,
    /// The digest of the turn's effects.
    pub digest: u32,
}

/// Why bytes are not a segment.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SegmentError {
    #[error("this is not a recording of Cubecast, or one of a version that this one cannot read")]
    Unknown,
    #[error("the recording is one of node {0}")]
    OfAnother(HostId),
    #[error("the recording is damaged at byte {at}: {why}")]
    Damaged { at: usize, why: String },
}

/// A segment whose head was read. Its turns are decoded one at a time.
#[derive(Clone, Debug)]
pub struct Segment {
    pub head: Head,
    tag: u32,
    bytes: Bytes,
    /// Where the first turn begins.
    turns_at: usize,
}

/// The time, the encoded inputs and the digest of a turn.
type Part<'s> = (Now, &'s [u8], u32);

/// The position of a reader in a segment's turns.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    at: usize,
    last: Now,
}

impl Head {
    /// The bytes with which the segment begins.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([0; WORD]);
        let mut bytes = postcard::to_extend(self, bytes).expect("memory takes any head");
        let length = (bytes.len() - MAGIC.len() - WORD) as u32;
        bytes[MAGIC.len()..MAGIC.len() + WORD].copy_from_slice(&length.to_le_bytes());
        bytes
    }
}

/// The tag of all turns of a segment.
pub fn tag(process: u64, number: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&process.to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.finalize()
}

/// Appends the inputs of a turn to `bytes`. The turn is complete after [`finish_turn`].
pub fn begin_turn(bytes: &mut Vec<u8>, tag: u32, last: Now, now: Now, inputs: &[Input]) {
    let passed = now.monotonic.0.wrapping_sub(last.monotonic.0);
    let wall = now.wall.0.wrapping_sub(last.wall.0) as i64;
    let mut filled = std::mem::take(bytes);
    filled.extend([0; WORD]);
    filled.extend(tag.to_le_bytes());
    *bytes = postcard::to_extend(&(passed, wall, inputs), filled).expect("memory takes any turn");
}

/// Completes the turn that begins at `start` in `bytes`.
pub fn finish_turn(bytes: &mut Vec<u8>, start: usize, digest: u32) {
    bytes.extend(digest.to_le_bytes());
    let length = (bytes.len() - start - 2 * WORD) as u32;
    bytes[start..start + WORD].copy_from_slice(&length.to_le_bytes());
}

impl Segment {
    /// Reads the head.
    pub fn read(bytes: Bytes) -> Result<Segment, SegmentError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(SegmentError::Unknown)?;
        let damaged = |why: &str| SegmentError::Damaged { at: MAGIC.len(), why: why.to_owned() };
        let length = word(rest).ok_or_else(|| damaged("it ends within its head"))? as usize;
        let head = rest.get(WORD..WORD + length.min(MAX_PART)).ok_or_else(|| damaged("it ends within its head"))?;
        let head: Head = postcard::from_bytes(head).map_err(|error| damaged(&error.to_string()))?;
        Ok(Segment { tag: tag(head.process, head.number), head, turns_at: MAGIC.len() + WORD + length, bytes })
    }

    /// The segment as it was recorded, without what follows its last turn.
    pub fn trimmed(&self) -> Result<Bytes, SegmentError> {
        Ok(self.bytes.slice(..self.end()?.at))
    }

    /// The position of the first turn.
    pub fn begin(&self) -> Cursor {
        Cursor { at: self.turns_at, last: self.head.began }
    }

    /// The turn at a position, which moves behind it. `None` at the end.
    pub fn next(&self, cursor: &mut Cursor) -> Result<Option<Turn>, SegmentError> {
        let at = cursor.at;
        let Some((now, rest, digest)) = self.next_part(cursor)? else { return Ok(None) };
        let damaged = |error: postcard::Error| SegmentError::Damaged { at, why: error.to_string() };
        Ok(Some(Turn { now, inputs: postcard::from_bytes(rest).map_err(damaged)?, digest }))
    }

    /// The time of the last turn, or of the segment's beginning. Decodes no inputs.
    pub fn ends(&self) -> Result<Now, SegmentError> {
        self.end().map(|cursor| cursor.last)
    }

    /// The position behind the last turn.
    fn end(&self) -> Result<Cursor, SegmentError> {
        let mut cursor = self.begin();
        while self.next_part(&mut cursor)?.is_some() {}
        Ok(cursor)
    }

    /// The time, encoded inputs and digest of the turn at a position, which moves behind it.
    fn next_part(&self, cursor: &mut Cursor) -> Result<Option<Part<'_>>, SegmentError> {
        let at = cursor.at;
        let Some(length) = self.bytes.get(at..).and_then(word) else { return Ok(None) };
        let length = length as usize;
        if self.bytes.get(at + WORD..).and_then(word) != Some(self.tag) {
            return Ok(None);
        }
        let Some(body) = self.bytes.get(at + 2 * WORD..).and_then(|rest| rest.get(..length)) else { return Ok(None) };
        let damaged = |why: &str| SegmentError::Damaged { at, why: why.to_owned() };
        let (body, digest) = body.split_at_checked(length.wrapping_sub(WORD)).ok_or_else(|| damaged("no digest"))?;
        let ((passed, wall), rest): ((u64, i64), &[u8]) =
            postcard::take_from_bytes(body).map_err(|error| damaged(&error.to_string()))?;
        let monotonic = cursor.last.monotonic.0.checked_add(passed).ok_or_else(|| damaged("its time overflows"))?;
        let now = Now { monotonic: Instant(monotonic), wall: Timestamp(cursor.last.wall.0.wrapping_add_signed(wall)) };
        *cursor = Cursor { at: at + 2 * WORD + length, last: now };
        Ok(Some((now, rest, word(digest).ok_or_else(|| damaged("no digest"))?)))
    }

    /// Whether this segment goes on where `earlier` ends.
    pub fn continues(&self, earlier: &Segment) -> bool {
        let (own, before) = (&self.head, &earlier.head);
        (own.host, own.process, own.number) == (before.host, before.process, before.number + 1)
    }
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|word| u32::from_le_bytes(*word))
}
