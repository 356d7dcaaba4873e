//! Processes that try to become neighbours and must be refused.

use std::sync::Arc;

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use cubecast_node::transport::handshake::{self, Credentials, HandshakeError, RefusalCode, SUBPROTOCOL, Secret};
use cubecast_tests::cluster::{CLUSTER, ProcessCluster, SECRET};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

const ATTACKED: &str = "000";
const CLAIMED: &str = "001";

#[tokio::test]
async fn a_process_with_another_secret_does_not_become_a_neighbour() {
    let cluster = ProcessCluster::shared().await;
    let mut socket = knock(&cluster).await;
    let hello = json!({
        "protocol": handshake::PROTOCOL, "cluster": CLUSTER, "dimension": 3, "from": CLAIMED, "to": ATTACKED,
        "instance": 7, "nonce": vec![7u8; 32],
    });
    send(&mut socket, json!({"step": "hello", "hello": hello.to_string()})).await;
    let step = receive(&mut socket).await.expect("the node says its part");
    assert_eq!((&step["step"], step.get("proof")), (&json!("hello"), None), "it proves nothing to a stranger: {step}");
    send(&mut socket, json!({"step": "proof", "proof": vec![0u8; 32]})).await;
    assert_eq!(receive(&mut socket).await, Err(RefusalCode::WrongSecret as u16));
    assert_unharmed(&cluster).await;
}

#[tokio::test]
async fn a_process_with_another_secret_is_refused_and_told_so() {
    let cluster = ProcessCluster::shared().await;
    let error = dial(&cluster, CLAIMED, "another secret altogether").await;
    let HandshakeError::RefusedBy { code, reason } = error else { panic!("{error}") };
    assert_eq!(code, RefusalCode::WrongSecret as u16, "{reason}");
    assert_unharmed(&cluster).await;
}

#[tokio::test]
async fn a_process_that_claims_a_living_neighbours_id_is_refused_even_with_the_secret() {
    let cluster = ProcessCluster::shared().await;
    let error = dial(&cluster, CLAIMED, SECRET).await;
    assert!(
        matches!(
            &error,
            HandshakeError::RefusedBy { code, reason }
                if *code == RefusalCode::Taken as u16 && reason.contains("two processes use the same id")
        ),
        "{error}"
    );
    assert_unharmed(&cluster).await;
}

#[tokio::test]
async fn a_process_that_claims_the_nodes_own_id_or_a_far_one_is_refused() {
    let cluster = ProcessCluster::shared().await;
    for (claimed, expected) in [(ATTACKED, RefusalCode::Taken), ("111", RefusalCode::NotANeighbour)] {
        let error = dial(&cluster, claimed, SECRET).await;
        assert!(
            matches!(&error, HandshakeError::RefusedBy { code, .. } if *code == expected as u16),
            "{claimed}: {error}"
        );
    }
    assert_unharmed(&cluster).await;
}

/// Asserts that nothing has changed: the true neighbour is connected, and each home leads.
async fn assert_unharmed(cluster: &Arc<ProcessCluster>) {
    cluster.wait_until_settled().await;
    let status = cluster.client(vertex(ATTACKED)).await.must(json!({"action": "status"})).await;
    let links = status["links"].as_array().expect("a status has links");
    assert!(links.iter().all(|link| link["hears"] == true && link["heard"] == true), "{links:?}");
}

fn vertex(name: &str) -> Vertex {
    name.parse().expect("a vertex")
}

async fn dial(cluster: &Arc<ProcessCluster>, claimed: &str, secret: &str) -> HandshakeError {
    let mut socket = knock(cluster).await;
    let secret = Secret::new(secret.as_bytes()).expect("long enough");
    let node: HostId = claimed.parse().expect("a node");
    let me = Credentials { cluster: CLUSTER.into(), node, seating: Seating::founded_by(node), instance: 7, secret };
    let attacked = ATTACKED.parse().expect("a node");
    handshake::dial(&mut socket, &me, attacked).await.expect_err("an impostor must not be taken")
}

/// Opens a WebSocket with the neighbours' subprotocol.
async fn knock(cluster: &Arc<ProcessCluster>) -> WebSocketStream<TcpStream> {
    let address = cluster.address(vertex(ATTACKED));
    let stream = TcpStream::connect(&address).await.expect("the node listens");
    let mut request = format!("ws://{address}/ws").into_client_request().expect("a good address");
    request.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().expect("a good header"));
    client_async(request, stream).await.expect("the node speaks with neighbours").0
}

async fn send(socket: &mut WebSocketStream<TcpStream>, step: Value) {
    socket.send(Message::text(step.to_string())).await.expect("the socket takes it");
}

/// The next step; an error is the code with which the node closed the connection.
async fn receive(socket: &mut WebSocketStream<TcpStream>) -> Result<Value, u16> {
    loop {
        match socket.next().await.expect("a last word").expect("a good frame") {
            Message::Text(text) => return Ok(serde_json::from_str(&text).expect("a step is JSON")),
            Message::Close(frame) => return Err(frame.expect("a reason").code.into()),
            _ => {}
        }
    }
}
