//! The desk: turns the requests of the user and of the page into client requests, and the results into [`Action`]s.
//!
//! Sans-IO like core's [`Client`], which it uses: [`Desk::handle`] takes [`DeskInput`]s and returns [`DeskEffect`]s.
//! The same desk runs over sockets in the browser ([`crate::net`]) and inside a simulation ([`crate::simulated`]), so
//! the page's forms behave the same in both.

mod errands;
mod load;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cubecast_core::client::{
    Client, ClientConfig, ClientEffect, ClientError, ClientInput, Notice, Reply, SocketId, Submission, Ticket,
};
use cubecast_core::cube::Vertex;
use cubecast_core::names::{SubscriberId, TopicName};
use cubecast_core::time::{Instant, Now};
use cubecast_core::wire::answer::{Answer, NodeState, ServerFrame};
use cubecast_core::wire::client::{self, Request};
use cubecast_core::wire::event::Event;

use crate::model::Action;
use crate::model::cluster::Socket;
use crate::model::load::LoadPlan;
use crate::model::task::Task;
use errands::{Errand, Errands};
use load::RunningLoad;
use tasks::{Ended, Later, Progress};

/// Interval of the page's own requests.
const ERRANDS_EVERY: Duration = Duration::from_secs(1);
/// Timeout of an errand; the next turn sends it again.
const ERRAND_WITHIN: Duration = Duration::from_millis(2_500);
/// Timeout of a task; after it, the user is told that no node could do it.
const TASK_WITHIN: Duration = Duration::from_secs(10);

/// An event from outside the desk.
#[derive(Clone, PartialEq, Debug)]
pub enum DeskInput {
    /// The user started a task. Its report appears on the task's panel.
    Run(Task),
    /// The user ended a push subscription.
    StopDeliveries {
        subscriber: SubscriberId,
        topic: TopicName,
    },
    /// The selected node, whose details are kept fresh.
    Attend(Option<Vertex>),
    /// The topic under the X-ray. The state of its holders is requested every turn.
    LookInto(Option<TopicName>),
    /// Starts or changes the load; `None` stops it.
    SetLoad(Option<LoadPlan>),
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
        text: String,
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
pub enum DeskEffect {
    /// The caller replies with [`DeskInput::Opened`] or [`DeskInput::Closed`].
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

/// The state of one desk.
pub struct Desk {
    now: Now,
    client: Client,
    next_ticket: u64,
    waiting: BTreeMap<Ticket, Waiting>,
    /// Nodes whose connection was lost or could not be opened, until one opens.
    lost: BTreeSet<Vertex>,
    /// `None` if the page gets the cluster's state in another way.
    errands: Option<Errands>,
    next_errands: Instant,
    load: Option<RunningLoad>,
    /// Steps that wait for their time.
    later: Vec<Later>,
    /// Tasks that ended within the last 100 ms.
    unread: Vec<Ended>,
    /// Registrations that this page has seen succeed.
    done_once: Vec<client::Action>,
    for_client: Vec<ClientInput>,
    effects: Vec<DeskEffect>,
}

/// The purpose of a pending request.
enum Waiting {
    Errand(Errand),
    Task(Progress),
    /// The topic to be created exists already; this request finds its owner.
    Owner {
        progress: Progress,
        refused: ClientError,
    },
    /// Registration of the load's publisher.
    LoadPublisher,
    /// One message of the load.
    Load {
        began: Instant,
    },
}

impl Desk {
    /// A desk that polls the cluster's state by itself and watches every node's events.
    pub fn curious(config: &ClientConfig) -> Desk {
        Desk { errands: Some(Errands::default()), ..Desk::quiet(config) }
    }

    /// A desk that sends only what the user requests.
    pub fn quiet(config: &ClientConfig) -> Desk {
        Desk {
            now: Now::default(),
            client: Client::new(config),
            next_ticket: 0,
            waiting: BTreeMap::new(),
            lost: BTreeSet::new(),
            errands: None,
            next_errands: Instant(0),
            load: None,
            later: Vec::new(),
            unread: Vec::new(),
            done_once: Vec::new(),
            for_client: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// Processes one turn. The first call, even without inputs, makes a curious desk look for the cluster.
    pub fn handle(&mut self, now: Now, inputs: Vec<DeskInput>) -> Vec<DeskEffect> {
        self.now = now;
        for input in inputs {
            self.handle_input(input);
        }
        if self.errands.is_some() && now.monotonic >= self.next_errands {
            self.run_errands();
        }
        if self.load.as_ref().is_some_and(|load| now.monotonic >= load.next_tick) {
            self.tick_load();
        }
        self.go_on_with_tasks();
        // Results can lead to further requests. The loop ends because each errand and each task has finitely many
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

    /// When to call again with [`DeskInput::DeadlineReached`] if no other input arrives before.
    pub fn next_deadline(&self) -> Option<Instant> {
        let errands = self.errands.as_ref().map(|_| self.next_errands);
        let load = self.load.as_ref().map(|load| load.next_tick);
        let later = self.later.iter().map(|later| later.at).min();
        [self.client.next_deadline(), errands, load, later].into_iter().flatten().min()
    }

    fn handle_input(&mut self, input: DeskInput) {
        match input {
            DeskInput::Run(task) => self.run_task(task),
            DeskInput::StopDeliveries { subscriber, topic } => {
                self.for_client.push(ClientInput::StopDeliveries { topic, subscriber });
            }
            DeskInput::Attend(node) => self.attend(node),
            DeskInput::LookInto(topic) => self.look_into(topic),
            DeskInput::SetLoad(plan) => self.set_load(plan),
            DeskInput::Opened { socket } => self.for_client.push(ClientInput::Opened { socket }),
            DeskInput::Frames { socket, frames } => self.for_client.push(ClientInput::Frames { socket, frames }),
            DeskInput::Malformed { text } => self.tell(Action::FrameMalformed { text }),
            DeskInput::Closed { socket, why } => self.for_client.push(ClientInput::Closed { socket, why }),
            DeskInput::DeadlineReached => {}
            DeskInput::Unwatched => {
                if self.load.is_some() {
                    self.stop_load("nobody looks at this page".to_owned());
                }
            }
        }
    }

    fn handle_effect(&mut self, effect: ClientEffect) {
        match effect {
            ClientEffect::Open { socket, url, .. } => self.effects.push(DeskEffect::Open { socket, url }),
            ClientEffect::Close { socket } => self.effects.push(DeskEffect::Close { socket }),
            ClientEffect::Send { socket, requests } => self.effects.push(DeskEffect::Send { socket, requests }),
            ClientEffect::Resolved { ticket, result } => self.resolve(ticket, result),
            ClientEffect::Delivered(delivery) => self.tell(Action::Delivered(delivery)),
            ClientEffect::DeliveriesEnded { topic, subscriber, why } => {
                self.tell(Action::DeliveriesEnded { subscriber, topic, why: why.message });
            }
            ClientEffect::Event(event) => {
                if let Some(errands) = &mut self.errands {
                    errands.note_event(event.node);
                    if let Event::NodeState { subject, state } = event.event {
                        errands.note_returning(subject, state == NodeState::Recovering);
                    }
                }
                self.tell(Action::Told(event));
            }
            ClientEffect::Notice(notice) => self.hear(notice),
        }
    }

    fn tell(&mut self, action: Action) {
        self.effects.push(DeskEffect::Tell(action));
    }

    // Errands.

    fn run_errands(&mut self) {
        self.next_errands = self.now.monotonic + ERRANDS_EVERY;
        let nodes: Vec<_> = self.client.dimension().into_iter().flat_map(|dimension| dimension.vertices()).collect();
        let due = self.errands.as_mut().map(|errands| errands.due(&nodes, &self.lost)).unwrap_or_default();
        self.submit_errands(due);
    }

    fn submit_errands(&mut self, errands: Vec<Errand>) {
        for errand in errands {
            let request = self.errands.as_ref().and_then(|known| known.request(errand));
            let Some((action, to)) = request else { continue };
            let ticket = self.wait(Waiting::Errand(errand));
            self.submit(Submission { ticket, action, to, within: ERRAND_WITHIN, trace: false });
        }
    }

    fn end_errand(&mut self, errand: Errand, succeeded: bool) {
        let Some(errands) = &mut self.errands else { return };
        errands.note_done(errand, succeeded);
        let next = match errand {
            Errand::Find if succeeded => return self.run_errands(),
            Errand::Watch { node, sample } if succeeded => {
                let next = errands.greeting(node);
                self.tell(Action::Sampled { node, sample });
                next
            }
            _ => return,
        };
        self.submit_errands(next);
    }

    fn attend(&mut self, node: Option<Vertex>) {
        let Some(errands) = &mut self.errands else { return };
        if errands.attention != node {
            errands.attention = node;
            self.run_errands();
        }
    }

    fn look_into(&mut self, topic: Option<TopicName>) {
        let Some(errands) = &mut self.errands else { return };
        if errands.topic != topic {
            errands.look_into(topic);
            self.run_errands();
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
            Some(Waiting::Errand(errand)) => {
                if let (Some(errands), Ok(reply)) = (&mut self.errands, &result) {
                    errands.note_answer(errand, &reply.answer);
                }
                self.end_errand(errand, result.is_ok());
            }
            Some(Waiting::Task(progress)) => self.end_step(progress, result),
            Some(Waiting::Owner { progress, refused }) => self.end_owner(progress, refused, result),
            Some(Waiting::LoadPublisher) => self.begin_load(result),
            Some(Waiting::Load { began }) => self.end_load_message(self.millis_since(began), result),
            None => {}
        }
    }

    fn millis_since(&self, began: Instant) -> f64 {
        self.now.monotonic.since(began).as_secs_f64() * 1_000.0
    }

    /// An answer proves a connection to the node, and updates the page.
    fn learn(&mut self, asked: Vertex, answer: Answer) {
        self.note_socket(asked, Socket::Open);
        self.tell(Action::Answered { asked, answer });
    }

    fn note_socket(&mut self, node: Vertex, socket: Socket) {
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
            Notice::FellOver(fall) => self.tell(Action::FellOver { from: fall.from, to: fall.to, why: fall.why }),
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
