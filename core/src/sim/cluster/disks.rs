//! What reaches the disks, how fast, and what goes wrong there.

use std::time::Duration;

use super::{Arrival, Cluster};
use crate::check::evidence::DiskLoss;
use crate::cube::Vertex;
use crate::sim::disk::{Damage, Lost};
use crate::sim::host::DiskJob;
use crate::store::Write;

/// A process that died of its disk is started again after this.
const RESTART: Duration = Duration::from_secs(1);

impl Cluster {
    /// Turns a bit over on the disk of a process that is not running.
    pub fn damage_disk(&mut self, vertex: Vertex, what: Damage) {
        let damaged = self.hosts[vertex.index()].disk.damage(&mut self.random, what);
        self.undetected.extend(damaged.err().map(|undetected| undetected.what));
    }

    /// Files of a process that is not running are lost.
    pub fn lose_files(&mut self, vertex: Vertex, lost: Lost) {
        self.hosts[vertex.index()].disk.lose(lost);
    }

    /// Writes to the disk of a process that is not running, past all that a node would check.
    pub fn write_to_disk(&mut self, vertex: Vertex, writes: &[Write]) {
        self.hosts[vertex.index()].disk.write(writes);
    }

    /// Whether the disk has no room.
    pub fn fill_disk(&mut self, vertex: Vertex, full: bool) {
        self.hosts[vertex.index()].disk.set_full(full);
    }

    /// From now on every sync and every read takes this long at that node.
    pub fn slow_disk(&mut self, vertex: Vertex, delay: Duration) {
        self.hosts[vertex.index()].disk_delay = delay;
    }

    pub fn usual_disk(&mut self, vertex: Vertex) {
        self.hosts[vertex.index()].disk_delay = self.config.disk_delay;
    }

    pub(super) fn queue_disk_job(&mut self, vertex: Vertex, job: DiskJob) {
        self.hosts[vertex.index()].queued.push(job);
        self.begin_disk_jobs(vertex);
    }

    fn begin_disk_jobs(&mut self, vertex: Vertex) {
        let host = &mut self.hosts[vertex.index()];
        if host.in_service.is_empty() && !host.queued.is_empty() {
            host.in_service = std::mem::take(&mut host.queued);
            let done = self.now + host.disk_delay;
            self.at(done, vertex, Arrival::DiskDone);
        }
    }

    pub(super) fn finish_disk_jobs(&mut self, vertex: Vertex) {
        if self.hosts[vertex.index()].loses_disk() {
            self.disk_losses.push(DiskLoss { node: vertex, at: self.now });
        }
        match self.hosts[vertex.index()].finish_jobs() {
            Ok(inputs) => {
                inputs.into_iter().for_each(|input| self.give(vertex, input));
                self.begin_disk_jobs(vertex);
            }
            Err(_) => {
                self.kill(vertex);
                self.at(self.now + RESTART, vertex, Arrival::Restart);
            }
        }
    }
}
