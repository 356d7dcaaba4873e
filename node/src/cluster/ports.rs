//! Chooses the ports of a cluster's nodes.

use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::str::FromStr;

use cubecast_core::address::Host;

/// The range that is searched for free ports: above the well-known ports, below the ports that systems assign to
/// outgoing connections.
const SEARCHED: RangeInclusive<u16> = 10_000..=32_000;
/// Port ranges that are tried before the search fails.
const TRIES: usize = 200;

/// The first of consecutive ports, or any free ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BasePort {
    At(u16),
    Auto,
}

/// Why there are no ports.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PortError {
    #[error(
        "port {port} on {host} cannot be listened on: {why}\n\
         If another cluster runs, stop it. Else choose other ports: --base-port {}, or --base-port auto.",
        port.saturating_add(1000).min(60_000)
    )]
    Taken { host: Host, port: u16, why: String },
    #[error("{nodes} nodes need {nodes} different ports; --ports lists {given}")]
    Count { nodes: usize, given: usize },
    #[error("--ports lists 0, which is no port that others could be told; --base-port auto finds free ones")]
    Zero,
    #[error("--base-port {base} leaves no place for {nodes} ports: choose 1 to {}", 65_536 - nodes)]
    Range { base: u16, nodes: usize },
    #[error("no {nodes} free ports in a row were found on {host}")]
    NoneFree { host: Host, nodes: usize },
}

impl FromStr for BasePort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(BasePort::Auto),
            _ => match text.parse() {
                Ok(port) if port != 0 => Ok(BasePort::At(port)),
                _ => Err("write a port, 1 to 65535, or `auto`".into()),
            },
        }
    }
}

/// The ports of `nodes` nodes on `host`, each checked to be free now.
pub fn choose(host: &Host, base: BasePort, listed: &[u16], nodes: usize) -> Result<Vec<u16>, PortError> {
    if !listed.is_empty() {
        let different: std::collections::BTreeSet<_> = listed.iter().collect();
        if listed.len() != nodes || different.len() != nodes {
            return Err(PortError::Count { nodes, given: listed.len() });
        }
        if listed.contains(&0) {
            return Err(PortError::Zero);
        }
        check(host, listed)?;
        return Ok(listed.to_vec());
    }
    match base {
        BasePort::At(base) => {
            let ports = row(base, nodes).ok_or(PortError::Range { base, nodes })?;
            check(host, &ports)?;
            Ok(ports)
        }
        BasePort::Auto => search(host, nodes),
    }
}

fn row(base: u16, nodes: usize) -> Option<Vec<u16>> {
    let last = base.checked_add(u16::try_from(nodes).ok()? - 1)?;
    Some((base..=last).collect())
}

fn search(host: &Host, nodes: usize) -> Result<Vec<u16>, PortError> {
    let rows = std::iter::repeat_with(|| row(fastrand::u16(SEARCHED), nodes)).take(TRIES).flatten();
    let mut free = rows.filter(|ports| check(host, ports).is_ok());
    free.next().ok_or_else(|| PortError::NoneFree { host: host.clone(), nodes })
}

/// Checks that all ports are free by listening on all of them for a moment.
fn check(host: &Host, ports: &[u16]) -> Result<(), PortError> {
    let taken = |port, error: std::io::Error| PortError::Taken { host: host.clone(), port, why: error.to_string() };
    let bind = |port: &u16| TcpListener::bind(host.at(*port).to_string()).map_err(|error| taken(*port, error));
    let held: Result<Vec<_>, _> = ports.iter().map(bind).collect();
    held.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> Host {
        "127.0.0.1".parse().unwrap()
    }

    #[test]
    fn a_taken_port_is_named_with_what_to_do() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        let error = choose(&loopback(), BasePort::Auto, &[port], 1).unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} on 127.0.0.1")) && error.contains("--base-port auto"), "{error}");
    }

    #[test]
    fn auto_finds_ports_in_a_row() {
        let ports = choose(&loopback(), BasePort::Auto, &[], 8).unwrap();
        assert!(ports.windows(2).all(|pair| pair[1] == pair[0] + 1));
        assert_eq!(ports.len(), 8);
    }

    #[test]
    fn ports_are_found_on_ipv6_too() {
        let host: Host = "::1".parse().unwrap();
        assert_eq!(choose(&host, BasePort::Auto, &[], 2).unwrap().len(), 2);
    }

    #[test]
    fn ports_that_cannot_be_are_refused() {
        assert_eq!(choose(&loopback(), BasePort::At(65_535), &[], 2), Err(PortError::Range { base: 65_535, nodes: 2 }));
        assert_eq!(choose(&loopback(), BasePort::Auto, &[9, 9], 2), Err(PortError::Count { nodes: 2, given: 2 }));
        assert_eq!(choose(&loopback(), BasePort::At(65_530), &[], 8), Err(PortError::Range { base: 65_530, nodes: 8 }));
        assert_eq!(choose(&loopback(), BasePort::Auto, &[0, 9], 2), Err(PortError::Zero));
        assert!("0".parse::<BasePort>().is_err());
        assert!("x".parse::<BasePort>().is_err());
    }
}
