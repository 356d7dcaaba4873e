//! The headers of a node's HTTP answers, and the host names that a node accepts.

use std::path::Path;

use cubecast_tests::artifacts;
use cubecast_tests::browser::Browser;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::static_site::StaticSite;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SCRIPT: &str = "console.log('the page is own')";
/// echo -n "console.log('the page is own')" | openssl dgst -sha256 -binary | base64
const SCRIPT_HASH: &str = "'sha256-rrqRrUeZCS5IlBXnbCooARq61OXg79b6Nt8sz+XYn5M='";

/// The head of an answer in lower case, and its body.
async fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.expect("the node listens");
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the answer is read");
    let answer = String::from_utf8(answer).expect("an answer in UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    (head.to_lowercase(), body.to_owned())
}

fn get(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

/// One node with a dashboard of two files.
async fn with_web(folder: &Path) -> (ProcessCluster, String) {
    std::fs::write(folder.join("index.html"), format!("<!doctype html><script>{SCRIPT}</script>")).expect("written");
    std::fs::write(folder.join("app.js"), "1").expect("written");
    let plan = Plan { dimension: 1, web: Some(folder.to_owned()), ..Plan::default() };
    let cluster = ProcessCluster::start_as(plan).await;
    let address = cluster.address("0".parse().expect("a vertex"));
    (cluster, address)
}

#[tokio::test]
async fn every_answer_says_that_it_is_not_to_be_framed_nor_guessed_at_nor_told_of() {
    let web = tempfile::tempdir().expect("a temporary folder");
    let (_cluster, address) = with_web(web.path()).await;
    let big = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nOrigin: https://evil.example\r\n\r\n");
    let post = format!("POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let twice = "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n".to_owned();
    let paths = ["/", "/app.js", "/nodes/1", "/missing.js", "/%00", "/ws", "/ws/", "/healthz", "/readyz", "/metrics"];
    let requests = paths.map(|path| get(path, &address)).into_iter();
    for request in requests.chain([get("/", "evil.example"), big, post, twice]) {
        let (head, _) = ask(&address, &request).await;
        for header in ["x-content-type-options: nosniff", "referrer-policy: no-referrer", "x-frame-options: deny"] {
            assert!(head.contains(&format!("\r\n{header}")), "{header} to {request}: {head}");
        }
        let policy = policy_in(&head);
        assert!(
            policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"),
            "{request}: {head}"
        );
        assert!(!policy.contains("script-src 'unsafe-inline'") && !policy.contains("*"), "{request}: {head}");
    }
}

#[tokio::test]
async fn a_page_may_run_the_scripts_of_its_own_file_and_no_others() {
    let web = tempfile::tempdir().expect("a temporary folder");
    let (_cluster, address) = with_web(web.path()).await;
    let script_sources = |head: &str| {
        let policy = policy_in(head);
        let part = policy.split(';').find(|part| part.trim().starts_with("script-src ")).unwrap_or_default();
        part.trim().to_owned()
    };
    let (head, _) = ask(&address, &get("/", &address)).await;
    // Header names and values are compared in lower case.
    let expected = format!("script-src 'self' 'wasm-unsafe-eval' {SCRIPT_HASH}").to_lowercase();
    assert_eq!(script_sources(&head), expected);
    let (head, _) = ask(&address, &get("/app.js", &address)).await;
    assert_eq!(script_sources(&head), "", "a file that is no page runs nothing");
}

#[tokio::test]
async fn a_foreign_name_that_resolves_to_a_node_gets_no_file_no_metrics_and_no_probe() {
    let cluster = ProcessCluster::shared().await;
    let address = cluster.address("000".parse().expect("a vertex"));
    for path in ["/", "/index.html", "/metrics", "/healthz", "/readyz"] {
        let (head, body) = ask(&address, &get(path, "evil.example:8000")).await;
        assert!(head.starts_with("http/1.1 403 "), "{path}: {head}");
        assert!(body.contains("--allow-host evil.example") && !body.contains("cubecast_"), "{path}: {body}");
    }
    let port = address.rsplit(':').next().expect("a port");
    for host in [&address, &format!("localhost:{port}"), "10.1.2.3", "[2001:db8::1]:80", "LOCALHOST"] {
        let (head, body) = ask(&address, &get("/metrics", host)).await;
        assert!(head.starts_with("http/1.1 200 ") && body.contains("cubecast_up 1"), "{host}: {head}");
    }
    // A health checker that uses HTTP/1.0 sends no host, and is not a browser.
    let (head, _) = ask(&address, "GET /healthz HTTP/1.0\r\n\r\n").await;
    assert!(head.starts_with("http/1.0 200 "), "{head}");
}

#[tokio::test]
async fn a_name_that_the_node_was_told_is_answered() {
    let cluster = ProcessCluster::prepare(&Plan { dimension: 1, ..Plan::default() });
    for vertex in cluster.vertices() {
        let file = cluster.config_file(vertex);
        let config = std::fs::read_to_string(&file).expect("the configuration is read");
        std::fs::write(&file, format!("allow_host = [\"Cube.example\"]\n{config}")).expect("it is written");
        cluster.start_node(vertex);
    }
    cluster.wait_until_settled().await;
    let address = cluster.address("0".parse().expect("a vertex"));
    let (head, _) = ask(&address, &get("/healthz", "cube.example:80")).await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let (head, _) = ask(&address, &get("/healthz", "cube.example.evil:80")).await;
    assert!(head.starts_with("http/1.1 403 "), "{head}");
}

#[tokio::test]
async fn the_dashboard_works_under_its_policy_and_not_in_a_foreign_pages_frame() {
    let plan = Plan { dimension: 1, web: Some(artifacts::dashboard()), ..Plan::default() };
    let cluster = ProcessCluster::start_as(plan).await;
    let address = cluster.address("0".parse().expect("a vertex"));
    let foreign = tempfile::tempdir().expect("a temporary folder");
    let frame = format!("<!doctype html><iframe src=\"http://{address}/\"></iframe>");
    std::fs::write(foreign.path().join("index.html"), frame).expect("the foreign page is written");
    let site = StaticSite::serve(foreign.path().to_owned()).await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{address}/")).await;
    browser.wait_for_text("cluster-summary", "2 of 2 nodes up").await;
    // A page is open when its frames are loaded.
    browser.open(&site.url("/")).await;
    let framed = browser.address_of_frame().await;
    assert!(!framed.contains(&address), "the browser shows {framed} in a foreign page");
    browser.close().await;
}

fn policy_in(head: &str) -> String {
    let line = head.lines().find_map(|line| line.strip_prefix("content-security-policy: "));
    line.unwrap_or_else(|| panic!("no policy in {head}")).to_owned()
}
