//! One simulated machine: a process, its disk and its clock.

use std::time::Duration;

use super::disk::{Disk, Undetected};
use crate::bugs::Bugs;
use crate::io::Input;
use crate::node::Node;
use crate::store::ReadId;
use crate::time::Instant;

/// What a process asked of its disk, and has not got yet.
#[derive(Clone, Copy, Debug)]
pub(super) enum DiskJob {
    /// The batch of this number.
    Write(u64),
    Read(ReadId),
    Reopen {
        wipe: bool,
    },
}

pub(super) struct Host {
    /// `None`: the process was killed.
    pub node: Option<Node>,
    pub disk: Disk,
    pub disk_delay: Duration,
    /// Like a storage thread: while it syncs, more comes, and goes into the next sync together.
    pub queued: Vec<DiskJob>,
    pub in_service: Vec<DiskJob>,
    /// What reached the process and waits for its next turn, which is on the agenda when this is not empty.
    pub gathered: Vec<Input>,
    pub peers_allowed: bool,
    /// Counts processes, so that what was meant for one that is gone is not given to the next.
    pub life: u64,
    /// The process is stopped until then; what arrives waits.
    pub hung_until: Option<Instant>,
    /// How wrong the wall clock is, microseconds.
    pub clock_error_us: i64,
    /// The earliest wake-up that is on the agenda.
    pub wakes_at: Option<Instant>,
    /// Why the last start was refused: its disk is damaged beyond what a node mends by itself.
    pub refused: Option<String>,
}

impl Host {
    pub fn new(disk_delay: Duration, bugs: Bugs) -> Host {
        Host {
            node: None,
            disk: Disk::with(bugs),
            disk_delay,
            queued: Vec::new(),
            in_service: Vec::new(),
            gathered: Vec::new(),
            peers_allowed: true,
            life: 0,
            hung_until: None,
            clock_error_us: 0,
            wakes_at: None,
            refused: None,
        }
    }

    /// The process is gone, with its memory and what it had asked of the disk.
    pub fn end_process(&mut self, random: &mut fastrand::Rng) -> Result<(), Undetected> {
        self.node = None;
        self.life += 1;
        self.queued.clear();
        self.in_service.clear();
        self.gathered.clear();
        self.hung_until = None;
        self.wakes_at = None;
        self.disk.crash(random).map(|_| ())
    }

    /// Whether the jobs in service empty the disk, on request.
    pub fn loses_disk(&self) -> bool {
        self.in_service.iter().any(|job| matches!(job, DiskJob::Reopen { wipe: true }))
    }

    /// The jobs in service are done. `Err`: the process must end, and why.
    pub fn finish_jobs(&mut self) -> Result<Vec<Input>, String> {
        let jobs = std::mem::take(&mut self.in_service);
        jobs.into_iter().map(|job| self.finish_job(job)).collect()
    }

    fn finish_job(&mut self, job: DiskJob) -> Result<Input, String> {
        match job {
            DiskJob::Write(number) => {
                self.disk.finish(number).map_err(|failed| failed.to_string())?;
                Ok(Input::Written { number })
            }
            DiskJob::Read(read) => Ok(Input::MessagesRead { read, result: self.disk.finish_read(read) }),
            DiskJob::Reopen { wipe } => {
                if wipe {
                    self.disk.wipe();
                } else {
                    self.disk.close().map_err(|failed| failed.to_string())?;
                }
                let recovered = self.disk.recover().map_err(|refused| refused.to_string())?;
                Ok(Input::StorageReopened { recovered })
            }
        }
    }
}
