//! Bytes that were right, changed at random.

use std::ops::Range;

use fastrand::Rng;

/// Nothing is longer after it was changed.
const LONGEST: usize = 256 << 10;
/// A part is repeated so often at most.
const REPEATS: usize = 2_000;

/// Numbers that stand at a limit of a type, or are written in a way that a decoder may not expect.
const NUMBERS: &[&str] = &[
    "-1",
    "-0",
    "00",
    "0.1",
    "1e5",
    "1e400",
    "4294967296",
    "9007199254740993",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999999",
];

/// Lengths as binary encodings write them: as varints, and as whole numbers of two, four and eight bytes.
const LENGTHS: &[&[u8]] = &[
    &[0],
    &[0x7f],
    &[0x80, 0x80, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff; 12],
    &[0xff; 2],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0; 8],
];

/// Changes an example once or a few times. `other` is another example, parts of which may get in.
pub fn changed(rng: &mut Rng, example: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = example.to_vec();
    for _ in 0..1 << rng.u8(..3) {
        change(rng, &mut bytes, other);
        bytes.truncate(LONGEST);
    }
    bytes
}

fn change(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(..=bytes.len());
    let part = range(rng, bytes.len());
    match rng.u8(..11) {
        0 => flip_a_bit(rng, bytes),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(part)),
        3 => {
            let part = bytes[part].to_vec();
            insert(bytes, at, &part);
        }
        4 => {
            bytes.truncate(at);
            bytes.extend(&other[range(rng, other.len()).start..]);
        }
        5 => insert(bytes, at, &other[range(rng, other.len())]),
        6 => {
            let few: Vec<u8> = (0..rng.usize(1..16)).map(|_| rng.u8(..)).collect();
            insert(bytes, at, &few);
        }
        7 => insert(bytes, at, rng.choice(LENGTHS).expect("there are some")),
        8 => {
            let length = rng.choice(LENGTHS).expect("there are some");
            let end = bytes.len().min(at + length.len());
            bytes.splice(at..end, length.iter().copied());
        }
        9 => replace_a_number(rng, bytes),
        10 => {
            let part = bytes[part.start..part.end.min(part.start + 64)].to_vec();
            insert(bytes, at, &part.repeat(rng.usize(1..=REPEATS)));
        }
        _ => unreachable!("the choice is below eleven"),
    }
}

pub fn flip_a_bit(rng: &mut Rng, bytes: &mut [u8]) {
    if !bytes.is_empty() {
        let at = rng.usize(..bytes.len());
        bytes[at] ^= 1 << rng.u8(..8);
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, what: &[u8]) {
    bytes.splice(at..at, what.iter().copied());
}

/// A number that is written in digits; where there is none, one more comes in.
fn replace_a_number(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let from = rng.usize(..=bytes.len());
    let begin = (from..bytes.len()).find(|at| bytes[*at].is_ascii_digit()).unwrap_or(from);
    let end = (begin..bytes.len()).find(|at| !bytes[*at].is_ascii_digit()).unwrap_or(bytes.len());
    let number = rng.choice(NUMBERS).expect("there are some");
    bytes.splice(begin..end, number.bytes());
}

/// A part of so many bytes, perhaps empty.
fn range(rng: &mut Rng, length: usize) -> Range<usize> {
    let start = rng.usize(..=length);
    start..rng.usize(start..=length)
}
