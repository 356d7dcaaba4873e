//! Derives the addresses of the cluster's nodes from the page's own address.

use cubecast_core::address::{Host, parse_authority};

/// The port of `trunk serve`. It is not a node, so the page tries the default addresses of nodes instead.
const DEVELOPMENT_PORT: &str = "8080";
/// Default port of a cluster's first node. The other nodes use the ports that follow.
const FIRST_NODE_PORT: u16 = 8000;
const NODES_TO_TRY: u16 = 8;

/// The parts of the page's address.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PageAddress {
    /// With its colon: `http:`.
    pub protocol: String,
    /// Host name or address, as in `location.hostname`: an IPv6 address keeps its brackets.
    pub hostname: String,
    /// Decimal; empty for the scheme's default port.
    pub port: String,
    /// Begins with a slash, and includes the prefix if a proxy serves the page under one: `/cube/`.
    pub path: String,
    /// The value of `?cluster=`.
    pub cluster: Option<String>,
}

/// Addresses of nodes to try first: the addresses in `?cluster=`; otherwise the node that served the page, at the path
/// beside the page's own files; otherwise the default addresses on this machine.
pub fn seeds(page: &PageAddress) -> Vec<String> {
    if let Some(cluster) = page.cluster.as_ref().filter(|cluster| !cluster.trim().is_empty()) {
        return cluster.split(',').map(|seed| seed.trim().to_owned()).collect();
    }
    if page.hostname.is_empty() || page.port == DEVELOPMENT_PORT {
        let ports = FIRST_NODE_PORT..FIRST_NODE_PORT + NODES_TO_TRY;
        return ports.map(|port| format!("ws://127.0.0.1:{port}/ws")).collect();
    }
    let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    vec![format!("{}://{}{folder}/ws", scheme(page), host(page))]
}

/// The HTTP address that corresponds to a WebSocket URL. `None` if another server than the page's own is meant: the
/// browser would hide its answer from the page.
pub fn http_of(url: &str, page: &PageAddress) -> Option<String> {
    let path = url.strip_prefix(&format!("{}://{}", scheme(page), host(page)))?;
    path.starts_with('/').then(|| format!("{}//{}{path}", page.protocol, host(page)))
}

/// The page's host, with the port if its address names one.
fn host(page: &PageAddress) -> String {
    if page.port.is_empty() { page.hostname.clone() } else { format!("{}:{}", page.hostname, page.port) }
}

/// The URL at which this page reaches a node. If a node announces `0.0.0.0`, or a loopback address although the page
/// came from another machine, the host that served the page replaces it.
pub fn reachable(url: &str, page: &PageAddress) -> String {
    let Some((scheme_named, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_once('/').map_or((rest, String::new()), |(a, path)| (a, format!("/{path}")));
    let Ok((host, port)) = parse_authority(authority) else {
        return url.to_owned();
    };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let served_elsewhere = page.hostname.parse().is_ok_and(|host: Host| !host.is_loopback());
    let host = match host {
        host if host.is_unspecified() && page.hostname.is_empty() => host.reached_locally().to_string(),
        host if host.is_unspecified() => page.hostname.clone(),
        host if host.is_loopback() && served_elsewhere => page.hostname.clone(),
        host => host.to_string(),
    };
    let scheme = if scheme_named == "ws" { scheme(page) } else { scheme_named };
    format!("{scheme}://{host}{port}{path}")
}

/// Browsers forbid unencrypted sockets on a page that was loaded over HTTPS.
fn scheme(page: &PageAddress) -> &'static str {
    if page.protocol == "https:" { "wss" } else { "ws" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(hostname: &str, port: &str) -> PageAddress {
        PageAddress {
            protocol: "http:".into(),
            hostname: hostname.into(),
            port: port.into(),
            path: "/".into(),
            cluster: None,
        }
    }

    #[test]
    fn a_page_served_by_a_node_asks_that_node() {
        assert_eq!(seeds(&page("127.0.0.1", "8003")), ["ws://127.0.0.1:8003/ws"]);
        assert_eq!(seeds(&page("cube.example", "")), ["ws://cube.example/ws"]);
    }

    #[test]
    fn a_page_below_a_prefix_asks_below_the_prefix() {
        let below = |path: &str| PageAddress { path: path.into(), ..page("cube.example", "") };
        for path in ["/cube/", "/cube/index.html"] {
            assert_eq!(seeds(&below(path)), ["ws://cube.example/cube/ws"]);
        }
        assert_eq!(seeds(&below("/index.html")), ["ws://cube.example/ws"]);
    }

    #[test]
    fn only_the_server_that_the_page_came_from_is_asked_why_it_refuses() {
        let page = PageAddress { protocol: "https:".into(), path: "/cube/".into(), ..page("cube.example", "8443") };
        assert_eq!(
            http_of("wss://cube.example:8443/cube/ws", &page).as_deref(),
            Some("https://cube.example:8443/cube/ws")
        );
        assert_eq!(http_of("wss://cube.example:8444/ws", &page), None);
        assert_eq!(http_of("wss://cube.example:84430/ws", &page), None);
    }

    #[test]
    fn a_page_under_development_looks_for_the_usual_nodes() {
        let found = seeds(&page("127.0.0.1", "8080"));
        assert_eq!(
            (found.len(), found[0].as_str(), found[7].as_str()),
            (8, "ws://127.0.0.1:8000/ws", "ws://127.0.0.1:8007/ws")
        );
    }

    #[test]
    fn a_cluster_named_in_the_address_comes_first() {
        let named = PageAddress { cluster: Some("ws://a:1, b:2".into()), ..page("127.0.0.1", "8080") };
        assert_eq!(seeds(&named), ["ws://a:1", "b:2"]);
        let empty = PageAddress { cluster: Some(String::new()), ..page("127.0.0.1", "8000") };
        assert_eq!(seeds(&empty).len(), 1);
    }

    #[test]
    fn a_node_that_names_no_reachable_host_is_reached_where_the_page_came_from() {
        let remote = page("cube.example", "8000");
        assert_eq!(reachable("ws://0.0.0.0:8001/ws", &remote), "ws://cube.example:8001/ws");
        assert_eq!(reachable("ws://127.0.0.1:8001/ws", &remote), "ws://cube.example:8001/ws");
        assert_eq!(reachable("ws://10.0.0.7:8001/ws", &remote), "ws://10.0.0.7:8001/ws");
        assert_eq!(reachable("ws://127.0.0.1:8001/ws", &page("localhost", "8000")), "ws://127.0.0.1:8001/ws");
        let ipv6 = page("[2001:db8::5]", "8000");
        assert_eq!(seeds(&ipv6), ["ws://[2001:db8::5]:8000/ws"]);
        assert_eq!(reachable("ws://[::1]:8001/ws", &ipv6), "ws://[2001:db8::5]:8001/ws");
        assert_eq!(reachable("ws://[::1]:8001/ws", &page("[::1]", "8000")), "ws://[::1]:8001/ws");
        assert_eq!(reachable("ws://[::]/ws", &page("", "")), "ws://[::1]/ws");
        let encrypted = PageAddress { protocol: "https:".into(), ..remote };
        assert_eq!(reachable("ws://a.example:8001/ws", &encrypted), "wss://a.example:8001/ws");
    }
}
