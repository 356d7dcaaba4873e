//! The answers to browsers, monitors and foreign pages.

use cubecast_node::dashboard::{Dashboard, EmbeddedFile};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{Options, TestNode, in_time, open, start};

/// Sends a request with its path unchanged.
async fn fetch(node: &TestNode, method: Method, path: &str) -> (StatusCode, hyper::HeaderMap, String) {
    let stream = TcpStream::connect(&node.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request =
        Request::builder().method(method).uri(path).header("host", &node.address).body(Empty::<Bytes>::new()).unwrap();
    let response = in_time("the response", sender.send_request(request)).await.unwrap();
    let (head, body) = response.into_parts();
    let body = in_time("the body", body.collect()).await.unwrap().to_bytes();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(node: &TestNode, path: &str) -> (StatusCode, String) {
    let (status, _, body) = fetch(node, Method::GET, path).await;
    (status, body)
}

#[tokio::test]
async fn health_is_200_while_the_node_serves_and_503_while_it_fails() {
    let node = start(Options::of("01")).await;
    let (status, body) = get(&node, "/healthz").await;
    assert_eq!(status, StatusCode::OK);
    let health: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&health["node"], &health["state"]), (&"01".into(), &"up".into()));

    node.client().await.ask(r#"{"action": "stop_node", "flag": true}"#).await;
    let (status, body) = get(&node, "/healthz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains(r#""state":"failed""#), "{body}");
}

#[tokio::test]
async fn readiness_is_503_with_reasons_while_a_group_takes_no_publishes_and_health_is_200() {
    let ready = start(Options::of("01")).await;
    let (status, body) = get(&ready, "/readyz").await;
    assert_eq!(status, StatusCode::OK);
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&report["ready"], &report["reasons"]), (&true.into(), &serde_json::json!([])), "{body}");

    let unready = start(Options { usable: vec![true, false], ..Options::of("01") }).await;
    let (status, body) = get(&unready, "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&report["ready"], &report["state"]), (&false.into(), &"up".into()));
    let reason = &report["reasons"][0];
    assert_eq!((&reason["reason"], &reason["group"]), (&"no_quorum".into(), &"01".into()), "{body}");
    let message = reason["message"].as_str().unwrap();
    assert!(message.contains("1 of its 3 voters are reachable; 2 are needed"), "{message}");
    assert_eq!(get(&unready, "/healthz").await.0, StatusCode::OK);

    let joining = start(Options { usable: Vec::new(), ..Options::of("01") }).await;
    let (status, body) = get(&joining, "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains(r#""reason":"joining""#), "{body}");
    assert_eq!(fetch(&joining, Method::POST, "/readyz").await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let node = start(Options::of("01")).await;
    let _client = node.client().await;
    let (status, headers, body) = fetch(&node, Method::GET, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(body.contains("\ncubecast_client_connections 1\n"), "{body}");
    assert!(body.contains("cubecast_node_info{node=\"01\""), "{body}");
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[tokio::test]
async fn the_dashboard_is_served_and_nothing_beside_it() {
    let parent = tempfile::tempdir().unwrap();
    let web = parent.path().join("web");
    std::fs::create_dir(&web).unwrap();
    std::fs::write(parent.path().join("secret"), "secret").unwrap();
    std::fs::write(web.join("index.html"), "<p>cube</p>").unwrap();
    std::fs::write(web.join("app-0123456789abcdef.js"), "1").unwrap();
    let node = start(Options { dashboard: Dashboard::Folder(web), ..Options::of("01") }).await;

    let (status, headers, body) = fetch(&node, Method::GET, "/").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "<p>cube</p>"));
    assert_eq!(
        (&headers["cache-control"], &headers["content-type"]),
        (&"no-cache".parse().unwrap(), &"text/html; charset=utf-8".parse().unwrap())
    );
    assert_eq!(get(&node, "/nodes/010").await, (StatusCode::OK, "<p>cube</p>".into()));
    assert_eq!(get(&node, "/missing.js").await.0, StatusCode::NOT_FOUND);
    let (_, headers, _) = fetch(&node, Method::GET, "/app-0123456789abcdef.js").await;
    assert!(headers["cache-control"].to_str().unwrap().contains("immutable"));
    for path in ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "//../secret"] {
        let (status, body) = get(&node, path).await;
        assert!(status.is_client_error() && !body.contains("secret"), "{path}: {status} {body}");
    }
    let (status, headers, body) = fetch(&node, Method::HEAD, "/").await;
    assert_eq!((status, &headers["content-length"], body.as_str()), (StatusCode::OK, &"11".parse().unwrap(), ""));
    assert_eq!(fetch(&node, Method::POST, "/").await.0, StatusCode::METHOD_NOT_ALLOWED);
}

const EMBEDDED: &[EmbeddedFile] = &[
    EmbeddedFile { name: "app-0123456789abcdef.js", is_gzip: false, tag: "\"1\"", content: b"1" },
    EmbeddedFile { name: "index.html", is_gzip: false, tag: "\"2\"", content: b"<script>1</script>" },
];

#[tokio::test]
async fn the_embedded_dashboard_is_served_like_a_folder() {
    let node = start(Options { dashboard: Dashboard::Embedded(EMBEDDED), ..Options::of("01") }).await;
    for path in ["/", "/index.html", "/nodes/010"] {
        let (status, headers, body) = fetch(&node, Method::GET, path).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "<script>1</script>"), "{path}");
        assert_eq!(headers["cache-control"], "no-cache");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("'sha256-") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
    let (_, headers, body) = fetch(&node, Method::GET, "/app-0123456789abcdef.js").await;
    assert_eq!((&headers["content-type"], body.as_str()), (&"text/javascript; charset=utf-8".parse().unwrap(), "1"));
    assert!(headers["cache-control"].to_str().unwrap().contains("immutable"));
    let seen = format!("GET / HTTP/1.1\r\nHost: {}\r\nIf-None-Match: \"plain-2\"\r\n\r\n", node.address);
    assert!(head_of_answer(&node, &seen).await.starts_with("http/1.1 304 "));
    for (path, status) in [("/missing.js", StatusCode::NOT_FOUND), ("/../index.html", StatusCode::BAD_REQUEST)] {
        assert_eq!(get(&node, path).await.0, status, "{path}");
    }
    assert_eq!(fetch(&node, Method::POST, "/").await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn without_a_dashboard_the_page_says_how_to_get_it() {
    let empty = tempfile::tempdir().unwrap();
    for dashboard in [Dashboard::Off, Dashboard::Embedded(&[]), Dashboard::Folder(empty.path().to_owned())] {
        let node = start(Options { dashboard, ..Options::of("01") }).await;
        let (status, body) = get(&node, "/").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(body.contains("make dashboard"), "{body}");
    }
}

/// A browser hides the answer to a refused handshake from the page, and sends the page's origin to the page's own
/// server only with a POST.
#[tokio::test]
async fn a_refused_page_learns_why_and_the_cure_by_posting_to_the_same_path() {
    let node = start(Options::of("01")).await;
    let post = |origin: &'static str| {
        let address = node.address.clone();
        async move {
            let stream = TcpStream::connect(&address).await.unwrap();
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            let request = Request::builder().method(Method::POST).uri("/ws").header("host", &address);
            let request = request.header("origin", origin).body(Empty::<Bytes>::new()).unwrap();
            let response = in_time("the response", sender.send_request(request)).await.unwrap();
            let (head, body) = response.into_parts();
            let body = in_time("the body", body.collect()).await.unwrap().to_bytes();
            let kind = head.headers["content-type"].to_str().unwrap().to_owned();
            (head.status, kind, String::from_utf8(body.to_vec()).unwrap())
        }
    };
    let (status, kind, text) = post("https://evil.example").await;
    assert_eq!((status, kind.as_str()), (StatusCode::FORBIDDEN, "text/plain; charset=utf-8"));
    assert!(text.contains("start the node with --allow-origin https://evil.example"), "{text}");
    let (status, ..) = post("http://localhost:8080").await;
    assert!([StatusCode::METHOD_NOT_ALLOWED, StatusCode::UPGRADE_REQUIRED].contains(&status), "{status}");
}

#[tokio::test]
async fn a_page_from_elsewhere_is_refused_at_the_handshake() {
    let node = start(Options { allow_origin: vec!["https://board.example".into()], ..Options::of("01") }).await;
    let refused = open(&node.address, &[("origin", "https://evil.example")]).await.unwrap_err();
    assert!(refused.contains("403"), "{refused}");
    let rebound =
        open(&node.address, &[("origin", "http://evil.example"), ("host", "evil.example")]).await.unwrap_err();
    assert!(rebound.contains("403"), "{rebound}");
    for origin in ["http://localhost:8080", "https://board.example"] {
        open(&node.address, &[("origin", origin)]).await.unwrap_or_else(|error| panic!("{origin}: {error}"));
    }
}

#[tokio::test]
async fn the_websocket_path_tells_a_browser_what_it_is() {
    let node = start(Options::of("01")).await;
    let (status, body) = get(&node, "/ws").await;
    assert_eq!(status, StatusCode::UPGRADE_REQUIRED);
    assert!(body.contains("WebSocket client"), "{body}");
}

const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Sends a request unchanged and reads the head of the answer.
async fn head_of_answer(node: &TestNode, request: &str) -> String {
    let mut stream = TcpStream::connect(&node.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    in_time("the answer", async {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
    })
    .await;
    String::from_utf8(head).unwrap().to_lowercase()
}

#[tokio::test]
async fn a_handshake_that_is_wrong_is_answered_with_what_is_wrong() {
    let node = start(Options::of("01")).await;
    assert!(head_of_answer(&node, HANDSHAKE).await.starts_with("http/1.1 101 "));
    let accept = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n";
    assert!(head_of_answer(&node, HANDSHAKE).await.contains(accept));
    let upgrade = "sec-websocket-version: 13\r\n";
    for (from, to, status, header) in [
        ("Sec-WebSocket-Version: 13\r\n", "", 426, upgrade),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 12", 426, upgrade),
        ("Upgrade: websocket\r\n", "", 426, upgrade),
        ("Upgrade: websocket", "Upgrade: h2c", 426, upgrade),
        ("Connection: Upgrade", "Connection: keep-alive", 400, ""),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400, ""),
        ("dGhlIHNhbXBsZSBub25jZQ==", "AAAA", 400, ""),
        ("Host: 127.0.0.1\r\n", "", 400, ""),
        ("Host: 127.0.0.1\r\n", "Host: a\r\nHost: b\r\n", 400, ""),
        ("HTTP/1.1", "HTTP/1.0", 400, ""),
        ("GET", "POST", 405, "allow: get\r\n"),
        ("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\nbody", 400, ""),
        ("GET /ws", "GET /ws/", 404, ""),
        ("GET /ws", "GET /socket", 404, ""),
    ] {
        assert!(HANDSHAKE.contains(from), "{from}");
        let head = head_of_answer(&node, &HANDSHAKE.replacen(from, to, 1)).await;
        let version = if to == "HTTP/1.0" { "http/1.0" } else { "http/1.1" };
        assert!(head.starts_with(&format!("{version} {status} ")), "{from} -> {to}: {head}");
        assert!(head.contains(header), "{from} -> {to}: {head}");
    }
}
