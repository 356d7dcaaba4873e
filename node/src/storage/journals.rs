//! Two journals in turns: while what the one has is settled, the other takes what is written.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use cubecast_core::store::WriteBatch;
use cubecast_core::store::journal::Replayed;

use super::journal::Journal;
use super::metrics::StorageMetrics;
use super::room::Room;
use super::write::Failure;

/// Both files, open for writing.
#[derive(Debug)]
pub(super) struct Journals {
    both: [Journal; 2],
    current: usize,
}

impl Journals {
    /// Opens or creates the files. Before the first append they are [read](Journals::read) and
    /// [begun](Journals::begin).
    pub(super) fn open(paths: [PathBuf; 2], room: &Arc<Room>, metrics: &Arc<StorageMetrics>) -> io::Result<Journals> {
        let open = |path: &PathBuf| Journal::open(path, room.clone(), metrics.clone());
        Ok(Journals { both: [open(&paths[0])?, open(&paths[1])?], current: 0 })
    }

    /// Forgets all content: it belongs to tables that are gone.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.both.iter_mut().try_for_each(Journal::clear)
    }

    /// Reads the records that follow the number `after`, up to the first that is not whole.
    pub(super) fn read(&mut self, after: u64) -> Result<Replayed, Failure> {
        let mut read = Replayed { number: after, writes: Vec::new() };
        // Either may be the older one. It ends with the number behind which the other begins, and only what follows is read.
        for at in [0, 1, 0] {
            let Replayed { number, writes } = self.both[at].read(read.number)?;
            read.number = number;
            read.writes.extend(writes);
        }
        Ok(read)
    }

    /// Begins anew: the tables have everything up to `number`, for good.
    pub(super) fn begin(&mut self, number: u64) -> io::Result<()> {
        self.current = 0;
        self.both[0].begin(number)?;
        // What it has could otherwise be taken for news one day, if a number was lost with the mark and came again.
        self.both[1].clear()
    }

    /// Goes on in the other one, which the tables have: it begins behind `number`.
    pub(super) fn turn(&mut self, number: u64) -> io::Result<()> {
        self.current = 1 - self.current;
        self.both[self.current].begin(number)
    }

    /// Appends a record of what the log does not make again; `false`, and nothing done, when it finds no room.
    pub(super) fn append(&mut self, number: u64, batches: &[WriteBatch]) -> io::Result<bool> {
        self.both[self.current].append(number, batches)
    }

    /// Whether about so many bytes more fit into the current one.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.both[self.current].has_room(bytes)
    }

    /// Forces to the disk what was appended since the last time.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.both.iter_mut().try_for_each(Journal::sync)
    }
}
