//! A neighbour that knows the secret, and whose messages are altered in transit.

use std::time::{Duration, Instant};

use cubecast_core::cube::Vertex;
use cubecast_core::seating::Seating;
use cubecast_decoders::examples;
use cubecast_node::transport::handshake::{Credentials, Secret, dial};
use fastrand::Rng;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::answers::Answers;
use super::bytes::changed;
use crate::cluster::{CLUSTER, ProcessCluster, SECRET};
use crate::stranger::{As, Stranger};
use crate::wait::{PATIENCE, eventually};

/// The effects of altered messages.
#[derive(Clone, Default, Debug)]
pub struct Altered {
    /// Messages sent, each on a new connection.
    pub sent: u64,
    pub bytes: u64,
    /// How the connections ended.
    pub endings: Answers,
}

/// Takes the place of `absent`, which is down: repeatedly proves the secret to the attacked node and sends one altered
/// message.
pub async fn alter(cluster: &ProcessCluster, attacked: Vertex, absent: Vertex, seed: u64, lasts: Duration) -> Altered {
    let mut rng = Rng::with_seed(seed);
    let examples = examples::peer_frames();
    let mut altered = Altered::default();
    let began = Instant::now();
    while began.elapsed() < lasts {
        let message = altered_message(&mut rng, &examples);
        let mut socket = eventually("the attacked node takes a neighbour", || prove(cluster, attacked, absent)).await;
        altered.sent += 1;
        altered.bytes += message.len() as u64;
        // The socket may be closed already, because the node does not wait for the end of an undecodable message.
        let _ = socket.send(Message::binary(message)).await;
        altered.endings.count(ending(socket).await);
    }
    altered
}

/// An example, altered after its checksum was computed, so that it differs from every example.
fn altered_message(rng: &mut Rng, examples: &[Vec<u8>]) -> Vec<u8> {
    let pick = |rng: &mut Rng| examples[rng.usize(..examples.len())].clone();
    loop {
        let (message, other) = (pick(rng), pick(rng));
        let altered = changed(rng, &message, &other);
        if !examples.contains(&altered) {
            return altered;
        }
    }
}

async fn prove(
    cluster: &ProcessCluster,
    attacked: Vertex,
    absent: Vertex,
) -> Result<WebSocketStream<TcpStream>, String> {
    let secret = Secret::new(SECRET.as_bytes()).expect("it is long enough");
    let seating = Seating::founding(absent.dimension());
    let attacked_node = seating.host_of(attacked);
    let node = seating.host_of(absent);
    let me = Credentials { cluster: CLUSTER.into(), node, seating, instance: 7, secret };
    let stranger = Stranger::connect(&cluster.address(attacked), As::Neighbour).await?;
    let mut socket = WebSocketStream::from_raw_socket(stranger.0, Role::Client, None).await;
    dial(&mut socket, &me, attacked_node).await.map_err(|error| error.to_string())?;
    Ok(socket)
}

/// How the node ends the connection; frames before the end are ignored.
async fn ending(mut socket: WebSocketStream<TcpStream>) -> String {
    let end = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(close)))) => return format!("close {}", u16::from(close.code)),
                Some(Ok(_)) => {}
                Some(Err(error)) => return error.to_string(),
                None => return "end of TCP".into(),
            }
        }
    };
    timeout(PATIENCE, end).await.unwrap_or_else(|_| "none".into())
}
