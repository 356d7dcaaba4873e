//! Neighbours: which are accepted and which are refused. Their connections begin and end in pairs.

use cubecast_core::io::Input;
use cubecast_core::wire::binary;
use cubecast_node::transport::handshake::{
    Credentials, HandshakeError, PROTOCOL, Proven, RefusalCode, SUBPROTOCOL, dial,
};
use cubecast_node::transport::{HANDSHAKE_MESSAGE, Socket};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use super::support::{Options, TestNode, credentials, host, in_time, open, ping, secret, start, start_on};

/// Connects to the node as a neighbour.
async fn knock(node: &TestNode, me: &Credentials) -> (Socket, Result<Proven, HandshakeError>) {
    let mut socket = open(&node.address, &[("sec-websocket-protocol", SUBPROTOCOL)]).await.unwrap();
    let result = in_time("the handshake", dial(&mut socket, me, node.node)).await;
    (socket, result)
}

async fn close_code(socket: &mut Socket) -> u16 {
    in_time("the close frame", async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("expected a close frame, got {other:?}"),
            }
        }
    })
    .await
}

fn is_connected(input: &Input) -> bool {
    matches!(input, Input::PeerConnected { .. })
}

fn is_disconnected(input: &Input) -> bool {
    matches!(input, Input::PeerDisconnected { .. })
}

async fn pair() -> (TestNode, TestNode) {
    let (first, second) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address_of = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
    let to_second = vec![(host("01"), address_of(&second))];
    let to_first = vec![(host("00"), address_of(&first))];
    let first = start_on(first, Options { neighbours: to_second, ..Options::of("00") });
    let second = start_on(second, Options { neighbours: to_first, ..Options::of("01") });
    (first, second)
}

#[tokio::test]
async fn neighbours_with_one_secret_find_each_other_and_frames_keep_their_order() {
    let (mut first, mut second) = pair().await;
    first.sees("the connection", is_connected).await;
    second.sees("the connection", is_connected).await;
    let mut client = first.client().await;
    for number in 0..50 {
        client
            .send(&format!(
                r#"{{"action": "set_link", "from": "00", "to": "01", "state": "up", "delay_ms": {number}}}"#
            ))
            .await;
    }
    for number in 0..50 {
        let frame = second.sees("a frame", |input| matches!(input, Input::PeerFrame { .. })).await;
        assert_eq!(frame, Input::PeerFrame { from: host("00"), frame: ping(number) });
    }
    first.stop().await.unwrap();
    second.sees("the end of the connection", is_disconnected).await;
}

#[tokio::test]
async fn a_failing_node_drops_its_neighbours_refuses_them_and_takes_them_again() {
    let (mut first, mut second) = pair().await;
    second.sees("the connection", is_connected).await;
    let mut client = second.client().await;
    client.ask(r#"{"action": "stop_node", "flag": true}"#).await;
    second.sees("the end of the connection", is_disconnected).await;
    first.sees("the end of the connection", is_disconnected).await;
    let (_, refused) = knock(&second, &credentials("11", 7)).await;
    assert!(
        matches!(refused, Err(HandshakeError::RefusedBy { code, .. }) if code == RefusalCode::NotNow as u16),
        "{refused:?}"
    );
    client.ask(r#"{"action": "recover_node"}"#).await;
    second.sees("the connection", is_connected).await;
    first.sees("the connection", is_connected).await;
}

#[tokio::test]
async fn a_stop_and_return_between_two_looks_still_breaks_the_connection() {
    let (mut first, mut second) = pair().await;
    second.sees("the connection", is_connected).await;
    let mut client = second.client().await;
    client.send(r#"{"action": "stop_node", "flag": true}"#).await;
    client.send(r#"{"action": "recover_node"}"#).await;
    second.sees("the end of the connection", is_disconnected).await;
    second.sees("the connection", is_connected).await;
    first.sees("the end of the connection", is_disconnected).await;
}

#[tokio::test]
async fn who_does_not_fit_is_refused_with_the_reason() {
    let mut node = start(Options::of("00")).await;
    let good = credentials("01", 7);
    let strangers = [
        (Credentials { cluster: "other".into(), ..good.clone() }, RefusalCode::OtherCluster),
        (credentials("11", 7), RefusalCode::NotANeighbour),
        (credentials("001", 7), RefusalCode::OtherDimension),
        (credentials("00", 7), RefusalCode::Taken),
    ];
    for (stranger, expected) in strangers {
        let (_, refused) = knock(&node, &stranger).await;
        assert!(
            matches!(&refused, Err(HandshakeError::RefusedBy { code, .. }) if *code == expected as u16),
            "{expected:?}: {refused:?}"
        );
    }
    let (_, taken) = knock(&node, &good).await;
    assert_eq!(taken.unwrap().node, host("00"));
    node.sees("the good one", is_connected).await;
    assert!(!node.peer_history().iter().any(|entry| entry.starts_with('+')));
}

#[tokio::test]
async fn a_dialer_does_not_trust_a_node_with_another_secret() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut node = start(Options { neighbours: vec![(host("01"), address)], ..Options::of("00") }).await;
    let (stream, _) = in_time("the dialer", listener.accept()).await.unwrap();
    let mut socket = in_time("its upgrade", take_upgrade(stream)).await;
    let hello: Value = next_step(&mut socket).await;
    assert_eq!(hello["step"], "hello");
    let mine = json!({
        "protocol": PROTOCOL, "cluster": "test", "dimension": 2, "from": "01", "to": "00", "instance": 7, "nonce": vec![0; 32],
    });
    socket.send(Message::text(json!({"step": "hello", "hello": mine.to_string()}).to_string())).await.unwrap();
    let proof = next_step(&mut socket).await;
    assert_eq!(proof["step"], "proof");
    // The node's own proof, sent back, proves nothing.
    socket.send(Message::text(json!({"step": "welcome", "proof": proof["proof"]}).to_string())).await.unwrap();
    assert_eq!(close_code(&mut socket).await, RefusalCode::WrongSecret as u16);
    assert_eq!(node.peer_history(), Vec::<String>::new());
}

/// Accepts a WebSocket handshake that offers a subprotocol.
async fn take_upgrade(stream: tokio::net::TcpStream) -> Socket {
    use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
    #[expect(clippy::result_large_err, reason = "the type is the library's")]
    fn take(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        response.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().unwrap());
        Ok(response)
    }
    tokio_tungstenite::accept_hdr_async(stream, take).await.unwrap()
}

async fn next_step(socket: &mut Socket) -> Value {
    let message = in_time("a step", socket.next()).await.unwrap().unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

#[tokio::test]
async fn a_node_does_not_trust_a_dialer_without_the_secret() {
    let mut node = start(Options::of("00")).await;
    let mut socket = open(&node.address, &[("sec-websocket-protocol", SUBPROTOCOL)]).await.unwrap();
    let hello = json!({
        "protocol": PROTOCOL, "cluster": "test", "dimension": 2, "from": "01", "to": "00", "instance": 7, "nonce": vec![0; 32],
    });
    socket.send(Message::text(json!({"step": "hello", "hello": hello.to_string()}).to_string())).await.unwrap();
    let theirs = next_step(&mut socket).await;
    assert_eq!((&theirs["step"], theirs.get("proof")), (&"hello".into(), None), "it proves nothing yet");
    socket.send(Message::text(json!({"step": "proof", "proof": vec![7; 32]}).to_string())).await.unwrap();
    assert_eq!(close_code(&mut socket).await, RefusalCode::WrongSecret as u16);
    assert_eq!(node.peer_history(), Vec::<String>::new());
}

#[tokio::test]
async fn a_dialer_with_another_secret_is_refused_and_told_so() {
    let node = start(Options::of("00")).await;
    let stranger = Credentials { secret: secret("quite another secret"), ..credentials("01", 7) };
    let (_, refused) = knock(&node, &stranger).await;
    assert!(
        matches!(&refused, Err(HandshakeError::RefusedBy { code, .. }) if *code == RefusalCode::WrongSecret as u16),
        "{refused:?}"
    );
}

#[tokio::test]
async fn rubbish_in_the_handshake_is_refused() {
    let node = start(Options::of("00")).await;
    for rubbish in [Message::text("rubbish"), Message::text(r#"{"step": "welcome"}"#), Message::binary(vec![1, 2, 3])] {
        let mut socket = open(&node.address, &[("sec-websocket-protocol", SUBPROTOCOL)]).await.unwrap();
        socket.send(rubbish).await.unwrap();
        assert_eq!(close_code(&mut socket).await, RefusalCode::Malformed as u16);
    }
}

#[tokio::test]
async fn a_stranger_cannot_make_a_node_hold_much() {
    let mut node = start(Options::of("00")).await;
    let padded = |bytes| format!(r#"{{"step": "hello", "hello": "{}"}}"#, "x".repeat(bytes));
    let mut socket = open(&node.address, &[("sec-websocket-protocol", SUBPROTOCOL)]).await.unwrap();
    socket.send(Message::text(padded(HANDSHAKE_MESSAGE / 2))).await.unwrap();
    assert_eq!(close_code(&mut socket).await, RefusalCode::Malformed as u16, "it is read");

    let mut socket = open(&node.address, &[("sec-websocket-protocol", SUBPROTOCOL)]).await.unwrap();
    // The node may close the connection before everything is sent.
    let _ = socket.send(Message::text(padded(HANDSHAKE_MESSAGE))).await;
    let answer = in_time("the end", socket.next()).await;
    assert!(!matches!(answer, Some(Ok(Message::Text(_) | Message::Close(_)))), "it is not read: {answer:?}");

    let (mut neighbour, taken) = knock(&node, &credentials("01", 7)).await;
    taken.unwrap();
    let pings: Vec<_> = (0..HANDSHAKE_MESSAGE as u64).map(ping).collect();
    neighbour.send(Message::binary(binary::encode_peer_frames(&pings))).await.unwrap();
    let last = pings.last().unwrap();
    node.sees("all that a neighbour sends", |input| matches!(input, Input::PeerFrame { frame, .. } if frame == last))
        .await;
}

#[tokio::test]
async fn a_second_process_with_a_living_ones_id_is_refused() {
    let mut node = start(Options::of("00")).await;
    let (_living, taken) = knock(&node, &credentials("01", 7)).await;
    taken.unwrap();
    let (_, refused) = knock(&node, &credentials("01", 8)).await;
    assert!(
        matches!(
            &refused,
            Err(HandshakeError::RefusedBy { code, reason })
                if *code == RefusalCode::Taken as u16 && reason.contains("same id")
        ),
        "{refused:?}"
    );
    node.sees("the first one", is_connected).await;
    assert_eq!(node.peer_history(), Vec::<String>::new());
}

#[tokio::test]
async fn when_a_process_connects_anew_its_old_connection_ends_before_the_new_one_speaks() {
    let mut node = start(Options::of("00")).await;
    let (mut old, taken) = knock(&node, &credentials("01", 7)).await;
    taken.unwrap();
    old.send(Message::binary(binary::encode_peer_frames(&[ping(1)]))).await.unwrap();
    node.sees("the old one's frame", |input| matches!(input, Input::PeerFrame { .. })).await;
    let (mut new, taken) = knock(&node, &credentials("01", 7)).await;
    taken.unwrap();
    new.send(Message::binary(binary::encode_peer_frames(&[ping(3)]))).await.unwrap();
    // The old socket may still accept the frame, but the machine must not receive it.
    let _ = old.send(Message::binary(binary::encode_peer_frames(&[ping(2)]))).await;
    drop(old);
    let mut history = Vec::new();
    while !history.contains(&"01:3".to_owned()) {
        let input = node.sees("the new one's frame", |input| !matches!(input, Input::DeadlineReached)).await;
        history.push(match input {
            Input::PeerConnected { peer } => format!("+{peer}"),
            Input::PeerDisconnected { peer } => format!("-{peer}"),
            Input::PeerFrame { from, .. } => format!("{from}:3"),
            other => panic!("unexpected: {other:?}"),
        });
    }
    assert_eq!(history, ["-01", "+01", "01:3"]);
}

#[tokio::test]
async fn a_neighbour_that_sends_what_cannot_be_read_is_dropped_and_may_come_back() {
    let mut node = start(Options::of("00")).await;
    let (mut socket, taken) = knock(&node, &credentials("01", 7)).await;
    taken.unwrap();
    socket.send(Message::binary(vec![0xff; 64])).await.unwrap();
    node.sees("the end of the connection", is_disconnected).await;
    let (_again, taken) = knock(&node, &credentials("01", 7)).await;
    taken.unwrap();
    node.sees("the connection", is_connected).await;
}
