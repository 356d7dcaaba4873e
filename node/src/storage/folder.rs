//! The data folder. It belongs to one node and is used by one process at a time.
//!
//! | file | what |
//! |---|---|
//! | `lock` | locked exclusively while a node runs; contains its process id |
//! | `owner.json` | the folder's owner, for people and for the check at start |
//! | `store.redb` | everything else, in tables |
//! | `journal`, `journal-2` | writes that are not in the tables yet (see [`super::journals`]) |
//! | `reserve` | space that is released when the disk is full (see [`super::room`]) |
//! | `commit-marker` | the newest acknowledged transaction (see [`super::commit_marker`]) |
//!
//! The storage writes and deletes only these files here. The folder `recording` belongs to the flight recorder
//! ([`crate::recording`]).

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::StorageError;
use super::folder_identity::FolderIdentity;
use super::room;
use crate::private;

/// The version of the folder's layout and of the rows in the store.
pub(super) const FORMAT: u32 = 6;

const LOCK: &str = "lock";
const OWNER: &str = "owner.json";
const OWNER_DRAFT: &str = "owner.json.new";
const STORE: &str = "store.redb";
const JOURNALS: [&str; 2] = ["journal", "journal-2"];
const COMMIT_MARKER: &str = "commit-marker";
const RESERVE: &str = "reserve";

/// The content of `owner.json`. Its checksum detects a flipped bit that would make the folder look like another
/// node's.
#[derive(Serialize, Deserialize)]
struct Owner {
    format: u32,
    #[serde(flatten)]
    identity: FolderIdentity,
    check: u32,
}

/// A locked data folder. The lock is released when this is dropped, or when the process ends.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    identity: FolderIdentity,
    _lock: File,
}

impl Folder {
    /// Creates the folder if it is missing, locks it, and checks its owner.
    pub(super) fn lock(path: &Path, identity: &FolderIdentity) -> Result<Folder, StorageError> {
        create_folder(path).map_err(|source| StorageError::from_io(path, "creating the folder", source))?;
        let lock = lock(path)?;
        let folder = Folder { path: path.to_path_buf(), identity: identity.clone(), _lock: lock };
        folder.check_owner()?;
        folder.close_to_others();
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn identity(&self) -> &FolderIdentity {
        &self.identity
    }

    pub(super) fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }

    pub(super) fn journals(&self) -> [PathBuf; 2] {
        JOURNALS.map(|name| self.path.join(name))
    }

    pub(super) fn commit_marker(&self) -> PathBuf {
        self.path.join(COMMIT_MARKER)
    }

    pub(super) fn reserve(&self) -> PathBuf {
        self.path.join(RESERVE)
    }

    /// Syncs the folder, which makes the names of new files durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        sync_folder(&self.path)
    }

    /// Deletes all files of the node except the lock.
    ///
    /// The commit marker is deleted first: a store without a commit marker is trusted as little as an empty one, so an
    /// interrupted wipe leaves a new member. The journals are deleted after the store, because a store without its
    /// journals would be an outdated one.
    pub(super) fn wipe(&self) -> Result<(), StorageError> {
        let names = [COMMIT_MARKER, STORE].into_iter().chain(JOURNALS).chain([RESERVE, OWNER_DRAFT, OWNER]);
        let wiped = names.map(|name| self.path.join(name)).try_for_each(|path| remove(&path));
        wiped
            .and_then(|()| self.sync())
            .map_err(|source| StorageError::from_io(&self.path, "wiping the folder", source))?;
        self.check_owner()
    }

    /// Restricts the files of earlier builds, which all users of the machine could read. File systems without modes
    /// are left unchanged.
    fn close_to_others(&self) {
        let names = [STORE, COMMIT_MARKER, RESERVE, OWNER, LOCK].into_iter().chain(JOURNALS);
        for file in names.filter_map(|name| File::open(self.path.join(name)).ok()) {
            let _ = private::tighten(&file, 0o640);
        }
    }

    /// Writes the owner into a new folder. An existing folder must have this owner.
    fn check_owner(&self) -> Result<(), StorageError> {
        let io_failed = |doing| move |source| StorageError::from_io(&self.path, doing, source);
        match fs::read(self.path.join(OWNER)) {
            Ok(bytes) => self.compare_owner(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.store().exists() => {
                Err(self.damaged(format!("{OWNER} is missing")))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.write_owner().map_err(io_failed("writing owner.json"))
            }
            Err(error) => Err(io_failed("reading owner.json")(error)),
        }
    }

    fn compare_owner(&self, bytes: &[u8]) -> Result<(), StorageError> {
        let owner: Owner =
            serde_json::from_slice(bytes).map_err(|error| self.damaged(format!("cannot read {OWNER} ({error})")))?;
        if owner.check != check(owner.format, &owner.identity) {
            return Err(self.damaged(format!("{OWNER} has a wrong checksum")));
        }
        if owner.format != FORMAT {
            return Err(StorageError::OtherFormat {
                folder: self.path.clone(),
                found: owner.format,
                supported: FORMAT,
            });
        }
        if owner.identity != self.identity {
            let (found, wanted) = (owner.identity, self.identity.clone());
            return Err(StorageError::ForeignFolder { folder: self.path.clone(), found, wanted });
        }
        Ok(())
    }

    fn write_owner(&self) -> io::Result<()> {
        let owner = Owner { format: FORMAT, identity: self.identity.clone(), check: check(FORMAT, &self.identity) };
        let mut text = serde_json::to_vec_pretty(&owner)?;
        text.push(b'\n');
        let draft = self.path.join(OWNER_DRAFT);
        let mut file = private::write_anew().open(&draft)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(draft, self.path.join(OWNER))?;
        self.sync()
    }

    fn damaged(&self, what: String) -> StorageError {
        StorageError::Damaged { folder: self.path.clone(), what }
    }
}

fn check(format: u32, identity: &FolderIdentity) -> u32 {
    crc32fast::hash(format!("{format} {} {identity}", identity.dimension.bits()).as_bytes())
}

fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    private::create_folder(path)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => Ok(()),
    }
}

fn lock(path: &Path) -> Result<File, StorageError> {
    let io_failed = |source| StorageError::from_io(path, "locking the folder", source);
    let mut file = private::read_write().open(path.join(LOCK)).map_err(io_failed)?;
    match file.try_lock() {
        Ok(()) => {
            sign(&mut file).map_err(io_failed)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            Err(StorageError::InUse { folder: path.to_path_buf(), pid: read_pid(&mut file) })
        }
        Err(TryLockError::Error(source)) => Err(io_failed(source)),
    }
}

/// Writes this process's id, for processes that find the folder in use. The file is overwritten in place, because
/// space released on a full disk may not be available again. On a full disk a new file stays empty, so other
/// processes find no process id.
fn sign(file: &mut File) -> io::Result<()> {
    file.rewind()?;
    match writeln!(file, "{:<19}", std::process::id()) {
        Err(error) if room::is_no_room(&error) => Ok(()),
        signed => signed,
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// On other systems a folder cannot be opened for a sync; the file system journals the names itself.
#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cubecast_core::identity::HostId;
    use cubecast_core::seating::Seating;

    fn identity(cluster: &str, node: &str) -> FolderIdentity {
        let node: HostId = node.parse().unwrap();
        FolderIdentity::new(cluster, node, Seating::founded_by(node).dimension())
    }

    #[test]
    fn a_second_start_on_the_same_folder_is_refused_and_names_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = Folder::lock(folder.path(), &identity("a", "010")).unwrap();
        let error = Folder::lock(folder.path(), &identity("a", "010")).unwrap_err();
        assert!(
            matches!(&error, StorageError::InUse { pid: Some(pid), .. } if *pid == std::process::id()),
            "{error:?}"
        );
        let text = error.to_string();
        assert!(text.contains("in use") && text.contains(folder.path().to_str().unwrap()), "{text}");

        drop(first);
        Folder::lock(folder.path(), &identity("a", "010")).unwrap();
    }

    #[test]
    fn another_nodes_folder_is_refused_and_both_are_named() {
        let folder = tempfile::tempdir().unwrap();
        Folder::lock(folder.path(), &identity("spring", "010")).unwrap();
        for other in [identity("spring", "011"), identity("spring", "0010"), identity("autumn", "010")] {
            let error = Folder::lock(folder.path(), &other).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, StorageError::ForeignFolder { .. }), "{text}");
            assert!(text.contains("node 010 of cluster `spring` (dimension 3)"), "{text}");
            assert!(text.contains(&other.to_string()), "{text}");
        }
    }

    #[test]
    fn a_damaged_owner_is_damage_and_never_a_foreign_folder() {
        let folder = tempfile::tempdir().unwrap();
        let ours = identity("spring", "010");
        Folder::lock(folder.path(), &ours).unwrap();
        let path = folder.path().join(OWNER);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, bad).unwrap();
            match Folder::lock(folder.path(), &ours) {
                Ok(_) | Err(StorageError::Damaged { .. }) => {}
                Err(other) => panic!("byte {at}: {other}"),
            }
        }
    }

    #[test]
    fn a_folder_written_by_another_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let ours = identity("spring", "010");
        fs::create_dir_all(folder.path()).unwrap();
        let owner = Owner { format: 9, identity: ours.clone(), check: check(9, &ours) };
        fs::write(folder.path().join(OWNER), serde_json::to_vec(&owner).unwrap()).unwrap();
        let error = Folder::lock(folder.path(), &ours).unwrap_err();
        assert!(matches!(error, StorageError::OtherFormat { found: 9, supported: FORMAT, .. }), "{error}");
    }

    #[test]
    fn a_wipe_leaves_strangers_files_alone() {
        let folder = tempfile::tempdir().unwrap();
        let locked = Folder::lock(folder.path(), &identity("spring", "010")).unwrap();
        fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
        fs::write(locked.store(), "data").unwrap();
        locked.wipe().unwrap();
        assert!(!locked.store().exists());
        assert!(folder.path().join("thesis.txt").exists());
    }
}
