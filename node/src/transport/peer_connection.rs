//! One neighbour's WebSocket after the handshake: frames in, frames out.
//!
//! One binary message carries all frames of a turn. Core judges whether the neighbour is alive. This module only
//! detects a dead connection: WebSocket pings cross it every second, even while core simulates faults on its own
//! frames.

use std::time::Duration;

use cubecast_core::identity::HostId;
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
use super::{PEER_MESSAGE, ServerContext, Socket, only_when_woken};
use crate::codec;
use crate::queues::inbox::Arrival;
use crate::queues::mailbox::{PeerQueue, peer_mailbox};
use crate::queues::signals::PeerGate;

/// The interval of WebSocket pings, unless other frames were sent.
const PING_EVERY: Duration = Duration::from_secs(1);
/// A connection counts as dead after this long without input.
const DEAD_AFTER: Duration = Duration::from_secs(5);
/// The time limit of closing a connection.
const GOODBYE: Duration = Duration::from_millis(500);

/// Serves one neighbour until the connection breaks or must be closed. `gate`: the state of the peer gate when the
/// neighbour was admitted.
pub async fn serve(mut socket: Socket, peer: HostId, slot: PeerSlot, gate: PeerGate, context: &ServerContext) {
    let (mailbox, queue) = peer_mailbox();
    if context.inbox.send(Arrival::PeerOpened { peer, mailbox }, 0).await.is_err() {
        return farewell::close(socket, Some(&Goodbye::shutting_down()), GOODBYE).await;
    }
    context.metrics.peer_connections.inc();
    let node = context.node();
    info!(%node, %peer, "Node {node} connected to neighbour {peer}");
    let (mut sink, mut stream) = (&mut socket).split();
    let ending = tokio::select! {
        ending = read(&mut stream, peer, &slot, context) => ending,
        why = write(&mut sink, queue, &slot, context) => Ending::away(why),
        why = only_when_woken(must_end(&slot, gate, context)) => Ending::away(why),
    };
    drop((sink, stream));
    // This fails only while the node stops.
    let _ = context.inbox.send(Arrival::PeerClosed { peer }, 0).await;
    context.metrics.peer_connections.dec();
    warn!(%node, %peer, "Node {node} lost neighbour {peer}: {}", ending.why);
    // The slot is released only now, so that no frame of a newer connection precedes the end of this one.
    drop(slot);
    farewell::close(socket, ending.goodbye.as_ref(), GOODBYE).await;
}

/// Completes when the connection must end for a reason other than its messages.
async fn must_end(slot: &PeerSlot, gate: PeerGate, context: &ServerContext) -> &'static str {
    tokio::select! {
        () = slot.asked_to_give_way() => "it opened a new connection",
        () = gate_changed(context, gate) => "this node is not accepting peer connections",
        () = context.stopped() => "this node is shutting down",
    }
}

/// Why a connection ends, and this side's close frame if the neighbour's did not come first.
struct Ending {
    why: String,
    goodbye: Option<Goodbye>,
}

impl Ending {
    /// This node closes the connection, or it is no longer of use.
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
            Fault::NoCloseFrame => Ending::by_them("the connection ended without a close frame".into()),
            Fault::Broken(why) => Ending::by_them(why),
        }
    }
}

async fn read(stream: &mut SplitStream<&mut Socket>, peer: HostId, slot: &PeerSlot, context: &ServerContext) -> Ending {
    loop {
        let message = match stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Ending::of(&error),
            None => return Ending::by_them("it closed the connection".into()),
        };
        slot.heard();
        match message {
            Message::Binary(bytes) => {
                context.metrics.peer_bytes_in.inc_by(bytes.len() as u64);
                if let Err(ending) = take_in(&bytes, peer, context).await {
                    return ending;
                }
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            Message::Text(_) => {
                return Ending::with(
                    CloseCode::Unsupported,
                    "it sent a text message; only binary messages are allowed",
                );
            }
            Message::Close(frame) => {
                let why = frame.map_or("it closed the connection".into(), |frame| {
                    format!("it closed the connection: {}", frame.reason)
                });
                return Ending::by_them(why);
            }
        }
    }
}

async fn take_in(bytes: &Bytes, peer: HostId, context: &ServerContext) -> Result<(), Ending> {
    let (inputs, outcome) = match codec::decode_peer(bytes, context.seating()) {
        Ok(frames) => (frames.into_iter().map(|frame| Input::PeerFrame { from: peer, frame }).collect(), Ok(())),
        // The handshake checked that both sides use the same version.
        Err(error) => {
            let unreadable = Ending::with(CloseCode::Invalid, format!("it sent an invalid message: {error}"));
            (vec![Input::PeerAltered { from: peer }], Err(unreadable))
        }
    };
    context.inbox.send(Arrival::Inputs(inputs), bytes.len()).await.map_err(|ended| Ending::away(ended.to_string()))?;
    outcome
}

async fn write(
    sink: &mut SplitSink<&mut Socket, Message>,
    mut queue: PeerQueue,
    slot: &PeerSlot,
    context: &ServerContext,
) -> String {
    let mut ping = interval_at(next_beat(context.began, PING_EVERY), PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut spoke = false;
    loop {
        let sent = tokio::select! {
            message = queue.next() => match message {
                Some(message) => {
                    spoke = true;
                    in_time(send_all(sink, message, &mut queue, context), slot).await
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
            return format!("it sent nothing for {} s", DEAD_AFTER.as_secs());
        }
    }
}

async fn send_all(
    sink: &mut SplitSink<&mut Socket, Message>,
    first: Bytes,
    queue: &mut PeerQueue,
    context: &ServerContext,
) -> Result<(), Error> {
    let mut next = Some(first);
    while let Some(message) = next {
        context.metrics.peer_bytes_out.inc_by(message.len() as u64);
        sink.feed(Message::Binary(message)).await?;
        next = queue.take();
    }
    sink.flush().await
}

/// Fails if the neighbour neither takes bytes nor sends any. A neighbour that is only slow gets its time.
async fn in_time<E: ToString>(step: impl Future<Output = Result<(), E>>, slot: &PeerSlot) -> Result<(), String> {
    tokio::pin!(step);
    loop {
        match timeout(DEAD_AFTER, step.as_mut()).await {
            Ok(done) => return done.map_err(|error| error.to_string()),
            Err(_) if slot.silent_for() > DEAD_AFTER => return Err("it does not read, and sends nothing".into()),
            Err(_) => {}
        }
    }
}

async fn gate_changed(context: &ServerContext, admitted_under: PeerGate) {
    let mut gate = context.gate.clone();
    if gate.wait_for(|gate| gate.epoch != admitted_under.epoch).await.is_err() {
        // The runtime has ended; the shutdown signal follows.
        std::future::pending::<()>().await;
    }
}
