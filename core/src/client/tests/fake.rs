//! A simulated cluster: eight nodes with one shared state, a mood for each, and a clock that only tests advance.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::*;
use crate::content::Content;
use crate::cube::{Dimension, Vertex};
use crate::identity::HostId;
use crate::names::{Offset, PublisherId, Sequence, TopicId, TopicName};
use crate::placement;
use crate::seating::Seating;
use crate::states::NodeState;
use crate::time::Timestamp;
use crate::wire::answer::*;
use crate::wire::client::{Admin, Local, Query, Read, Request, Write};

/// How a node behaves.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Mood {
    Up,
    /// Its process has ended.
    Down,
    /// Answers `node_failed` and pushes nothing.
    Failing,
    /// Answers `unavailable`.
    Unavailable,
    /// Does not answer.
    Mute,
}

#[derive(Default)]
struct Topic {
    id: u64,
    owner: String,
    messages: Vec<Message>,
    sequences: BTreeMap<Sequence, Offset>,
    forgotten_below: u64,
}

struct Session {
    topic: TopicName,
    id: u64,
    subscriber: crate::names::SubscriberId,
    next: usize,
}

pub struct World {
    client: Client,
    now: Now,
    moods: BTreeMap<HostId, Mood>,
    loses_answer: BTreeMap<HostId, bool>,
    sockets: BTreeMap<SocketId, (HostId, Option<Session>)>,
    /// The sockets that wait while openings are held.
    opening: Option<Vec<(SocketId, HostId)>>,
    topics: BTreeMap<TopicName, Topic>,
    next_topic: u64,
    watches: BTreeMap<HostId, u32>,
    next_ticket: u64,
    pub requests: usize,
    seen: Vec<ClientEffect>,
}

pub fn host(text: &str) -> HostId {
    text.parse().unwrap()
}

fn url(host: HostId) -> String {
    format!("ws://node-{host}:80/ws")
}

impl World {
    pub fn new(seeds: &[&str]) -> World {
        let dimension = Dimension::new(3).unwrap();
        let seeds = seeds.iter().map(|seed| url(host(seed))).collect();
        World {
            client: Client::new(&ClientConfig { seeds, seed: 1, ..ClientConfig::default() }),
            now: Now { monotonic: Instant(0), wall: Timestamp(1_795_379_000_000_000) },
            moods: Seating::founding(dimension).hosts().map(|host| (host, Mood::Up)).collect(),
            loses_answer: BTreeMap::new(),
            sockets: BTreeMap::new(),
            opening: None,
            topics: BTreeMap::new(),
            next_topic: 0,
            watches: BTreeMap::new(),
            next_ticket: 0,
            requests: 0,
            seen: vec![],
        }
    }

    pub fn add_topic(&mut self, name: &str) {
        self.add_topic_of("p", name);
    }

    pub fn add_topic_of(&mut self, owner: &str, name: &str) {
        self.next_topic += 1;
        let topic = Topic { id: self.next_topic, owner: owner.into(), ..Topic::default() };
        self.topics.insert(name.parse().unwrap(), topic);
    }

    pub fn forget_topic(&mut self, name: &str) {
        self.topics.remove(&name.parse::<TopicName>().unwrap());
    }

    pub fn forget_sequences_below(&mut self, name: &str, number: u64) {
        self.topics.get_mut(&name.parse::<TopicName>().unwrap()).unwrap().forgotten_below = number;
    }

    pub fn set(&mut self, node: &str, mood: Mood) {
        let node = host(node);
        self.moods.insert(node, mood);
        if mood == Mood::Down {
            let broken: Vec<_> = self.sockets.iter().filter(|(_, (at, _))| *at == node).map(|(id, _)| *id).collect();
            self.sockets.retain(|_, (at, _)| *at != node);
            let closed = |socket| ClientInput::Closed { socket, why: "reset".into() };
            self.turn(broken.into_iter().map(closed).collect());
        }
    }

    /// Makes the node perform its next request and then break its sockets instead of answering.
    pub fn lose_next_answer(&mut self, node: &str) {
        self.loses_answer.insert(host(node), true);
    }

    pub fn replace_client(&mut self, seed: u64) {
        let seeds = vec![url(host("000"))];
        self.client = Client::new(&ClientConfig { seeds, seed, ..ClientConfig::default() });
        self.sockets.clear();
    }

    pub fn let_client_rest(&mut self, strangers: Rests) {
        let seeds = vec![url(host("000"))];
        self.client = Client::new(&ClientConfig { seeds, strangers, ..ClientConfig::default() });
    }

    /// Delays the opening of sockets, as a browser may do.
    pub fn hold_openings(&mut self) {
        self.opening = Some(Vec::new());
    }

    pub fn let_open(&mut self) {
        for (socket, at) in self.opening.take().unwrap_or_default() {
            self.sockets.insert(socket, (at, None));
            self.give(ClientInput::Opened { socket });
        }
    }

    /// Number of attempts to open a socket to this node.
    pub fn attempts_at(&self, node: &str) -> usize {
        let wanted = url(host(node));
        self.seen.iter().filter(|effect| matches!(effect, ClientEffect::Open { url, .. } if *url == wanted)).count()
    }

    pub fn ask(&mut self, action: Action) -> Result<Reply, ClientError> {
        self.ask_at(Target::Home, action)
    }

    /// Submits, and advances time until the submission is resolved.
    pub fn ask_at(&mut self, to: Target, action: Action) -> Result<Reply, ClientError> {
        let submission = Submission { to, ..self.submission(action) };
        let ticket = submission.ticket;
        self.give(ClientInput::Submit(submission));
        loop {
            let result = self.seen.iter().find_map(|effect| match effect {
                ClientEffect::Resolved { ticket: of, result } if *of == ticket => Some(result.clone()),
                _ => None,
            });
            if let Some(result) = result {
                return result;
            }
            self.advance_to_next_deadline();
        }
    }

    pub fn submission(&mut self, action: Action) -> Submission {
        self.next_ticket += 1;
        Submission { ticket: Ticket(self.next_ticket), action, to: Target::Home, within: DEFAULT_WITHIN, trace: false }
    }

    pub fn give(&mut self, input: ClientInput) {
        self.turn(vec![input]);
    }

    /// Processes the inputs and everything that follows without time passing.
    pub fn turn(&mut self, inputs: Vec<ClientInput>) {
        let mut inputs = inputs;
        loop {
            let effects = self.client.handle(self.now, std::mem::take(&mut inputs));
            for effect in effects {
                inputs.extend(self.carry_out(&effect));
                self.seen.push(effect);
            }
            inputs.extend(self.deliveries());
            if inputs.is_empty() {
                return;
            }
        }
    }

    pub fn pass(&mut self, time: Duration) {
        let end = self.now.monotonic + time;
        while self.client.next_deadline().is_some_and(|next| next <= end) {
            self.advance_to_next_deadline();
        }
        self.move_clock(end);
        self.turn(vec![]);
    }

    fn advance_to_next_deadline(&mut self) {
        let next = self.client.next_deadline().expect("a client that has work has a deadline");
        self.move_clock(next);
        self.give(ClientInput::DeadlineReached);
    }

    fn move_clock(&mut self, to: Instant) {
        let passed = to.since(self.now.monotonic);
        self.now = Now { monotonic: to, wall: Timestamp(self.now.wall.0 + passed.as_micros() as u64) };
    }

    fn carry_out(&mut self, effect: &ClientEffect) -> Vec<ClientInput> {
        match effect {
            ClientEffect::Open { socket, url: asked, .. } => {
                let at = self.moods.keys().copied().find(|host| url(*host) == *asked).unwrap();
                if self.moods[&at] == Mood::Down {
                    return vec![ClientInput::Closed { socket: *socket, why: "connection refused".into() }];
                }
                if let Some(opening) = &mut self.opening {
                    opening.push((*socket, at));
                    return vec![];
                }
                self.sockets.insert(*socket, (at, None));
                vec![ClientInput::Opened { socket: *socket }]
            }
            ClientEffect::Close { socket } => {
                self.sockets.remove(socket);
                vec![]
            }
            ClientEffect::Send { socket, requests } => self.receive(*socket, requests),
            _ => vec![],
        }
    }

    fn receive(&mut self, socket: SocketId, requests: &[Request]) -> Vec<ClientInput> {
        let Some((at, _)) = self.sockets.get(&socket) else { return vec![] };
        let at = *at;
        self.requests += requests.len();
        let mut frames = vec![];
        for request in requests {
            if self.moods[&at] == Mood::Mute {
                continue;
            }
            let result = self.serve(at, socket, &request.action);
            let is_probe = request.action == Action::Local(Local::Cluster);
            if !is_probe && self.loses_answer.remove(&at).is_some() {
                self.sockets.remove(&socket);
                return vec![ClientInput::Closed { socket, why: "reset".into() }];
            }
            frames.push(ServerFrame::Answer(Answer { id: request.id.clone(), served_by: at, hops: None, result }));
        }
        if frames.is_empty() { vec![] } else { vec![ClientInput::Frames { socket, frames }] }
    }

    fn serve(&mut self, at: HostId, socket: SocketId, action: &Action) -> Result<Done, Failure> {
        match (self.moods[&at], action) {
            (Mood::Failing, _) => return Err(ErrorCode::NodeFailed.because("stopped by a requested fault")),
            (_, Action::Local(Local::Cluster)) => return Ok(Done::Cluster(self.cluster())),
            (Mood::Unavailable, _) => return Err(ErrorCode::Unavailable.because("no quorum")),
            _ => {}
        }
        match action {
            Action::Write(Write::CreatePublisher { publisher }) => {
                Ok(Done::PublisherCreated { publisher: publisher.clone(), existed: false })
            }
            Action::Write(Write::CreateTopic { publisher, topic }) => self.create(publisher, topic),
            Action::Write(Write::DeleteTopic { topic, .. }) => {
                let (home, neighbours) = place(topic);
                self.topics.remove(topic).ok_or_else(unknown_topic)?;
                Ok(Done::TopicDeleted { topic: topic.clone(), home, neighbours })
            }
            Action::Write(Write::Publish { publisher, topic, content, sequence, .. }) => {
                let sequence = sequence.expect("the client numbers every publish");
                self.topics.get_mut(topic).ok_or_else(unknown_topic)?.publish(publisher, topic, content, sequence)
            }
            Action::Write(Write::Subscribe { topic, subscriber, push, from }) => {
                let id = self.topics.get(topic).ok_or_else(unknown_topic)?.id;
                assert_eq!(*from, None, "a subscription goes on from its cursor");
                let session = Session { topic: topic.clone(), id, subscriber: subscriber.clone(), next: 0 };
                if let (true, Some(socket)) = (*push, self.sockets.get_mut(&socket)) {
                    socket.1 = Some(session);
                }
                let (topic, topic_id) = (topic.clone(), TopicId(id));
                Ok(Done::Subscribed { topic, topic_id, cursor: Offset(0), original_node: None })
            }
            Action::Write(Write::Unsubscribe { topic, .. }) => Ok(Done::Unsubscribed { topic: topic.clone() }),
            Action::Read(Read::Pull { topic, .. }) => {
                let messages = self.topics.get(topic).ok_or_else(unknown_topic)?.messages.clone();
                let (topic, cursor) = (topic.clone(), Offset(messages.len() as u64));
                let (end, behind, original_node) = (cursor, None, None);
                Ok(Done::Pulled { topic, messages, cursor, end, behind, original_node })
            }
            Action::Query(Query::Topics) => Ok(Done::Topics { topics: self.summaries(), missing: vec![] }),
            Action::Admin(Admin::Status { .. }) => Ok(Done::NodeRecovered { node: at }),
            Action::Local(Local::Watch { .. }) => {
                *self.watches.entry(at).or_default() += 1;
                Ok(Done::Watching)
            }
            other => panic!("the fake cluster does not know {other:?}"),
        }
    }

    fn create(&mut self, publisher: &PublisherId, topic: &TopicName) -> Result<Done, Failure> {
        if self.topics.contains_key(topic) {
            return Err(ErrorCode::TopicExists.because("exists"));
        }
        self.add_topic_of(publisher.as_str(), topic.as_str());
        let (home, neighbours) = place(topic);
        Ok(Done::TopicCreated { topic: topic.clone(), home, neighbours })
    }

    fn summaries(&self) -> Vec<TopicSummary> {
        let summary = |(topic, state): (&TopicName, &Topic)| TopicSummary {
            topic: topic.clone(),
            owner: state.owner.parse().unwrap(),
            home: place(topic).0,
            leader: None,
            messages: state.messages.len() as u64,
            subscribers: 0,
        };
        self.topics.iter().map(summary).collect()
    }

    fn cluster(&self) -> ClusterView {
        let view = |host: &HostId| NodeView {
            node: *host,
            address: format!("node-{host}:80"),
            state: NodeState::Up,
            incarnation: 1,
            leads: vec![],
        };
        ClusterView {
            dimension: Dimension::new(3).unwrap(),
            nodes: self.moods.keys().map(view).collect(),
            links: vec![],
        }
    }

    /// Messages that the push sessions of healthy nodes have not sent yet.
    fn deliveries(&mut self) -> Vec<ClientInput> {
        let mut inputs = vec![];
        for (socket, (at, slot)) in &mut self.sockets {
            let Some(session) = slot.as_mut().filter(|_| self.moods[at] == Mood::Up) else { continue };
            let Some(topic) = self.topics.get(&session.topic).filter(|topic| topic.id == session.id) else {
                let Some(Session { topic, subscriber, .. }) = slot.take() else { continue };
                let ended = SubscriptionEnded { topic, subscriber, reason: EndReason::TopicDeleted };
                inputs
                    .push(ClientInput::Frames { socket: *socket, frames: vec![ServerFrame::SubscriptionEnded(ended)] });
                continue;
            };
            let (name, subscriber) = (session.topic.clone(), session.subscriber.clone());
            let deliver = |message: &Message| {
                let (topic, subscriber) = (name.clone(), subscriber.clone());
                ServerFrame::Message(Delivery { topic, subscriber, message: message.clone() })
            };
            let frames: Vec<_> = topic.messages[session.next..].iter().map(deliver).collect();
            session.next = topic.messages.len();
            if !frames.is_empty() {
                inputs.push(ClientInput::Frames { socket: *socket, frames });
            }
        }
        inputs
    }

    // Accessors for tests.

    pub fn now(&self) -> Instant {
        self.now.monotonic
    }

    pub fn hosts(&self) -> Vec<HostId> {
        self.moods.keys().copied().collect()
    }

    pub fn contents(&self, topic: &str) -> Vec<&str> {
        self.topics[&topic.parse::<TopicName>().unwrap()].messages.iter().map(|m| m.content.as_str()).collect()
    }

    pub fn delivered(&self) -> Vec<String> {
        let content = |effect: &'_ ClientEffect| match effect {
            ClientEffect::Delivered(delivery) => Some(delivery.message.content.to_string()),
            _ => None,
        };
        self.seen.iter().filter_map(content).collect()
    }

    pub fn ended(&self) -> Vec<ErrorCode> {
        let ended = |effect: &ClientEffect| match effect {
            ClientEffect::DeliveriesEnded { why, .. } => Some(why.code),
            _ => None,
        };
        self.seen.iter().filter_map(ended).collect()
    }

    pub fn notices(&self) -> Vec<Notice> {
        let notice = |effect: &ClientEffect| match effect {
            ClientEffect::Notice(notice) => Some(notice.clone()),
            _ => None,
        };
        self.seen.iter().filter_map(notice).collect()
    }

    pub fn results(&self) -> Vec<Result<Reply, ClientError>> {
        let result = |effect: &ClientEffect| match effect {
            ClientEffect::Resolved { result, .. } => Some(result.clone()),
            _ => None,
        };
        self.seen.iter().filter_map(result).collect()
    }

    pub fn watches_at(&self, node: &str) -> u32 {
        self.watches.get(&host(node)).copied().unwrap_or(0)
    }

    pub fn open_sockets(&self) -> usize {
        self.sockets.len()
    }

    pub fn largest_batch(&self) -> usize {
        let requests = |effect: &ClientEffect| match effect {
            ClientEffect::Send { requests, .. } => requests.len(),
            _ => 0,
        };
        self.seen.iter().map(requests).max().unwrap_or(0)
    }

    pub fn client_in_flight(&self) -> usize {
        self.client.in_flight()
    }

    pub fn trace(&self) -> String {
        format!("{:?}", self.seen)
    }
}

impl Topic {
    fn publish(
        &mut self,
        publisher: &PublisherId,
        topic: &TopicName,
        content: &Content,
        sequence: Sequence,
    ) -> Result<Done, Failure> {
        if sequence.0 < self.forgotten_below {
            return Err(ErrorCode::SequenceTooOld.because("older than the window"));
        }
        let end = Offset(self.messages.len() as u64);
        let repeated = self.sequences.contains_key(&sequence);
        let offset = *self.sequences.entry(sequence).or_insert(end);
        if !repeated {
            let (publisher, content) = (publisher.clone(), content.clone());
            self.messages.push(Message { offset, publisher, content, time: Timestamp(0) });
        }
        Ok(Done::Published { topic: topic.clone(), offset: Some(offset), replicas: vec![], repeated })
    }
}

fn place(topic: &TopicName) -> (Vertex, Vec<Vertex>) {
    let home = placement::home(topic.as_str(), Dimension::new(3).unwrap());
    (home, home.neighbours().collect())
}

fn unknown_topic() -> Failure {
    ErrorCode::UnknownTopic.because("no such topic")
}
