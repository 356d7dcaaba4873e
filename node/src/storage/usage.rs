//! How much content the tables hold, and how much they held at most: what lies between can be used again.
//!
//! redb never gives back what it has taken, but for some of the end of its file, and writes into what was freed before it
//! takes more. It tells how much that is only by going through all of it, so it is counted here.

use serde::{Deserialize, Serialize};

/// A file with more content is not compacted: nothing is written meanwhile. What was freed in it is used again all the same.
const COMPACTED_BYTES: u64 = 32 << 20;
/// Nor is one of which less can be given back.
const LEAST_GAIN: u64 = 1 << 20;

/// Bytes of content. Pages have some more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    live: u64,
    peak: u64,
}

impl Usage {
    /// After a change that added so much, or took it away.
    pub(super) fn and(self, grown: i64) -> Usage {
        let live = self.live.saturating_add_signed(grown);
        Usage { live, peak: self.peak.max(live) }
    }

    /// The file was compacted: nothing can be used again.
    pub(super) fn compacted(self) -> Usage {
        Usage { peak: self.live, ..self }
    }

    /// Whether the file can be made much smaller in little time, which grows with what is kept.
    pub(super) fn is_worth_compacting(self) -> bool {
        self.live <= COMPACTED_BYTES && self.reusable() >= (self.live / 2).max(LEAST_GAIN)
    }

    /// What was freed and not used again, about.
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
