//! Errors in a configuration.

use std::path::PathBuf;

use cubecast_core::address::AddressError;
use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use cubecast_core::seating::NotAHost;

use crate::storage::SyncModeError;
use crate::transport::handshake::MIN_SECRET;

/// An error in a configuration. Each names the field, its value and the valid values.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {file}: {error}", file = file.display())]
    Unreadable { file: PathBuf, error: std::io::Error },
    #[error("invalid configuration {file}: {error}", file = file.display())]
    Syntax { file: PathBuf, error: Box<toml::de::Error> },
    #[error("`{field}` is missing ({what})")]
    Missing { field: &'static str, what: &'static str },
    #[error(
        "dimension {given} is not supported by real processes; use 1 to {max} (2 to {nodes} nodes)",
        max = Dimension::MAX_PROCESSES,
        nodes = 1 << Dimension::MAX_PROCESSES
    )]
    Dimension { given: u8 },
    #[error("`{field}`: {error}")]
    Node { field: &'static str, error: NotAHost },
    #[error(
        "`addresses` has no address for node {missing}; a cube of dimension {dimension} has {nodes} nodes, \
         and each needs an address",
        nodes = 1 << dimension
    )]
    NoAddress { missing: HostId, dimension: u8 },
    #[error("`{field}`: `{given}` is not a valid address: {error}")]
    Address { field: &'static str, given: String, error: AddressError },
    #[error(
        "`{field}`: `{given}` can only be listened on, others cannot connect to it; write the address of the node's \
         machine here, and `{given}` in `listen`"
    )]
    NotReachable { field: &'static str, given: String },
    #[error("`addresses`: nodes {first} and {second} have the same address {address}")]
    SameAddress { first: HostId, second: HostId, address: String },
    #[error(
        "{file} contains the cluster's secret, but other users of this machine can read or change it (mode \
         {mode:04o}); run: chmod 600 {file}",
        file = file.display()
    )]
    Exposed { file: PathBuf, mode: u32 },
    #[error("`secret` must have at least {MIN_SECRET} bytes, and be the same on all nodes of the cluster")]
    Secret,
    #[error("`secret` and `secret_file` are both set; remove one")]
    TwoSecrets,
    #[error("`sync`: {0}")]
    Sync(#[from] SyncModeError),
    #[error("`{field}`: `{given}` is not a valid size; use bytes, KiB, MiB or GiB, for example 64MiB")]
    Size { field: &'static str, given: String },
    #[error("`recording.last`: `{given}` is neither `off` nor a time between 10 s and 1 day; for example 5m")]
    Recording { given: String },
    #[error("`limits.names_expire_after`: `{given}` is not a time between 1 s and 10 years; for example 12h or 30d")]
    Expiry { given: String },
    #[error("`limits.{field}` must be between {min} and {max}, not {given}")]
    Limit { field: &'static str, given: usize, min: usize, max: usize },
}
