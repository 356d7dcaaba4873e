//! One simulated machine: a process, its disk and its clock.

use std::time::Duration;

use cubecast_core::io::Input;
use cubecast_core::node::Node;
use cubecast_core::store::{ReadId, Space};
use cubecast_core::time::Instant;

use crate::disk::{Disk, Undetected, WriteFailed};
use crate::recording::TurnRecorder;

/// A disk operation that a process has requested and that is not finished.
#[derive(Clone, Copy, Debug)]
pub(super) enum DiskJob {
    /// Write the batch of this number.
    Write(u64),
    Read(ReadId),
    Reopen {
        wipe: bool,
    },
}

/// The requesting process cannot continue.
pub(super) struct MustEnd;

enum JobFailed {
    NoRoom,
    MustEnd,
}

impl From<WriteFailed> for JobFailed {
    fn from(failed: WriteFailed) -> JobFailed {
        match failed {
            WriteFailed::Full => JobFailed::NoRoom,
            WriteFailed::Bad(_) => JobFailed::MustEnd,
        }
    }
}

pub(super) struct Host {
    /// `None`: the process does not run.
    pub node: Option<Node>,
    pub disk: Disk,
    pub disk_delay: Duration,
    /// Operations that arrive during a sync. They go into the next sync together, as with a storage thread.
    pub queued: Vec<DiskJob>,
    pub in_service: Vec<DiskJob>,
    /// Inputs for the next turn of the process. If there are any, the turn is on the agenda.
    pub gathered: Vec<Input>,
    pub peers_allowed: bool,
    /// Counts processes, so that events for an ended process do not reach the next one.
    pub life: u64,
    /// The process is stopped until then; its inputs wait.
    pub hung_until: Option<Instant>,
    /// How far the monotonic clock is ahead of the cluster's, in microseconds. 0 unless the host was resumed.
    pub monotonic_ahead_us: u64,
    /// Error of the wall clock in microseconds.
    pub clock_error_us: i64,
    /// The earliest wake-up on the agenda.
    pub wakes_at: Option<Instant>,
    /// Other data has filled the disk, so a write without room is no fault of the nodes.
    pub filled_from_outside: bool,
    /// The last measurement that was reported to the process, if its disk is limited.
    pub told_space: Option<Space>,
    /// The host's recording, if the hosts are recorded.
    pub recording: Option<Box<dyn TurnRecorder>>,
    /// Why the last start was refused: the disk has damage that a node cannot repair.
    pub refused: Option<String>,
}

impl Host {
    /// A machine without a process. `disk_delay`: the duration of every sync and every read.
    pub fn new(disk: Disk, disk_delay: Duration) -> Host {
        Host {
            node: None,
            disk,
            disk_delay,
            queued: Vec::new(),
            in_service: Vec::new(),
            gathered: Vec::new(),
            peers_allowed: true,
            life: 0,
            hung_until: None,
            monotonic_ahead_us: 0,
            clock_error_us: 0,
            wakes_at: None,
            filled_from_outside: false,
            told_space: None,
            recording: None,
            refused: None,
        }
    }

    /// An instant of the cluster's clock on this host's monotonic clock.
    pub fn on_its_clock(&self, at: Instant) -> Instant {
        Instant(at.0.wrapping_add(self.monotonic_ahead_us))
    }

    /// When the process wants its next turn, on the cluster's clock.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadline = self.node.as_ref()?.next_deadline()?;
        Some(Instant(deadline.0.saturating_sub(self.monotonic_ahead_us)))
    }

    /// Ends the process. Its memory and its unfinished disk operations are lost.
    pub fn end_process(&mut self, random: &mut fastrand::Rng) -> Result<(), Undetected> {
        self.node = None;
        self.life += 1;
        self.queued.clear();
        self.in_service.clear();
        self.gathered.clear();
        self.hung_until = None;
        self.wakes_at = None;
        self.told_space = None;
        self.disk.crash(random).map(|_| ())
    }

    /// Whether the operations in service include a requested wipe.
    pub fn loses_disk(&self) -> bool {
        self.in_service.iter().any(|job| matches!(job, DiskJob::Reopen { wipe: true }))
    }

    /// Finishes the operations in service. Writes without room stay in service, and reads overtake them. `Err`: the
    /// process must end.
    pub fn finish_jobs(&mut self) -> Result<Vec<Input>, MustEnd> {
        let mut inputs = Vec::new();
        for job in std::mem::take(&mut self.in_service) {
            let waits = !self.in_service.is_empty() && !matches!(job, DiskJob::Read(_));
            match if waits { Err(JobFailed::NoRoom) } else { self.finish_job(job) } {
                Ok(input) => inputs.push(input),
                Err(JobFailed::NoRoom) => self.in_service.push(job),
                Err(JobFailed::MustEnd) => return Err(MustEnd),
            }
        }
        if let Some(told) = &mut self.told_space {
            let space = self.disk.space();
            if std::mem::replace(told, space) != space {
                inputs.push(Input::StorageMeasured { space });
            }
        }
        Ok(inputs)
    }

    fn finish_job(&mut self, job: DiskJob) -> Result<Input, JobFailed> {
        match job {
            DiskJob::Write(number) => {
                self.disk.finish(number)?;
                Ok(Input::Written { number })
            }
            DiskJob::Read(read) => Ok(Input::MessagesRead { read, result: self.disk.finish_read(read) }),
            DiskJob::Reopen { wipe } => {
                if wipe {
                    self.disk.wipe();
                } else {
                    self.disk.close()?;
                }
                let recovered = self.disk.recover().map_err(|_| JobFailed::MustEnd)?;
                Ok(Input::StorageReopened { recovered })
            }
        }
    }

    /// Measures a disk that is or was limited, for the process. Other disks count as endless and are not measured.
    pub fn measure(&mut self) -> Option<Input> {
        let space = self.disk.space();
        if self.disk.is_limited() || self.told_space.is_some() {
            // A waiting write will find room. The process must learn this too.
            self.told_space = (self.disk.is_limited() || space.stuck).then_some(space);
            return Some(Input::StorageMeasured { space });
        }
        None
    }
}
