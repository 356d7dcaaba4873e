//! The loop that performs core's decisions.
//!
//! One task owns the machine. It waits for a result from the disk, an arrival from a connection, or the machine's
//! deadline. It passes everything that is already there, up to a limit, to the machine as one turn, and performs
//! every effect in order before the next turn. It never waits for a connection or for the disk. It uses queues to
//! both, which are bounded on their side.

pub mod clock;
pub mod disk;
pub mod machine;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use cubecast_core::identity::HostId;
use cubecast_core::io::{ConnectionId, Dismissal, Effect, Input};
use cubecast_core::wire::answer::ServerFrame;
use cubecast_core::wire::peer::PeerFrame;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::codec;
use crate::log;
use crate::metrics::Metrics;
use crate::queues::inbox::{Arrival, Inbox};
use crate::queues::mailbox::{ClientMailbox, Dismissed, PeerMailbox, SharedEvent};
use crate::queues::signals::{PeerGate, Signals};
use crate::shutdown;
use clock::Clock;
use disk::{Disk, DiskFailed, DiskWork};
use machine::Machine;

/// The maximum number of inputs from connections in one turn: large enough to share one log append and one sync,
/// small enough to answer soon.
const TURN_INPUTS: usize = 4096;
/// How long a stopping node waits for accepted writes.
const FINISH_WRITES: Duration = Duration::from_secs(3);
/// The timer's delay when the machine has no deadline.
const LONG: Duration = Duration::from_secs(3600);

/// Drives one machine until the node stops.
pub struct Runtime<M, D> {
    machine: M,
    disk: D,
    inbox: Inbox,
    clock: Clock,
    signals: Signals,
    metrics: Arc<Metrics>,
    clients: HashMap<ConnectionId, ClientMailbox>,
    peers: BTreeMap<HostId, PeerMailbox>,
    /// The frames of this turn for each neighbour. They leave as one message at the turn's end.
    leaving: BTreeMap<HostId, Vec<PeerFrame>>,
    /// The event that was sent last.
    last_event: Option<Arc<SharedEvent>>,
    submitted: u64,
    written: u64,
}

impl<M: Machine, D: Disk> Runtime<M, D> {
    /// A runtime without connections.
    pub fn new(machine: M, disk: D, inbox: Inbox, clock: Clock, signals: Signals, metrics: Arc<Metrics>) -> Self {
        Runtime {
            machine,
            disk,
            inbox,
            clock,
            signals,
            metrics,
            clients: HashMap::new(),
            peers: BTreeMap::new(),
            leaving: BTreeMap::new(),
            last_event: None,
            submitted: 0,
            written: 0,
        }
    }

    /// Runs until `stop` turns true, then finishes accepted writes and closes the disk. An error means that the disk
    /// failed; the node must end at once.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), DiskFailed> {
        // All turns share one timer: resetting it costs nothing, while a new one wakes tokio's driver.
        let timer = sleep_until(self.deadline());
        tokio::pin!(timer);
        loop {
            let deadline = self.deadline();
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            let mut inputs = Vec::new();
            tokio::select! {
                biased;
                () = shutdown::requested(&mut stop) => break,
                result = self.disk.next() => self.take_result(result?, &mut inputs),
                arrival = self.inbox.next() => match arrival {
                    Some(arrival) => self.take_arrival(arrival, &mut inputs),
                    None => break,
                },
                () = &mut timer => inputs.push(Input::DeadlineReached),
            }
            self.take_what_is_there(&mut inputs)?;
            self.turn(inputs);
        }
        self.finish().await
    }

    fn deadline(&self) -> Instant {
        match self.machine.next_deadline() {
            Some(instant) => self.clock.moment(instant),
            None => Instant::now() + LONG,
        }
    }

    /// Takes results of accepted work before new work from the network.
    fn take_what_is_there(&mut self, inputs: &mut Vec<Input>) -> Result<(), DiskFailed> {
        while let Some(result) = self.disk.take() {
            self.take_result(result?, inputs);
        }
        while inputs.len() < TURN_INPUTS {
            let Some(arrival) = self.inbox.take() else { break };
            self.take_arrival(arrival, inputs);
        }
        Ok(())
    }

    fn take_result(&mut self, result: Input, inputs: &mut Vec<Input>) {
        if let Input::Written { number } = &result {
            // Writes done at submission may be reported before earlier writes of the storage thread.
            self.written = self.written.max(*number);
            self.metrics.written(self.written);
        }
        inputs.push(result);
    }

    fn take_arrival(&mut self, arrival: Arrival, inputs: &mut Vec<Input>) {
        match arrival {
            Arrival::Inputs(arrived) => inputs.extend(arrived),
            Arrival::ClientOpened { connection, mailbox } => {
                self.clients.insert(connection, mailbox);
                inputs.push(Input::ClientConnected { connection });
            }
            Arrival::ClientClosed { connection } => {
                self.clients.remove(&connection);
                inputs.push(Input::ClientDisconnected { connection });
            }
            Arrival::PeerOpened { peer, mailbox } => {
                self.peers.insert(peer, mailbox);
                inputs.push(Input::PeerConnected { peer });
            }
            Arrival::PeerClosed { peer } => {
                self.peers.remove(&peer);
                inputs.push(Input::PeerDisconnected { peer });
            }
        }
    }

    fn turn(&mut self, inputs: Vec<Input>) {
        if inputs.is_empty() {
            return;
        }
        let began = Instant::now();
        let count = inputs.len();
        let effects = self.machine.handle(self.clock.now(), inputs);
        self.perform(effects);
        self.tell_busy();
        self.metrics.turn(count, began.elapsed());
    }

    fn tell_busy(&self) {
        let behind = self.disk.is_behind();
        self.signals.busy.send_if_modified(|busy| std::mem::replace(busy, behind) != behind);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.perform_one(effect);
        }
        self.send_what_leaves();
    }

    fn perform_one(&mut self, effect: Effect) {
        match effect {
            Effect::Write(batch) => {
                self.submitted = batch.number;
                self.metrics.submitted(batch.number);
                self.disk.submit(DiskWork::Write(batch));
            }
            Effect::ReadMessages(read) => self.disk.submit(DiskWork::Read(read)),
            Effect::ReopenStorage { wipe } => {
                // Writes from before a crash need no answer.
                self.written = self.submitted;
                self.disk.submit(DiskWork::Reopen { wipe });
            }
            Effect::SendPeer { to, frame } => self.leaving.entry(to).or_default().push(frame),
            Effect::SetPeersAllowed(allowed) => {
                self.signals.gate.send_modify(|gate| *gate = PeerGate { allowed, epoch: gate.epoch + 1 });
                // A node that a requested fault stops discards the requests that it received.
                self.clients.values().for_each(ClientMailbox::forget_requests);
            }
            Effect::SendClient { connection, frame } => self.send_client(connection, frame),
            Effect::CloseClient { connection, why, reason } => self.close_client(connection, why, reason),
            Effect::Observe(event) => {
                self.metrics.observe(&event);
                log::event(&event);
            }
        }
    }

    fn send_client(&mut self, connection: ConnectionId, frame: ServerFrame) {
        // The client is already gone, and core will be notified.
        let Some(mailbox) = self.clients.get(&connection) else { return };
        if let ServerFrame::Answer(answer) = &frame {
            self.metrics.answered(&answer.result);
        }
        let is_queued = match frame {
            ServerFrame::Event(event) => {
                // All watchers receive the same event, one after the other, so they share it.
                let shared = match self.last_event.take().filter(|last| last.is(&event)) {
                    Some(last) => last,
                    None => SharedEvent::new(event),
                };
                self.last_event = Some(shared.clone());
                mailbox.offer_event(shared)
            }
            frame => mailbox.offer(frame),
        };
        if !is_queued {
            let reason = "client reads too slowly: too many bytes are queued for it";
            self.close_client(connection, Dismissal::ReadsTooSlowly, reason);
        }
    }

    fn close_client(&mut self, connection: ConnectionId, why: Dismissal, reason: impl Into<String>) {
        if let Some(mailbox) = self.clients.remove(&connection) {
            mailbox.close(Dismissed { why, reason: reason.into() });
        }
    }

    fn send_what_leaves(&mut self) {
        for (to, frames) in std::mem::take(&mut self.leaving) {
            let Some(mailbox) = self.peers.get(&to) else {
                self.metrics.peer_frames_dropped(frames.len());
                continue;
            };
            for message in codec::encode_peer_messages(&frames) {
                if !mailbox.offer(message.bytes) {
                    self.metrics.peer_frames_dropped(message.frames);
                }
            }
        }
    }

    /// Stops reading from the network, and waits until accepted writes are durable, so that their answers can leave.
    async fn finish(mut self) -> Result<(), DiskFailed> {
        let patience = Instant::now() + FINISH_WRITES;
        while self.written < self.submitted {
            let Ok(result) = timeout_at(patience, self.disk.next()).await else { break };
            let mut inputs = Vec::new();
            self.take_result(result?, &mut inputs);
            self.turn(inputs);
        }
        // Clients read their queued frames while the disk closes.
        drop(self.clients);
        let disk = self.disk;
        let closed = tokio::task::spawn_blocking(move || disk.close()).await;
        closed.unwrap_or_else(|panic| Err(DiskFailed(format!("panic while closing the storage: {panic}"))))
    }
}
