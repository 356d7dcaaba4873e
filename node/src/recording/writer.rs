//! A thread that writes the pieces of a recording, and removes segments that are too old or too many. Their files are
//! written over: the system then has neither to find new blocks nor new pages.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use cubecast_core::recording::recorder::Piece;
use tracing::warn;

use super::RecordingRules;
use super::folder::{RecordingFolder, SegmentFile};

/// Groups of pieces that wait for the disk. If there are more, the recording gets a gap.
const MAX_WAITING: usize = 256;

/// The queue to the thread. Dropping it ends the thread after it has written everything.
#[derive(Debug)]
pub struct Writer {
    queue: SyncSender<Vec<Piece>>,
}

struct Worker {
    folder: RecordingFolder,
    rules: RecordingRules,
    process: u64,
    /// The newest segment. `None` before the first one, and after a failure until the next one.
    open: Option<File>,
    /// The older segments of all processes: when each was begun, and its size.
    kept: Vec<Kept>,
    has_warned: bool,
}

struct Kept {
    segment: SegmentFile,
    begun: SystemTime,
    bytes: u64,
}

impl Writer {
    /// Starts the thread for the recording of one process.
    pub fn start(folder: RecordingFolder, rules: RecordingRules, process: u64) -> io::Result<Writer> {
        folder.create()?;
        let (queue, pieces) = sync_channel(MAX_WAITING);
        let kept = folder.segments()?.into_iter().map(|(segment, bytes)| {
            // The time of the process's start is near enough for segments of earlier processes.
            let begun = SystemTime::UNIX_EPOCH + Duration::from_micros(segment.process);
            Kept { segment, begun, bytes }
        });
        let kept = kept.collect();
        let worker = Worker { folder, rules, process, open: None, kept, has_warned: false };
        thread::Builder::new().name("recorder".into()).spawn(move || worker.run(&pieces))?;
        Ok(Writer { queue })
    }

    /// Queues pieces. `false`: the queue is full, they are lost, and the recording must begin a new segment.
    pub fn write(&self, pieces: Vec<Piece>) -> bool {
        match self.queue.try_send(pieces) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

impl Worker {
    fn run(mut self, queue: &Receiver<Vec<Piece>>) {
        while let Ok(pieces) = queue.recv() {
            for piece in pieces {
                if let Err(error) = self.write(&piece) {
                    self.open = None;
                    self.warn(&error);
                }
            }
        }
    }

    fn write(&mut self, piece: &Piece) -> io::Result<()> {
        match piece {
            Piece::Begin { number, bytes } => {
                self.open = None;
                self.check_room()?;
                let segment = SegmentFile { process: self.process, number: *number };
                let oldest = self.take_old()?;
                let file = self.open.insert(self.folder.begin(&segment, oldest.as_ref())?);
                file.write_all(bytes)?;
                self.kept.push(Kept { segment, begun: SystemTime::now(), bytes: bytes.len() as u64 });
                Ok(())
            }
            Piece::More(bytes) => {
                let (Some(file), Some(newest)) = (&mut self.open, self.kept.last_mut()) else { return Ok(()) };
                newest.bytes += bytes.len() as u64;
                file.write_all(bytes)
            }
        }
    }

    /// Leaves room on the disk for what must not be lost.
    fn check_room(&self) -> io::Result<()> {
        let found = rustix::fs::statvfs(self.folder.path())?;
        if found.f_bavail.saturating_mul(found.f_frsize) < 4 * self.rules.bytes {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "there is too little room on the disk"));
        }
        Ok(())
    }

    /// Takes the oldest segments while the rest covers the time, and while the rest is too large. Returns the first
    /// one, whose file the new segment overwrites, and deletes the others.
    fn take_old(&mut self) -> io::Result<Option<SegmentFile>> {
        let sum = |kept: &[Kept]| kept.iter().map(|kept| kept.bytes).sum::<u64>();
        let is_old = |kept: &Kept| kept.begun.elapsed().is_ok_and(|age| age > self.rules.last);
        let mut first = None;
        while let [_, second, ..] = &self.kept[..] {
            if !is_old(second) && sum(&self.kept) <= self.rules.bytes {
                break;
            }
            let oldest = self.kept.remove(0).segment;
            match &first {
                None => first = Some(oldest),
                Some(_) => self.folder.delete(&oldest)?,
            }
        }
        Ok(first)
    }

    /// The first failure of a process is reported; the recorder tries again with each segment.
    fn warn(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.has_warned, true) {
            warn!("The flight recorder cannot write to {}: {error}", self.folder.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(data: &tempfile::TempDir, rules: RecordingRules) -> Worker {
        let folder = RecordingFolder::of(data.path());
        folder.create().unwrap();
        Worker { folder, rules, process: 7, open: None, kept: Vec::new(), has_warned: false }
    }

    fn numbers(worker: &Worker) -> Vec<u64> {
        worker.folder.segments().unwrap().into_iter().map(|(segment, _)| segment.number).collect()
    }

    #[test]
    fn the_oldest_segments_are_deleted_when_they_are_too_large_and_when_the_rest_covers_the_time() {
        let data = tempfile::tempdir().unwrap();
        let mut worker = worker(&data, RecordingRules { last: Duration::from_secs(3600), bytes: 250 });
        for number in 0..4 {
            worker.write(&Piece::Begin { number, bytes: vec![0; 50] }).unwrap();
            worker.write(&Piece::More(vec![0; 50])).unwrap();
        }
        assert_eq!(numbers(&worker), [1, 2, 3]);
        worker.rules.last = Duration::ZERO;
        worker.write(&Piece::Begin { number: 4, bytes: vec![0; 50] }).unwrap();
        assert_eq!(numbers(&worker).last(), Some(&4));
        assert!(numbers(&worker).len() <= 2, "the newest covers the time");
    }

    #[test]
    fn without_room_nothing_is_written_and_nothing_fails() {
        let data = tempfile::tempdir().unwrap();
        let mut worker = worker(&data, RecordingRules { last: Duration::ZERO, bytes: u64::MAX / 8 });
        assert!(worker.write(&Piece::Begin { number: 0, bytes: vec![0; 50] }).is_err());
        worker.write(&Piece::More(vec![0; 50])).unwrap();
        assert_eq!(numbers(&worker), Vec::<u64>::new());
    }
}
