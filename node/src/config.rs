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
//! ```
//!
//! Paths in the file are relative to the file's folder. Paths in flags are relative to the working folder. A flag
//! overrides the file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cubecast_core::address::{Address, AddressError, Host};
use cubecast_core::cube::{CubeError, Dimension, Vertex};
use cubecast_core::wire::limits::Limits as RequestLimits;
use serde::{Deserialize, Serialize};

use crate::dashboard::Dashboard;
use crate::private;
use crate::storage::{RoomRules, SyncMode, SyncModeError};
use crate::transport::Limits;
use crate::transport::handshake::{MIN_SECRET, Secret};
use crate::transport::origin::host_name;

/// Space in a client's WebSocket message for everything except the content, and for small requests that share a
/// message. Bytes.
const MESSAGE_BESIDE_CONTENT: usize = 2 << 20;

/// The highest `registrations_per_second`. It is for measurements of the maximum registration rate.
pub const UNLIMITED_REGISTRATIONS: usize = 1_000_000;

/// A valid configuration of one node.
#[derive(Clone, Debug)]
pub struct Config {
    /// The vertex that this node serves.
    pub vertex: Vertex,
    /// The cluster's name, the same on all of its nodes.
    pub cluster: String,
    /// The cluster's secret, the same on all of its nodes.
    pub secret: Secret,
    /// The folder with this node's state.
    pub data: PathBuf,
    /// The address that this node listens on, `HOST:PORT`.
    pub listen: String,
    /// One `HOST:PORT` for each vertex, by the vertex's index. This node's own entry is its advertised address.
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
}

/// The configuration as typed, in a file or in flags. The module documentation explains the fields.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    /// The vertex that this node serves, as d bits.
    pub node: Option<String>,
    /// The dimension d of the cube.
    pub dimension: Option<u8>,
    /// The cluster's name.
    pub cluster: Option<String>,
    /// The cluster's secret. Excludes `secret_file`.
    pub secret: Option<String>,
    /// The file with the cluster's secret. Excludes `secret`.
    pub secret_file: Option<PathBuf>,
    /// The folder with this node's state.
    pub data: Option<PathBuf>,
    /// The address to listen on. Default: the node's own entry in `addresses`.
    pub listen: Option<String>,
    /// The address that other nodes and clients connect to. It replaces the node's own entry in `addresses`.
    pub advertise: Option<String>,
    /// `always`, `interval=MS` or `never`.
    pub sync: Option<String>,
    /// Whether clients may request faults on this node.
    pub allow_faults: Option<bool>,
    /// The source of the dashboard's files. Default: `true`.
    pub web: Option<TypedWeb>,
    /// Origins of web pages that may open connections.
    pub allow_origin: Option<Vec<String>>,
    /// Accepted hosts, in addition to those in `addresses`.
    pub allow_host: Option<Vec<String>>,
    /// One `HOST:PORT` for each vertex of the cube.
    #[serde(default)]
    pub addresses: BTreeMap<String, String>,
    /// The table `[limits]`.
    #[serde(default)]
    pub limits: TypedLimits,
    /// The table `[storage]`.
    #[serde(default)]
    pub storage: TypedStorage,
}

/// The source of the dashboard's files, as typed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "`web` must be a folder, true or false")]
pub enum TypedWeb {
    /// `true`: the files in this program; `false`: no dashboard.
    Switch(bool),
    /// The files in this folder.
    Folder(PathBuf),
}

/// The table `[storage]`, as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypedStorage {
    /// Free space that publishes leave on the disk, for example `64MiB`.
    pub reserve: Option<String>,
    /// Number of nodes with data on this disk.
    pub shared_by: Option<u64>,
}

/// The table `[limits]`, as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypedLimits {
    /// Client connections, at most.
    pub clients: Option<usize>,
    /// Client connections from one address, or one IPv6 network (/64), at most. Default: half of `clients`, rounded
    /// up.
    pub clients_of_one: Option<usize>,
    /// Unanswered requests of one connection, at most.
    pub unanswered: Option<usize>,
    /// Content of one message, at most. Bytes.
    pub content_bytes: Option<usize>,
    /// Silence after which a client connection is closed. Seconds.
    pub silence_s: Option<usize>,
    /// New publishers and subscribers per second.
    pub registrations_per_second: Option<usize>,
    /// Time without use after which publishers and subscribers are deleted, for example `30d`. Default: never.
    pub names_expire_after: Option<String>,
}

/// An error in a configuration. Each names the field, its value and the valid values.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {file}: {error}", file = file.display())]
    Unreadable { file: PathBuf, error: std::io::Error },
    #[error("invalid configuration {file}: {error}", file = file.display())]
    Syntax { file: PathBuf, error: Box<toml::de::Error> },
    #[error("`{field}` is missing ({what})")]
    Missing { field: &'static str, what: &'static str },
    #[error("dimension {given} is not supported by real processes; use 1 to {max} (2 to {nodes} nodes)", max = Dimension::MAX_PROCESSES, nodes = 1 << Dimension::MAX_PROCESSES)]
    Dimension { given: u8 },
    #[error("`{field}`: {error}")]
    Vertex { field: &'static str, error: CubeError },
    #[error("`addresses` has no address for node {missing}; a cube of dimension {dimension} has {nodes} nodes, and each needs an address", nodes = 1 << dimension)]
    NoAddress { missing: Vertex, dimension: u8 },
    #[error("`{field}`: `{given}` is not a valid address: {error}")]
    Address { field: &'static str, given: String, error: AddressError },
    #[error(
        "`{field}`: `{given}` can only be listened on, others cannot connect to it; write the address of the node's \
         machine here, and `{given}` in `listen`"
    )]
    NotReachable { field: &'static str, given: String },
    #[error("`addresses`: nodes {first} and {second} have the same address {address}")]
    SameAddress { first: Vertex, second: Vertex, address: String },
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
    #[error("`storage.reserve`: `{given}` is not a valid size; use bytes, KiB, MiB or GiB, for example 64MiB")]
    Size { given: String },
    #[error("`limits.names_expire_after`: `{given}` is not a time between 1 s and 10 years; for example 12h or 30d")]
    Expiry { given: String },
    #[error("`limits.{field}` must be between {min} and {max}, not {given}")]
    Limit { field: &'static str, given: usize, min: usize, max: usize },
}

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

    /// Merges two configurations. A setting in `self` overrides the one in `other`.
    pub fn or(self, other: Typed) -> Typed {
        let own_secret = self.secret.is_some() || self.secret_file.is_some();
        Typed {
            node: self.node.or(other.node),
            dimension: self.dimension.or(other.dimension),
            cluster: self.cluster.or(other.cluster),
            secret: if own_secret { self.secret } else { other.secret },
            secret_file: if own_secret { self.secret_file } else { other.secret_file },
            data: self.data.or(other.data),
            listen: self.listen.or(other.listen),
            advertise: self.advertise.or(other.advertise),
            sync: self.sync.or(other.sync),
            allow_faults: self.allow_faults.or(other.allow_faults),
            web: self.web.or(other.web),
            allow_origin: self.allow_origin.or(other.allow_origin),
            allow_host: self.allow_host.or(other.allow_host),
            addresses: other.addresses.into_iter().chain(self.addresses).collect(),
            limits: TypedLimits {
                clients: self.limits.clients.or(other.limits.clients),
                clients_of_one: self.limits.clients_of_one.or(other.limits.clients_of_one),
                unanswered: self.limits.unanswered.or(other.limits.unanswered),
                content_bytes: self.limits.content_bytes.or(other.limits.content_bytes),
                silence_s: self.limits.silence_s.or(other.limits.silence_s),
                registrations_per_second: self
                    .limits
                    .registrations_per_second
                    .or(other.limits.registrations_per_second),
                names_expire_after: self.limits.names_expire_after.or(other.limits.names_expire_after),
            },
            storage: TypedStorage {
                reserve: self.storage.reserve.or(other.storage.reserve),
                shared_by: self.storage.shared_by.or(other.storage.shared_by),
            },
        }
    }

    /// Validates all settings.
    pub fn check(self) -> Result<Config, ConfigError> {
        let dimension = check_dimension(required(
            "dimension",
            "the cube has 2^dimension nodes, dimension 1 to 6",
            self.dimension,
        )?)?;
        let node = required("node", "the vertex that this node serves, for example 100", self.node)?;
        let vertex = parse_vertex("node", dimension, &node)?;
        let mut addresses = check_addresses(dimension, &self.addresses)?;
        if let Some(advertise) = self.advertise {
            addresses[vertex.index()] = check_reachable("advertise", &advertise)?;
        }
        check_distinct(dimension, &addresses)?;
        let listen = check_address("listen", self.listen.as_ref().unwrap_or(&addresses[vertex.index()]))?.to_string();
        Ok(Config {
            vertex,
            cluster: required("cluster", "the cluster's name, the same on all of its nodes", self.cluster)?,
            secret: read_secret(self.secret, self.secret_file)?,
            data: required("data", "the folder for this node's state", self.data)?,
            listen,
            addresses,
            sync: self.sync.as_deref().unwrap_or("always").parse()?,
            allow_faults: self.allow_faults.unwrap_or(false),
            dashboard: check_web(self.web),
            allow_origin: self.allow_origin.unwrap_or_default(),
            allow_host: check_hosts(self.allow_host.unwrap_or_default())?,
            limits: self.limits.check()?,
            requests: self.limits.check_requests()?,
            room: self.storage.check()?,
        })
    }
}

/// The dashboard with this source.
pub fn check_web(web: Option<TypedWeb>) -> Dashboard {
    match web {
        None | Some(TypedWeb::Switch(true)) => Dashboard::default(),
        Some(TypedWeb::Switch(false)) => Dashboard::Off,
        Some(TypedWeb::Folder(folder)) => Dashboard::Folder(folder),
    }
}

impl TypedStorage {
    fn check(&self) -> Result<RoomRules, ConfigError> {
        let reserve = self.reserve.as_deref().map(parse_size).transpose()?;
        Ok(RoomRules { reserve, shared_by: self.shared_by.unwrap_or(1).max(1) })
    }
}

impl TypedLimits {
    fn check(&self) -> Result<Limits, ConfigError> {
        let limits = Limits::default();
        let clients = in_range("clients", self.clients.unwrap_or(limits.clients), 1, 100_000)?;
        Ok(Limits {
            clients,
            clients_of_one: in_range("clients_of_one", self.clients_of_one.unwrap_or(clients.div_ceil(2)), 1, 100_000)?,
            unanswered: in_range("unanswered", self.unanswered.unwrap_or(limits.unanswered), 1, 65_536)?,
            // JSON may escape every byte of the content as six bytes.
            client_message: 6 * self.check_content()? + MESSAGE_BESIDE_CONTENT,
            silence: self.check_silence()?,
            first_request: limits.first_request,
        })
    }

    fn check_silence(&self) -> Result<Duration, ConfigError> {
        let default = Limits::default().silence.as_secs() as usize;
        let seconds = in_range("silence_s", self.silence_s.unwrap_or(default), 3, 3_600)?;
        Ok(Duration::from_secs(seconds as u64))
    }

    fn check_requests(&self) -> Result<RequestLimits, ConfigError> {
        let default = RequestLimits::default().registrations_per_second as usize;
        let registrations = self.registrations_per_second.unwrap_or(default);
        let registrations = in_range("registrations_per_second", registrations, 1, UNLIMITED_REGISTRATIONS)?;
        Ok(RequestLimits {
            max_content_bytes: self.check_content()?,
            registrations_per_second: registrations as u32,
            names_expire_after: self.names_expire_after.as_deref().map(parse_expiry).transpose()?,
        })
    }

    fn check_content(&self) -> Result<usize, ConfigError> {
        in_range("content_bytes", self.content_bytes.unwrap_or(1 << 20), 1, 16 << 20)
    }
}

impl Config {
    /// The hosts of this cluster's addresses and the allowed hosts, without ports.
    pub fn own_hosts(&self) -> Vec<String> {
        let from_addresses = self.addresses.iter().chain([&self.listen]).map(|address| host_name(address));
        from_addresses.chain(self.allow_host.iter().cloned()).collect()
    }
}

/// Checks that real processes can serve a cube of this dimension.
pub fn check_dimension(given: u8) -> Result<Dimension, ConfigError> {
    match Dimension::new(given) {
        Ok(dimension) if given <= Dimension::MAX_PROCESSES => Ok(dimension),
        _ => Err(ConfigError::Dimension { given }),
    }
}

/// Parses a size like `1048576`, `1024KiB` or `1MiB` into bytes.
pub fn parse_size(text: &str) -> Result<u64, ConfigError> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let bytes =
        digits.trim_end().parse().ok().zip(unit).and_then(|(number, unit): (u64, u64)| number.checked_mul(unit));
    bytes.ok_or_else(|| ConfigError::Size { given: text.to_owned() })
}

/// Parses a time like `30d`, `12h` or `90s`. It must lie between 1 second and 10 years.
pub fn parse_expiry(text: &str) -> Result<Duration, ConfigError> {
    const BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10 * 365 * 24 * 3_600);
    let parsed = humantime::parse_duration(text).ok().filter(|time| BOUNDS.contains(time));
    parsed.ok_or_else(|| ConfigError::Expiry { given: text.to_owned() })
}

fn required<T>(field: &'static str, what: &'static str, value: Option<T>) -> Result<T, ConfigError> {
    value.ok_or(ConfigError::Missing { field, what })
}

fn parse_vertex(field: &'static str, dimension: Dimension, text: &str) -> Result<Vertex, ConfigError> {
    dimension.parse_vertex(text).map_err(|error| ConfigError::Vertex { field, error })
}

fn check_addresses(dimension: Dimension, typed: &BTreeMap<String, String>) -> Result<Vec<String>, ConfigError> {
    let mut by_vertex = BTreeMap::new();
    for (name, address) in typed {
        by_vertex.insert(parse_vertex("addresses", dimension, name)?, check_reachable("addresses", address)?);
    }
    let missing = |vertex| ConfigError::NoAddress { missing: vertex, dimension: dimension.bits() };
    dimension.vertices().map(|vertex| by_vertex.remove(&vertex).ok_or(missing(vertex))).collect()
}

/// Parses an address. The parsed form is canonical, so equal addresses have equal texts.
fn check_address(field: &'static str, given: &str) -> Result<Address, ConfigError> {
    given.parse().map_err(|error| ConfigError::Address { field, given: given.to_owned(), error })
}

/// Parses hosts without ports, or `*`, into their canonical form.
fn check_hosts(typed: Vec<String>) -> Result<Vec<String>, ConfigError> {
    let check = |given: String| match given.parse::<Host>() {
        _ if given == "*" => Ok(given),
        Ok(Host::Name(name)) => Ok(name),
        Ok(Host::Ip(ip)) => Ok(ip.to_string()),
        Err(error) => Err(ConfigError::Address { field: "allow_host", given, error }),
    };
    typed.into_iter().map(check).collect()
}

/// Parses an address that other nodes connect to. An unspecified address is an error.
fn check_reachable(field: &'static str, given: &str) -> Result<String, ConfigError> {
    let address = check_address(field, given)?;
    if address.host.is_unspecified() {
        return Err(ConfigError::NotReachable { field, given: given.to_owned() });
    }
    Ok(address.to_string())
}

fn check_distinct(dimension: Dimension, addresses: &[String]) -> Result<(), ConfigError> {
    let mut seen = BTreeMap::new();
    for (second, address) in dimension.vertices().zip(addresses) {
        if let Some(first) = seen.insert(address, second) {
            return Err(ConfigError::SameAddress { first, second, address: address.clone() });
        }
    }
    Ok(())
}

fn read_secret(typed: Option<String>, file: Option<PathBuf>) -> Result<Secret, ConfigError> {
    let text = match (typed, file) {
        (Some(_), Some(_)) => return Err(ConfigError::TwoSecrets),
        (Some(text), None) => text,
        (None, Some(file)) => read_private(&file)?,
        (None, None) => {
            return Err(ConfigError::Missing {
                field: "secret_file",
                what: "the file with the cluster's secret, the same on all of its nodes",
            });
        }
    };
    Secret::new(text.trim().as_bytes()).ok_or(ConfigError::Secret)
}

/// Reads a file. It is an error if users other than its owner can read the file.
fn read_private(file: &Path) -> Result<String, ConfigError> {
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

fn in_range(field: &'static str, given: usize, min: usize, max: usize) -> Result<usize, ConfigError> {
    if (min..=max).contains(&given) { Ok(given) } else { Err(ConfigError::Limit { field, given, min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        node = "10"
        dimension = 2
        cluster = "demo"
        secret = "0123456789abcdef"
        data = "store"
        addresses = { 00 = "a:1", 01 = "a:2", 10 = "a:3", 11 = "a:4" }
    "#;

    fn check(text: &str) -> Result<Config, String> {
        let typed: Typed = toml::from_str(text).map_err(|error| error.to_string())?;
        typed.check().map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(from: &str, to: &str, expected: &str) {
        assert!(GOOD.contains(from), "{from}");
        let error = check(&GOOD.replace(from, to)).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_good_file_gives_its_defaults() {
        let config = check(GOOD).unwrap();
        assert_eq!(config.listen, "a:3");
        assert_eq!(config.vertex.to_string(), "10");
        assert_eq!(config.sync, SyncMode::Always);
        assert!(!config.allow_faults);
    }

    #[test]
    fn what_is_wrong_is_named() {
        refused("dimension = 2", "dimension = 0", "dimension 0 is not supported by real processes; use 1 to 6");
        refused("dimension = 2", "dimension = 7", "use 1 to 6 (2 to 64 nodes)");
        refused("\"10\"", "\"100\"", "`node`: `100` is not a node of this cube");
        refused("01 = \"a:2\", ", "", "`addresses` has no address for node 01");
        refused("a:2", "a:1", "nodes 00 and 01 have the same address a:1");
        refused("a:2", "a", "`a` is not a valid address: the port is missing; use HOST:PORT");
        refused("a:2", "a:0", "`a:0` is not a valid address: the port must be 1 to 65535");
        refused("a:2", "::1:2", "`::1:2` is not a valid address: put an IPv6 address in brackets");
        refused("a:2", "0.0.0.0:2", "`0.0.0.0:2` can only be listened on");
        refused("a:2", "[::]:2", "`[::]:2` can only be listened on");
        refused("a:2", "A.:1", "nodes 00 and 01 have the same address a:1");
        refused("0123456789abcdef", "short", "at least 16 bytes");
        refused("secret = \"0123456789abcdef\"", "", "`secret_file` is missing");
        refused("cluster", "secret_file = \"secret\"\ncluster", "`secret` and `secret_file` are both set");
        refused("cluster", "clutser", "unknown field `clutser`");
        refused(
            "cluster",
            "allow_host = [\"a b\"]\ncluster",
            "`allow_host`: `a b` is not a valid address: the host is neither",
        );
        refused("cluster = \"demo\"", "cluster = \"demo\"\nsync = \"sometimes\"", "`sync`: ");
        refused(
            "cluster = \"demo\"",
            "cluster = \"demo\"\nlimits.clients = 0",
            "`limits.clients` must be between 1 and 100000",
        );
        refused(
            "cluster = \"demo\"",
            "cluster = \"demo\"\nlimits.registrations_per_second = 0",
            "`limits.registrations_per_second` must be between 1 and 1000000",
        );
    }

    #[test]
    fn times_to_expiry_are_read_as_people_write_them() {
        let times = ["1s", "12h", "30d", "1h 30m"].map(|text| parse_expiry(text).unwrap().as_secs());
        assert_eq!(times, [1, 43_200, 2_592_000, 5_400]);
        for text in ["", "0s", "999ms", "30", "-1d", "11years", "99999999999999999999d", "soon"] {
            let error = parse_expiry(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}` is not a time")), "{error}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let sizes = ["0", "12", "12B", "3KiB", "64MiB", "2 GiB"].map(|text| parse_size(text).unwrap());
        assert_eq!(sizes, [0, 12, 12, 3 << 10, 64 << 20, 2 << 30]);
        for text in ["", "MiB", "-1", "1.5MiB", "64MB", "99999999999GiB"] {
            let error = parse_size(text).unwrap_err().to_string();
            assert!(error.contains("for example 64MiB"), "{error}");
        }
    }

    #[test]
    fn ipv6_addresses_are_taken_and_written_in_one_way() {
        let text = GOOD.replace("a:3", "[0:0::1]:3").replace("a:2", "[::1]:2");
        let config = check(&text).unwrap();
        assert_eq!((config.listen.as_str(), config.addresses[1].as_str()), ("[::1]:3", "[::1]:2"));
        assert!(config.own_hosts().contains(&"::1".to_owned()));
        let text = text.replace("data =", "listen = \"[::]:3\"\ndata =");
        assert_eq!(check(&text).unwrap().listen, "[::]:3");
    }

    #[test]
    fn the_dashboard_is_the_programs_own_or_a_folders_or_off() {
        let checked = |line: &str| check(&GOOD.replace("data =", &format!("{line}\ndata ="))).map(|c| c.dashboard);
        let own = format!("{:?}", Dashboard::default());
        assert_eq!(["", "web = true"].map(|line| format!("{:?}", checked(line).unwrap())), [own.clone(), own]);
        assert!(matches!(checked("web = false"), Ok(Dashboard::Off)));
        assert!(matches!(checked("web = \"x\""), Ok(Dashboard::Folder(folder)) if folder == Path::new("x")));
        let error = checked("web = 3").unwrap_err();
        assert!(error.contains("`web` must be a folder, true or false"), "{error}");
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let file: Typed = toml::from_str(GOOD).unwrap();
        let flags = Typed { node: Some("11".into()), sync: Some("never".into()), ..Typed::default() };
        let config = flags.or(file).check().unwrap();
        assert_eq!(config.vertex.to_string(), "11");
        assert_eq!(config.sync, SyncMode::Never);
        assert_eq!(config.listen, "a:4");
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_that_others_can_read_is_refused_with_the_cure() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("secret"), folder.path().join("link"));
        private::write(&file, "0123456789abcdef").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let with_link = || Typed { secret_file: Some(link.clone()), ..toml::from_str(GOOD).unwrap() };
        let checked = || Typed { secret: None, ..with_link() }.check();
        checked().expect("a link to a file that is its owner's alone");
        for mode in [0o640, 0o604, 0o620, 0o666] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = checked().unwrap_err().to_string();
            assert!(error.contains(&format!("(mode 0{mode:o}); run: chmod 600 {}", link.display())), "{error}");
        }
        let config = folder.path().join("node.toml");
        std::fs::write(&config, GOOD).unwrap();
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = Typed::read(&config).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        std::fs::write(&config, GOOD.replace("secret = ", "secret_file = ")).unwrap();
        Typed::read(&config).expect("without a secret in it, anybody may read a configuration");
    }

    #[test]
    fn paths_in_a_file_are_relative_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("node.toml");
        private::write(&file, GOOD).unwrap();
        assert_eq!(Typed::read(&file).unwrap().check().unwrap().data, folder.path().join("store"));
    }
}
