//! An engine's report about the folder that it opened, for the log and for `status`.

use std::fmt;
use std::time::Duration;

use cubecast_core::store::recovery::CutTail;

/// The result of opening a folder.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OpenReport {
    /// The folder was new.
    pub new: bool,
    /// The folder was not closed: its node was killed, or the machine stopped.
    pub unclean: bool,
    /// The size of the tables' file in bytes.
    pub file_bytes: u64,
    /// The time to open. Most of it is the check of every page.
    pub took: Duration,
    /// Logs that lost their end. Their groups are recovered with `tail_cut`.
    pub cut: Vec<CutTail>,
    /// Acknowledged transactions that are lost: every group is recovered with `tail_cut`.
    pub rolled_back: Option<RolledBack>,
    /// The commit marker is missing or damaged, so lost acknowledged transactions cannot be detected: every group is
    /// recovered with `tail_cut`.
    pub commit_marker_lost: bool,
}

/// How far the store is behind the acknowledged writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RolledBack {
    /// The newest acknowledged transaction.
    pub acknowledged: u64,
    /// The newest transaction in the store.
    pub found: u64,
}

impl OpenReport {
    /// Whether acknowledged writes were lost, or may have been.
    pub fn lost_something(&self) -> bool {
        !self.cut.is_empty() || self.rolled_back.is_some() || self.commit_marker_lost
    }
}

impl fmt::Display for OpenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (self.new, self.unclean) {
            (true, _) => "new data folder",
            (false, false) => "data folder was closed properly",
            (false, true) => "data folder was not closed properly and has been recovered",
        };
        write!(f, "{state}: {} bytes checked in {} ms", self.file_bytes, self.took.as_millis())?;
        for CutTail { name, from_index, why, .. } in &self.cut {
            write!(f, "; the log of group {name} was damaged at its end ({why}) and truncated at entry {from_index}")?;
        }
        if let Some(RolledBack { acknowledged, found }) = self.rolled_back {
            write!(f, "; acknowledged transactions {} to {acknowledged} were lost by damage", found + 1)?;
        }
        if self.commit_marker_lost {
            f.write_str("; the commit marker is missing or damaged, so acknowledged transactions may be missing")?;
        }
        if self.lost_something() {
            f.write_str(
                "; the node rejoins as a new member without votes and fetches its data from its neighbours (a group \
                 stays without a leader if the voters that lost nothing are not a majority)",
            )?;
        }
        Ok(())
    }
}
