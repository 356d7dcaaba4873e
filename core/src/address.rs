//! The address `HOST:PORT` of a node: parsing, comparison, display and use in URLs.
//!
//! An IPv6 address is in brackets wherever a port may follow. Each address has one canonical form (names in lower case,
//! IPv6 in its short form), so equal texts mean equal addresses. Zones (`fe80::1%eth0`) are refused, because URLs have
//! no place for them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The maximum length of a host name.
const MAX_NAME: usize = 253;

/// A machine, by name or IP address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Host {
    Name(String),
    Ip(IpAddr),
}

/// A host and a port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address {
    /// The machine.
    pub host: Host,
    /// The TCP port, 1 to 65535.
    pub port: u16,
}

/// Why a text is not a valid host or address. The message does not quote the text; the caller does, and adds where it
/// was typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AddressError {
    #[error("the host is missing; use HOST:PORT, for example 127.0.0.1:8000")]
    NoHost,
    #[error("the port is missing; use HOST:PORT, for example 127.0.0.1:8000 or [::1]:8000")]
    NoPort,
    #[error("the port must be 1 to 65535")]
    Port,
    #[error("put an IPv6 address in brackets before a port, for example [::1]:8000")]
    Brackets,
    #[error("the text in brackets is not an IPv6 address")]
    Ipv6,
    #[error("an IPv6 address with a zone (%) is not supported; use an address without a zone, or a host name")]
    Zone,
    #[error("the host is neither a name nor an IP address")]
    Host,
}

impl Host {
    /// This machine, by IPv4.
    pub const LOOPBACK: Host = Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST));

    /// Whether this is the unspecified address (`0.0.0.0` or `::`). A server there accepts connections to every address
    /// of the machine; no client can connect to it.
    pub fn is_unspecified(&self) -> bool {
        matches!(self, Host::Ip(ip) if ip.is_unspecified())
    }

    /// Whether this host means the local machine on every machine.
    pub fn is_loopback(&self) -> bool {
        match self {
            Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ip(ip) => ip.is_loopback(),
        }
    }

    /// The host by which clients on the same machine reach a server that listens here.
    pub fn reached_locally(&self) -> Host {
        match self {
            Host::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Host::Ip(Ipv4Addr::LOCALHOST.into()),
            Host::Ip(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Host::Ip(Ipv6Addr::LOCALHOST.into()),
            host => host.clone(),
        }
    }

    /// The address of this host with this port.
    pub fn at(&self, port: u16) -> Address {
        Address { host: self.clone(), port }
    }
}

/// Splits `HOST[:PORT]` without checking the port.
fn split(text: &str) -> Result<(&str, Option<&str>), AddressError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (_, behind) = rest.split_once(']').ok_or(AddressError::Ipv6)?;
        let host = &text[..text.len() - behind.len()];
        return match behind.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if behind.is_empty() => Ok((host, None)),
            None => Err(AddressError::NoPort),
        };
    }
    match text.matches(':').count() {
        0 => Ok((text, None)),
        1 => Ok(text.split_once(':').map(|(host, port)| (host, Some(port))).expect("there is a colon")),
        _ => Err(AddressError::Brackets),
    }
}

/// Parses `HOST[:PORT]`, as in a URL or a `Host` header.
pub fn parse_authority(text: &str) -> Result<(Host, Option<u16>), AddressError> {
    let (host, port) = split(text)?;
    let port = match port {
        Some(port) => Some(parse_port(port)?),
        None => None,
    };
    Ok((host.parse()?, port))
}

fn parse_port(text: &str) -> Result<u16, AddressError> {
    let digits = text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0).ok_or(AddressError::Port)
}

impl FromStr for Host {
    type Err = AddressError;

    /// Parses a name, an IPv4 address, or an IPv6 address with or without brackets.
    fn from_str(text: &str) -> Result<Host, AddressError> {
        let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if bracketed.is_some() || text.contains(':') {
            let ip = bracketed.unwrap_or(text);
            return match ip.parse::<Ipv6Addr>() {
                Ok(ip) => Ok(Host::Ip(ip.into())),
                Err(_) if ip.contains('%') => Err(AddressError::Zone),
                Err(_) => Err(AddressError::Ipv6),
            };
        }
        if text.is_empty() {
            return Err(AddressError::NoHost);
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Ok(Host::Ip(ip.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if is_name(name) { Ok(Host::Name(name.to_ascii_lowercase())) } else { Err(AddressError::Host) }
    }
}

/// Labels of letters, digits, `-` and `_`. A last label of digits only is refused, because the name would be taken for
/// an IPv4 address.
fn is_name(text: &str) -> bool {
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= MAX_NAME && text.split('.').all(is_label) && !last.bytes().all(|c| c.is_ascii_digit())
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let (host, port) = parse_authority(text)?;
        Ok(Address { host, port: port.ok_or(AddressError::NoPort)? })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Result<String, AddressError> {
        text.parse::<Address>().map(|address| address.to_string())
    }

    #[test]
    fn an_address_is_written_in_one_way() {
        for (typed, written) in [
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("[::1]:8000", "[::1]:8000"),
            ("[0:0:0:0:0:0:0:1]:08000", "[::1]:8000"),
            ("[2001:DB8::A]:1", "[2001:db8::a]:1"),
            ("Node-1.Example.:65535", "node-1.example:65535"),
            ("localhost:80", "localhost:80"),
        ] {
            assert_eq!(address(typed).as_deref(), Ok(written));
        }
    }

    #[test]
    fn what_is_no_address_is_told_why() {
        use AddressError::*;
        for (typed, why) in [
            ("", NoHost),
            (":8000", NoHost),
            ("a", NoPort),
            ("127.0.0.1", NoPort),
            ("[::1]", NoPort),
            ("[::1]8000", NoPort),
            ("a:0", Port),
            ("a:", Port),
            ("a:65536", Port),
            ("a:+1", Port),
            ("a:http", Port),
            ("::1:8000", Brackets),
            ("::1", Brackets),
            ("[::1:8000", Ipv6),
            ("[127.0.0.1]:8000", Ipv6),
            ("[::g]:8000", Ipv6),
            ("[fe80::1%eth0]:8000", Zone),
            ("256.0.0.1:8000", Host),
            ("1.2.3:8000", Host),
            ("a b:8000", Host),
            ("a/b:8000", Host),
            ("a@b:8000", Host),
            ("a..b:8000", Host),
        ] {
            assert_eq!(address(typed), Err(why), "{typed}");
        }
    }

    #[test]
    fn a_host_needs_no_brackets_and_is_shown_with_them() {
        for typed in ["::1", "[::1]", "0::1"] {
            assert_eq!(typed.parse::<Host>().unwrap().at(8000).to_string(), "[::1]:8000");
        }
        assert_eq!("fe80::1%eth0".parse::<Host>(), Err(AddressError::Zone));
    }

    #[test]
    fn an_authority_may_lack_its_port() {
        assert_eq!(parse_authority("[::1]"), Ok(("::1".parse().unwrap(), None)));
        assert_eq!(parse_authority("a:1"), Ok((Host::Name("a".into()), Some(1))));
    }

    #[test]
    fn who_listens_everywhere_is_reached_at_the_loopback_of_its_family() {
        let reached = |typed: &str| typed.parse::<Host>().unwrap().reached_locally().to_string();
        assert_eq!((reached("0.0.0.0"), reached("::")), ("127.0.0.1".into(), "[::1]".into()));
        assert_eq!((reached("10.0.0.1"), reached("a.example")), ("10.0.0.1".into(), "a.example".into()));
    }
}
