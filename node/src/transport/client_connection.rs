//! One client's WebSocket: requests in, answers and pushed frames out.
//!
//! A text message is one JSON request, a binary message is one or many requests; the connection speaks what it last spoke.
//! What is no request is answered here, without passing core. Never silent, and never at another client's cost: a client that
//! does not read is not read either, and is closed when too much waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use cubecast_core::io::{ConnectionId, Input};
use cubecast_core::wire::answer::{Answer, ErrorCode, ServerFrame};
use cubecast_core::wire::client::Request;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tracing::debug;

use super::codec::{self, Malformed};
use super::farewell::{self, Fault, Goodbye};
use super::pulse::Pulse;
use super::unanswered::Unanswered;
use super::{Door, Socket};
use crate::runtime::inbox::Arrival;
use crate::runtime::mailbox::{ClientQueue, client_mailbox};

/// Frames that are encoded before the socket is flushed.
const FRAMES_A_FLUSH: usize = 256;
/// A client that is told to go has so long to read what waits for it.
const LAST_READS: Duration = Duration::from_secs(1);
/// How long the closing handshake may take when the node ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a connection ends.
enum Ending {
    /// The client closed it.
    Left,
    /// The client ended its direction of TCP without a close frame; it may still read.
    HalfClosed,
    /// It broke.
    Broken(String),
    /// A message over the limit, or against the WebSocket protocol; or nothing came for too long.
    Refused(Goodbye),
    /// Core said why, or the node shuts down; all that was queued has been sent, or time is up.
    Dismissed,
}

/// Both directions' view of the connection.
struct Connection<'a> {
    door: &'a Door,
    id: ConnectionId,
    /// Whether the client last spoke binary.
    binary: AtomicBool,
    unanswered: Unanswered,
    refusals: mpsc::UnboundedSender<Answer>,
    pulse: Pulse,
}

/// Serves one client until it leaves or has to.
pub async fn serve(mut socket: Socket, door: Arc<Door>) {
    let (mailbox, queue, mut closing) = client_mailbox();
    let (refusals, refused) = mpsc::unbounded_channel();
    let id = door.numbers.next_connection();
    let unanswered = Unanswered::new(door.limits.unanswered);
    let pulse = Pulse::default();
    let connection = Connection { door: &door, id, binary: AtomicBool::new(false), unanswered, refusals, pulse };
    if door.inbox.send(Arrival::ClientOpened { connection: id, mailbox }, 0).await.is_err() {
        return farewell::close(socket, Some(&Goodbye::shutting_down()), LAST_WORDS).await;
    }
    door.metrics.client_connections.fetch_add(1, Relaxed);
    let mut dismissed = None;
    let (mut sink, mut stream) = (&mut socket).split();
    let ending = tokio::select! {
        ending = connection.read(&mut stream) => ending,
        ending = connection.write(&mut sink, queue, refused) => ending,
        () = dismissal(&mut closing, &mut dismissed, &door) => Ending::Dismissed,
        () = connection.pulse.lost(door.began, door.limits.silence) => Ending::Refused(silent_for(door.limits.silence)),
    };
    drop((sink, stream));
    // A mailbox that was dropped without a word was the node's end.
    let dismissed = dismissed.or(closing.try_recv().ok()).unwrap_or_else(Goodbye::shutting_down);
    let binary = connection.binary.load(Relaxed);
    // The node is shutting down when this fails, and then nobody needs to know.
    let _ = door.inbox.send(Arrival::ClientClosed { connection: id }, 0).await;
    door.metrics.client_connections.fetch_sub(1, Relaxed);
    say_goodbye(socket, ending, dismissed, &door, binary).await;
}

fn silent_for(silence: Duration) -> Goodbye {
    let seconds = silence.as_secs_f64();
    let reason = format!("nothing came from the client for {seconds} s, not even an answer to a ping");
    Goodbye::new(CloseCode::Policy, reason)
}

/// Completes some time after the client was told to go, so that it can still read what is queued for it.
async fn dismissal(closing: &mut oneshot::Receiver<Goodbye>, dismissed: &mut Option<Goodbye>, door: &Door) {
    tokio::select! {
        told = closing => *dismissed = told.ok(),
        () = door.stopped() => {}
    }
    sleep(LAST_READS).await;
}

impl Connection<'_> {
    async fn read(&self, stream: &mut SplitStream<&mut Socket>) -> Ending {
        loop {
            let message = match self.pulse.listen(stream.next()).await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return self.end_reading(&error),
                None => return Ending::Left,
            };
            let size = message.len();
            self.door.metrics.client_bytes_in.fetch_add(size as u64, Relaxed);
            let requests = match &message {
                Message::Text(text) => {
                    self.binary.store(false, Relaxed);
                    vec![codec::parse_text(text, &self.door.rules)]
                }
                Message::Binary(bytes) => {
                    self.binary.store(true, Relaxed);
                    codec::parse_binary(bytes, &self.door.rules)
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
                Message::Close(_) => return Ending::Left,
            };
            if !self.take_in(requests, size).await {
                return Ending::Dismissed;
            }
        }
    }

    fn end_reading(&self, error: &Error) -> Ending {
        match farewell::fault_of(error, self.door.limits.client_message) {
            Fault::Told(goodbye) => Ending::Refused(goodbye),
            Fault::Broken(why) => Ending::Broken(why),
            Fault::NoCloseFrame => Ending::HalfClosed,
        }
    }

    /// Passes requests to core, in as few arrivals as their places allow; answers what is none. `false` when the node ends.
    async fn take_in(&self, requests: Vec<Result<Request, Malformed>>, bytes: usize) -> bool {
        if *self.door.busy.borrow() {
            self.door.not_busy().await;
        }
        let each = bytes / requests.len().max(1);
        for part in chunks(requests, self.door.limits.unanswered.min(FRAMES_A_FLUSH)) {
            let mut inputs = Vec::with_capacity(part.len());
            let weight = each * part.len();
            for request in part {
                self.unanswered.take(each).await;
                match request {
                    Ok(request) => inputs.push(Input::ClientRequest { connection: self.id, request }),
                    Err(malformed) => self.refuse(malformed),
                }
            }
            if !inputs.is_empty() && self.door.inbox.send(Arrival::Inputs(inputs), weight).await.is_err() {
                return false;
            }
        }
        true
    }

    fn refuse(&self, malformed: Malformed) {
        self.door.metrics.bad_requests.fetch_add(1, Relaxed);
        let served_by = self.door.vertex();
        let answer = Answer { id: malformed.id, served_by, hops: None, result: Err(malformed.failure) };
        // The receiver lives in the same task; when it is gone, so is the client.
        let _ = self.refusals.send(answer);
    }

    async fn write(
        &self,
        sink: &mut SplitSink<&mut Socket, Message>,
        mut queue: ClientQueue,
        mut refused: mpsc::UnboundedReceiver<Answer>,
    ) -> Ending {
        loop {
            let mut batch = Batch::default();
            tokio::select! {
                frame = queue.next() => match frame {
                    Some(frame) => batch.push(frame),
                    // The mailbox is dropped when the client is told to go.
                    None => return Ending::Dismissed,
                },
                Some(answer) = refused.recv() => batch.push_own(answer),
                () = self.pulse.ping_due() => {
                    if let Err(error) = sink.send(Message::Ping(Bytes::new())).await {
                        return Ending::Broken(error.to_string());
                    }
                    continue;
                }
            }
            while batch.frames.len() < FRAMES_A_FLUSH {
                if let Some(frame) = queue.take() {
                    batch.push(frame);
                } else if let Ok(answer) = refused.try_recv() {
                    batch.push_own(answer);
                } else {
                    break;
                }
            }
            if let Err(error) = self.send(sink, &batch.frames).await {
                return Ending::Broken(error.to_string());
            }
            self.pulse.sent();
            self.unanswered.give_back(batch.answers);
            queue.drained(batch.weight);
            if batch.weight > 0 {
                let drained = Input::ClientDrained { connection: self.id, bytes: batch.weight };
                if self.door.inbox.send_input(drained).await.is_err() {
                    return Ending::Dismissed;
                }
            }
        }
    }

    async fn send(&self, sink: &mut SplitSink<&mut Socket, Message>, frames: &[ServerFrame]) -> Result<(), Error> {
        for message in encode(frames, self.binary.load(Relaxed)) {
            self.door.metrics.client_bytes_out.fetch_add(message.len() as u64, Relaxed);
            sink.feed(message).await?;
        }
        sink.flush().await
    }
}

/// What leaves with one flush.
#[derive(Default)]
struct Batch {
    frames: Vec<ServerFrame>,
    answers: usize,
    weight: u64,
}

impl Batch {
    fn push(&mut self, frame: ServerFrame) {
        self.weight += frame.weight();
        self.answers += usize::from(matches!(frame, ServerFrame::Answer(_)));
        self.frames.push(frame);
    }

    /// An answer that did not come from core, so core has not counted its weight.
    fn push_own(&mut self, answer: Answer) {
        self.answers += 1;
        self.frames.push(ServerFrame::Answer(answer));
    }
}

fn encode(frames: &[ServerFrame], binary: bool) -> Vec<Message> {
    if binary {
        vec![Message::binary(codec::encode_binary(frames))]
    } else {
        frames.iter().map(|frame| Message::text(codec::encode_text(frame))).collect()
    }
}

fn chunks<T>(mut items: Vec<T>, size: usize) -> impl Iterator<Item = Vec<T>> {
    std::iter::from_fn(move || {
        let rest = items.split_off(items.len().min(size.max(1)));
        let part = std::mem::replace(&mut items, rest);
        (!part.is_empty()).then_some(part)
    })
}

async fn say_goodbye(mut socket: Socket, ending: Ending, dismissed: Goodbye, door: &Door, binary: bool) {
    let within = if *door.stop.borrow() { LAST_WORDS } else { farewell::CLOSES_WITHIN };
    let goodbye = match ending {
        Ending::Left => return farewell::close(socket, None, within).await,
        Ending::HalfClosed => {
            let goodbye = Goodbye::new(CloseCode::Protocol, "the connection ended without a close frame");
            return farewell::close_half_closed(socket, &goodbye, within).await;
        }
        Ending::Broken(why) => return debug!(node = %door.vertex(), "A client's connection broke: {why}"),
        Ending::Refused(goodbye) => goodbye,
        Ending::Dismissed => dismissed,
    };
    debug!(node = %door.vertex(), "Client closed: {}", goodbye.reason);
    if goodbye.code == CloseCode::Size {
        // If it cannot be sent, the close frame cannot either.
        let _ = timeout(within, say_too_large(&mut socket, &goodbye.reason, door, binary)).await;
    }
    farewell::close(socket, Some(&goodbye), within).await;
}

async fn say_too_large(socket: &mut Socket, reason: &str, door: &Door, binary: bool) -> Result<(), Error> {
    let result = Err(ErrorCode::TooLarge.because(reason));
    let answer = Answer { id: None, served_by: door.vertex(), hops: None, result };
    for message in encode(&[ServerFrame::Answer(answer)], binary) {
        socket.send(message).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_keep_order_and_lose_nothing() {
        let parts: Vec<_> = chunks((0..7).collect(), 3).collect();
        assert_eq!(parts, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
        assert_eq!(chunks(Vec::<u8>::new(), 3).count(), 0);
    }
}
