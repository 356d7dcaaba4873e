//! Expiry of names that are not used for a long time, if the operator configures it: the intervals that all nodes
//! share.
//!
//! A node that receives a request under a name, or delivers to a subscriber, reports the use to the leader of the
//! name's group. It reports each name again only after a quarter of the expiry time. The leader writes a report to the
//! log unless its state already has a use within the last eighth of that time. Periodically the leader searches for
//! names that were unused for the whole expiry time and proposes their removal as one command, so all members remove
//! the same names.

use std::time::Duration;

/// The longest interval between two scans of subscriber sessions, and between two searches for expired names.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// A use is reported if the last report is older than this.
pub(super) fn report_interval(expire_after: Duration) -> Duration {
    expire_after / 4
}

/// The interval of scans for names in use, and of searches for unused ones.
pub(super) fn scan_interval(expire_after: Duration) -> Duration {
    (expire_after / 16).min(LONGEST_PAUSE)
}
