//! Storage errors. Each message says what happened, where, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use cubecast_core::store::Damaged;

use super::folder_identity::FolderIdentity;

/// A failure of storage. All variants except [`StorageError::Unreadable`] and [`StorageError::WaitsForRoom`] end the
/// node: it must not continue with less on disk than it assumes.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error(
        "the data folder {folder} is in use by another node{by}; stop that node first, or start this one with its own \
         folder",
        folder = folder.display(),
        by = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse { folder: PathBuf, pid: Option<u32> },

    #[error(
        "the data folder {folder} belongs to {found}, but this node is {wanted}; start it with its own folder",
        folder = folder.display()
    )]
    ForeignFolder { folder: PathBuf, found: FolderIdentity, wanted: FolderIdentity },

    #[error(
        "the data folder {folder} has format {found}, but this version of cubecast reads format {supported}; start the \
         version that wrote it",
        folder = folder.display()
    )]
    OtherFormat { folder: PathBuf, found: u32, supported: u32 },

    #[error(
        "the data folder {folder} is damaged: {what}. Move the folder away and start with an empty one; the node then \
         fetches its data from its neighbours",
        folder = folder.display()
    )]
    Damaged { folder: PathBuf, what: String },

    /// A read met damaged messages. The node fetches them from another member and writes them again.
    #[error("messages in the data folder {folder} are damaged: {what}", folder = folder.display())]
    Unreadable { folder: PathBuf, what: String, lost: Damaged },

    #[error(
        "the disk that holds the data folder {folder} is full; free disk space and restart the node: all acknowledged \
         data is kept",
        folder = folder.display()
    )]
    Full { folder: PathBuf },

    #[error("a write to the data folder {folder} waits for free space on its disk", folder = folder.display())]
    WaitsForRoom { folder: PathBuf },

    #[error(
        "cannot write to the data folder {folder} ({source}); check its owner, permissions and mount",
        folder = folder.display()
    )]
    NotWritable { folder: PathBuf, source: io::Error },

    #[error("{doing} failed in the data folder {folder}: {source}", folder = folder.display())]
    Io { folder: PathBuf, doing: &'static str, source: io::Error },

    #[error("the storage engine failed while {doing} in the data folder {folder}: {what}", folder = folder.display())]
    Engine { folder: PathBuf, doing: &'static str, what: String },

    #[error(
        "{queued} bytes wait for the disk, more than the limit of {limit}: the disk is too slow for the node's load"
    )]
    QueueFull { queued: u64, limit: u64 },

    #[error("storage has stopped")]
    Stopped,
}

impl StorageError {
    /// Converts an operating system's error into the variant with the matching advice.
    pub(super) fn from_io(folder: &Path, doing: &'static str, source: io::Error) -> Self {
        let folder = folder.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::Full { folder },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                StorageError::NotWritable { folder, source }
            }
            _ => StorageError::Io { folder, doing, source },
        }
    }

    /// Converts an engine's error. Damage that redb finds in its own file counts as damage, like damage in a row.
    pub(super) fn from_redb(folder: &Path, doing: &'static str, error: redb::Error) -> Self {
        let damaged = |what: String| StorageError::Damaged { folder: folder.to_path_buf(), what };
        match error {
            redb::Error::Io(source) if is_unreadable(&source) => damaged(format!("{doing}: {source}")),
            redb::Error::Io(source) => StorageError::from_io(folder, doing, source),
            redb::Error::Corrupted(what) => damaged(format!("{doing}: {what}")),
            redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TableIsNotMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableDoesNotExist(_)
            | redb::Error::UpgradeRequired(_) => damaged(format!("{doing}: {error}")),
            other => StorageError::Engine { folder: folder.to_path_buf(), doing, what: other.to_string() },
        }
    }
}

/// Whether the file is no longer a database, or is truncated.
fn is_unreadable(source: &io::Error) -> bool {
    matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}
