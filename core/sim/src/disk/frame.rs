//! A batch encoded as a frame, and the remains of a frame after a power loss during its write.
//!
//! Format: length (four bytes), CRC-32 over length and content (four bytes), the content in postcard. Numbers are
//! little-endian.

use cubecast_core::store::WriteBatch;

use super::Undetected;

const HEADER_BYTES: usize = 8;
/// Most unrelated bytes after the place where a frame would have ended.
const BEHIND_BYTES: u64 = 16;

/// Tears a batch's frame at a random byte and decodes it. Returns true if it is whole all the same, because the bytes
/// after the tear happen to equal those of the frame.
pub(super) fn outlives_tearing(batch: &WriteBatch, random: &mut fastrand::Rng) -> Result<bool, Undetected> {
    let frame = encode(batch);
    let found = tear(&frame, random);
    match decode(&found) {
        None => Ok(false),
        Some(_) if found.starts_with(&frame) => Ok(true),
        Some(_) => {
            Err(Undetected { what: format!("batch {} was torn, and was still accepted as whole", batch.number) })
        }
    }
}

pub(super) fn encode(batch: &WriteBatch) -> Vec<u8> {
    let frame = postcard::to_extend(batch, vec![0; HEADER_BYTES]);
    let mut frame = frame.expect("memory takes any batch");
    let length = u32::try_from(frame.len() - HEADER_BYTES).expect("a batch is smaller than 4 GiB").to_le_bytes();
    let crc = check(length, &frame[HEADER_BYTES..]);
    frame[..4].copy_from_slice(&length);
    frame[4..HEADER_BYTES].copy_from_slice(&crc);
    frame
}

/// The batch at the start of these bytes. `None`: it is not whole.
pub(super) fn decode(bytes: &[u8]) -> Option<WriteBatch> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let content = rest.get(..u32::from_le_bytes(*length) as usize)?;
    if check(*length, content) != *crc {
        return None;
    }
    match postcard::take_from_bytes(content) {
        Ok((batch, [])) => Some(batch),
        Ok((_, _)) | Err(_) => None,
    }
}

/// The checksum includes the length, so that a hole of zeros is not decoded as an empty frame.
fn check(length: [u8; 4], content: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(content);
    hasher.finalize().to_le_bytes()
}

/// Returns the frame up to a random byte, followed by the disk's end, zeros, or random older data.
fn tear(frame: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let length = frame.len() as u64;
    let cut = random.u64(0..length);
    let mut found = frame[..cut as usize].to_vec();
    let behind = random.u64(0..=length - cut + BEHIND_BYTES);
    match random.u8(0..3) {
        0 => {}
        1 => found.extend((0..behind).map(|_| 0)),
        _ => found.extend((0..behind).map(|_| random.u8(..))),
    }
    found
}
