//! One simulated machine: a process, its disk and its clock.

use std::time::Duration;

use super::disk::{Disk, Undetected, WriteFailed};
use crate::bugs::Bugs;
use crate::io::Input;
use crate::node::Node;
use crate::store::{ReadId, Space};
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

/// The process that asked cannot go on.
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
    /// The disk was filled by somebody else: that nothing finds room is nobody's fault here.
    pub filled_from_outside: bool,
    /// What the process was last told of the room on its disk, where that is limited.
    pub told_space: Option<Space>,
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
            filled_from_outside: false,
            told_space: None,
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
        self.told_space = None;
        self.disk.crash(random).map(|_| ())
    }

    /// Whether the jobs in service empty the disk, on request.
    pub fn loses_disk(&self) -> bool {
        self.in_service.iter().any(|job| matches!(job, DiskJob::Reopen { wipe: true }))
    }

    /// The jobs in service are done, but for those that find no room: these stay in service, and reads overtake them.
    /// `Err`: the process must end.
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

    /// Measures a disk whose room is limited, or was: what the process is told. Others are endless, and nobody measures.
    pub fn measure(&mut self) -> Option<Input> {
        let space = self.disk.space();
        if self.disk.is_limited() || self.told_space.is_some() {
            // A write that still waits will find room: that has to be told too.
            self.told_space = (self.disk.is_limited() || space.stuck).then_some(space);
            return Some(Input::StorageMeasured { space });
        }
        None
    }
}
