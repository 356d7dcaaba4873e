//! Files and folders that hold a secret or what clients published: made so that other users of the machine cannot read them.
//!
//! | what | mode |
//! |---|---|
//! | folders for data, configurations and logs | 0700 |
//! | secrets, configurations, stores | 0600 |
//! | logs | 0640 |
//!
//! Modes are those of Unix; elsewhere the folder's own rules apply. A folder that is there already keeps its mode.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// What group and others must not have of a secret.
#[cfg(unix)]
const GROUP_AND_OTHERS: u32 = 0o077;
#[cfg(unix)]
const GROUP_READS: u32 = 0o040;
/// The modes of new folders, files and logs.
const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
const LOG: u32 = 0o640;

/// Opens a file for reading and writing as it is; a new one is its owner's alone.
pub fn read_write() -> OpenOptions {
    let mut options = options_with(FILE);
    options.read(true).write(true).create(true).truncate(false);
    options
}

/// Opens a file that is written anew.
pub fn write_anew() -> OpenOptions {
    let mut options = options_with(FILE);
    options.write(true).create(true).truncate(true);
    options
}

/// Opens a log for appending; the group may read it.
pub fn append_log() -> OpenOptions {
    let mut options = options_with(LOG);
    options.create(true).append(true);
    options
}

/// Writes a file, which becomes its owner's alone if it was not.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = write_anew().open(path)?;
    tighten(&file, FILE)?;
    file.write_all(text.as_bytes())
}

/// Creates a folder and what is missing above it.
pub fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, FOLDER);
    #[cfg(not(unix))]
    let _ = FOLDER;
    builder.create(path)
}

/// Takes from an open file of an earlier build whatever it has beyond this mode.
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

/// The mode of an open file that group or others can read, write or run. A link's own mode says nothing; this is its target's.
///
/// Where the administrator lends a file to the group of a process that is not his, as Kubernetes does with secrets, reading
/// it by the group is what is meant (as PostgreSQL has it for its keys).
#[cfg(unix)]
pub fn exposed_mode(file: &File) -> io::Result<Option<u32>> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o777;
    let is_lent = metadata.uid() == 0 && !rustix::process::geteuid().is_root();
    let forbidden = if is_lent { GROUP_AND_OTHERS & !GROUP_READS } else { GROUP_AND_OTHERS };
    Ok((mode & forbidden != 0).then_some(mode))
}

/// Elsewhere a file's mode does not say who can read it.
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
