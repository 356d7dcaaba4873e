//! Counts the content in the tables and its maximum so far. The difference is space that redb can reuse.
//!
//! redb returns space to the file system only at the end of its file, and reuses freed space before it grows the
//! file. It can report the free space only by scanning the whole file, so this module counts it.

use serde::{Deserialize, Serialize};

/// A file with more content is not compacted, because compaction blocks writes. Its freed space is still reused.
const COMPACTED_BYTES: u64 = 32 << 20;
/// A file that would shrink by less is not compacted either.
const LEAST_GAIN: u64 = 1 << 20;

/// Bytes of content. Pages take somewhat more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    live: u64,
    peak: u64,
}

impl Usage {
    /// The usage after the content grew by `grown` bytes, or shrank if negative.
    pub(super) fn and(self, grown: i64) -> Usage {
        let live = self.live.saturating_add_signed(grown);
        Usage { live, peak: self.peak.max(live) }
    }

    /// The usage after compaction: no space is reusable.
    pub(super) fn compacted(self) -> Usage {
        Usage { peak: self.live, ..self }
    }

    /// Whether compaction shrinks the file much in little time. The time grows with the content.
    pub(super) fn is_worth_compacting(self) -> bool {
        self.live <= COMPACTED_BYTES && self.reusable() >= (self.live / 2).max(LEAST_GAIN)
    }

    /// The approximate number of bytes that were freed and not reused.
    pub(super) fn reusable(self) -> u64 {
        self.peak - self.live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_freed_can_be_used_again_once() {
        let usage = Usage::default().and(100).and(-60);
        assert_eq!((usage.live, usage.reusable()), (40, 60));
        assert_eq!(usage.and(50).reusable(), 10);
        assert_eq!(usage.and(90).reusable(), 0);
        assert_eq!(usage.compacted().reusable(), 0);
        assert_eq!(usage.and(-100), Usage { live: 0, peak: 100 }, "what was never counted");
    }
}
