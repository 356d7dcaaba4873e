//! Converts any failure inside the engine, panics included, into a [`StorageError`].

use std::path::Path;

use cubecast_core::store::reading::Unreadable;

use super::error::StorageError;
use super::folder::Folder;
use super::write::Failure;
use crate::panics;

/// Runs `work` on the engine. redb asserts invariants of its file, so a panic there means a damaged file. After a
/// failed write the engine is not used again, so its state after a panic does not matter.
pub(super) fn guard<T>(
    folder: &Folder,
    doing: &'static str,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, StorageError> {
    match panics::catch(work) {
        Ok(result) => result.map_err(|failure| explain(folder, doing, failure)),
        Err(panic) => Err(damaged(folder.path(), format!("{doing}: the engine stopped with `{panic}`"))),
    }
}

fn explain(folder: &Folder, doing: &'static str, failure: Failure) -> StorageError {
    let (folder, cube) = (folder.path(), folder.identity().dimension);
    match failure {
        Failure::Redb(error) => StorageError::from_redb(folder, doing, error),
        Failure::Io(source) => StorageError::from_io(folder, doing, source),
        Failure::Unreadable(Unreadable { bad, lost }) => {
            StorageError::Unreadable { folder: folder.to_path_buf(), what: bad.text(cube), lost }
        }
        Failure::Bad(bad) => damaged(folder, bad.text(cube)),
        Failure::Refused(refused) => damaged(folder, refused.text(cube)),
        Failure::Damaged(what) => damaged(folder, what),
        Failure::WaitsForRoom => StorageError::WaitsForRoom { folder: folder.to_path_buf() },
        Failure::Closed => StorageError::Stopped,
    }
}

fn damaged(folder: &Path, what: String) -> StorageError {
    StorageError::Damaged { folder: folder.to_path_buf(), what }
}
