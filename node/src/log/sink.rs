//! The destination of log lines: standard error, which may be a file that this process rotates.
//!
//! A failed write does not end the process. A log on a disk never uses up the last free space: below the storage's
//! reserve only warnings and errors are written, and below a quarter of it nothing. Dropped lines are counted, and
//! the count is logged when there is space again.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{Level, Metadata, warn};
use tracing_subscriber::fmt::MakeWriter;

use crate::output::visible_json;
use crate::private;
use crate::storage::reserve_of;

/// The maximum size of a log file. The next line begins a new one.
pub const FILE_BYTES: u64 = 16 << 20;
/// Log files kept for each node: `NODE.log`, `NODE.log.1` and so on.
pub const FILES: usize = 4;
/// The interval between checks of the free space.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Standard error, shared by all writers of log lines.
#[derive(Clone, Default)]
pub struct Sink {
    shared: Arc<Shared>,
    /// Lines are JSON, and this sink escapes hidden characters in them. In text lines, the writer of the fields
    /// escapes them.
    json: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    dropped: Condvar,
}

#[derive(Default)]
struct State {
    file: Option<LogFile>,
    /// As configured, in bytes.
    reserve: Option<u64>,
    looked: Option<Instant>,
    room: Room,
    dropped: u64,
    /// The last write failed within a line.
    torn: bool,
}

/// The lines for which there is space.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Room {
    #[default]
    Enough,
    Warnings,
    Nothing,
}

impl Room {
    fn of(free: u64, reserve: u64) -> Room {
        match free {
            free if free < reserve / 4 => Room::Nothing,
            free if free < reserve => Room::Warnings,
            _ => Room::Enough,
        }
    }

    fn takes(self, level: Level) -> bool {
        match self {
            Room::Enough => true,
            Room::Warnings => level <= Level::WARN,
            Room::Nothing => false,
        }
    }
}

impl Sink {
    /// A sink on standard error. `json`: lines are JSON.
    pub fn new(json: bool) -> Sink {
        Sink { json, ..Sink::default() }
    }

    /// Redirects standard error to this file, which is rotated. Log lines and all other output to standard error go
    /// there.
    pub fn write_to(&self, path: &Path) -> io::Result<()> {
        let file = LogFile::open(path)?;
        file.become_stderr()?;
        self.lock().file = Some(file);
        Ok(())
    }

    /// Sets the storage's reserve, in bytes, as configured.
    pub fn keep_free(&self, reserve: Option<u64>) {
        self.lock().reserve = reserve;
    }

    /// Logs the number of dropped lines as soon as there is space, for as long as the process runs.
    pub fn keep_telling(&self) {
        loop {
            let mut state = self.lock();
            while state.dropped == 0 {
                state = self.shared.dropped.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            drop(state);
            std::thread::sleep(LOOK_EVERY);
            let mut state = self.lock();
            state.look();
            if state.room == Room::Enough {
                let lines = std::mem::take(&mut state.dropped);
                drop(state);
                warn!(lines, "{lines} log lines were dropped while the log's disk was full");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, line: &[u8], level: Level) {
        let mut state = self.lock();
        if !state.write(line, level) {
            state.dropped += 1;
            self.shared.dropped.notify_one();
        }
    }
}

impl State {
    /// Writes a line. `false`: there is no space for it.
    fn write(&mut self, line: &[u8], level: Level) -> bool {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            self.look();
        }
        if !self.room.takes(level) {
            return false;
        }
        let rotated = self.file.as_mut().is_some_and(|file| file.rotate_for(line.len()));
        if rotated && let Some(file) = &self.file {
            // On failure, further lines go to the old file.
            let _ = file.become_stderr();
        }
        let mut stderr = io::stderr().lock();
        let begun = if self.torn { stderr.write_all(b"\n") } else { Ok(()) };
        let written = begun.and_then(|()| stderr.write_all(line));
        self.torn = written.is_err();
        match written {
            Err(error) if is_no_room(&error) => {
                (self.room, self.looked) = (Room::Nothing, Some(Instant::now()));
                false
            }
            // Standard error has no reader, so there is no place to report the error.
            _ => true,
        }
    }

    fn look(&mut self) {
        self.looked = Some(Instant::now());
        self.room =
            free_and_total().map_or(Room::Enough, |(free, total)| Room::of(free, reserve_of(total, self.reserve)));
    }
}

/// Free and total bytes of the disk, if standard error is a regular file.
#[cfg(unix)]
fn free_and_total() -> Option<(u64, u64)> {
    let stderr = io::stderr();
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&stderr).ok()?.st_mode);
    if kind != rustix::fs::FileType::RegularFile {
        return None;
    }
    let found = rustix::fs::fstatvfs(&stderr).ok()?;
    Some((found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize)))
}

#[cfg(not(unix))]
fn free_and_total() -> Option<(u64, u64)> {
    None
}

fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A log file that is rotated when it is full.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    length: u64,
}

impl LogFile {
    /// Opens or creates a log file for appending.
    pub fn open(path: &Path) -> io::Result<LogFile> {
        let file = private::append_log().open(path)?;
        let length = file.metadata()?.len();
        Ok(LogFile { path: path.to_owned(), file, length })
    }

    /// Writes a line, after rotation if the file is full.
    pub fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.rotate_for(line.len());
        (&self.file).write_all(line)
    }

    /// Rotates the file if `bytes` more exceed its maximum size, and returns whether it did. On failure the file
    /// grows on, and the next attempt follows after as many bytes again.
    fn rotate_for(&mut self, bytes: usize) -> bool {
        self.length += bytes as u64;
        if self.length <= FILE_BYTES {
            return false;
        }
        self.length = bytes as u64;
        let aside = |number: usize| PathBuf::from(format!("{}.{number}", self.path.display()));
        for number in (1..FILES - 1).rev() {
            let _ = std::fs::rename(aside(number), aside(number + 1));
        }
        let renewed = std::fs::rename(&self.path, aside(1)).and_then(|()| private::append_log().open(&self.path));
        match renewed {
            Ok(file) => self.file = file,
            Err(_) => return false,
        }
        true
    }

    #[cfg(unix)]
    fn become_stderr(&self) -> io::Result<()> {
        Ok(rustix::stdio::dup2_stderr(&self.file)?)
    }

    #[cfg(not(unix))]
    fn become_stderr(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Writes one line of one level.
pub struct LineWriter<'a> {
    sink: &'a Sink,
    level: Level,
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter { sink: self, level: Level::INFO }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LineWriter<'a> {
        LineWriter { sink: self, level: *metadata.level() }
    }
}

impl io::Write for LineWriter<'_> {
    /// A line arrives in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line) {
            Ok(text) if self.sink.json => self.sink.write(visible_json(text).as_bytes(), self.level),
            _ => self.sink.write(line, self.level),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_takes_warnings_and_the_last_room_nothing() {
        let takes = |free: u64| [Level::ERROR, Level::WARN, Level::INFO].map(|level| Room::of(free, 100).takes(level));
        assert_eq!(takes(100), [true, true, true]);
        assert_eq!(takes(99), [true, true, false]);
        assert_eq!(takes(24), [false, false, false]);
        assert_eq!(Room::of(0, 0), Room::Enough, "nothing is to be kept");
    }

    #[test]
    fn a_long_log_is_put_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        let mut log = LogFile::open(&path).unwrap();
        let line = vec![b'x'; FILE_BYTES as usize / 2 + 1];
        for _ in 0..FILES + 2 {
            log.write(&line).unwrap();
        }
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["0.log", "0.log.1", "0.log.2", "0.log.3"]);
        let lengths = names.iter().map(|name| std::fs::metadata(folder.path().join(name)).unwrap().len());
        assert!(lengths.into_iter().all(|length| length == line.len() as u64));
    }
}
