//! The format of a journal on disk: records of writes, with chained checksums.
//!
//! A record is a crc32, the payload's length and the transaction's number (4, 4 and 8 bytes, little-endian), followed
//! by the writes in postcard. Each checksum continues the previous one; the first continues that of the number after
//! which the journal begins. Therefore, when space is reused, a record of an earlier round is never taken for the next
//! record of this round.

use serde::Serialize;

use super::Write;

const CRC_BYTES: usize = 4;
const HEADER_BYTES: usize = 16;

/// The checksum that the next record's checksum continues.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chain(u32);

/// The content of a journal.
#[derive(Clone, PartialEq, Debug)]
pub struct Replayed {
    /// The number of the last complete record, or the number after which the journal begins.
    pub number: u64,
    /// The writes of all records, in order.
    pub writes: Vec<Write>,
}

/// A record that is complete but cannot be decoded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("record {number} of the journal has a correct checksum but cannot be decoded")]
pub struct BadRecord {
    /// The record's transaction number.
    pub number: u64,
}

impl Chain {
    /// The chain of a journal that begins after this number.
    pub fn begin(number: u64) -> Chain {
        Chain(crc32fast::hash(&number.to_le_bytes()))
    }

    fn follow(self, covered: &[u8]) -> Chain {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        hasher.update(covered);
        Chain(hasher.finalize())
    }
}

/// Encodes the record with this number into `memory`, which is cleared first and returned for reuse.
pub fn encode<'w, W: Serialize + 'w>(
    chain: Chain,
    number: u64,
    writes: impl Iterator<Item = &'w W>,
    mut memory: Vec<u8>,
) -> (Vec<u8>, Chain) {
    memory.clear();
    memory.extend_from_slice(&[0; HEADER_BYTES]);
    for write in writes {
        // Our own types contain nothing that postcard refuses, and a `Vec` grows as needed.
        memory = postcard::to_extend(write, memory).expect("a write encodes");
    }
    // A length that does not fit into a u32 is larger than any journal.
    let length = u32::try_from(memory.len() - HEADER_BYTES).unwrap_or(u32::MAX);
    memory[CRC_BYTES..8].copy_from_slice(&length.to_le_bytes());
    memory[8..HEADER_BYTES].copy_from_slice(&number.to_le_bytes());
    let chain = chain.follow(&memory[CRC_BYTES..]);
    memory[..CRC_BYTES].copy_from_slice(&chain.0.to_le_bytes());
    (memory, chain)
}

/// Reads the records after number `after`, up to the first incomplete one.
pub fn read(after: u64, mut journal: &[u8]) -> Result<Replayed, BadRecord> {
    let (mut replayed, mut chain) = (Replayed { number: after, writes: Vec::new() }, Chain::begin(after));
    while let Some((payload, next)) = next_record(&mut journal, chain, replayed.number + 1) {
        replayed.number += 1;
        decode(payload, &mut replayed.writes).map_err(|_| BadRecord { number: replayed.number })?;
        chain = next;
    }
    Ok(replayed)
}

/// Takes the next record's payload, if its number and checksum match.
fn next_record<'b>(journal: &mut &'b [u8], chain: Chain, number: u64) -> Option<(&'b [u8], Chain)> {
    let (crc, rest) = journal.split_first_chunk::<CRC_BYTES>()?;
    let length = usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok()?;
    let (covered, rest) = rest.split_at_checked((HEADER_BYTES - CRC_BYTES).checked_add(length)?)?;
    let (header, payload) = covered.split_at(HEADER_BYTES - CRC_BYTES);
    let next = chain.follow(covered);
    *journal = rest;
    (header[4..] == number.to_le_bytes() && next.0.to_le_bytes() == *crc).then_some((payload, next))
}

fn decode(mut payload: &[u8], writes: &mut Vec<Write>) -> Result<(), postcard::Error> {
    while !payload.is_empty() {
        let (write, rest) = postcard::take_from_bytes(payload)?;
        writes.push(write);
        payload = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::VertexId;
    use crate::identity::GroupId;
    use crate::store::HardState;

    fn write(commit: u64) -> Write {
        Write::HardState { group: GroupId::Home(VertexId(2)), state: HardState { term: 1, vote: 0, commit } }
    }

    fn journal(after: u64, records: &[&[Write]]) -> Vec<u8> {
        let (mut bytes, mut chain) = (Vec::new(), Chain::begin(after));
        for (number, writes) in (after + 1..).zip(records) {
            let (record, next) = encode(chain, number, writes.iter(), Vec::new());
            bytes.extend(record);
            chain = next;
        }
        bytes
    }

    #[test]
    fn records_come_back_up_to_the_first_that_is_not_whole() {
        let records: [&[Write]; 3] = [&[write(1), write(2)], &[], &[write(3)]];
        let bytes = journal(7, &records);
        assert_eq!(read(7, &bytes), Ok(Replayed { number: 10, writes: vec![write(1), write(2), write(3)] }));
        let ends: Vec<_> = (0..=3).map(|count| journal(7, &records[..count]).len()).collect();
        for length in 0..bytes.len() {
            let whole = ends.iter().filter(|end| **end <= length).count() as u64 - 1;
            assert_eq!(read(7, &bytes[..length]).unwrap().number, 7 + whole, "{length} bytes");
        }
    }

    #[test]
    fn every_flipped_bit_ends_the_journal() {
        let bytes = journal(7, &[&[write(1)], &[write(2)]]);
        let first = journal(7, &[&[write(1)]]).len();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(7, &bad).unwrap().number, if bit / 8 < first { 7 } else { 8 }, "bit {bit}");
        }
    }

    #[test]
    fn nothing_of_an_earlier_round_is_taken_for_news() {
        let (old, new) = (journal(7, &[&[write(1)], &[write(2)], &[write(3)]]), journal(8, &[&[write(9)]]));
        let mut bytes = old.clone();
        bytes[..new.len()].copy_from_slice(&new);
        assert_eq!(read(8, &bytes), Ok(Replayed { number: 9, writes: vec![write(9)] }));
        for after in (0..20).filter(|after| *after != 7) {
            assert_eq!(read(after, &old).unwrap().number, after);
        }
    }

    #[test]
    fn a_records_bytes_are_pinned() {
        // In Python: crc = zlib.crc32(struct.pack("<Q", 7)); zlib.crc32(struct.pack("<IQ", 1, 8) + bytes([5]), crc)
        let (record, _) = encode(Chain::begin(7), 8, [5u8].iter(), Vec::new());
        assert_eq!(record[4..], [1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(u32::from_le_bytes(record[..4].try_into().unwrap()), 0x3ec7_ccc1);
    }
}
