//! The end of connections: both sides receive the reason, and no data is cut off.

use cubecast_core::io::Input;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::support::{Client, Options, TestNode, in_time, start};

impl Client {
    /// Reads until the close frame, with or without a code.
    async fn close_frame(&mut self) -> Option<(u16, String)> {
        in_time("the close frame", async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(frame))) => {
                        return frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                    }
                    Some(Ok(_)) => {}
                    other => panic!("expected a close frame, got {other:?}"),
                }
            }
        })
        .await
    }

    /// Checks that the node ends the TCP connection without a reset.
    async fn tcp_ends(&mut self) {
        let mut rest = Vec::new();
        in_time("the end of TCP", self.socket.get_mut().read_to_end(&mut rest)).await.expect("no reset");
        assert_eq!(rest, [0_u8; 0], "nothing follows the close frame");
    }
}

fn close_frame(code: u16, reason: &'static str) -> CloseFrame {
    CloseFrame { code: code.into(), reason: reason.into() }
}

/// A client's frame, masked with zeros. `head`: FIN, reserved bits and opcode.
fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![head];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        long => {
            frame.push(0x80 | 126);
            frame.extend((long as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn closing(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason].concat())
}

/// Sends bytes and returns the close frame that answers them.
async fn answer_to(node: &TestNode, bytes: &[u8]) -> Option<(u16, String)> {
    let mut client = node.client().await;
    client.socket.get_mut().write_all(bytes).await.unwrap();
    let closed = client.close_frame().await;
    client.tcp_ends().await;
    closed
}

#[tokio::test]
async fn a_clients_close_is_answered_with_its_code_and_then_tcp_ends() {
    let mut node = start(Options::of("00")).await;
    for code in [1000, 1001, 1003, 1011, 3000, 4999] {
        let mut client = node.client().await;
        client.socket.send(Message::Close(Some(close_frame(code, "bye")))).await.unwrap();
        assert_eq!(client.close_frame().await, Some((code, "bye".into())));
        client.tcp_ends().await;
        node.sees("the client's end", |input| matches!(input, Input::ClientDisconnected { .. })).await;
    }
    let mut client = node.client().await;
    client.socket.send(Message::Close(None)).await.unwrap();
    assert_eq!(client.close_frame().await, None);
    client.tcp_ends().await;
}

#[tokio::test]
async fn each_breach_of_the_protocol_has_its_code() {
    let node = start(Options::of("00")).await;
    let unmasked = [0x81, 2, b'h', b'i'];
    let protocol: &[(&str, Vec<u8>)] = &[
        ("reserved bits", frame(0xf1, b"")),
        ("a reserved opcode", frame(0x83, b"")),
        ("a reserved control opcode", frame(0x8b, b"")),
        ("an unmasked frame", unmasked.to_vec()),
        ("a long ping", frame(0x89, &[0; 126])),
        ("a ping in pieces", frame(0x09, b"")),
        ("the middle of nothing", frame(0x80, b"x")),
        ("a text within a text", [frame(0x01, b"x"), frame(0x81, b"y")].concat()),
        ("a close frame of one byte", frame(0x88, &[3])),
        ("close code 0", closing(0, b"")),
        ("close code 999", closing(999, b"")),
        ("close code 1004", closing(1004, b"")),
        ("close code 1005", closing(1005, b"")),
        ("close code 1006", closing(1006, b"")),
        ("close code 1015", closing(1015, b"")),
        ("close code 1016", closing(1016, b"")),
        ("close code 2999", closing(2999, b"")),
        ("close code 5000", closing(5000, b"")),
    ];
    let text: &[(&str, Vec<u8>)] = &[
        ("a text", frame(0x81, b"bad \xff\xfe")),
        ("a text that ends within a character", frame(0x81, b"\xe2\x82")),
        ("a text in pieces", [frame(0x01, b"\xe2\x82"), frame(0x80, b"\x28")].concat()),
        ("the reason of a close frame", closing(1000, b"bad \xff")),
    ];
    for (what, bytes) in protocol {
        let (code, reason) = answer_to(&node, bytes).await.unwrap();
        assert_eq!(code, 1002, "{what}: {reason}");
    }
    for (what, bytes) in text {
        let (code, reason) = answer_to(&node, bytes).await.unwrap();
        assert_eq!(code, 1007, "{what}: {reason}");
    }
}

#[tokio::test]
async fn a_character_may_lie_in_two_pieces_of_a_text() {
    let node = start(Options::of("00")).await;
    let mut client = node.client().await;
    let (before, after) = r#"{"action": "locate", "topic": "é"}"#.as_bytes().split_at(32);
    assert!(std::str::from_utf8(before).is_err());
    client.socket.get_mut().write_all(&[frame(0x01, before), frame(0x80, after)].concat()).await.unwrap();
    assert!(client.next().await.to_text().unwrap().contains(r#""ok":true"#));
}

#[tokio::test]
async fn who_ends_its_half_of_tcp_is_told_that_a_close_frame_is_missing() {
    let mut node = start(Options::of("00")).await;
    let mut client = node.client().await;
    client.socket.get_mut().shutdown().await.unwrap();
    assert_eq!(client.closed().await.0, 1002);
    client.tcp_ends().await;
    node.sees("its end", |input| matches!(input, Input::ClientDisconnected { .. })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_of_a_node_every_client_is_told_also_those_with_answers_waiting() {
    let node = start(Options::of("00")).await;
    let mut clients = Vec::new();
    for number in 0..100 {
        let mut client = node.client().await;
        if number % 4 == 0 {
            // Most of the answer waits in the node, because the client does not read yet.
            client.send(r#"{"id": 7, "action": "pull", "subscriber_id": "s", "topic": "t", "max": 2000}"#).await;
            client.send(r#"{"id": 8, "action": "topics"}"#).await;
        }
        clients.push(client);
    }
    node.begin_stop();
    let told = futures_util::future::join_all(clients.iter_mut().map(Client::closed)).await;
    for (number, (code, reason)) in told.into_iter().enumerate() {
        assert_eq!((code, reason.as_str()), (1001, "the node is shutting down"), "client {number}");
    }
    for client in &mut clients {
        client.tcp_ends().await;
    }
    assert_eq!(node.stop().await, Ok(()));
}

#[tokio::test]
async fn who_reads_too_slowly_is_told_so_when_it_reads_at_last() {
    let mut node = start(Options::of("00")).await;
    let mut client = node.client().await;
    for _ in 0..80 {
        client.send(r#"{"action": "pull", "subscriber_id": "s", "topic": "t", "max": 1000}"#).await;
    }
    node.sees("the dismissal", |input| matches!(input, Input::ClientDisconnected { .. })).await;
    let (code, reason) = client.closed().await;
    assert_eq!(code, 1008, "{reason}");
    assert!(reason.contains("too slowly"), "{reason}");
    client.tcp_ends().await;
}

#[tokio::test]
async fn a_node_that_crashes_on_request_goes_away() {
    let node = start(Options::of("00")).await;
    let mut client = node.client().await;
    // With the fake machine, this action causes a dismissal.
    client.send(r#"{"action": "delete_topic", "publisher_id": "p", "topic": "t"}"#).await;
    assert_eq!(client.closed().await, (1001, "crashed by a requested fault".into()));
    client.tcp_ends().await;
}
