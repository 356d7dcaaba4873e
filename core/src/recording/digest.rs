//! The checksum of a turn's effects: a crc32 of their encoding, which is never stored. Of a long text or byte string,
//! its length, its beginning and its end count: nodes copy contents and do not compute them.
//!
//! Frequent events do not count: whether a node creates them depends on who watches, and a replay watches all.

use crc32fast::Hasher;
use postcard::ser_flavors::Flavor;

use crate::io::Effect;

/// Small pieces are collected up to this length.
const COLLECTED: usize = 256;
/// The length of a beginning, and of an end.
const PART: usize = 32;

/// The digest of these effects.
pub fn digest(effects: &[Effect]) -> u32 {
    let mut digest = Digest { hasher: Hasher::new(), collected: [0; COLLECTED], len: 0 };
    for effect in effects.iter().filter(|effect| !is_frequent_event(effect)) {
        postcard::serialize_with_flavor(effect, Into(&mut digest)).expect("a digest takes any effect");
    }
    digest.collect(&[]);
    digest.hasher.finalize()
}

fn is_frequent_event(effect: &Effect) -> bool {
    matches!(effect, Effect::Observe(event) if event.event.is_frequent())
}

struct Digest {
    hasher: Hasher,
    collected: [u8; COLLECTED],
    len: usize,
}

impl Digest {
    /// Hashes what was collected, and then these bytes.
    fn collect(&mut self, bytes: &[u8]) {
        self.hasher.update(&self.collected[..self.len]);
        self.hasher.update(bytes);
        self.len = 0;
    }
}

/// Encodes into a digest.
struct Into<'d>(&'d mut Digest);

impl Flavor for Into<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let digest = &mut *self.0;
        match digest.collected.get_mut(digest.len..digest.len + bytes.len()) {
            Some(free) => {
                free.copy_from_slice(bytes);
                digest.len += bytes.len();
            }
            None => {
                digest.collect(&bytes[..bytes.len().min(PART)]);
                digest.collect(&bytes[bytes.len().saturating_sub(PART)..]);
            }
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
