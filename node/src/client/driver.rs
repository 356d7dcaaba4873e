//! The task that owns core's client: it passes inputs to the client and performs its effects.

use std::collections::{BTreeMap, HashMap};

use cubecast_core::client::{
    Client, ClientEffect, ClientError, ClientInput, Notice, Purpose, Reply, SocketId, Submission, Ticket,
};
use cubecast_core::names::{SubscriberId, TopicName};
use cubecast_core::wire::client::Request;
use cubecast_core::wire::event::WatchEvent;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::commands::{Command, Order};
use super::listener::Listener;
use super::socket;
use crate::runtime::clock::Clock;
use crate::transport::pulse::SILENCE;

/// Frames that wait between the sockets and the driver. When the queue is full, the sockets wait.
const SOCKET_INPUTS: usize = 256;
/// The maximum number of inputs in one turn.
const MAX_TURN: usize = 4_096;

type SessionKey = (TopicName, SubscriberId);

pub(super) struct Driver {
    client: Client,
    clock: Clock,
    commands: mpsc::UnboundedReceiver<Command>,
    inputs: mpsc::Receiver<ClientInput>,
    /// Cloned into every socket's task.
    to_inputs: mpsc::Sender<ClientInput>,
    /// Dropping a sender closes its socket.
    sockets: HashMap<SocketId, mpsc::UnboundedSender<Vec<Request>>>,
    /// The sockets' tasks, including those in their closing handshake.
    serving: JoinSet<()>,
    /// The start of the beats at which all sockets check for signs of life.
    began: Instant,
    closed: Option<oneshot::Sender<()>>,
    answers: HashMap<Ticket, oneshot::Sender<Result<Reply, ClientError>>>,
    next_ticket: u64,
    listeners: BTreeMap<SessionKey, Listener>,
    /// Inputs that end subscriptions whose stream was dropped.
    unheard: Vec<ClientInput>,
    notices: broadcast::Sender<Notice>,
    events: broadcast::Sender<WatchEvent>,
}

impl Driver {
    /// A driver without sockets.
    pub fn new(
        client: Client,
        commands: mpsc::UnboundedReceiver<Command>,
        notices: broadcast::Sender<Notice>,
        events: broadcast::Sender<WatchEvent>,
    ) -> Driver {
        let (to_inputs, inputs) = mpsc::channel(SOCKET_INPUTS);
        let (sockets, answers, listeners) = (HashMap::new(), HashMap::new(), BTreeMap::new());
        Driver {
            client,
            clock: Clock::start(),
            commands,
            inputs,
            to_inputs,
            sockets,
            serving: JoinSet::new(),
            began: Instant::now(),
            closed: None,
            answers,
            next_ticket: 0,
            listeners,
            unheard: Vec::new(),
            notices,
            events,
        }
    }

    /// Runs until the last [`super::CubecastClient`] is dropped, or until the client is closed.
    pub async fn run(mut self) {
        while let Some(inputs) = self.next_inputs().await {
            for effect in self.client.handle(self.clock.now(), inputs) {
                self.carry_out(effect);
            }
        }
        self.farewell().await;
    }

    async fn farewell(mut self) {
        // Dropping the senders ends the sockets' tasks. Their remaining inputs are discarded.
        self.sockets.clear();
        self.inputs.close();
        let ending = async { while self.serving.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(socket::FAREWELL_WITHIN * 2, ending).await;
        if let Some(closed) = self.closed {
            // The caller may have stopped waiting.
            let _ = closed.send(());
        }
    }

    /// All inputs that have arrived. Waits for the first one.
    async fn next_inputs(&mut self) -> Option<Vec<ClientInput>> {
        let mut inputs = std::mem::take(&mut self.unheard);
        let deadline = self.client.next_deadline().map(|at| self.clock.moment(at));
        tokio::select! {
            command = self.commands.recv() => inputs.push(self.input_of(command?)?),
            input = self.inputs.recv() => inputs.extend(input),
            () = sleep_until(deadline) => inputs.push(ClientInput::DeadlineReached),
        }
        while inputs.len() < MAX_TURN {
            if let Ok(input) = self.inputs.try_recv() {
                inputs.push(input);
            } else if let Ok(command) = self.commands.try_recv() {
                inputs.push(self.input_of(command)?);
            } else {
                break;
            }
        }
        Some(inputs)
    }

    /// `None`: the client is closed.
    fn input_of(&mut self, command: Command) -> Option<ClientInput> {
        let order = match command {
            Command::Close(closed) => {
                self.closed = Some(closed);
                return None;
            }
            Command::Input(input) => {
                self.forget_listener(&input);
                return Some(input);
            }
            Command::Order(order) => *order,
        };
        let Order { action, to, within, trace, listener, answer } = order;
        if let (Some(listener), Some(key)) = (listener, action.push_subscription()) {
            self.listeners.insert(key, listener);
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.answers.insert(ticket, answer);
        Some(ClientInput::Submit(Submission { ticket, action, to, within, trace }))
    }

    fn forget_listener(&mut self, input: &ClientInput) {
        if let ClientInput::StopDeliveries { topic, subscriber } = input {
            self.listeners.remove(&(topic.clone(), subscriber.clone()));
        }
    }

    fn carry_out(&mut self, effect: ClientEffect) {
        match effect {
            ClientEffect::Open { socket, url, purpose } => self.open(socket, url, &purpose),
            ClientEffect::Close { socket } => drop(self.sockets.remove(&socket)),
            ClientEffect::Send { socket, requests } => {
                if let Some(sender) = self.sockets.get(&socket) {
                    // A socket whose task has ended reports that itself.
                    let _ = sender.send(requests);
                }
            }
            ClientEffect::Resolved { ticket, result } => {
                if let Some(answer) = self.answers.remove(&ticket) {
                    // The caller may have stopped waiting.
                    let _ = answer.send(result);
                }
            }
            ClientEffect::Delivered(delivery) => {
                let (topic, subscriber) = (delivery.topic.clone(), delivery.subscriber.clone());
                match self.listeners.get(&(topic.clone(), subscriber.clone())) {
                    Some(listener) if !listener.is_gone() => listener.deliver(delivery),
                    Some(_) | None => self.unheard.push(ClientInput::StopDeliveries { topic, subscriber }),
                }
            }
            ClientEffect::DeliveriesEnded { topic, subscriber, why } => {
                if let Some(listener) = self.listeners.remove(&(topic, subscriber)) {
                    listener.end(why);
                }
            }
            // These two may have no receivers.
            ClientEffect::Event(event) => drop(self.events.send(event)),
            ClientEffect::Notice(notice) => drop(self.notices.send(notice)),
        }
    }

    fn open(&mut self, socket: SocketId, url: String, purpose: &Purpose) {
        let (sender, requests) = mpsc::unbounded_channel();
        self.sockets.insert(socket, sender);
        let gate = match purpose {
            Purpose::Requests => None,
            Purpose::Deliveries { topic, subscriber } => {
                self.listeners.get(&(topic.clone(), subscriber.clone())).map(|listener| listener.gate.clone())
            }
        };
        self.listeners.retain(|_, listener| !listener.is_gone());
        while self.serving.try_join_next().is_some() {}
        self.serving.spawn(socket::run(socket, url, requests, self.to_inputs.clone(), gate, self.began, SILENCE));
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
