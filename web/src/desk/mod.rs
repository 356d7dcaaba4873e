//! The page's desk: what the person and the page itself want from the cluster, and what became of it.
//!
//! Sans-IO like core's [`Client`], which it uses: [`Desk::handle`] takes [`DeskInput`]s and gives [`DeskEffect`]s. The same desk works
//! over sockets in the browser ([`crate::net`]) and inside a simulation ([`crate::simulated`]), so that every form of the page means
//! the same in both.

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

/// How often the page asks by itself.
const ERRANDS_EVERY: Duration = Duration::from_secs(1);
/// An errand that takes longer is asked again.
const ERRAND_WITHIN: Duration = Duration::from_millis(2_500);
/// The person is told after this long that nobody could do it.
const TASK_WITHIN: Duration = Duration::from_secs(10);

/// What happened outside.
#[derive(Clone, PartialEq, Debug)]
pub enum DeskInput {
    /// What the person asked for; its report appears on the task's panel.
    Run(Task),
    /// The person no longer wants a subscription's messages.
    StopDeliveries {
        subscriber: SubscriberId,
        topic: TopicName,
    },
    /// The node that the person looks at: its details are kept fresh.
    Attend(Option<Vertex>),
    /// The topic under the X-ray: how its holders stand is asked for again and again.
    LookInto(Option<TopicName>),
    /// Publishes as planned from now on; `None`: no more.
    SetLoad(Option<LoadPlan>),
    Opened {
        socket: SocketId,
    },
    Frames {
        socket: SocketId,
        frames: Vec<ServerFrame>,
    },
    /// Bytes that are no frames.
    Malformed {
        text: String,
    },
    Closed {
        socket: SocketId,
        why: String,
    },
    /// Nothing but time passed.
    DeadlineReached,
    /// Time passed, and nobody looks at the page: no load is made for nobody.
    Unwatched,
}

/// What shall be done outside, in order.
#[derive(Clone, Debug)]
pub enum DeskEffect {
    /// Answered by [`DeskInput::Opened`] or [`DeskInput::Closed`].
    Open {
        socket: SocketId,
        url: String,
    },
    /// Not answered.
    Close {
        socket: SocketId,
    },
    Send {
        socket: SocketId,
        requests: Vec<Request>,
    },
    /// The page's state changes by this.
    Tell(Action),
}

/// The state of one desk.
pub struct Desk {
    now: Now,
    client: Client,
    next_ticket: u64,
    waiting: BTreeMap<Ticket, Waiting>,
    /// Nodes to which a connection was tried in vain or lost, until there is one.
    lost: BTreeSet<Vertex>,
    /// `None`: the page is told how things stand in another way.
    errands: Option<Errands>,
    next_errands: Instant,
    load: Option<RunningLoad>,
    /// Steps whose time has not come.
    later: Vec<Later>,
    /// Tasks that ended a moment ago.
    unread: Vec<Ended>,
    /// Registrations that this page has seen done.
    done_once: Vec<client::Action>,
    for_client: Vec<ClientInput>,
    effects: Vec<DeskEffect>,
}

/// Who waits for an answer.
enum Waiting {
    Errand(Errand),
    Task(Progress),
    /// A topic was to be created and is there: whose is it?
    Owner {
        progress: Progress,
        refused: ClientError,
    },
    /// The load's publisher is registered, or not.
    LoadPublisher,
    /// One message of the load.
    Load {
        began: Instant,
    },
}

impl Desk {
    /// One that finds out by itself how the cluster is, and asks to be told everything.
    pub fn curious(config: &ClientConfig) -> Desk {
        Desk { errands: Some(Errands::default()), ..Desk::quiet(config) }
    }

    /// One that asks for nothing until the person does.
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

    /// One turn. A first call without inputs makes a curious desk look for the cluster.
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
        // What the client resolves may ask for more; each errand and each task has finitely many steps.
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

    /// When to call again with [`DeskInput::DeadlineReached`], if nothing happens before.
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
            // Somebody passed the refusal on, perhaps: it does not show to whom there is a connection.
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

    /// What a node answers shows that it is there, and teaches the page something.
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

/// A refusal is an answer too.
fn refusal(error: &ClientError) -> Option<Answer> {
    match error {
        ClientError::Refused { failure, served_by } => {
            Some(Answer { id: None, served_by: *served_by, hops: None, result: Err(failure.clone()) })
        }
        ClientError::Unavailable { .. } | ClientError::InDoubt { .. } | ClientError::Overloaded => None,
        ClientError::UnknownNode { .. } | ClientError::Unexpected { .. } | ClientError::Closed => None,
    }
}
