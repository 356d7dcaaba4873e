//! One simulated machine: a process, its disk and its clock.

use std::time::Duration;

use super::disk::Disk;
use crate::io::Effect;
use crate::node::Node;
use crate::store::{ReadMessages, WriteBatch};
use crate::time::Instant;

/// What a process asked of its disk.
#[derive(Debug)]
pub(super) enum DiskJob {
    Write(WriteBatch),
    Read(ReadMessages),
    Reopen { wipe: bool },
}

impl DiskJob {
    /// The job in an effect, or the effect back.
    pub fn from_effect(effect: Effect) -> Result<DiskJob, Effect> {
        match effect {
            Effect::Write(batch) => Ok(DiskJob::Write(batch)),
            Effect::ReadMessages(read) => Ok(DiskJob::Read(read)),
            Effect::ReopenStorage { wipe } => Ok(DiskJob::Reopen { wipe }),
            effect => Err(effect),
        }
    }
}

pub(super) struct Host {
    /// `None`: the process was killed.
    pub node: Option<Node>,
    pub disk: Disk,
    pub disk_delay: Duration,
    /// Like a storage thread: while it syncs, more comes, and goes into the next sync together.
    pub queued: Vec<DiskJob>,
    pub in_service: Vec<DiskJob>,
    pub peers_allowed: bool,
    /// Counts processes, so that what was meant for one that is gone is not given to the next.
    pub life: u64,
    /// The process is stopped until then; what arrives waits.
    pub hung_until: Option<Instant>,
    /// How wrong the wall clock is, microseconds.
    pub clock_error_us: i64,
    /// The earliest wake-up that is on the agenda.
    pub wakes_at: Option<Instant>,
    /// Why the last start was refused.
    pub refused: Option<String>,
}

impl Host {
    pub fn new(disk_delay: Duration) -> Host {
        Host {
            node: None,
            disk: Disk::default(),
            disk_delay,
            queued: Vec::new(),
            in_service: Vec::new(),
            peers_allowed: true,
            life: 0,
            hung_until: None,
            clock_error_us: 0,
            wakes_at: None,
            refused: None,
        }
    }

    /// The process is gone, with its memory and what it had asked of the disk.
    pub fn end_process(&mut self) {
        self.node = None;
        self.life += 1;
        self.queued.clear();
        self.in_service.clear();
        self.hung_until = None;
        self.wakes_at = None;
    }
}
