//! Bit flips on a disk. The row is encoded as a real one, and its checksum must detect the flip.

use cubecast_core::bugs::{Bug, Bugs};
use cubecast_core::identity::GroupId;
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::store::rows::{self, Row, RowKey, RowWriter};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Undetected;
use super::rows::Rows;

/// The kind of row to damage. Among several such rows, one is chosen at random.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// Reads that touch the row fail.
    Messages,
    /// The last good entry of a log. The log is cut there at the next start.
    LogTail,
    /// An entry with a good one after it. This kind and the following ones make the node refuse its next start, unless
    /// the row is replaced before.
    LogMiddle,
    Checkpoint,
    HardState,
    Record,
    Outbox,
    /// Any kind of row that exists.
    Any,
    Row(RowKey),
}

impl Damage {
    /// The kinds from which [`Damage::Any`] chooses.
    pub const KINDS: [Damage; 7] = [
        Damage::Messages,
        Damage::LogTail,
        Damage::LogMiddle,
        Damage::Checkpoint,
        Damage::HardState,
        Damage::Record,
        Damage::Outbox,
    ];

    fn fits(self, rows: &Rows, key: RowKey) -> bool {
        match self {
            Damage::Messages => matches!(key, RowKey::Messages(..)),
            Damage::LogTail => is_last(rows, key) == Some(true),
            Damage::LogMiddle => is_last(rows, key) == Some(false),
            Damage::Checkpoint => matches!(key, RowKey::Checkpoint(_)),
            Damage::HardState => matches!(key, RowKey::HardState(_)),
            Damage::Record => key == RowKey::Record,
            Damage::Outbox => matches!(key, RowKey::Outbox(_)),
            Damage::Any => true,
            Damage::Row(wanted) => key == wanted,
        }
    }
}

/// Whether a log entry is the last good one of its log. `None`: it is another kind of row.
fn is_last(rows: &Rows, key: RowKey) -> Option<bool> {
    let RowKey::Log(group, index) = key else { return None };
    Some(rows.groups.get(&self::group(group))?.last_good() == Some(index))
}

pub(super) fn damage(
    rows: &mut Rows,
    random: &mut fastrand::Rng,
    what: Damage,
    bugs: Bugs,
) -> Result<Option<RowKey>, Undetected> {
    let key = match what {
        // Choose the kind first. Otherwise nearly all damage would hit messages.
        Damage::Any => {
            let first = random.u64(0..Damage::KINDS.len() as u64) as usize;
            let mut kinds = Damage::KINDS.iter().cycle().skip(first).take(Damage::KINDS.len());
            kinds.find_map(|kind| choose(rows, random, *kind))
        }
        kind => choose(rows, random, kind),
    };
    key.map(|key| flip(rows, random, key, bugs).map(|()| key)).transpose()
}

fn choose(rows: &Rows, random: &mut fastrand::Rng, what: Damage) -> Option<RowKey> {
    let mut fitting: Vec<_> = rows.keys().filter(|key| what.fits(rows, *key)).collect();
    if fitting.is_empty() {
        return None;
    }
    Some(fitting.swap_remove(random.u64(0..fitting.len() as u64) as usize))
}

/// Damages the row at a key from [`Rows::keys`].
fn flip(rows: &mut Rows, random: &mut fastrand::Rng, key: RowKey, bugs: Bugs) -> Result<(), Undetected> {
    const LISTED: &str = "a listed row is there";
    match key {
        RowKey::Record => {
            spoil(rows.record.as_mut().expect(LISTED), key, random, bugs, |bytes| rows::decode(key, bytes))
        }
        RowKey::HardState(group) => {
            let rows = rows.groups.get_mut(&self::group(group)).expect(LISTED);
            spoil(rows.hard_state.as_mut().expect(LISTED), key, random, bugs, |bytes| rows::decode(key, bytes))
        }
        RowKey::Checkpoint(group) => {
            let rows = rows.groups.get_mut(&self::group(group)).expect(LISTED);
            spoil(rows.checkpoint.as_mut().expect(LISTED), key, random, bugs, |bytes| rows::decode(key, bytes))
        }
        RowKey::Log(group, index) => {
            let rows = rows.groups.get_mut(&self::group(group)).expect(LISTED);
            let row = rows.log.get_mut(&index).expect(LISTED);
            spoil(row, key, random, bugs, |bytes| rows::decode_entry(group, index, bytes))
        }
        RowKey::Messages(group, topic, last) => {
            let (topic, last) = (TopicId(topic), Offset(last));
            let rows = rows.topics.get_mut(&(self::group(group), topic)).expect(LISTED);
            let row = rows.get_mut(&last).expect(LISTED);
            spoil(row, key, random, bugs, |bytes| rows::decode_run(group, topic, last, bytes))
        }
        RowKey::Outbox(id) => {
            spoil(rows.outbox.get_mut(&id).expect(LISTED), key, random, bugs, |bytes| rows::decode(key, bytes))
        }
        RowKey::Owner | RowKey::Transaction | RowKey::Usage => unreachable!("a simulated disk has no such row"),
    }
}

/// Flips one bit of a row's bytes.
fn spoil<T: Serialize + DeserializeOwned>(
    row: &mut Row<T>,
    key: RowKey,
    random: &mut fastrand::Rng,
    bugs: Bugs,
    decode: impl Fn(&[u8]) -> Row<T>,
) -> Result<(), Undetected> {
    let Ok(good) = row else { return Ok(()) };
    let mut bytes = RowWriter::default().encode(key, good).to_vec();
    let bit = random.u64(0..bytes.len() as u64 * 8);
    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    if bugs.has(Bug::ChecksumsAreNotCompared) {
        rows::overwrite_checksum(key, &mut bytes);
    }
    match decode(&bytes) {
        Err(bad) => *row = Err(bad),
        Ok(_) => {
            return Err(Undetected {
                what: format!("bit {bit} of {key:?} was flipped, and the row was still accepted"),
            });
        }
    }
    Ok(())
}

fn group(code: u32) -> GroupId {
    GroupId::from_code(code).expect("a disk has groups only")
}
