//! One client's WebSocket: requests in, answers and pushed frames out.
//!
//! A text message is one JSON request; a binary message contains one or many requests. Frames to the client use the
//! encoding of its last message. Malformed requests are answered here, without core. Every failure is reported to the
//! client, and a client harms only itself: if it does not read, its socket is not read either, and it is closed when
//! its queue is too long or when it makes no progress.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use cubecast_core::io::{ConnectionId, Dismissal, Input};
use cubecast_core::wire::answer::{Answer, ErrorCode, ServerFrame};
use cubecast_core::wire::client::Request;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tracing::debug;

use super::budget::{self, Holding};
use super::farewell::{self, Fault, Goodbye};
use super::outgoing::pieces;
use super::pulse::Pulse;
use super::unanswered::Unanswered;
use super::{ClientSocket, ServerContext, only_when_woken};
use crate::codec::{self, Malformed, Rules};
use crate::queues::admission::Admitted;
use crate::queues::inbox::Arrival;
use crate::queues::mailbox::{ClientQueue, Dismissed, Outbound, SharedEvent, client_mailbox};

/// The maximum number of frames encoded before a flush, and their maximum weight without the last one.
const FRAMES_A_FLUSH: usize = 256;
const WEIGHT_A_FLUSH: u64 = 256 << 10;
/// Messages of this size are decoded and encoded on another thread. Bytes.
const LONG_WORK: usize = 128 << 10;
static LONG_WORK_TURNS: Semaphore = Semaphore::const_new(1);
/// The minimum time between events to a watcher. Events in between are sent together.
const EVENTS_EVERY: Duration = Duration::from_millis(20);
/// A client that does not read, or whose requests are not answered, is closed after this time.
const STUCK_AFTER: Duration = Duration::from_secs(15);
/// The permits of a client that left are returned after this time, because its requests may still be in progress.
const REQUESTS_OUTLIVE: Duration = Duration::from_secs(1);
/// The time for a dismissed client to read its queued frames.
const LAST_READS: Duration = Duration::from_secs(1);
/// The time limit of the closing handshake when the node stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a connection ends.
enum Ending {
    /// The client closed it.
    Left,
    /// The client closed its direction of TCP without a close frame; it may still read.
    HalfClosed,
    /// The connection broke.
    Broken(String),
    /// A message exceeded the limit or violated the WebSocket protocol, or the client was silent for too long.
    Refused(Goodbye),
    /// Core closes the connection, or the node stops. Queued frames were sent, or the time for them is over.
    Dismissed,
}

/// The state shared by both directions of the connection.
struct Connection<'a> {
    context: &'a ServerContext,
    id: ConnectionId,
    /// Whether the client's last message was binary.
    binary: AtomicBool,
    unanswered: Unanswered,
    admitted: Arc<Admitted>,
    holding: Arc<Holding>,
    refusals: mpsc::UnboundedSender<Answer>,
    pulse: Pulse,
    /// A ping arrived. Its pong must be sent before more is read.
    pinged: Notify,
    answered_ping: Notify,
}

/// Serves one client until it leaves or must be closed.
pub async fn serve(mut socket: ClientSocket, holding: Arc<Holding>, context: Arc<ServerContext>) {
    let admitted = Admitted::new(context.admission.clone());
    let (mailbox, queue, mut closing) = client_mailbox(admitted.clone());
    let (refusals, refused) = mpsc::unbounded_channel();
    let id = context.numbers.next_connection();
    let unanswered = Unanswered::new(context.limits.unanswered);
    let connection = Connection {
        context: &context,
        id,
        binary: AtomicBool::new(false),
        unanswered,
        admitted,
        holding,
        refusals,
        pulse: Pulse::default(),
        pinged: Notify::new(),
        answered_ping: Notify::new(),
    };
    if context.inbox.send(Arrival::ClientOpened { connection: id, mailbox }, 0).await.is_err() {
        return farewell::close(socket, Some(&Goodbye::shutting_down()), LAST_WORDS).await;
    }
    context.metrics.client_connections.inc();
    let mut dismissed = None;
    let (mut sink, mut stream) = (&mut socket).split();
    let ending = tokio::select! {
        ending = connection.read(&mut stream) => ending,
        ending = connection.write(&mut sink, queue, refused) => ending,
        ending = only_when_woken(connection.must_end(&mut closing, &mut dismissed)) => ending,
    };
    drop((sink, stream));
    let Connection { admitted, holding, binary, .. } = connection;
    tokio::spawn(async move {
        sleep(REQUESTS_OUTLIVE).await;
        drop(admitted);
    });
    drop(holding);
    // A mailbox dropped without a message means that the node stops.
    let dismissed = dismissed.or(closing.try_recv().ok()).map_or_else(Goodbye::shutting_down, goodbye_of);
    let binary = binary.load(Relaxed);
    // This fails only while the node stops; then it does not matter.
    let _ = context.inbox.send(Arrival::ClientClosed { connection: id }, 0).await;
    context.metrics.client_connections.dec();
    say_goodbye(socket, ending, dismissed, &context, binary).await;
}

fn goodbye_of(dismissed: Dismissed) -> Goodbye {
    let code = match dismissed.why {
        Dismissal::ReadsTooSlowly => CloseCode::Policy,
        Dismissal::TooManyClients => CloseCode::Again,
        Dismissal::NodeFails => CloseCode::Away,
    };
    Goodbye::new(code, dismissed.reason)
}

fn turned_away() -> Goodbye {
    let reason = "the memory for unfinished messages is full, and yours is the longest; reconnect and retry";
    Goodbye::new(CloseCode::Again, reason)
}

fn overdue() -> Goodbye {
    let (seconds, rate) = (budget::MESSAGE_WITHIN.as_secs(), budget::BYTES_A_SECOND >> 10);
    let reason = format!("message too slow: the limit is {seconds} s plus 1 s for each {rate} KiB");
    Goodbye::new(CloseCode::Policy, reason)
}

fn never_asked(within: Duration) -> Goodbye {
    Goodbye::new(CloseCode::Policy, format!("no request within {} s", within.as_secs_f64()))
}

fn stuck() -> Goodbye {
    let reason =
        format!("no answer could be sent for {} s: read answers before sending more requests", STUCK_AFTER.as_secs());
    Goodbye::new(CloseCode::Policy, reason)
}

fn silent_for(silence: Duration) -> Goodbye {
    let seconds = silence.as_secs_f64();
    let reason = format!("the client sent nothing for {seconds} s, not even a pong");
    Goodbye::new(CloseCode::Policy, reason)
}

/// Completes some time after the client was dismissed, so that it can still read its queued frames.
async fn dismissal(
    closing: &mut oneshot::Receiver<Dismissed>,
    dismissed: &mut Option<Dismissed>,
    context: &ServerContext,
) {
    tokio::select! {
        told = closing => *dismissed = told.ok(),
        () = context.stopped() => {}
    }
    if !dismissed.as_ref().is_some_and(Dismissed::is_at_once) {
        sleep(LAST_READS).await;
    }
}

impl Connection<'_> {
    /// Completes when the connection must end for a reason other than its messages.
    async fn must_end(&self, closing: &mut oneshot::Receiver<Dismissed>, dismissed: &mut Option<Dismissed>) -> Ending {
        let limits = &self.context.limits;
        tokio::select! {
            () = dismissal(closing, dismissed, self.context) => Ending::Dismissed,
            () = self.pulse.lost(self.context.began, limits.silence) => Ending::Refused(silent_for(limits.silence)),
            () = self.holding.turned_away() => Ending::Refused(turned_away()),
            () = self.holding.overdue() => Ending::Refused(overdue()),
            () = self.never_asked() => Ending::Refused(never_asked(limits.first_request)),
        }
    }

    async fn read(&self, stream: &mut SplitStream<&mut ClientSocket>) -> Ending {
        loop {
            let message = match self.pulse.listen(stream.next()).await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return self.end_reading(&error),
                None => return Ending::Left,
            };
            let size = message.len();
            self.context.metrics.client_bytes_in.inc_by(size as u64);
            let requests = match message {
                Message::Text(_) | Message::Binary(_) => {
                    self.binary.store(matches!(message, Message::Binary(_)), Relaxed);
                    let rules = self.context.rules.clone();
                    beside(size, move || parse(&message, &rules)).await
                }
                Message::Ping(_) => {
                    self.pinged.notify_one();
                    self.answered_ping.notified().await;
                    continue;
                }
                Message::Pong(_) | Message::Frame(_) => continue,
                Message::Close(_) => return Ending::Left,
            };
            if let Err(ending) = self.take_in(requests, size).await {
                return ending;
            }
            self.holding.passed_on();
        }
    }

    /// Completes when the time for the first request is over and the client sent none.
    async fn never_asked(&self) {
        sleep(self.context.limits.first_request).await;
        if self.holding.asked() {
            pending::<()>().await;
        }
    }

    fn end_reading(&self, error: &Error) -> Ending {
        match farewell::fault_of(error, self.context.limits.client_message) {
            Fault::Told(goodbye) => Ending::Refused(goodbye),
            Fault::Broken(why) => Ending::Broken(why),
            Fault::NoCloseFrame => Ending::HalfClosed,
        }
    }

    /// Passes requests to core, in as few arrivals as their permits allow. Malformed requests are answered here.
    async fn take_in(&self, requests: Vec<Result<Request, Malformed>>, bytes: usize) -> Result<(), Ending> {
        if *self.context.busy.borrow() {
            self.context.not_busy().await;
        }
        let each = bytes / requests.len().max(1);
        for part in chunks(requests, self.context.limits.unanswered.min(FRAMES_A_FLUSH)) {
            let mut inputs = Vec::with_capacity(part.len());
            let weight = each * part.len();
            for request in part {
                self.unanswered.take(each, STUCK_AFTER).await.map_err(|_| Ending::Refused(stuck()))?;
                match request {
                    Ok(request) => inputs.push(Input::ClientRequest { connection: self.id, request }),
                    Err(malformed) => self.refuse(malformed),
                }
            }
            if inputs.is_empty() {
                continue;
            }
            self.holding.has_asked();
            self.admitted.take(inputs.len(), each).await;
            if self.context.inbox.send(Arrival::Inputs(inputs), weight).await.is_err() {
                return Err(Ending::Dismissed);
            }
        }
        Ok(())
    }

    fn refuse(&self, malformed: Malformed) {
        self.context.metrics.bad_requests.inc();
        let served_by = self.context.node();
        let answer = Answer { id: malformed.id, served_by, hops: None, result: Err(malformed.failure) };
        // The receiver belongs to the same task; if it is gone, the client is gone.
        let _ = self.refusals.send(answer);
    }

    async fn write(
        &self,
        sink: &mut SplitSink<&mut ClientSocket, Message>,
        mut queue: ClientQueue,
        mut refused: mpsc::UnboundedReceiver<Answer>,
    ) -> Ending {
        let mut events_due = None;
        let (mut ping_due, mut pinged) = (pin!(self.pulse.ping_due()), pin!(self.pinged.notified()));
        loop {
            let mut batch = Batch::default();
            tokio::select! {
                next = queue.next(events_due) => match next {
                    Some(Outbound::Frame(frame)) => batch.push(frame),
                    Some(Outbound::Event(event)) => batch.push_event(event),
                    // The mailbox is dropped when the client is dismissed.
                    None => return Ending::Dismissed,
                },
                Some(answer) = refused.recv() => batch.push_own(answer),
                () = &mut ping_due => {
                    ping_due.set(self.pulse.ping_due());
                    if let Err(error) = sink.send(Message::Ping(Bytes::new())).await {
                        return Ending::Broken(error.to_string());
                    }
                    continue;
                }
                () = &mut pinged => {
                    pinged.set(self.pinged.notified());
                    if let Err(error) = sink.flush().await {
                        return Ending::Broken(error.to_string());
                    }
                    self.answered_ping.notify_one();
                    continue;
                }
            }
            while batch.frames.len() < FRAMES_A_FLUSH && batch.weight < WEIGHT_A_FLUSH {
                if let Some(frame) = queue.take() {
                    batch.push(frame);
                } else if let Some(event) = queue.take_event(events_due) {
                    batch.push_event(event);
                } else if let Ok(answer) = refused.try_recv() {
                    batch.push_own(answer);
                } else {
                    break;
                }
            }
            let Batch { frames, has_events, answers, weight, longest } = batch;
            if let Err(error) = self.send(sink, frames, longest).await {
                return Ending::Broken(error.to_string());
            }
            if has_events {
                events_due = Some(Instant::now() + EVENTS_EVERY);
            }
            self.pulse.sent();
            self.unanswered.give_back(answers);
            queue.drained(weight);
            if weight > 0 {
                let drained = Input::ClientDrained { connection: self.id, bytes: weight };
                if self.context.inbox.send_input(drained).await.is_err() {
                    return Ending::Dismissed;
                }
            }
        }
    }

    /// Sends the frames of one flush. Only a long frame is worth another thread: a flush of short frames is limited.
    async fn send(
        &self,
        sink: &mut SplitSink<&mut ClientSocket, Message>,
        frames: Vec<Outbound>,
        longest: u64,
    ) -> Result<(), Error> {
        let binary = self.binary.load(Relaxed);
        for message in beside(longest as usize, move || encode(&frames, binary)).await {
            self.context.metrics.client_bytes_out.inc_by(message.len() as u64);
            for piece in pieces(message) {
                sink.feed(piece).await?;
            }
        }
        sink.flush().await
    }
}

/// The frames of one flush.
#[derive(Default)]
struct Batch {
    frames: Vec<Outbound>,
    has_events: bool,
    answers: usize,
    weight: u64,
    /// The weight of the heaviest frame.
    longest: u64,
}

impl Batch {
    fn push(&mut self, frame: ServerFrame) {
        let weight = frame.weight();
        self.weight += weight;
        self.longest = self.longest.max(weight);
        self.answers += usize::from(matches!(frame, ServerFrame::Answer(_)));
        self.frames.push(Outbound::Frame(frame));
    }

    fn push_event(&mut self, event: Arc<SharedEvent>) {
        self.weight += event.weight();
        self.has_events = true;
        self.frames.push(Outbound::Event(event));
    }

    /// Adds an answer that did not come from core. Core has not counted its weight.
    fn push_own(&mut self, answer: Answer) {
        self.answers += 1;
        self.frames.push(Outbound::Frame(ServerFrame::Answer(answer)));
    }
}

/// Runs `work` for a message of this size. Work on long messages runs on another thread, so that other connections do
/// not wait for it. Only one such thread works at a time, so that the node keeps a processor.
async fn beside<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes < LONG_WORK {
        return work();
    }
    let _turn = LONG_WORK_TURNS.acquire().await.expect("turns are never closed");
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|end| std::panic::resume_unwind(end.into_panic()))
}

fn parse(message: &Message, rules: &Rules) -> Vec<Result<Request, Malformed>> {
    match message {
        Message::Text(text) => vec![codec::parse_text(text, rules)],
        Message::Binary(bytes) => codec::parse_binary(bytes, rules),
        _ => Vec::new(),
    }
}

fn encode(frames: &[Outbound], binary: bool) -> Vec<Message> {
    if binary {
        let frames: Vec<&ServerFrame> = frames.iter().map(Outbound::frame).collect();
        return vec![Message::binary(codec::encode_binary(&frames))];
    }
    let text = |frame: &Outbound| match frame {
        Outbound::Frame(frame) => Message::text(codec::encode_text(frame)),
        Outbound::Event(event) => Message::Text(event.text()),
    };
    frames.iter().map(text).collect()
}

fn chunks<T>(mut items: Vec<T>, size: usize) -> impl Iterator<Item = Vec<T>> {
    std::iter::from_fn(move || {
        let rest = items.split_off(items.len().min(size.max(1)));
        let part = std::mem::replace(&mut items, rest);
        (!part.is_empty()).then_some(part)
    })
}

async fn say_goodbye(
    mut socket: ClientSocket,
    ending: Ending,
    dismissed: Goodbye,
    context: &ServerContext,
    binary: bool,
) {
    let within = if *context.stop.borrow() { LAST_WORDS } else { farewell::CLOSES_WITHIN };
    let goodbye = match ending {
        Ending::Left => return farewell::close(socket, None, within).await,
        Ending::HalfClosed => {
            let goodbye = Goodbye::new(CloseCode::Protocol, "the connection ended without a close frame");
            return farewell::close_half_closed(socket, &goodbye, within).await;
        }
        Ending::Broken(why) => return debug!(node = %context.node(), "Client connection broke: {why}"),
        Ending::Refused(goodbye) => goodbye,
        Ending::Dismissed => dismissed,
    };
    debug!(node = %context.node(), "Client closed: {}", goodbye.reason);
    if goodbye.code == CloseCode::Size {
        // If this cannot be sent, the close frame cannot be sent either.
        let _ = timeout(within, say_too_large(&mut socket, &goodbye.reason, context, binary)).await;
    }
    farewell::close(socket, Some(&goodbye), within).await;
}

async fn say_too_large(
    socket: &mut ClientSocket,
    reason: &str,
    context: &ServerContext,
    binary: bool,
) -> Result<(), Error> {
    let result = Err(ErrorCode::TooLarge.because(reason));
    let answer = Answer { id: None, served_by: context.node(), hops: None, result };
    for message in encode(&[Outbound::Frame(ServerFrame::Answer(answer))], binary) {
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

    #[test]
    fn a_flush_of_many_short_answers_is_no_long_work() {
        let answer = |bytes: usize| {
            let result = Err(ErrorCode::BadRequest.because("x".repeat(bytes)));
            ServerFrame::Answer(Answer { id: None, served_by: "000".parse().unwrap(), hops: None, result })
        };
        let mut batch = Batch::default();
        (0..8).for_each(|_| batch.push(answer(LONG_WORK / 4)));
        assert!(batch.weight > LONG_WORK as u64 && batch.longest < LONG_WORK as u64, "{}", batch.longest);
        batch.push(answer(LONG_WORK));
        assert!(batch.longest >= LONG_WORK as u64, "{}", batch.longest);
    }
}
