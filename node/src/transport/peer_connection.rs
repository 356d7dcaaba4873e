//! One neighbour's WebSocket, after the handshake: frames in, frames out.
//!
//! One binary message carries all frames of a turn. Whether the neighbour is heard is core's to judge; here only a dead
//! connection is noticed: WebSocket pings cross it every second, whatever faults core plays on its own frames.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use cubecast_core::cube::Vertex;
use cubecast_core::io::Input;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tracing::{info, warn};

use super::peer_table::PeerSlot;
use super::{Door, Socket, codec};
use crate::runtime::PeerGate;
use crate::runtime::inbox::Arrival;
use crate::runtime::mailbox::{PeerQueue, peer_mailbox};

/// How often a WebSocket ping is sent, unless something else was.
const PING_EVERY: Duration = Duration::from_secs(1);
/// A connection on which nothing came for so long is dead.
const DEAD_AFTER: Duration = Duration::from_secs(5);
/// How long a closing connection may take over its last words.
const GOODBYE: Duration = Duration::from_millis(500);

/// Serves one neighbour until the connection breaks or has to go. `gate`: what the peer gate said when it was admitted.
pub async fn serve(mut socket: Socket, peer: Vertex, slot: PeerSlot, gate: PeerGate, door: &Door) {
    let (mailbox, queue) = peer_mailbox();
    if door.inbox.send(Arrival::PeerOpened { peer, mailbox }, 0).await.is_err() {
        return;
    }
    door.metrics.peer_connections.fetch_add(1, Relaxed);
    let node = door.vertex();
    info!(%node, %peer, "Node {node} is connected with neighbour {peer}");
    let (mut sink, mut stream) = (&mut socket).split();
    let why = tokio::select! {
        why = read(&mut stream, peer, &slot, door) => why,
        why = write(&mut sink, queue, &slot, door) => why,
        () = slot.asked_to_give_way() => "it connected anew".into(),
        () = gate_changed(door, gate) => "this node takes no neighbours now".into(),
        () = door.stopped() => "this node is shutting down".into(),
    };
    drop((sink, stream));
    // The node is shutting down when this fails.
    let _ = door.inbox.send(Arrival::PeerClosed { peer }, 0).await;
    door.metrics.peer_connections.fetch_sub(1, Relaxed);
    warn!(%node, %peer, "Node {node} lost neighbour {peer}: {why}");
    let last_words = CloseFrame { code: CloseCode::Away, reason: why.chars().take(100).collect::<String>().into() };
    let _ = timeout(GOODBYE, socket.close(Some(last_words))).await;
    // The place is free only now: no frame of a newer connection can come before the end of this one.
    drop(socket);
    drop(slot);
}

async fn read(stream: &mut SplitStream<&mut Socket>, peer: Vertex, slot: &PeerSlot, door: &Door) -> String {
    loop {
        let message = match stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return error.to_string(),
            None => return "it closed the connection".into(),
        };
        slot.heard();
        match message {
            Message::Binary(bytes) => {
                door.metrics.peer_bytes_in.fetch_add(bytes.len() as u64, Relaxed);
                if let Err(why) = take_in(&bytes, peer, door).await {
                    return why;
                }
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            Message::Text(_) => return "it sent text, which neighbours do not".into(),
            Message::Close(frame) => {
                return frame.map_or("it closed the connection".into(), |frame| format!("it says: {}", frame.reason));
            }
        }
    }
}

async fn take_in(bytes: &Bytes, peer: Vertex, door: &Door) -> Result<(), String> {
    let (inputs, outcome) = match codec::decode_peer(bytes, door.vertex().dimension()) {
        Ok(frames) => (frames.into_iter().map(|frame| Input::PeerFrame { from: peer, frame }).collect(), Ok(())),
        // Both speak the same version: the handshake has seen to it.
        Err(error) => (vec![Input::PeerAltered { from: peer }], Err(format!("what it sent cannot be read: {error}"))),
    };
    door.inbox.send(Arrival::Inputs(inputs), bytes.len()).await.map_err(|ended| ended.to_string())?;
    outcome
}

async fn write(
    sink: &mut SplitSink<&mut Socket, Message>,
    mut queue: PeerQueue,
    slot: &PeerSlot,
    door: &Door,
) -> String {
    let mut ping = interval_at(next_ping(door.began), PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut spoke = false;
    loop {
        let sent = tokio::select! {
            message = queue.next() => match message {
                Some(message) => {
                    spoke = true;
                    send_all(sink, message, &mut queue, slot, door).await
                }
                None => return "this node is shutting down".into(),
            },
            _ = ping.tick() => match std::mem::take(&mut spoke) {
                true => Ok(()),
                false => in_time(sink.send(Message::Ping(Bytes::new())), slot).await,
            },
        };
        if let Err(why) = sent {
            return why;
        }
        if slot.silent_for() > DEAD_AFTER {
            return format!("nothing came from it for {} s", DEAD_AFTER.as_secs());
        }
    }
}

/// All connections of a node ping at the same moments: it wakes once.
fn next_ping(began: Instant) -> Instant {
    let pings = began.elapsed().as_micros() / PING_EVERY.as_micros();
    began + PING_EVERY * (pings as u32 + 1)
}

async fn send_all(
    sink: &mut SplitSink<&mut Socket, Message>,
    first: Bytes,
    queue: &mut PeerQueue,
    slot: &PeerSlot,
    door: &Door,
) -> Result<(), String> {
    let mut next = Some(first);
    while let Some(message) = next {
        door.metrics.peer_bytes_out.fetch_add(message.len() as u64, Relaxed);
        in_time(sink.feed(Message::Binary(message)), slot).await?;
        next = queue.take();
    }
    in_time(sink.flush(), slot).await
}

/// A neighbour that takes nothing while nothing comes from it either is dead; one that is only slow gets its time.
async fn in_time<E: ToString>(step: impl Future<Output = Result<(), E>>, slot: &PeerSlot) -> Result<(), String> {
    tokio::pin!(step);
    loop {
        match timeout(DEAD_AFTER, step.as_mut()).await {
            Ok(done) => return done.map_err(|error| error.to_string()),
            Err(_) if slot.silent_for() > DEAD_AFTER => return Err("it neither reads nor sends".into()),
            Err(_) => {}
        }
    }
}

async fn gate_changed(door: &Door, admitted_under: PeerGate) {
    let mut gate = door.gate.clone();
    if gate.wait_for(|gate| gate.epoch != admitted_under.epoch).await.is_err() {
        // The runtime has ended; the shutdown tells.
        std::future::pending::<()>().await;
    }
}
