//! Checks a configuration as typed, and converts it into a valid one.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use cubecast_core::address::{Address, Host};
use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use cubecast_core::wire::limits::Limits as RequestLimits;

use super::Config;
use super::error::ConfigError;
use super::reading::read_private;
use super::typed::{Typed, TypedLimits, TypedRecording, TypedStorage, TypedWeb};
use crate::dashboard::Dashboard;
use crate::recording::RecordingRules;
use crate::storage::RoomRules;
use crate::transport::Limits;
use crate::transport::handshake::Secret;

/// Space in a client's WebSocket message for everything except the content, and for small requests that share a
/// message. Bytes.
const MESSAGE_BESIDE_CONTENT: usize = 2 << 20;

/// The highest `registrations_per_second`. It is for measurements of the maximum registration rate.
pub const UNLIMITED_REGISTRATIONS: usize = 1_000_000;

impl Typed {
    /// Validates all settings.
    pub fn check(self) -> Result<Config, ConfigError> {
        let dimension = check_dimension(required(
            "dimension",
            "the cube has 2^dimension nodes, dimension 1 to 6",
            self.dimension,
        )?)?;
        let node = required("node", "the vertex that this node serves, for example 100", self.node)?;
        let seating = Seating::founding(dimension);
        let node = parse_node("node", &seating, &node)?;
        let mut addresses = check_addresses(&seating, &self.addresses)?;
        let own = seating.index_of(node).expect("parsed by this seating");
        if let Some(advertise) = self.advertise {
            addresses[own] = check_reachable("advertise", &advertise)?;
        }
        check_distinct(&seating, &addresses)?;
        let listen = check_address("listen", self.listen.as_ref().unwrap_or(&addresses[own]))?.to_string();
        Ok(Config {
            node,
            seating,
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
            recording: self.recording.check()?,
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
        let reserve = self.reserve.as_deref().map(|size| parse_size("storage.reserve", size)).transpose()?;
        Ok(RoomRules { reserve, shared_by: self.shared_by.unwrap_or(1).max(1) })
    }
}

impl TypedRecording {
    fn check(&self) -> Result<Option<RecordingRules>, ConfigError> {
        let bytes = self
            .bytes
            .as_deref()
            .map(|size| parse_size("recording.bytes", size))
            .transpose()?
            .unwrap_or(RecordingRules::DEFAULT_BYTES);
        let last = self.last.as_deref().map(parse_recording).transpose()?.flatten();
        Ok(last.map(|last| RecordingRules { last, bytes }))
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

/// Checks that real processes can serve a cube of this dimension.
pub fn check_dimension(given: u8) -> Result<Dimension, ConfigError> {
    match Dimension::new(given) {
        Ok(dimension) if given <= Dimension::MAX_PROCESSES => Ok(dimension),
        _ => Err(ConfigError::Dimension { given }),
    }
}

/// Parses the size of a setting, like `1048576`, `1024KiB` or `1MiB`, into bytes.
pub fn parse_size(field: &'static str, text: &str) -> Result<u64, ConfigError> {
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
    bytes.ok_or_else(|| ConfigError::Size { field, given: text.to_owned() })
}

/// Parses a time like `30d`, `12h` or `90s`. It must lie between 1 second and 10 years.
pub fn parse_expiry(text: &str) -> Result<Duration, ConfigError> {
    const BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10 * 365 * 24 * 3_600);
    let parsed = humantime::parse_duration(text).ok().filter(|time| BOUNDS.contains(time));
    parsed.ok_or_else(|| ConfigError::Expiry { given: text.to_owned() })
}

/// Parses the time that a recording covers, like `5m`, or `off`. It must lie between 10 seconds and a day.
pub fn parse_recording(text: &str) -> Result<Option<Duration>, ConfigError> {
    const BOUNDS: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(24 * 3_600);
    if text == "off" {
        return Ok(None);
    }
    let parsed = humantime::parse_duration(text).ok().filter(|time| BOUNDS.contains(time));
    parsed.map(Some).ok_or_else(|| ConfigError::Recording { given: text.to_owned() })
}

fn required<T>(field: &'static str, what: &'static str, value: Option<T>) -> Result<T, ConfigError> {
    value.ok_or(ConfigError::Missing { field, what })
}

fn parse_node(field: &'static str, seating: &Seating, text: &str) -> Result<HostId, ConfigError> {
    seating.parse_host(text).map_err(|error| ConfigError::Node { field, error })
}

fn check_addresses(seating: &Seating, typed: &BTreeMap<String, String>) -> Result<Vec<String>, ConfigError> {
    let mut by_node = BTreeMap::new();
    for (name, address) in typed {
        by_node.insert(parse_node("addresses", seating, name)?, check_reachable("addresses", address)?);
    }
    let missing = |node| ConfigError::NoAddress { missing: node, dimension: seating.dimension().bits() };
    seating.hosts().map(|node| by_node.remove(&node).ok_or(missing(node))).collect()
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

fn check_distinct(seating: &Seating, addresses: &[String]) -> Result<(), ConfigError> {
    let mut seen = BTreeMap::new();
    for (second, address) in seating.hosts().zip(addresses) {
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

fn in_range(field: &'static str, given: usize, min: usize, max: usize) -> Result<usize, ConfigError> {
    if (min..=max).contains(&given) { Ok(given) } else { Err(ConfigError::Limit { field, given, min, max }) }
}
