//! The controller: turns the requests of the user and of the page into client requests, and the results into
//! [`Action`]s.
//!
//! Sans-IO like core's [`Client`], which it uses: [`Controller::handle`] takes [`ControllerInput`]s and returns
//! [`ControllerEffect`]s. The same controller runs over sockets in the browser ([`crate::net`]) and inside a simulation
//! ([`crate::simulated`]), so the page's forms behave the same in both.

mod load;
mod polling;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cubecast_core::client::{
    Client, ClientConfig, ClientEffect, ClientError, ClientInput, Notice, Reply, SocketId, Submission, Ticket,
};
use cubecast_core::identity::HostId;
use cubecast_core::names::TopicName;
use cubecast_core::seating::Seating;
use cubecast_core::states::NodeState;
use cubecast_core::time::{Instant, Now};
use cubecast_core::wire::answer::{Answer, ServerFrame};
use cubecast_core::wire::client::{self, Request};
use cubecast_core::wire::event::Event;

use crate::model::cluster::Socket;
use crate::model::{Act, Action};
use load::RunningLoad;
use polling::{Poll, Polling};
use tasks::{Ended, Later, RunningTask};

/// Interval of the page's own requests.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// Timeout of a poll; the next turn sends it again.
const POLL_WITHIN: Duration = Duration::from_millis(2_500);
/// Timeout of a task; after it, the user is told that no node could do it.
const TASK_WITHIN: Duration = Duration::from_secs(10);

/// An event from outside the controller.
#[derive(Clone, PartialEq, Debug)]
pub enum ControllerInput {
    /// The user did something to the cluster.
    Act(Act),
    /// The selected node, whose details are kept fresh.
    Attend(Option<HostId>),
    /// The topic under the X-ray. The state of its replicas is requested every turn.
    LookInto(Option<TopicName>),
    Opened {
        socket: SocketId,
    },
    /// Frames arrived, in order.
    Frames {
        socket: SocketId,
        frames: Vec<ServerFrame>,
    },
    /// Bytes that could not be decoded as frames.
    Malformed {
        error: String,
    },
    /// A socket closed, or could not be opened.
    Closed {
        socket: SocketId,
        why: String,
    },
    /// Only time passed.
    DeadlineReached,
    /// Time passed while the page is hidden. This stops the load generator, because nobody watches it.
    Unwatched,
}

/// An action for the caller to carry out, in order.
#[derive(Clone, Debug)]
pub enum ControllerEffect {
    /// The caller replies with [`ControllerInput::Opened`] or [`ControllerInput::Closed`].
    Open {
        socket: SocketId,
        url: String,
    },
    /// The caller does not reply.
    Close {
        socket: SocketId,
    },
    Send {
        socket: SocketId,
        requests: Vec<Request>,
    },
    /// Apply this action to the page's state.
    Tell(Action),
}

/// The state of one controller.
pub struct Controller {
    now: Now,
    client: Client,
    next_ticket: u64,
    waiting: BTreeMap<Ticket, Waiting>,
    /// Nodes whose connection was lost or could not be opened, until one opens.
    lost: BTreeSet<HostId>,
    /// `None` if the page gets the cluster's state in another way.
    polling: Option<Polling>,
    next_poll: Instant,
    load: Option<RunningLoad>,
    /// Steps that wait for their time.
    later: Vec<Later>,
    /// Tasks that ended within the last 100 ms.
    unread: Vec<Ended>,
    /// Registrations that this page has seen succeed.
    done_once: Vec<client::Action>,
    for_client: Vec<ClientInput>,
    effects: Vec<ControllerEffect>,
}

/// The purpose of a pending request.
enum Waiting {
    Poll(Poll),
    Task(RunningTask),
    /// The topic to be created exists already; this request finds its owner.
    Owner {
        task: RunningTask,
        refused: ClientError,
    },
    /// Registration of the load's publisher.
    LoadPublisher,
    /// One message of the load.
    Load {
        began: Instant,
    },
}

impl Controller {
    /// A controller that polls the cluster's state by itself and watches every node's events.
    pub fn curious(config: &ClientConfig) -> Controller {
        Controller { polling: Some(Polling::default()), ..Controller::quiet(config) }
    }

    /// A controller that sends only what the user requests.
    pub fn quiet(config: &ClientConfig) -> Controller {
        Controller {
            now: Now::default(),
            client: Client::new(config),
            next_ticket: 0,
            waiting: BTreeMap::new(),
            lost: BTreeSet::new(),
            polling: None,
            next_poll: Instant(0),
            load: None,
            later: Vec::new(),
            unread: Vec::new(),
            done_once: Vec::new(),
            for_client: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// Processes one turn. The first call, even without inputs, makes a curious controller look for the cluster.
    pub fn handle(&mut self, now: Now, inputs: Vec<ControllerInput>) -> Vec<ControllerEffect> {
        self.now = now;
        for input in inputs {
            self.handle_input(input);
        }
        if self.polling.is_some() && now.monotonic >= self.next_poll {
            self.poll();
        }
        if self.load.as_ref().is_some_and(|load| now.monotonic >= load.next_tick) {
            self.tick_load();
        }
        self.go_on_with_tasks();
        // Results can lead to further requests. The loop ends because each poll and each task has finitely many
        // steps.
        loop {
            let inputs = std::mem::take(&mut self.for_client);
            for effect in self.client.handle(now, inputs) {
                self.handle_effect(effect);
            }
            if self.for_client.is_empty() {
                return std::mem::take(&mut self.effects);
            }
        }
    }

    /// When to call again with [`ControllerInput::DeadlineReached`] if no other input arrives before.
    pub fn next_deadline(&self) -> Option<Instant> {
        let polling = self.polling.as_ref().map(|_| self.next_poll);
        let load = self.load.as_ref().map(|load| load.next_tick);
        let later = self.later.iter().map(|later| later.at).min();
        [self.client.next_deadline(), polling, load, later].into_iter().flatten().min()
    }

    fn handle_input(&mut self, input: ControllerInput) {
        match input {
            ControllerInput::Act(act) => self.act(act),
            ControllerInput::Attend(node) => self.attend(node),
            ControllerInput::LookInto(topic) => self.look_into(topic),
            ControllerInput::Opened { socket } => self.for_client.push(ClientInput::Opened { socket }),
            ControllerInput::Frames { socket, frames } => self.for_client.push(ClientInput::Frames { socket, frames }),
            ControllerInput::Malformed { error } => self.tell(Action::FrameMalformed { error }),
            ControllerInput::Closed { socket, why } => self.for_client.push(ClientInput::Closed { socket, why }),
            ControllerInput::DeadlineReached => {}
            ControllerInput::Unwatched => {
                if self.load.is_some() {
                    self.stop_load("this page is hidden".to_owned());
                }
            }
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Run(task) => self.run_task(task),
            Act::StopDeliveries { subscriber, topic } => {
                self.for_client.push(ClientInput::StopDeliveries { topic, subscriber });
            }
            Act::OpenInbox { subscriber, topic } => self.tell(Action::OpenInbox { subscriber, topic }),
            Act::CloseInbox { subscriber, topic } => self.tell(Action::CloseInbox { subscriber, topic }),
            Act::SetLoad(plan) => self.set_load(plan),
            Act::Seek { topic, position, max } => self.seek(topic, position, max),
        }
    }

    fn handle_effect(&mut self, effect: ClientEffect) {
        match effect {
            ClientEffect::Open { socket, url, .. } => self.effects.push(ControllerEffect::Open { socket, url }),
            ClientEffect::Close { socket } => self.effects.push(ControllerEffect::Close { socket }),
            ClientEffect::Send { socket, requests } => self.effects.push(ControllerEffect::Send { socket, requests }),
            ClientEffect::Resolved { ticket, result } => self.resolve(ticket, result),
            ClientEffect::Delivered(delivery) => self.tell(Action::Delivered(delivery)),
            ClientEffect::DeliveriesEnded { topic, subscriber, why } => {
                self.tell(Action::DeliveriesEnded { subscriber, topic, why: why.message });
            }
            ClientEffect::Event(event) => {
                if let Some(polling) = &mut self.polling {
                    polling.note_event(event.node);
                    if let Event::NodeState { subject, state } = event.event {
                        polling.note_returning(subject, state == NodeState::Recovering);
                    }
                }
                if let Event::TopicDeleted { topic, .. } = &event.event {
                    self.forget_done(topic);
                }
                self.tell(Action::Event(event));
            }
            ClientEffect::Notice(notice) => self.hear(notice),
        }
    }

    fn tell(&mut self, action: Action) {
        self.effects.push(ControllerEffect::Tell(action));
    }

    // Polling.

    fn poll(&mut self) {
        self.next_poll = self.now.monotonic + POLL_EVERY;
        let nodes: Vec<_> =
            self.client.dimension().into_iter().flat_map(|cube| Seating::founding(cube).hosts()).collect();
        let due = self.polling.as_mut().map(|polling| polling.due(&nodes, &self.lost)).unwrap_or_default();
        self.submit_polls(due);
    }

    fn submit_polls(&mut self, polling: Vec<Poll>) {
        for poll in polling {
            let request = self.polling.as_ref().and_then(|known| known.request(poll));
            let Some((action, to)) = request else { continue };
            let ticket = self.wait(Waiting::Poll(poll));
            self.submit(Submission { ticket, action, to, within: POLL_WITHIN, trace: false });
        }
    }

    fn end_poll(&mut self, poll: Poll, succeeded: bool) {
        let Some(polling) = &mut self.polling else { return };
        polling.note_done(poll, succeeded);
        let next = match poll {
            Poll::Find if succeeded => return self.poll(),
            Poll::Watch { node, sample } if succeeded => {
                let next = polling.greeting(node);
                self.tell(Action::Sampled { node, sample });
                next
            }
            _ => return,
        };
        self.submit_polls(next);
    }

    fn attend(&mut self, node: Option<HostId>) {
        let Some(polling) = &mut self.polling else { return };
        if polling.attention != node {
            polling.attention = node;
            self.poll();
        }
    }

    fn look_into(&mut self, topic: Option<TopicName>) {
        let Some(polling) = &mut self.polling else { return };
        if polling.topic != topic {
            polling.look_into(topic);
            self.poll();
        }
    }

    // Answers.

    fn wait(&mut self, waiting: Waiting) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.waiting.insert(ticket, waiting);
        ticket
    }

    fn submit(&mut self, submission: Submission) {
        self.for_client.push(ClientInput::Submit(submission));
    }

    fn resolve(&mut self, ticket: Ticket, result: Result<Reply, ClientError>) {
        match &result {
            Ok(reply) => self.learn(reply.asked, reply.answer.clone()),
            // The node that refused may have received the request through another node, so a refusal does not prove a
            // connection to it.
            Err(error) => {
                if let Some(answer) = refusal(error) {
                    self.tell(Action::Answered { asked: answer.served_by, answer });
                }
            }
        }
        match self.waiting.remove(&ticket) {
            Some(Waiting::Poll(poll)) => {
                if let (Some(polling), Ok(reply)) = (&mut self.polling, &result) {
                    polling.note_answer(poll, &reply.answer);
                }
                self.end_poll(poll, result.is_ok());
            }
            Some(Waiting::Task(task)) => self.end_step(task, result),
            Some(Waiting::Owner { task, refused }) => self.end_owner(task, refused, result),
            Some(Waiting::LoadPublisher) => self.begin_load(result),
            Some(Waiting::Load { began }) => self.end_load_message(self.millis_since(began), result),
            None => {}
        }
    }

    fn millis_since(&self, began: Instant) -> f64 {
        self.now.monotonic.since(began).as_secs_f64() * 1_000.0
    }

    /// An answer proves a connection to the node, and updates the page.
    fn learn(&mut self, asked: HostId, answer: Answer) {
        self.note_socket(asked, Socket::Open);
        self.tell(Action::Answered { asked, answer });
    }

    fn note_socket(&mut self, node: HostId, socket: Socket) {
        match socket {
            Socket::Closed => self.lost.insert(node),
            Socket::Open | Socket::Connecting => self.lost.remove(&node),
        };
        self.tell(Action::SocketChanged { node, socket });
    }

    fn hear(&mut self, notice: Notice) {
        match notice {
            Notice::Learned { .. } => {}
            Notice::Connected { node: Some(node), .. } | Notice::Reconnected { node: Some(node), .. } => {
                self.note_socket(node, Socket::Open);
            }
            Notice::Lost { node: Some(node), .. } => self.note_socket(node, Socket::Closed),
            Notice::Lost { node: None, url, .. } => self.tell(Action::SeedFailed { address: url }),
            Notice::Connected { node: None, .. } | Notice::Reconnected { node: None, .. } => {}
            Notice::FellOver(fall) => self.tell(Action::FellOver(fall)),
            Notice::BackHome { home } => self.tell(Action::BackHome { home }),
        }
    }
}

/// A refusal as an answer; `None` for errors that no node reported.
fn refusal(error: &ClientError) -> Option<Answer> {
    match error {
        ClientError::Refused { failure, served_by } => {
            Some(Answer { id: None, served_by: *served_by, hops: None, result: Err(failure.clone()) })
        }
        ClientError::Unavailable { .. } | ClientError::InDoubt { .. } | ClientError::Overloaded => None,
        ClientError::UnknownNode { .. } | ClientError::Unexpected { .. } | ClientError::Closed => None,
    }
}
