//! Who may open a WebSocket: a page from elsewhere must not drive a node through its visitor's browser.
//!
//! A browser names the page's origin in the handshake and cannot be made to lie about it. A client that sends no `Origin` is
//! no browser, and is let in. A page is let in when it comes from this machine, from the host it asks for, or from an origin
//! that the node was told to allow; and only when `Host` is a name that is ours, so that a foreign name resolved to our
//! address (DNS rebinding) is not taken for one.

use std::net::IpAddr;

use cubecast_core::address::{Host, parse_authority};

/// What the handshake's headers are checked against.
#[derive(Clone, Debug, Default)]
pub struct OriginRules {
    /// Origins such as `https://example.org`, or `*` for all.
    pub allowed: Vec<String>,
    /// Hosts by which this cluster is known, without ports.
    pub own_hosts: Vec<String>,
}

/// Why a page was refused; the text is the answer's body.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OriginRefused {
    #[error(
        "The page's origin {origin} may not open connections to this node. To allow it, start the node with --allow-origin {origin}."
    )]
    Origin { origin: String },
    #[error(
        "The name {host} is not known to be this node's. Ask for it by its address, or start the node with --allow-origin {origin}."
    )]
    Host { host: String, origin: String },
}

impl OriginRules {
    /// Checks the `Origin` and `Host` headers of a handshake.
    pub fn check(&self, origin: Option<&str>, host: Option<&str>) -> Result<(), OriginRefused> {
        let Some(origin) = origin else { return Ok(()) };
        if self
            .allowed
            .iter()
            .any(|allowed| allowed == "*" || allowed.trim_end_matches('/').eq_ignore_ascii_case(origin))
        {
            return Ok(());
        }
        let host = host.map(host_name).unwrap_or_default();
        if !self.is_ours(&host) {
            return Err(OriginRefused::Host { host: shorten(&host), origin: shorten(origin) });
        }
        match origin.split_once("://") {
            Some((_, place)) if is_loopback(&host_name(place)) => Ok(()),
            Some((_, place)) if !host.is_empty() && host_name(place) == host => Ok(()),
            _ => Err(OriginRefused::Origin { origin: shorten(origin) }),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        is_loopback(host)
            || host.parse::<IpAddr>().is_ok()
            || self.own_hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}

/// The host of `HOST[:PORT]`, in the one way in which it is written, without brackets; empty for what is none.
pub fn host_name(place: &str) -> String {
    let place = place.split('/').next().unwrap_or_default();
    match parse_authority(place) {
        Ok((Host::Ip(ip), _)) => ip.to_canonical().to_string(),
        Ok((Host::Name(name), _)) => name,
        Err(_) => String::new(),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> OriginRules {
        OriginRules { allowed: vec!["https://board.example".into()], own_hosts: vec!["cube.example".into()] }
    }

    #[test]
    fn native_clients_and_own_pages_are_let_in() {
        for (origin, host) in [
            (None, Some("anything.example")),
            (Some("http://localhost:8080"), Some("127.0.0.1:8007")),
            (Some("http://127.0.0.1:8000"), Some("localhost:8000")),
            (Some("http://[::1]:8000"), Some("[::1]:8003")),
            (Some("http://[2001:db8::5]:8000"), Some("[2001:DB8:0::5]:8004")),
            (Some("http://[::ffff:127.0.0.1]:8000"), Some("[::ffff:127.0.0.1]:8000")),
            (Some("http://192.168.1.5:8000"), Some("192.168.1.5:8004")),
            (Some("http://cube.example:8000"), Some("cube.example:8004")),
            (Some("https://board.example"), Some("10.0.0.9:8000")),
        ] {
            assert_eq!(rules().check(origin, host), Ok(()), "{origin:?} {host:?}");
        }
    }

    #[test]
    fn pages_from_elsewhere_are_refused() {
        for (origin, host) in [
            ("https://evil.example", "127.0.0.1:8000"),
            ("https://localhost.evil.example", "127.0.0.1:8000"),
            ("https://127.0.0.1.evil.example", "127.0.0.1:8000"),
            ("null", "127.0.0.1:8000"),
            ("http://192.168.1.6", "192.168.1.5:8000"),
            ("http://[2001:db8::6]:8000", "[2001:db8::5]:8000"),
            ("http://[::1", "[::1]:8000"),
            ("", "localhost"),
        ] {
            assert!(
                matches!(rules().check(Some(origin), Some(host)), Err(OriginRefused::Origin { .. })),
                "{origin} {host}"
            );
        }
    }

    #[test]
    fn a_foreign_name_that_resolves_to_us_is_refused() {
        let rebound = rules().check(Some("http://evil.example:8000"), Some("evil.example:8000"));
        assert!(matches!(rebound, Err(OriginRefused::Host { .. })));
        assert!(matches!(rules().check(Some("http://localhost"), None), Err(OriginRefused::Host { .. })));
    }
}
