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
use tokio::time::{MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tracing::{info, warn};

use super::farewell::{self, Fault, Goodbye};
use super::peer_table::PeerSlot;
use super::pulse::next_beat;
use super::{Door, PEER_MESSAGE, Socket, codec};
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
        return farewell::close(socket, Some(&Goodbye::shutting_down()), GOODBYE).await;
    }
    door.metrics.peer_connections.fetch_add(1, Relaxed);
    let node = door.vertex();
    info!(%node, %peer, "Node {node} is connected with neighbour {peer}");
    let (mut sink, mut stream) = (&mut socket).split();
    let ending = tokio::select! {
        ending = read(&mut stream, peer, &slot, door) => ending,
        why = write(&mut sink, queue, &slot, door) => Ending::away(why),
        () = slot.asked_to_give_way() => Ending::away("it connected anew"),
        () = gate_changed(door, gate) => Ending::away("this node takes no neighbours now"),
        () = door.stopped() => Ending::away("this node is shutting down"),
    };
    drop((sink, stream));
    // The node is shutting down when this fails.
    let _ = door.inbox.send(Arrival::PeerClosed { peer }, 0).await;
    door.metrics.peer_connections.fetch_sub(1, Relaxed);
    warn!(%node, %peer, "Node {node} lost neighbour {peer}: {}", ending.why);
    // The place is free only now: no frame of a newer connection can come before the end of this one.
    drop(slot);
    farewell::close(socket, ending.goodbye.as_ref(), GOODBYE).await;
}

/// Why a connection ends, and our close frame, where the neighbour's did not come first.
struct Ending {
    why: String,
    goodbye: Option<Goodbye>,
}

impl Ending {
    /// By our decision, or because it is of no use any more.
    fn away(why: impl Into<String>) -> Ending {
        Ending::with(CloseCode::Away, why)
    }

    fn with(code: CloseCode, why: impl Into<String>) -> Ending {
        let why = why.into();
        Ending { goodbye: Some(Goodbye::new(code, why.clone())), why }
    }

    fn by_them(why: String) -> Ending {
        Ending { why, goodbye: None }
    }

    fn of(error: &Error) -> Ending {
        match farewell::fault_of(error, PEER_MESSAGE) {
            Fault::Told(goodbye) => Ending { why: goodbye.reason.clone(), goodbye: Some(goodbye) },
            Fault::NoCloseFrame => Ending::by_them("it ended the connection without a close frame".into()),
            Fault::Broken(why) => Ending::by_them(why),
        }
    }
}

async fn read(stream: &mut SplitStream<&mut Socket>, peer: Vertex, slot: &PeerSlot, door: &Door) -> Ending {
    loop {
        let message = match stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Ending::of(&error),
            None => return Ending::by_them("it closed the connection".into()),
        };
        slot.heard();
        match message {
            Message::Binary(bytes) => {
                door.metrics.peer_bytes_in.fetch_add(bytes.len() as u64, Relaxed);
                if let Err(ending) = take_in(&bytes, peer, door).await {
                    return ending;
                }
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            Message::Text(_) => return Ending::with(CloseCode::Unsupported, "it sent text, which neighbours do not"),
            Message::Close(frame) => {
                let why = frame.map_or("it closed the connection".into(), |frame| format!("it says: {}", frame.reason));
                return Ending::by_them(why);
            }
        }
    }
}

async fn take_in(bytes: &Bytes, peer: Vertex, door: &Door) -> Result<(), Ending> {
    let (inputs, outcome) = match codec::decode_peer(bytes, door.vertex().dimension()) {
        Ok(frames) => (frames.into_iter().map(|frame| Input::PeerFrame { from: peer, frame }).collect(), Ok(())),
        // Both speak the same version: the handshake has seen to it.
        Err(error) => {
            let unreadable =
                Ending::with(CloseCode::Invalid, format!("it sent a message that cannot be read: {error}"));
            (vec![Input::PeerAltered { from: peer }], Err(unreadable))
        }
    };
    door.inbox.send(Arrival::Inputs(inputs), bytes.len()).await.map_err(|ended| Ending::away(ended.to_string()))?;
    outcome
}

async fn write(
    sink: &mut SplitSink<&mut Socket, Message>,
    mut queue: PeerQueue,
    slot: &PeerSlot,
    door: &Door,
) -> String {
    let mut ping = interval_at(next_beat(door.began, PING_EVERY), PING_EVERY);
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
