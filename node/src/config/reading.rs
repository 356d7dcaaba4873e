//! Reads configuration files and the file with the secret.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::error::ConfigError;
use super::typed::{Typed, TypedWeb};
use crate::private;

impl Typed {
    /// Reads a configuration file. Its relative paths are resolved against its folder.
    pub fn read(file: &Path) -> Result<Typed, ConfigError> {
        let unreadable = |error| ConfigError::Unreadable { file: file.into(), error };
        let mut opened = File::open(file).map_err(unreadable)?;
        let mut text = String::new();
        opened.read_to_string(&mut text).map_err(unreadable)?;
        let mut typed: Typed =
            toml::from_str(&text).map_err(|error| ConfigError::Syntax { file: file.into(), error: error.into() })?;
        if typed.secret.is_some() {
            check_private(file, &opened)?;
        }
        let folder = file.parent().unwrap_or(Path::new(""));
        for path in [&mut typed.secret_file, &mut typed.data].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        if let Some(TypedWeb::Folder(path)) = &mut typed.web {
            *path = folder.join(&*path);
        }
        Ok(typed)
    }
}

/// Reads a file. It is an error if users other than its owner can read the file.
pub(super) fn read_private(file: &Path) -> Result<String, ConfigError> {
    let unreadable = |error| ConfigError::Unreadable { file: file.into(), error };
    let mut opened = File::open(file).map_err(unreadable)?;
    check_private(file, &opened)?;
    let mut text = String::new();
    opened.read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

fn check_private(file: &Path, opened: &File) -> Result<(), ConfigError> {
    match private::exposed_mode(opened) {
        Ok(None) => Ok(()),
        Ok(Some(mode)) => Err(ConfigError::Exposed { file: file.into(), mode }),
        Err(error) => Err(ConfigError::Unreadable { file: file.into(), error }),
    }
}
