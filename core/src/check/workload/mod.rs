//! What clients do: a random stream of every action, with every ack and read level, decided here and carried out by a driver.
//!
//! Each client is a sequence: it asks, waits for the answer or for its loss, and goes on. The same seed and the same answers give
//! the same stream, whatever the other clients do. Contents are never used twice, so that a message found anywhere tells which
//! publish it came from; a sequence number always bears the same content to the same topic.
//!
//! Lasting topics are created first, by the keeper, and never deleted; each has an auditor subscribed to it, through whom the
//! holdings are read in the end. Passing topics come and go: each has one client who creates and deletes it.
//!
//! A driver does [`Workload::preparation`], then each client's steps, then, when all has healed, [`Workload::farewell`].

mod choice;
mod mind;
#[cfg(test)]
mod tests;
mod wishes;

use serde::{Deserialize, Serialize};

use super::history::{ClientId, Operation, SessionEnd};
use crate::cube::{Dimension, Vertex};
use crate::names::{PublisherId, Sequence, SubscriberId, TopicName};
use crate::wire::answer::{Done, ErrorCode, Failure};
use crate::wire::client::{Ack, Action};
use mind::{Mind, Topic};

/// How much is done.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    pub clients: u32,
    pub lasting_topics: u32,
    pub passing_topics: u32,
    /// The longest pause between an answer and the client's next request, milliseconds.
    pub pause_ms: u32,
    /// The largest content, bytes. Most are far smaller.
    pub content_bytes: u32,
}

impl Default for Load {
    fn default() -> Load {
        Load { clients: 5, lasting_topics: 2, passing_topics: 2, pause_ms: 200, content_bytes: 2_000 }
    }
}

/// The clients' minds.
#[derive(Clone, Debug)]
pub struct Workload {
    load: Load,
    lasting: Vec<TopicName>,
    passing: Vec<TopicName>,
    minds: Vec<Mind>,
}

/// What a client does next.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// After this pause, microseconds.
    pub pause_us: u64,
    pub node: Vertex,
    /// On a new connection; otherwise on the one of its last step, if that goes to the same node and still stands.
    pub new_connection: bool,
    /// First the client closes the connection of its push session on this topic, if it still has one: [`SessionEnd::Left`].
    pub leave: Option<TopicName>,
    pub action: Action,
}

impl Step {
    /// Whether the step begins a push session when it is done. Such a step goes on a connection of its own, beside that of the
    /// other steps, which stays until it breaks, a later step leaves it, or the run ends. A client has at most one for a topic.
    pub fn opens_session(&self) -> bool {
        matches!(self.action, Action::Subscribe { push: true, .. } | Action::ReplicaSubscribe { push: true, .. })
    }
}

impl Workload {
    /// Who does what is done before the clients begin and after they have ended.
    pub const KEEPER: ClientId = ClientId(u32::MAX);

    pub fn new(dimension: Dimension, load: Load, seed: u64) -> Workload {
        let mut random = fastrand::Rng::with_seed(seed);
        // Other names for other seeds, so that other nodes are their homes.
        let tag = random.u64(0..1_000);
        let names = |kind, count| (0..count).map(|number| topic(format!("{kind}{number}-{tag}"))).collect::<Vec<_>>();
        let lasting = names("lasting", load.lasting_topics.max(1));
        let passing = names("passing", load.passing_topics);
        let minds = (0..load.clients)
            .map(|client| {
                let lasting = lasting.iter().map(|name| Topic::lasting(name.clone()));
                let passing = passing
                    .iter()
                    .zip(0u32..)
                    .map(|(name, number)| Topic::passing(name.clone(), number % load.clients == client));
                Mind::new(client, dimension, &load, lasting.chain(passing).collect(), random.fork())
            })
            .collect();
        Workload { load, lasting, passing, minds }
    }

    pub fn clients(&self) -> impl Iterator<Item = ClientId> + use<> {
        (0..self.load.clients).map(ClientId)
    }

    /// What must exist before the clients begin: done one after the other, at any node, each again until it is
    /// [settled](Workload::is_settled).
    pub fn preparation(&self) -> Vec<Action> {
        let mut actions = vec![
            Action::CreatePublisher { publisher: Workload::keeper() },
            Action::CreateSubscriber { subscriber: Workload::auditor() },
        ];
        for topic in &self.lasting {
            actions.push(Action::CreateTopic { publisher: Workload::keeper(), topic: topic.clone() });
            actions.push(subscribe(Workload::auditor(), topic));
        }
        for mind in &self.minds {
            actions.push(Action::CreatePublisher { publisher: mind.publisher.clone() });
            actions.push(Action::CreateSubscriber { subscriber: mind.subscriber.clone() });
            actions.extend(self.lasting.iter().map(|topic| subscribe(mind.subscriber.clone(), topic)));
        }
        actions
    }

    /// A publish with `ack: all` to every lasting topic: each shows, once it is [settled](Workload::is_settled), that its topic
    /// has recovered. It may be sent again as it is.
    pub fn farewell(&self) -> Vec<Action> {
        let publish = |(topic, number): (&TopicName, u64)| Action::Publish {
            publisher: Workload::keeper(),
            topic: topic.clone(),
            content: format!("{}-{number}", Workload::keeper()).into(),
            ack: Ack::All,
            sequence: Some(Sequence(number)),
        };
        self.lasting.iter().zip(0..).map(publish).collect()
    }

    /// Whether something of the preparation or the farewell is done: by this attempt, or by one before whose answer was lost.
    pub fn is_settled(result: &Result<Done, Failure>) -> bool {
        result.as_ref().map_or_else(|failure| failure.code == ErrorCode::TopicExists, |_| true)
    }

    /// The next step of a client that has nothing under way.
    pub fn next(&mut self, client: ClientId) -> Step {
        self.mind(client).next()
    }

    /// How the client's last step came out; `answered: None` when the connection broke.
    pub fn handle_outcome(&mut self, operation: &Operation) {
        self.mind(operation.client).handle_outcome(operation);
    }

    /// A push subscription of the client ended, and not because a step left it: then the client knows.
    pub fn handle_session_end(&mut self, client: ClientId, topic: &TopicName, _end: SessionEnd) {
        self.mind(client).handle_session_end(topic);
    }

    fn mind(&mut self, client: ClientId) -> &mut Mind {
        &mut self.minds[client.0 as usize]
    }

    pub fn lasting_topics(&self) -> Vec<TopicName> {
        self.lasting.clone()
    }

    pub fn passing_topics(&self) -> Vec<TopicName> {
        self.passing.clone()
    }

    /// Subscribed to every lasting topic.
    pub fn auditor() -> SubscriberId {
        SubscriberId::new("auditor").expect("a valid name")
    }

    /// Owns the lasting topics.
    pub fn keeper() -> PublisherId {
        PublisherId::new("keeper").expect("a valid name")
    }
}

fn topic(name: String) -> TopicName {
    TopicName::new(name).expect("a valid name")
}

fn subscribe(subscriber: SubscriberId, topic: &TopicName) -> Action {
    Action::Subscribe { subscriber, topic: topic.clone(), from: None, push: false }
}
