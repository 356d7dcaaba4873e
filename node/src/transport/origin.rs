//! Access control for web pages: a foreign page must not control or read a node through its visitor's browser.
//!
//! A browser sends the page's origin when it opens a WebSocket, and a page cannot forge it. A client that sends no
//! `Origin` there is not a browser and is accepted. A page is accepted if it comes from this machine, from the host
//! that it connects to, or from an allowed origin.
//!
//! All other requests, and those of pages, must name a host of this cluster in `Host`. Otherwise a foreign name that
//! resolves to this node's address (DNS rebinding) would give a foreign page the same origin, and the browser would
//! let it read every file and `/metrics`. The cluster's hosts are IP addresses, names of this machine, the hosts of
//! the cluster's addresses, and allowed hosts.

use std::net::IpAddr;

use cubecast_core::address::{Host, parse_authority};
use cubecast_core::visible::visible;

/// The rules that a request's headers are checked against.
#[derive(Clone, Debug, Default)]
pub struct OriginRules {
    /// Allowed origins like `https://example.org`; `*` allows all.
    pub allowed: Vec<String>,
    /// The cluster's hosts, without ports; `*` allows all.
    pub own_hosts: Vec<String>,
}

/// Why a request was refused. The text is the body of the answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OriginRefused {
    #[error(
        "The page's origin {origin} may not open connections to this node. To allow it, start the node with --allow-origin {origin}."
    )]
    Origin { origin: String },
    #[error(
        "The name {host} is not known to be this node's. Ask for it by its IP address, or start the node with --allow-host {host}."
    )]
    Host { host: String },
}

impl OriginRules {
    /// Checks the `Origin` and `Host` headers of a page's request.
    pub fn check_page(&self, origin: &str, host: Option<&str>) -> Result<(), OriginRefused> {
        let is = |allowed: &String| allowed == "*" || allowed.trim_end_matches('/').eq_ignore_ascii_case(origin);
        if self.allowed.iter().any(is) {
            return Ok(());
        }
        let host = host.unwrap_or_default();
        if !self.is_ours(host) {
            return Err(OriginRefused::Host { host: shorten(host) });
        }
        let host = host_name(host);
        match origin.split_once("://") {
            Some((_, place)) if is_loopback(&host_name(place)) => Ok(()),
            Some((_, place)) if !host.is_empty() && host_name(place) == host => Ok(()),
            _ => Err(OriginRefused::Origin { origin: shorten(origin) }),
        }
    }

    /// Checks the `Host` header of a request that does not open a WebSocket. A missing header is accepted: browsers
    /// always send it, but old health checkers may not.
    pub fn check_host(&self, host: Option<&str>) -> Result<(), OriginRefused> {
        match host {
            Some(host) if !host.is_empty() && !self.is_ours(host) => Err(OriginRefused::Host { host: shorten(host) }),
            _ => Ok(()),
        }
    }

    /// Whether a `Host` header names this cluster. Hosts of allowed origins count too, because their pages are served
    /// under them.
    fn is_ours(&self, host: &str) -> bool {
        let name = host_name(host);
        let allowed = self.allowed.iter().filter_map(|origin| origin.split_once("://"));
        self.own_hosts.iter().any(|own| own == "*")
            || self.allowed.iter().any(|origin| origin == "*")
            || is_loopback(&name)
            || name.parse::<IpAddr>().is_ok()
            || self.own_hosts.iter().any(|own| !name.is_empty() && own.eq_ignore_ascii_case(&name))
            || allowed.map(|(_, place)| host_name(place)).any(|own| !name.is_empty() && own == name)
    }
}

/// The host of `HOST[:PORT]` in its canonical form, without brackets. Empty if there is none.
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

/// Shortens a header for messages. Only the beginning of a long header is processed.
fn shorten(text: &str) -> String {
    let end = text.floor_char_boundary(80);
    visible(&text[..end]).into_owned()
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
            ("http://localhost:8080", "127.0.0.1:8007"),
            ("http://127.0.0.1:8000", "localhost:8000"),
            ("http://[::1]:8000", "[::1]:8003"),
            ("http://[2001:db8::5]:8000", "[2001:DB8:0::5]:8004"),
            ("http://[::ffff:127.0.0.1]:8000", "[::ffff:127.0.0.1]:8000"),
            ("http://192.168.1.5:8000", "192.168.1.5:8004"),
            ("http://cube.example:8000", "cube.example:8004"),
            ("https://board.example", "10.0.0.9:8000"),
        ] {
            assert_eq!(rules().check_page(origin, Some(host)), Ok(()), "{origin:?} {host:?}");
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
                matches!(rules().check_page(origin, Some(host)), Err(OriginRefused::Origin { .. })),
                "{origin} {host}"
            );
        }
    }

    #[test]
    fn a_foreign_name_that_resolves_to_us_is_refused() {
        let rebound = rules().check_page("http://evil.example:8000", Some("evil.example:8000"));
        assert_eq!(rebound, Err(OriginRefused::Host { host: "evil.example:8000".into() }));
        assert!(matches!(rules().check_page("http://localhost", None), Err(OriginRefused::Host { .. })));
        for host in
            ["evil.example", "localhost.evil.example:8000", "127.0.0.1.evil.example", "a b", "[::1", "x@localhost"]
        {
            assert!(matches!(rules().check_host(Some(host)), Err(OriginRefused::Host { .. })), "{host}");
        }
    }

    #[test]
    fn addresses_names_of_ours_and_requests_without_a_name_are_served() {
        for host in ["10.0.0.9:8000", "[2001:db8::5]:8000", "localhost:1", "Cube.example.:8000", "board.example", ""] {
            assert_eq!(rules().check_host(Some(host)), Ok(()), "{host}");
        }
        assert_eq!(rules().check_host(None), Ok(()), "HTTP/1.0");
        let all = OriginRules { own_hosts: vec!["*".into()], ..rules() };
        assert_eq!(all.check_host(Some("anything.example")), Ok(()));
        assert!(all.check_page("https://evil.example", Some("anything.example")).is_err());
    }

    #[test]
    fn what_a_header_holds_is_shown_and_commands_no_terminal() {
        let refused = rules().check_host(Some("evil\u{9b}2J\u{202e}.example")).unwrap_err().to_string();
        assert!(refused.contains("evil\\u{9b}2J\\u{202e}.example"), "{refused}");
    }
}
