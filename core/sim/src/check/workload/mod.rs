//! The workload: a random stream of every action, with every ack and read level. This module decides the steps, and a
//! driver performs them.
//!
//! Each client performs one step at a time: it sends a request and waits for the answer or for its loss. The same seed
//! and the same answers give a client the same stream, regardless of other clients. Contents are never reused, so a
//! message found anywhere identifies its publish. A sequence number always has the same content on the same topic.
//!
//! The keeper creates the lasting topics first, and they are never deleted. An auditor is subscribed to each of them,
//! and the final logs are read through it. Passing topics are created and deleted repeatedly, each by one client.
//!
//! A driver performs [`Workload::preparation`], then each client's steps, and after healing [`Workload::farewell`].

mod choice;
mod op_mix;
mod sim_client;
#[cfg(test)]
mod tests;

use cubecast_core::identity::HostId;
use cubecast_core::names::{PublisherId, Sequence, SubscriberId, TopicName};
use cubecast_core::seating::Seating;
use cubecast_core::wire::answer::{Done, ErrorCode, Failure};
use cubecast_core::wire::client::{Ack, Action, Write};
use serde::{Deserialize, Serialize};
use sim_client::{SimClient, Topic};

use super::history::{ClientId, Operation, SessionEnd};

/// The size of the workload.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    /// Number of clients, at least 1.
    pub clients: u32,
    /// Number of lasting topics, at least 1.
    pub lasting_topics: u32,
    /// Number of passing topics.
    pub passing_topics: u32,
    /// The longest pause between an answer and the client's next request, in milliseconds.
    pub pause_ms: u32,
    /// The largest content in bytes. Most contents are far smaller.
    pub content_bytes: u32,
}

impl Default for Load {
    fn default() -> Load {
        Load { clients: 5, lasting_topics: 2, passing_topics: 2, pause_ms: 200, content_bytes: 2_000 }
    }
}

/// The state of all clients.
#[derive(Clone, Debug)]
pub struct Workload {
    load: Load,
    lasting: Vec<TopicName>,
    passing: Vec<TopicName>,
    sim_clients: Vec<SimClient>,
}

/// A client's next step.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// Pause before the step, in microseconds.
    pub pause_us: u64,
    /// The node to ask.
    pub node: HostId,
    /// Whether to open a new connection. Otherwise the step uses the connection of the last step, if that goes to the
    /// same node and is still open.
    pub new_connection: bool,
    /// Before the step, the client closes the connection of its push session on this topic, if it still has one:
    /// [`SessionEnd::Left`].
    pub leave: Option<TopicName>,
    /// The action to request.
    pub action: Action,
}

impl Step {
    /// Whether the step begins a push session if it succeeds. It then uses a connection of its own, besides that of the
    /// other steps. The connection stays open until it breaks, a later step leaves it, or the run ends. A client has at
    /// most one session per topic.
    pub fn opens_session(&self) -> bool {
        matches!(
            self.action,
            Action::Write(Write::Subscribe { push: true, .. } | Write::ReplicaSubscribe { push: true, .. })
        )
    }
}

impl Workload {
    /// The client that performs the preparation and the farewell.
    pub const KEEPER: ClientId = ClientId(u32::MAX);

    /// Creates a workload. The seed determines the names and all steps.
    pub fn new(seating: &Seating, load: Load, seed: u64) -> Workload {
        let mut random = fastrand::Rng::with_seed(seed);
        // Different seeds use different names, so that different nodes are their homes.
        let tag = random.u64(0..1_000);
        let names = |kind, count| (0..count).map(|number| topic(format!("{kind}{number}-{tag}"))).collect::<Vec<_>>();
        let lasting = names("lasting", load.lasting_topics.max(1));
        let passing = names("passing", load.passing_topics);
        let sim_clients = (0..load.clients)
            .map(|client| {
                let lasting = lasting.iter().map(|name| Topic::lasting(name.clone()));
                let passing = passing
                    .iter()
                    .zip(0u32..)
                    .map(|(name, number)| Topic::passing(name.clone(), number % load.clients == client));
                SimClient::new(client, seating.clone(), &load, lasting.chain(passing).collect(), random.fork())
            })
            .collect();
        Workload { load, lasting, passing, sim_clients }
    }

    /// The clients, without the keeper.
    pub fn clients(&self) -> impl Iterator<Item = ClientId> + use<> {
        (0..self.load.clients).map(ClientId)
    }

    /// The actions to perform before the clients start, one after another at any node. Each is repeated until it is
    /// [settled](Workload::is_settled).
    pub fn preparation(&self) -> Vec<Action> {
        let mut actions = vec![
            Action::Write(Write::CreatePublisher { publisher: Workload::keeper() }),
            Action::Write(Write::CreateSubscriber { subscriber: Workload::auditor() }),
        ];
        for topic in &self.lasting {
            actions.push(Action::Write(Write::CreateTopic { publisher: Workload::keeper(), topic: topic.clone() }));
            actions.push(subscribe(Workload::auditor(), topic));
        }
        for client in &self.sim_clients {
            actions.push(Action::Write(Write::CreatePublisher { publisher: client.publisher.clone() }));
            actions.push(Action::Write(Write::CreateSubscriber { subscriber: client.subscriber.clone() }));
            actions.extend(self.lasting.iter().map(|topic| subscribe(client.subscriber.clone(), topic)));
        }
        actions
    }

    /// A publish with `ack: all` to every lasting topic. Once one is [settled](Workload::is_settled), its topic has
    /// recovered. Each can be repeated unchanged.
    pub fn farewell(&self) -> Vec<Action> {
        let publish = |(topic, number): (&TopicName, u64)| {
            Action::Write(Write::Publish {
                publisher: Workload::keeper(),
                topic: topic.clone(),
                content: format!("{}-{number}", Workload::keeper()).into(),
                ack: Ack::All,
                sequence: Some(Sequence(number)),
            })
        };
        self.lasting.iter().zip(0..).map(publish).collect()
    }

    /// Whether an action of the preparation or the farewell was performed, by this attempt or by an earlier one with a
    /// lost answer.
    pub fn is_settled(result: &Result<Done, Failure>) -> bool {
        result.as_ref().map_or_else(|failure| failure.code == ErrorCode::TopicExists, |_| true)
    }

    /// The next step of a client that has no operation under way.
    pub fn next(&mut self, client: ClientId) -> Step {
        self.sim_client(client).next()
    }

    /// Handles the outcome of the client's last step; `answered: None` if the connection broke.
    pub fn handle_outcome(&mut self, operation: &Operation) {
        self.sim_client(operation.client).handle_outcome(operation);
    }

    /// Handles the end of a push session that no step of the client ended.
    pub fn handle_session_end(&mut self, client: ClientId, topic: &TopicName, _end: SessionEnd) {
        self.sim_client(client).handle_session_end(topic);
    }

    fn sim_client(&mut self, client: ClientId) -> &mut SimClient {
        &mut self.sim_clients[client.0 as usize]
    }

    /// The names of the lasting topics.
    pub fn lasting_topics(&self) -> Vec<TopicName> {
        self.lasting.clone()
    }

    /// The names of the passing topics.
    pub fn passing_topics(&self) -> Vec<TopicName> {
        self.passing.clone()
    }

    /// The subscriber of every lasting topic.
    pub fn auditor() -> SubscriberId {
        SubscriberId::new("auditor").expect("a valid name")
    }

    /// The owner of the lasting topics.
    pub fn keeper() -> PublisherId {
        PublisherId::new("keeper").expect("a valid name")
    }
}

fn topic(name: String) -> TopicName {
    TopicName::new(name).expect("a valid name")
}

fn subscribe(subscriber: SubscriberId, topic: &TopicName) -> Action {
    Action::Write(Write::Subscribe { subscriber, topic: topic.clone(), from: None, push: false })
}
