//! Creates files and folders that hold secrets or published messages, with modes that keep other users out.
//!
//! | what | mode |
//! |---|---|
//! | folders for data, configurations and logs | 0700 |
//! | secrets, configurations, stores | 0600 |
//! | logs | 0640 |
//!
//! These are Unix modes; on other systems the rules of the folder apply. An existing folder keeps its mode.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Mode bits of group and others, which a secret must not have.
#[cfg(unix)]
const GROUP_AND_OTHERS: u32 = 0o077;
#[cfg(unix)]
const GROUP_READS: u32 = 0o040;
/// The modes of new folders, files and logs.
const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
const LOG: u32 = 0o640;

/// Options to open a file for reading and writing without truncation. A new file is accessible only to its owner.
pub fn read_write() -> OpenOptions {
    let mut options = options_with(FILE);
    options.read(true).write(true).create(true).truncate(false);
    options
}

/// Options to open a file for writing, truncated. A new file is accessible only to its owner.
pub fn write_anew() -> OpenOptions {
    let mut options = options_with(FILE);
    options.write(true).create(true).truncate(true);
    options
}

/// Options to open a log for appending. The group may read it.
pub fn append_log() -> OpenOptions {
    let mut options = options_with(LOG);
    options.create(true).append(true);
    options
}

/// Writes a file and restricts it to its owner.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = write_anew().open(path)?;
    tighten(&file, FILE)?;
    file.write_all(text.as_bytes())
}

/// Creates a folder and its missing parents.
pub fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, FOLDER);
    #[cfg(not(unix))]
    let _ = FOLDER;
    builder.create(path)
}

/// Removes mode bits beyond `mode` from an open file. Files of earlier builds may have them.
pub fn tighten(file: &File, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mut permissions = file.metadata()?.permissions();
        if permissions.mode() & 0o777 & !mode != 0 {
            permissions.set_mode(permissions.mode() & mode);
            file.set_permissions(permissions)?;
        }
    }
    #[cfg(not(unix))]
    let _ = (file, mode);
    Ok(())
}

/// The mode of an open file if group or others can read, write or execute it. This is the mode of a link's target; a
/// link's own mode is meaningless.
///
/// A file that the administrator owns may be readable by the process's group, as Kubernetes does with secrets. Such a
/// file is accepted, as PostgreSQL accepts it for its keys.
#[cfg(unix)]
pub fn exposed_mode(file: &File) -> io::Result<Option<u32>> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o777;
    let is_lent = metadata.uid() == 0 && !rustix::process::geteuid().is_root();
    let forbidden = if is_lent { GROUP_AND_OTHERS & !GROUP_READS } else { GROUP_AND_OTHERS };
    Ok((mode & forbidden != 0).then_some(mode))
}

/// On other systems the mode does not determine the readers of a file.
#[cfg(not(unix))]
pub fn exposed_mode(_file: &File) -> io::Result<Option<u32>> {
    Ok(None)
}

fn options_with(mode: u32) -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options
}
