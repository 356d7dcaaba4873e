//! The configuration of a node. Settings from a file and from flags are collected as typed, then validated once into
//! a [`Config`].
//!
//! ```toml
//! node = "100"
//! dimension = 3
//! cluster = "demo"
//! secret_file = "../secret"        # or secret = "..."; the same for all nodes of the cluster
//! data = "store"                   # the folder with this node's state
//! listen = "127.0.0.1:8004"        # default: the node's own address
//! advertise = "127.0.0.1:8004"     # default: the node's own address
//! sync = "always"                  # or interval=MS, or never
//! allow_faults = false
//! web = true                       # the dashboard in the program; or false; or the folder with a dashboard's files
//! allow_origin = ["https://board.example"]
//! allow_host = ["cube.example"]    # accepted Host headers, in addition to the hosts in [addresses]; "*": all
//!
//! [addresses]                      # every node of the cube
//! 000 = "127.0.0.1:8000"
//! # ...
//!
//! [limits]
//! clients = 4096                   # client connections
//! clients_of_one = 2048            # of these, from one address or IPv6 network (/64); default: half of `clients`
//! unanswered = 1024                # unanswered requests of one connection
//! content_bytes = 1048576          # content of one message
//! registrations_per_second = 200   # new publishers and subscribers; bursts up to ten times as many
//! names_expire_after = "30d"       # deletes publishers and subscribers unused for this long; default: never
//! silence_s = 60                   # closes a client connection that sends nothing for this long, not even pongs
//!
//! [storage]
//! reserve = "64MiB"                # publishes need more free space; default: an eighth of the disk, at most 256 MiB
//! shared_by = 1                    # number of nodes with data on this disk
//!
//! [recording]                      # the flight recorder; its folder is in the data folder
//! last = "5m"                      # the time that it covers, or "off"; default: off
//! bytes = "64MiB"                  # its size on the disk, besides the newest part of 16 MiB
//! ```
//!
//! Paths in the file are relative to the file's folder. Paths in flags are relative to the working folder. A flag
//! overrides the file.

mod check;
mod error;
mod reading;
#[cfg(test)]
mod tests;
mod typed;

use std::path::PathBuf;

use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use cubecast_core::wire::limits::Limits as RequestLimits;

use crate::dashboard::Dashboard;
use crate::recording::RecordingRules;
use crate::storage::{RoomRules, SyncMode};
use crate::transport::Limits;
use crate::transport::handshake::Secret;
use crate::transport::origin::host_name;

pub use check::{UNLIMITED_REGISTRATIONS, check_dimension, check_web, parse_expiry, parse_recording, parse_size};
pub use error::ConfigError;
pub use typed::{Typed, TypedLimits, TypedRecording, TypedStorage, TypedWeb};

/// A valid configuration of one node.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub node: HostId,
    /// All nodes of the cluster.
    pub seating: Seating,
    /// The cluster's name, the same on all of its nodes.
    pub cluster: String,
    /// The cluster's secret, the same on all of its nodes.
    pub secret: Secret,
    /// The folder with this node's state.
    pub data: PathBuf,
    /// The address that this node listens on, `HOST:PORT`.
    pub listen: String,
    /// One `HOST:PORT` for each node, in the order of the seating. This node's own entry is its advertised address.
    pub addresses: Vec<String>,
    /// When writes are synced to the disk.
    pub sync: SyncMode,
    /// Whether clients may request faults on this node.
    pub allow_faults: bool,
    /// The source of the dashboard's files.
    pub dashboard: Dashboard,
    /// Origins of web pages that may open connections, in addition to the cluster's own.
    pub allow_origin: Vec<String>,
    /// Accepted hosts, in addition to the hosts of the cluster's addresses; `*` accepts all.
    pub allow_host: Vec<String>,
    /// Limits of the transport.
    pub limits: Limits,
    /// Limits that core enforces on requests.
    pub requests: RequestLimits,
    /// The rules for free space on the disk.
    pub room: RoomRules,
    /// How much is recorded. `None`: nothing.
    pub recording: Option<RecordingRules>,
}

impl Config {
    /// The hosts of this cluster's addresses and the allowed hosts, without ports.
    pub fn own_hosts(&self) -> Vec<String> {
        let from_addresses = self.addresses.iter().chain([&self.listen]).map(|address| host_name(address));
        from_addresses.chain(self.allow_host.iter().cloned()).collect()
    }
}
