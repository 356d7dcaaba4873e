//! Random mutations of valid bytes.

use std::ops::Range;

use fastrand::Rng;

/// The maximum length after a mutation, bytes.
const LONGEST: usize = 256 << 10;
/// The maximum number of repetitions of a part.
const REPEATS: usize = 2_000;

/// Numbers at the limits of types, or in unusual notations.
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

/// Lengths in binary encodings: as varints, and as integers of two, four and eight bytes.
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

/// Mutates an example once, twice or four times. Parts of `other`, a second example, may be inserted.
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

/// Flips one random bit; does nothing if there are no bytes.
pub fn flip_a_bit(rng: &mut Rng, bytes: &mut [u8]) {
    if !bytes.is_empty() {
        let at = rng.usize(..bytes.len());
        bytes[at] ^= 1 << rng.u8(..8);
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, what: &[u8]) {
    bytes.splice(at..at, what.iter().copied());
}

/// Replaces a number in digits; without one, inserts a number.
fn replace_a_number(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let from = rng.usize(..=bytes.len());
    let begin = (from..bytes.len()).find(|at| bytes[*at].is_ascii_digit()).unwrap_or(from);
    let end = (begin..bytes.len()).find(|at| !bytes[*at].is_ascii_digit()).unwrap_or(bytes.len());
    let number = rng.choice(NUMBERS).expect("there are some");
    bytes.splice(begin..end, number.bytes());
}

/// A random range, possibly empty.
fn range(rng: &mut Rng, length: usize) -> Range<usize> {
    let start = rng.usize(..=length);
    start..rng.usize(start..=length)
}
