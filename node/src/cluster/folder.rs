//! The folder of a cluster that `up` runs.
//!
//! ```text
//! DATA/cluster.toml      dimension and name, written once
//! DATA/secret            the nodes' shared secret, readable only by its owner
//! DATA/lock              held while `up` runs
//! DATA/NODE/config.toml  written at every start
//! DATA/NODE/store/       the node's state
//! DATA/logs/NODE.log
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use serde::{Deserialize, Serialize};

use super::Plan;
use crate::config::{Typed, TypedLimits, TypedRecording, TypedStorage, TypedWeb};
use crate::failure::Failure;
use crate::private;

/// A cluster's folder, locked by this process.
#[derive(Debug)]
pub struct ClusterFolder {
    data: PathBuf,
    name: String,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClusterFile {
    dimension: Dimension,
    cluster: String,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("{what} {path}: {error}", path = path.display())]
    Io { what: &'static str, path: PathBuf, error: io::Error },
    #[error(
        "the data folder {path} is in use by another `cubecast up`; stop it first, \
         or choose another folder with --data",
        path = path.display()
    )]
    InUse { path: PathBuf },
    #[error(
        "the data folder {path} belongs to a cube of dimension {found} ({} nodes), not {wanted}; \
         start it with --dimension {found}, or choose another folder with --data",
        1 << found, path = path.display()
    )]
    OtherDimension { path: PathBuf, found: u8, wanted: u8 },
    #[error("invalid {path}: {error}", path = path.display())]
    Syntax { path: PathBuf, error: Box<toml::de::Error> },
}

impl FolderError {
    /// The exit code of `up` for this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            FolderError::Io { .. } | FolderError::InUse { .. } => Failure::STORAGE,
            FolderError::OtherDimension { .. } | FolderError::Syntax { .. } => Failure::USAGE,
        }
    }
}

impl ClusterFolder {
    /// Opens and locks the folder. A new folder gets a name and a secret.
    pub fn open(data: &Path, dimension: Dimension) -> Result<ClusterFolder, FolderError> {
        private::create_folder(&data.join("logs")).map_err(io_error("cannot create", data))?;
        let data = fs::canonicalize(data).map_err(io_error("cannot open", data))?;
        let lock = lock(&data)?;
        let file = data.join("cluster.toml");
        let name = match fs::read_to_string(&file) {
            Ok(text) => check(&text, &data, &file, dimension)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(&data, &file, dimension)?,
            Err(error) => return Err(io_error("cannot read", &file)(error)),
        };
        Ok(ClusterFolder { data, name, _lock: lock })
    }

    /// The path of a node's configuration.
    pub fn config_file(&self, node: HostId) -> PathBuf {
        self.data.join(node.to_string()).join("config.toml")
    }

    /// Opens a node's log for appending.
    pub fn open_log(&self, node: HostId) -> io::Result<File> {
        private::append_log().open(self.log_file(node))
    }

    /// The path of a node's log.
    pub fn log_file(&self, node: HostId) -> PathBuf {
        self.data.join("logs").join(format!("{node}.log"))
    }

    /// Writes every node's configuration for this start.
    pub fn write_nodes(&self, plan: &Plan) -> Result<(), FolderError> {
        for node in plan.seating().hosts() {
            let file = self.config_file(node);
            let folder = file.parent().expect("the file lies in the node's folder");
            private::create_folder(folder).map_err(io_error("cannot create", folder))?;
            let text = toml::to_string(&self.typed(plan, node)).expect("a configuration is plain data");
            // An unchanged file is not written, because the disk may be full.
            if fs::read_to_string(&file).ok().as_ref() != Some(&text) {
                private::write(&file, &text).map_err(io_error("cannot write", &file))?;
            }
        }
        Ok(())
    }

    fn typed(&self, plan: &Plan, node: HostId) -> Typed {
        Typed {
            node: Some(node.to_string()),
            dimension: Some(plan.dimension.bits()),
            cluster: Some(self.name.clone()),
            secret_file: Some("../secret".into()),
            data: Some("store".into()),
            listen: Some(plan.listen(node)),
            sync: Some(plan.sync.clone()),
            allow_faults: Some(plan.allow_faults),
            web: plan.web.clone().map(absolute),
            allow_origin: (!plan.allow_origin.is_empty()).then(|| plan.allow_origin.clone()),
            allow_host: (!plan.allow_host.is_empty()).then(|| plan.allow_host.clone()),
            addresses: plan.seating().hosts().map(|node| (node.to_string(), plan.address(node))).collect(),
            limits: TypedLimits {
                registrations_per_second: plan.registrations_per_second.map(|count| count as usize),
                names_expire_after: plan.names_expire_after.clone(),
                ..TypedLimits::default()
            },
            storage: TypedStorage {
                reserve: plan.storage_reserve.clone(),
                shared_by: Some(plan.dimension.size() as u64),
            },
            recording: TypedRecording { last: Some(plan.record.clone()), bytes: None },
            ..Typed::default()
        }
    }
}

/// The same source. The nodes' configurations are in other folders than the working folder.
fn absolute(web: TypedWeb) -> TypedWeb {
    match web {
        TypedWeb::Folder(folder) => TypedWeb::Folder(std::path::absolute(&folder).unwrap_or(folder)),
        TypedWeb::Switch(_) => web,
    }
}

fn lock(data: &Path) -> Result<File, FolderError> {
    let path = data.join("lock");
    let file = private::read_write().open(&path).map_err(io_error("cannot create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FolderError::InUse { path: data.into() }),
        Err(TryLockError::Error(error)) => Err(io_error("cannot lock", &path)(error)),
    }
}

fn check(text: &str, data: &Path, file: &Path, dimension: Dimension) -> Result<String, FolderError> {
    let found: ClusterFile =
        toml::from_str(text).map_err(|error| FolderError::Syntax { path: file.into(), error: error.into() })?;
    if found.dimension != dimension {
        return Err(FolderError::OtherDimension {
            path: data.into(),
            found: found.dimension.bits(),
            wanted: dimension.bits(),
        });
    }
    Ok(found.cluster)
}

/// Writes the secret first and `cluster.toml` last, so that an existing `cluster.toml` implies a complete folder.
fn create(data: &Path, file: &Path, dimension: Dimension) -> Result<String, FolderError> {
    let secret = data.join("secret");
    write_secret(&secret, &random_hex(32)).map_err(io_error("cannot write", &secret))?;
    let cluster = format!("cubecast-{}", random_hex(4));
    let content = ClusterFile { dimension, cluster: cluster.clone() };
    let text = toml::to_string(&content).expect("two plain fields");
    let unfinished = file.with_extension("toml.new");
    private::write(&unfinished, &text)
        .and_then(|()| fs::rename(&unfinished, file))
        .map_err(io_error("cannot write", file))?;
    Ok(cluster)
}

fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    let mut file = private::write_anew().open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}

fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).expect("the operating system gives random bytes");
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |error| FolderError::Io { what, path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimension(bits: u8) -> Dimension {
        Dimension::new(bits).unwrap()
    }

    #[test]
    fn a_folder_keeps_its_name_and_secret() {
        let data = tempfile::tempdir().unwrap();
        let name = ClusterFolder::open(data.path(), dimension(2)).unwrap().name;
        let secret = fs::read_to_string(data.path().join("secret")).unwrap();
        assert_eq!(ClusterFolder::open(data.path(), dimension(2)).unwrap().name, name);
        assert_eq!(fs::read_to_string(data.path().join("secret")).unwrap(), secret);
        assert_eq!(secret.trim().len(), 64);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_the_secret() {
        use std::os::unix::fs::PermissionsExt;
        let data = tempfile::tempdir().unwrap();
        ClusterFolder::open(data.path(), dimension(1)).unwrap();
        assert_eq!(fs::metadata(data.path().join("secret")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_folder_of_another_dimension_is_refused() {
        let data = tempfile::tempdir().unwrap();
        ClusterFolder::open(data.path(), dimension(2)).unwrap();
        let error = ClusterFolder::open(data.path(), dimension(3)).unwrap_err();
        assert!(error.to_string().contains("of dimension 2 (4 nodes), not 3"), "{error}");
    }

    #[test]
    fn a_dimension_that_no_cube_has_is_refused() {
        let data = tempfile::tempdir().unwrap();
        for bits in [0, 17, 64, 200] {
            fs::write(data.path().join("cluster.toml"), format!("dimension = {bits}\ncluster = \"demo\"\n")).unwrap();
            let error = ClusterFolder::open(data.path(), dimension(3)).unwrap_err();
            assert!(error.to_string().contains(&format!("a dimension must be 1 to 16, not {bits}")), "{error}");
        }
    }

    #[test]
    fn a_folder_in_use_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let _first = ClusterFolder::open(data.path(), dimension(1)).unwrap();
        assert!(matches!(ClusterFolder::open(data.path(), dimension(1)), Err(FolderError::InUse { .. })));
    }
}
