//! Two journals that alternate: while the content of one is flushed, the other one receives new writes.

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
    /// Opens or creates the files. They must be [read](Journals::read) and [begun](Journals::begin) before the first
    /// append.
    pub(super) fn open(paths: [PathBuf; 2], room: &Arc<Room>, metrics: &Arc<StorageMetrics>) -> io::Result<Journals> {
        let open = |path: &PathBuf| Journal::open(path, room.clone(), metrics.clone());
        Ok(Journals { both: [open(&paths[0])?, open(&paths[1])?], current: 0 })
    }

    /// Erases all content, because its tables are gone.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.both.iter_mut().try_for_each(Journal::clear)
    }

    /// Reads the records after the number `after`, up to the first incomplete one.
    pub(super) fn read(&mut self, after: u64) -> Result<Replayed, Failure> {
        let mut read = Replayed { number: after, writes: Vec::new() };
        // Either journal may be the older one. It ends with the number after which the other one begins, and only
        // records after `read.number` are read.
        for at in [0, 1, 0] {
            let Replayed { number, writes } = self.both[at].read(read.number)?;
            read.number = number;
            read.writes.extend(writes);
        }
        Ok(read)
    }

    /// Restarts the journals: the tables have everything up to `number`, durably.
    pub(super) fn begin(&mut self, number: u64) -> io::Result<()> {
        self.current = 0;
        self.both[0].begin(number)?;
        // Its old records could otherwise be mistaken for new ones if a number was lost with the commit marker and
        // assigned again.
        self.both[1].clear()
    }

    /// Switches to the other journal, whose content is in the tables. It begins after `number`.
    pub(super) fn turn(&mut self, number: u64) -> io::Result<()> {
        self.current = 1 - self.current;
        self.both[self.current].begin(number)
    }

    /// Appends a record of the writes that are not replayable from the log. `false`: there is no space, and nothing
    /// was appended.
    pub(super) fn append(&mut self, number: u64, batches: &[WriteBatch]) -> io::Result<bool> {
        self.both[self.current].append(number, batches)
    }

    /// Whether about this many bytes fit into the current journal.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.both[self.current].has_room(bytes)
    }

    /// Syncs everything appended since the last sync.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.both.iter_mut().try_for_each(Journal::sync)
    }
}
