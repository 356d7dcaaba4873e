//! Invalid input of every kind is answered with a reason, and no other client is affected.

use std::sync::Arc;

use cubecast_core::cube::Vertex;
use cubecast_core::wire::answer::{Answer, ErrorCode, ServerFrame};
use cubecast_core::wire::binary;
use cubecast_tests::bystander::Bystander;
use cubecast_tests::client::code_of;
use cubecast_tests::cluster::ProcessCluster;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MEBIBYTE: usize = 1 << 20;

/// The node to attack. Each test uses a different one, so that its bystander is affected by one test only.
fn troubled(name: &str) -> Vertex {
    name.parse().expect("a vertex")
}

#[tokio::test]
async fn frames_that_are_no_request_are_answered_with_what_is_wrong() {
    let cluster = ProcessCluster::shared().await;
    let at = troubled("000");
    let bystander = Bystander::begin(&cluster, at, "bad-frames").await;
    let mut client = cluster.client(at).await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_object =
        format!("{{\"id\":1,\"action\":\"topics\",\"x\":{}1{}}}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    let frames: &[(&str, &str, &str)] = &[
        ("", "bad_request", "not a JSON object"),
        ("hello", "bad_request", "not a JSON object"),
        ("{", "bad_request", "not a JSON object"),
        ("[]", "bad_request", "not a JSON object"),
        ("null", "bad_request", "not a JSON object"),
        ("{} {}", "bad_request", ""),
        ("{}", "bad_request", "`action` is missing"),
        (r#"{"action": 7}"#, "bad_request", "`action` must be a string, not 7"),
        (r#"{"action": "dance"}"#, "unknown_action", "unknown action `dance`; the actions are"),
        (r#"{"action": "topics", "id": {}}"#, "bad_request", "`id` must be a number or a string, not an object"),
        (r#"{"action": "topics", "id": [1]}"#, "bad_request", "`id` must be"),
        (r#"{"action": "topics", "id": true}"#, "bad_request", "`id` must be"),
        (&deep, "bad_request", ""),
    ];
    for (text, code, message) in frames {
        client.send_text(*text).await.expect("the connection stands");
        let answer = client.any_answer().await;
        assert_refusal(&text.chars().take(60).collect::<String>(), &answer, code, message);
    }
    // Deep values of unknown fields are skipped without recursion.
    client.send_text(deep_object).await.expect("the connection stands");
    assert_eq!(client.any_answer().await["ok"], true);
    bystander.assert_undisturbed().await;
}

#[tokio::test]
async fn fields_that_are_missing_or_wrong_are_named() {
    let cluster = ProcessCluster::shared().await;
    let at = troubled("001");
    let bystander = Bystander::begin(&cluster, at, "bad-fields").await;
    let mut client = cluster.client(at).await;
    let (long, spaced, control) = ("x".repeat(300), "a b", "a\u{7}b");
    let requests = [
        (json!({"action": "create_publisher"}), "`publisher_id` is missing; create_publisher requires it"),
        (json!({"action": "create_publisher", "publisher_id": 7}), "`publisher_id` must be a string, not 7"),
        (json!({"action": "create_publisher", "publisher_id": ""}), "must not be empty"),
        (json!({"action": "create_publisher", "publisher_id": long}), "at most 255 bytes; this one has 300"),
        (
            json!({"action": "create_subscriber", "subscriber_id": spaced}),
            "whitespace or control characters; this one has ' '",
        ),
        (json!({"action": "create_subscriber", "subscriber_id": control}), "whitespace or control characters"),
        (json!({"action": "create_topic", "publisher_id": "p", "topic": ""}), "a topic must not be empty"),
        (json!({"action": "create_topic", "publisher_id": "p", "topic": long}), "at most 255 bytes"),
        (json!({"action": "create_topic", "publisher_id": "p"}), "`topic` is missing"),
        (json!({"action": "publish", "publisher_id": "p", "topic": "t"}), "`content` is missing"),
        (
            json!({"action": "publish", "publisher_id": "p", "topic": "t", "content": {"a": 1}}),
            "`content` must be a string, not an object",
        ),
        (
            json!({"action": "publish", "publisher_id": "p", "topic": "t", "content": "x", "ack": "most"}),
            "`ack` must be \"one\", \"quorum\" or \"all\"",
        ),
        (
            json!({"action": "publish", "publisher_id": "p", "topic": "t", "content": "x", "sequence": -1}),
            "`sequence` must be a whole number from 0",
        ),
        (json!({"action": "pull", "subscriber_id": "s", "topic": "t", "max": 0}), "`max` must be 1 to 10000, not 0"),
        (
            json!({"action": "pull", "subscriber_id": "s", "topic": "t", "max": "ten"}),
            "`max` must be a whole number from 0, not \"ten\"",
        ),
        (json!({"action": "subscribe", "subscriber_id": "s", "topic": "t", "from": "yesterday"}), "`from` must be"),
        (json!({"action": "status", "node": "1111"}), "3-bit strings"),
        (json!({"action": "set_link", "from": "000", "to": "111"}), "there is no edge from 000 to 111"),
        (json!({"action": "set_link", "from": "000", "to": "001", "loss": 2}), "`loss` must be 0 to 1, not 2"),
        (json!({"action": "stop_node", "node": "000", "duration_ms": 1e12 as u64}), "`duration_ms` must be at most"),
        (json!({"action": "watch", "kinds": ["gossip"]}), "`kinds` must be"),
    ];
    for (request, message) in requests {
        let answer = client.ask(request.clone()).await;
        assert_refusal(&request.to_string(), &answer, "bad_request", message);
    }
    let requests = [
        (json!({"action": "publish", "publisher_id": "bad-nobody", "topic": "t", "content": "x"}), "unknown_publisher"),
        (json!({"action": "subscribe", "subscriber_id": "bad-nobody", "topic": "t"}), "unknown_subscriber"),
        (json!({"action": "delete_topic", "publisher_id": "bad-nobody", "topic": "bad-fields-t"}), "unknown_publisher"),
    ];
    for (request, code) in requests {
        assert_eq!(client.refused(request).await, code);
    }
    bystander.assert_undisturbed().await;
}

#[tokio::test]
async fn a_request_id_of_any_number_or_string_comes_back_unchanged() {
    let cluster = ProcessCluster::shared().await;
    let mut client = cluster.client(troubled("001")).await;
    for id in ["-7", "1.5", "18446744073709551615", "\"seven\"", "\"\"", "1e-7", "null"] {
        client.send_text(format!(r#"{{"action": "status", "id": {id}}}"#)).await.expect("the connection stands");
        let answer = client.any_answer().await;
        let expected: Value = serde_json::from_str(id).expect("an id is JSON");
        assert_eq!(answer["id"], expected, "{answer}");
        assert_eq!(answer["ok"], true, "{answer}");
    }
}

#[tokio::test]
async fn a_mebibyte_is_taken_and_one_byte_more_is_too_large() {
    let cluster = ProcessCluster::shared().await;
    let at = troubled("010");
    let bystander = Bystander::begin(&cluster, at, "bad-size").await;
    let mut client = cluster.client(at).await;
    client.set_up("bad-size-p2", "bad-size-s2", "bad-size-t2").await;
    let publish = |content: String| {
        json!({
            "action": "publish", "publisher_id": "bad-size-p2", "topic": "bad-size-t2", "content": content,
        })
    };
    let answer = client.ask(publish("x".repeat(MEBIBYTE + 1))).await;
    assert_refusal(
        "a mebibyte and a byte",
        &answer,
        "too_large",
        "`content` has 1048577 bytes; this node accepts at most 1048576",
    );
    // Two bytes of UTF-8 each: the limit counts bytes, not characters.
    let answer = client.ask(publish("ö".repeat(MEBIBYTE / 2 + 1))).await;
    assert_refusal("half as many characters", &answer, "too_large", "1048578 bytes");
    // JSON escapes each character of the last one as six bytes.
    for content in ["x".repeat(MEBIBYTE), "ö".repeat(MEBIBYTE / 2), "\u{1}".repeat(MEBIBYTE)] {
        client.must(publish(content.clone())).await;
        let pull = json!({"action": "pull", "subscriber_id": "bad-size-s2", "topic": "bad-size-t2"});
        assert!(client.contents(pull).await == [content], "it comes back as it went in");
    }
    // More than the limit of any request: answered, then closed, because the start of the next frame is unknown.
    let mut excessive = cluster.client(at).await;
    let sent = excessive.send_text("x".repeat(20 * MEBIBYTE)).await;
    if sent.is_ok() {
        let answer = excessive.any_answer().await;
        assert_refusal("twenty mebibytes", &answer, "too_large", "a message may have at most");
    }
    bystander.assert_undisturbed().await;
}

#[tokio::test]
async fn binary_rubbish_is_answered_in_binary() {
    let cluster = ProcessCluster::shared().await;
    let at = troubled("011");
    let bystander = Bystander::begin(&cluster, at, "bad-binary").await;
    let mut client = cluster.client(at).await;
    let mut rubbish: Vec<Vec<u8>> =
        vec![vec![], vec![0], vec![255; 1000], vec![1], vec![1, 1], vec![1, 255, 255, 255, 255, 15], b"{}".to_vec()];
    rubbish
        .extend((0..64u8).map(|seed| (0..200u8).map(|byte| byte.wrapping_mul(seed).wrapping_add(seed >> 3)).collect()));
    rubbish.extend(
        (0..64u8).map(|seed| [1, 3].into_iter().chain((0..60u8).map(|byte| byte.wrapping_mul(seed))).collect()),
    );
    for bytes in rubbish {
        client.send_binary(bytes.clone()).await.expect("the connection stands");
        let answer = client.binary().await.unwrap_or_else(|gone| panic!("{bytes:?}: {gone}"));
        let frames = binary::decode_server_frames(&answer).expect("an answer in binary");
        let refused = |frame: &ServerFrame| matches!(frame, ServerFrame::Answer(Answer { result: Err(_), .. }));
        assert!(frames.iter().any(refused), "{bytes:?} is answered with {frames:?}");
    }
    client.send_binary(vec![9, 9, 9]).await.expect("the connection stands");
    let frames = binary::decode_server_frames(&client.binary().await.expect("an answer")).expect("an answer in binary");
    let [ServerFrame::Answer(Answer { result: Err(failure), .. })] = frames.as_slice() else { panic!("{frames:?}") };
    assert_eq!(failure.code, ErrorCode::BadRequest);
    assert!(failure.message.contains("format 9"), "{failure}");
    bystander.assert_undisturbed().await;
}

#[tokio::test]
async fn broken_connections_and_rubbish_on_the_port_harm_nobody() {
    let cluster = ProcessCluster::shared().await;
    let at = troubled("100");
    let bystander = Bystander::begin(&cluster, at, "bad-tcp").await;
    for _ in 0..20 {
        // Half a frame: a header that announces 120 bytes, and 5 of them.
        let mut stream = upgraded(&cluster, at).await;
        stream
            .write_all(&[0x81, 0x80 | 120, 1, 2, 3, 4, b'h', b'e', b'l', b'l', b'o'])
            .await
            .expect("the socket takes it");
        drop(stream);
        // Half a handshake.
        let mut stream = connected(&cluster, at).await;
        stream.write_all(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgr").await.expect("the socket takes it");
        drop(stream);
        // Not HTTP. The node may close the connection before everything is sent.
        let mut stream = connected(&cluster, at).await;
        let _ = stream.write_all(&[0xff; 4096]).await;
        drop(stream);
    }
    // An unmasked frame violates the WebSocket protocol: the connection is closed with the reason.
    let mut stream = upgraded(&cluster, at).await;
    stream.write_all(&[0x81, 2, b'{', b'}']).await.expect("the socket takes it");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(rest.first(), Some(&0x88), "a close frame: {rest:?}");
    bystander.assert_undisturbed().await;
}

#[tokio::test]
async fn ten_thousand_unknown_topics_in_a_pipeline_are_all_answered() {
    let cluster = ProcessCluster::shared().await;
    let at = troubled("101");
    let bystander = Bystander::begin(&cluster, at, "bad-many").await;
    let mut client = cluster.client(at).await;
    client.must(json!({"action": "create_publisher", "publisher_id": "bad-many-p2"})).await;
    let requests = (0..10_000).map(|number| {
        json!({"action": "publish", "publisher_id": "bad-many-p2", "topic": format!("unknown{number}"), "content": "x"})
    });
    let answers = client.pipeline(requests).await.expect("all are answered");
    assert_eq!(answers.len(), 10_000);
    for answer in &answers {
        assert_eq!(code_of(answer).as_deref(), Some("unknown_topic"), "{answer}");
    }
    bystander.assert_undisturbed().await;
}

#[tokio::test]
async fn a_client_that_never_reads_disturbs_nobody() {
    let cluster = Arc::new(ProcessCluster::start().await);
    let at = troubled("110");
    let topic = "deaf-topic";
    let home = cluster.home(topic);
    // One bystander at the same node, and one whose topic has the same leader.
    let same_node = Bystander::begin(&cluster, at, "deaf").await;
    let namesake = (0..).map(|number| format!("deaf{number}")).find(|name| cluster.home(&format!("{name}-t")) == home);
    let same_leader = Bystander::begin(&cluster, home, &namesake.expect("some name hashes there")).await;
    let mut client = cluster.client(at).await;
    client.set_up("deaf-publisher", "deaf-subscriber", topic).await;
    for _ in 0..4 {
        client.publish("deaf-publisher", topic, &"x".repeat(MEBIBYTE)).await;
    }
    // 4 MiB each: a gigabyte of answers if the node queued them all.
    let request =
        json!({"action": "pull", "subscriber_id": "deaf-subscriber", "topic": topic, "commit": false, "max": 4});
    for _ in 0..250 {
        if client.send(request.clone()).await.is_err() {
            break;
        }
    }
    same_node.assert_undisturbed().await;
    same_leader.assert_undisturbed().await;
    cluster.wait_until_settled().await;
}

#[tokio::test]
async fn a_page_from_elsewhere_is_refused() {
    let cluster = ProcessCluster::shared().await;
    let at = troubled("000");
    for (origin, status) in [
        ("https://evil.example", "403"),
        ("null", "403"),
        ("http://127.0.0.1.evil.example", "403"),
        ("http://localhost:8080", "101"),
    ] {
        let mut stream = connected(&cluster, at).await;
        let request = handshake(&cluster.address(at), &format!("Origin: {origin}\r\n"));
        stream.write_all(request.as_bytes()).await.expect("the socket takes it");
        let head = read_head(&mut stream).await;
        assert_eq!(head.split(' ').nth(1), Some(status), "{origin}: {head}");
    }
}

#[track_caller]
fn assert_refusal(what: &str, answer: &Value, code: &str, message: &str) {
    assert_eq!((&answer["ok"], &answer["error"]["code"]), (&json!(false), &json!(code)), "{what}: {answer}");
    let said = answer["error"]["message"].as_str().expect("an error has a message");
    assert!(said.contains(message) && !said.is_empty(), "{what}: `{message}` is not in: {said}");
    assert!(answer["served_by"].is_string(), "{what}: {answer}");
}

async fn connected(cluster: &Arc<ProcessCluster>, at: Vertex) -> TcpStream {
    TcpStream::connect(cluster.address(at)).await.expect("the node listens")
}

/// A socket after a manual WebSocket handshake.
async fn upgraded(cluster: &Arc<ProcessCluster>, at: Vertex) -> TcpStream {
    let mut stream = connected(cluster, at).await;
    stream.write_all(handshake(&cluster.address(at), "").as_bytes()).await.expect("the socket takes it");
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream
}

fn handshake(host: &str, more: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an HTTP head"));
    }
    String::from_utf8(head).expect("an HTTP head is text")
}
