//! The folder `recording` in a node's data folder: one file for each segment, `PROCESS-NUMBER.segment`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use cubecast_core::identity::HostId;
use cubecast_core::recording::incident::HostRecording;
use cubecast_core::time::Timestamp;
use hyper::body::Bytes;

use crate::private;

const FOLDER: &str = "recording";
const SUFFIX: &str = ".segment";

/// The recordings of one node.
#[derive(Clone, Debug)]
pub struct RecordingFolder(PathBuf);

/// The file of a segment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SegmentFile {
    /// The wall clock at the start of its process, in microseconds. First, so that files are sorted by age.
    pub process: u64,
    /// The number of the segment in the recording of its process.
    pub number: u64,
}

impl RecordingFolder {
    /// The recordings in a node's data folder.
    pub fn of(data: &Path) -> RecordingFolder {
        RecordingFolder(data.join(FOLDER))
    }

    /// Creates the folder if it is missing.
    pub fn create(&self) -> io::Result<()> {
        private::create_folder(&self.0)
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Opens the file of a new segment: a new file, or that of an older segment, which is written over. What it
    /// contained follows the new content then.
    pub fn begin(&self, segment: &SegmentFile, older: Option<&SegmentFile>) -> io::Result<File> {
        let path = self.0.join(segment.name());
        if let Some(older) = older
            && fs::rename(self.0.join(older.name()), &path).is_ok()
        {
            return private::read_write().open(path);
        }
        private::write_anew().open(path)
    }

    /// Deletes the file of a segment.
    pub fn delete(&self, segment: &SegmentFile) -> io::Result<()> {
        fs::remove_file(self.0.join(segment.name()))
    }

    /// The files with their sizes, the oldest first. Empty if there is no folder.
    pub fn segments(&self) -> io::Result<Vec<(SegmentFile, u64)>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut segments = Vec::new();
        for entry in entries {
            let entry = entry?;
            if let Some(segment) = entry.file_name().to_str().and_then(SegmentFile::parse) {
                segments.push((segment, entry.metadata()?.len()));
            }
        }
        segments.sort();
        Ok(segments)
    }

    /// The recording of this host since then.
    pub fn read(&self, host: HostId, since: Timestamp) -> io::Result<HostRecording> {
        let mut read = Vec::new();
        for (segment, _) in self.segments()? {
            match fs::read(self.0.join(segment.name())) {
                Ok(bytes) => read.push(Bytes::from(bytes)),
                // The recorder has deleted it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(HostRecording::since(host, read, since))
    }
}

impl SegmentFile {
    fn name(&self) -> String {
        format!("{:016}-{:06}{SUFFIX}", self.process, self.number)
    }

    fn parse(name: &str) -> Option<SegmentFile> {
        let (process, number) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        Some(SegmentFile { process: process.parse().ok()?, number: number.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sorted_by_age_and_others_are_ignored() {
        let data = tempfile::tempdir().unwrap();
        let folder = RecordingFolder::of(data.path());
        assert_eq!(folder.segments().unwrap(), []);
        folder.create().unwrap();
        let files = [(1, 0), (1, 1), (20, 0)].map(|(process, number)| SegmentFile { process, number });
        files.iter().rev().for_each(|file| drop(folder.begin(file, None).unwrap()));
        fs::write(folder.path().join("notes.txt"), "").unwrap();
        let found: Vec<SegmentFile> = folder.segments().unwrap().into_iter().map(|(file, _)| file).collect();
        assert_eq!(found, files);
    }
}
