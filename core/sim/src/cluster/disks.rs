//! The disks of the cluster: their operations, their speed, and their faults.

use std::time::Duration;

use cubecast_core::bugs::{Bug, Bugs};
use cubecast_core::identity::HostId;
use cubecast_core::store::Write;

use super::{Arrival, Cluster};
use crate::check::evidence::{DiskLoss, DiskMishap, Mishap};
use crate::disk::{Damage, Lost, RESERVE};
use crate::host::{DiskJob, MustEnd};

/// Delay before a process that ended because of its disk is restarted.
const RESTART: Duration = Duration::from_secs(1);
/// Delay before a write without room is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(50);

impl Cluster {
    /// Flips a bit on the disk of a stopped process.
    pub fn damage_disk(&mut self, node: HostId, what: Damage) {
        let damaged = self.hosts[node].disk.damage(&mut self.random, what);
        self.undetected.extend(damaged.err().map(|undetected| undetected.what));
    }

    /// Removes files of a stopped process.
    pub fn lose_files(&mut self, node: HostId, lost: Lost) {
        self.hosts[node].disk.lose(lost);
    }

    /// Writes to the disk of a stopped process, bypassing all checks of a node.
    pub fn write_to_disk(&mut self, node: HostId, writes: &[Write]) {
        self.hosts[node].disk.write(writes);
    }

    /// Limits the room left on the disk, in bytes. `None`: unlimited.
    pub fn limit_disk(&mut self, node: HostId, left: Option<u64>) {
        let host = &mut self.hosts[node];
        host.disk.limit(left);
        host.filled_from_outside = left.is_some_and(|left| left < RESERVE);
        self.measure_disk(node);
    }

    /// Problems caused by full disks.
    pub fn disk_mishaps(&self) -> &[DiskMishap] {
        &self.disk_mishaps
    }

    pub(super) fn measure_disk(&mut self, node: HostId) {
        if let Some(input) = self.hosts[node].measure() {
            self.give(node, input);
        }
    }

    /// From now on every sync and every read of that node takes this long.
    pub fn slow_disk(&mut self, node: HostId, delay: Duration) {
        self.hosts[node].disk_delay = delay;
    }

    /// Restores the usual speed of that node's disk.
    pub fn usual_disk(&mut self, node: HostId) {
        self.hosts[node].disk_delay = self.config.disk_delay;
    }

    pub(super) fn queue_disk_job(&mut self, node: HostId, job: DiskJob) {
        self.hosts[node].queued.push(job);
        self.begin_disk_jobs(node);
    }

    fn begin_disk_jobs(&mut self, node: HostId) {
        let host = &mut self.hosts[node];
        if host.in_service.is_empty() && !host.queued.is_empty() {
            host.in_service = std::mem::take(&mut host.queued);
            let done = self.now + host.disk_delay;
            self.at(done, node, Arrival::DiskDone);
        }
    }

    pub(super) fn finish_disk_jobs(&mut self, node: HostId) {
        if self.hosts[node].loses_disk() {
            self.disk_losses.push(DiskLoss { node, at: self.now });
        }
        match self.hosts[node].finish_jobs() {
            Ok(inputs) => {
                // Determined before the inputs are given, because these may begin new operations.
                let finds_no_room = !self.hosts[node].in_service.is_empty();
                inputs.into_iter().for_each(|input| self.give(node, input));
                if finds_no_room {
                    self.wait_for_room(node);
                } else {
                    self.begin_disk_jobs(node);
                }
            }
            Err(MustEnd) => self.end_of_disk(node),
        }
    }

    /// Tries writes without room again, together with everything that has arrived meanwhile.
    fn wait_for_room(&mut self, node: HostId) {
        let host = &mut self.hosts[node];
        if !host.filled_from_outside {
            self.disk_mishaps.push(DiskMishap { node, at: self.now, what: Mishap::Filled });
        }
        if Bugs::of(self.config.bug).has(Bug::FullDiskEndsTheNode) {
            self.disk_mishaps.push(DiskMishap { node, at: self.now, what: Mishap::Ended });
            return self.end_of_disk(node);
        }
        let host = &mut self.hosts[node];
        host.in_service.append(&mut host.queued);
        self.at(self.now + TRY_AGAIN, node, Arrival::DiskDone);
    }

    /// Ends a process that cannot continue with its disk, and restarts it later.
    fn end_of_disk(&mut self, node: HostId) {
        self.kill(node);
        self.at(self.now + RESTART, node, Arrival::Restart);
    }
}
