//! The recorded hosts of an incident, replayed. Only the page for incidents uses this module.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::io::{ConnectionId, Effect};
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::node::Node;
use cubecast_core::recording::comparison::Redaction;
use cubecast_core::recording::incident::Incident;
use cubecast_core::recording::replay::{Replay, ReplayError, Step};
use cubecast_core::records::StoredMessage;
use cubecast_core::seating::Seating;
use cubecast_core::store::Write;
use cubecast_core::time::{Instant, Timestamp};
use cubecast_core::topics::Topics;
use cubecast_core::wire::event::WatchEvent;
use cubecast_sim::{Cluster, ClusterConfig, Resumed, Simulation};

use super::spec::Recording;
use super::world::{ReplayedSoFar, World};

/// An incident that can be replayed from its beginning.
#[derive(Debug)]
pub struct OpenedIncident(Incident);

impl OpenedIncident {
    /// Opens the content of a file. Errors: it is not an incident, or its beginning cannot be replayed.
    pub fn open(bytes: &[u8]) -> Result<Rc<OpenedIncident>, ReplayError> {
        let incident = Incident::decode(bytes)?;
        Recorded::open(&incident)?;
        Ok(Rc::new(OpenedIncident(incident)))
    }

    /// The incident in a sentence.
    pub fn about(&self) -> String {
        let (recorded, all) = (self.0.hosts.len(), self.0.seating.dimension().size());
        format!("{recorded} of {all} nodes, saved at {}. Press play to see what happened.", self.0.saved_at)
    }

    /// What was compared before the contents of messages were masked, in a sentence; `None` if they are not. `true`:
    /// all of it was equal.
    pub fn redaction(&self) -> Option<(bool, String)> {
        let redactions: Vec<&Redaction> = self.0.hosts.iter().filter_map(|host| host.redaction.as_ref()).collect();
        let turns: u64 = redactions.iter().map(|redaction| redaction.original.turns).sum();
        let different: u64 =
            redactions.iter().map(|of| of.original.different_turns.max(of.masked.different_turns)).sum();
        let is_equal = redactions.iter().all(|redaction| redaction.is_equal());
        let result = match is_equal {
            true => "all of them were equal".to_owned(),
            false => format!("{different} of them differed"),
        };
        (!redactions.is_empty()).then(|| {
            let text = format!(
                "The contents of messages are redacted. Before that, {turns} turns were compared with what the nodes \
                 did, and with the redacted ones: {result}."
            );
            (is_equal, text)
        })
    }

    /// The hosts without a recording, and why.
    pub fn missing(&self) -> &[(HostId, String)] {
        &self.0.missing
    }
}

impl Recording for OpenedIncident {
    fn begin(&self) -> Box<dyn World> {
        Box::new(Recorded::open(&self.0).expect("it was opened before"))
    }

    fn seating(&self) -> &Seating {
        &self.0.seating
    }
}

/// Most messages of one topic, and of all topics, that a fork has from before the recording. Their contents are
/// unknown.
const MAX_UNKNOWN: u64 = 1_000;
const MAX_UNKNOWN_IN_ALL: u64 = 100_000;
const UNKNOWN: &str = "(from before the recording)";

/// The messages that were written during the recording.
type Messages = BTreeMap<(GroupId, TopicId), BTreeMap<Offset, StoredMessage>>;

/// The hosts of an incident at an instant of it. The instant zero is its first moment.
struct Recorded {
    replay: Replay,
    messages: Messages,
    now: Instant,
    events: Vec<(Instant, WatchEvent)>,
    /// Why the replay could not continue.
    problem: Option<ReplayError>,
}

impl Recorded {
    fn open(incident: &Incident) -> Result<Recorded, ReplayError> {
        let mut recorded = Recorded {
            replay: Replay::open(incident)?,
            messages: Messages::new(),
            now: Instant(0),
            events: Vec::new(),
            problem: None,
        };
        recorded.advance(Instant(0));
        recorded.events.clear();
        recorded.problem.take().map_or(Ok(recorded), Err)
    }

    fn instant(&self, at: Timestamp) -> Instant {
        Instant(at.0.saturating_sub(self.replay.begins().0))
    }

    fn advance(&mut self, until: Instant) {
        while self.problem.is_none() && self.replay.next_at().is_some_and(|at| self.instant(at) <= until) {
            match self.replay.step() {
                Ok(Some(step)) => {
                    let at = self.instant(step.at);
                    let Step::Turned { effects, .. } = step.step else { continue };
                    effects.into_iter().for_each(|effect| self.learn(at, effect));
                }
                Ok(None) => break,
                Err(problem) => self.problem = Some(problem),
            }
        }
        self.now = self.now.max(until);
    }

    fn learn(&mut self, at: Instant, effect: Effect) {
        match effect {
            Effect::Observe(event) => self.events.push((at, event)),
            Effect::Write(batch) => {
                for write in batch.writes {
                    match write {
                        Write::Messages { group, topic, messages } | Write::Repair { group, topic, messages } => {
                            let known = self.messages.entry((group, topic)).or_default();
                            known.extend(messages.into_iter().map(|message| (message.offset, message)));
                        }
                        Write::DropMessages { group, topic } => drop(self.messages.remove(&(group, topic))),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// A host as it is now, for a simulation.
    fn resumed(&mut self, host: HostId) -> Option<Resumed> {
        let at = Timestamp(self.replay.begins().0.saturating_add(self.now.0));
        let clocks = self.replay.clocks(host, at)?;
        let node = self.replay.take_node(host);
        let mut disk = node.as_ref().map_or_else(|| self.replay.disk_of(host).to_vec(), Node::as_writes);
        let topics = disk.iter().filter_map(|write| match write {
            Write::Checkpoint { group, checkpoint, .. } => Some((*group, Topics::decode(&checkpoint.state).ok()?)),
            _ => None,
        });
        let messages: Vec<Write> = topics.flat_map(|(group, topics)| self.messages_of(group, &topics)).collect();
        disk.extend(messages);
        Some(Resumed { host, node, clocks, disk })
    }

    /// The messages of a group's topics, as far as they are known or not too many.
    fn messages_of(&self, group: GroupId, topics: &Topics) -> Vec<Write> {
        let mut left = MAX_UNKNOWN_IN_ALL;
        let writes = topics.topics().map(|topic| {
            let known = self.messages.get(&(group, topic.id));
            let first_known = known.and_then(|known| known.first_key_value()).map_or(topic.end, |(first, _)| *first);
            let unknown = first_known.0.min(MAX_UNKNOWN).min(left);
            left -= unknown;
            let placeholder = |offset| StoredMessage {
                offset: Offset(offset),
                publisher: topic.owner.clone(),
                sequence: None,
                time: topics.latest(),
                content: UNKNOWN.into(),
            };
            let placeholders = (first_known.0 - unknown..first_known.0).map(placeholder);
            let known =
                known.into_iter().flat_map(|known| known.range(..topic.end)).map(|(_, message)| message.clone());
            Write::Messages { group, topic: topic.id, messages: placeholders.chain(known).collect() }
        });
        writes.collect()
    }
}

/// A simulation that began as an incident. Its clock goes on.
struct Forked {
    simulation: Simulation,
    epoch: Timestamp,
}

impl World for Forked {
    fn seating(&self) -> &Seating {
        self.simulation.cluster().seating()
    }

    fn node(&self, host: HostId) -> Option<&Node> {
        self.simulation.cluster().node(host)
    }

    fn now(&self) -> Instant {
        self.simulation.now()
    }

    fn epoch(&self) -> Timestamp {
        self.epoch
    }

    fn ends(&self) -> Instant {
        self.simulation.ends()
    }

    fn advance_to_news(&mut self, until: Instant) -> BTreeSet<ConnectionId> {
        self.simulation.advance_to_news(until)
    }

    fn take_events(&mut self) -> Vec<(Instant, WatchEvent)> {
        let now = self.now();
        self.simulation.take_events().into_iter().map(|event| (now, event)).collect()
    }

    fn story(&self) -> &[(Instant, String)] {
        &[]
    }

    fn heal(&mut self) {}

    fn cluster_mut(&mut self) -> Option<&mut Cluster> {
        Some(self.simulation.cluster_mut())
    }

    fn trace(&self) -> u64 {
        self.simulation.cluster().trace()
    }

    fn is_recorded(&self) -> bool {
        false
    }

    fn fork(&mut self, _seed: u64) -> Option<Box<dyn World>> {
        None
    }

    fn comparison(&self) -> Option<ReplayedSoFar> {
        None
    }

    fn into_simulation(self: Box<Self>) -> Option<Box<Simulation>> {
        None
    }
}

impl World for Recorded {
    fn seating(&self) -> &Seating {
        self.replay.seating()
    }

    fn node(&self, host: HostId) -> Option<&Node> {
        self.replay.node(host)
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn epoch(&self) -> Timestamp {
        self.replay.begins()
    }

    fn ends(&self) -> Instant {
        self.instant(self.replay.ends())
    }

    fn advance_to_news(&mut self, until: Instant) -> BTreeSet<ConnectionId> {
        self.advance(until);
        BTreeSet::new()
    }

    fn take_events(&mut self) -> Vec<(Instant, WatchEvent)> {
        std::mem::take(&mut self.events)
    }

    fn story(&self) -> &[(Instant, String)] {
        &[]
    }

    fn heal(&mut self) {}

    fn cluster_mut(&mut self) -> Option<&mut Cluster> {
        None
    }

    fn trace(&self) -> u64 {
        0
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn fork(&mut self, seed: u64) -> Option<Box<dyn World>> {
        let config = ClusterConfig { keep_events: true, ..ClusterConfig::new(self.seating().dimension(), seed) };
        let hosts: Vec<HostId> = self.seating().hosts().collect();
        let resumed = hosts.into_iter().filter_map(|host| self.resumed(host)).collect();
        let cluster = Cluster::resume(config, self.now, resumed);
        Some(Box::new(Forked { simulation: Simulation::with_guests(cluster, seed), epoch: self.epoch() }))
    }

    fn comparison(&self) -> Option<ReplayedSoFar> {
        let turns = self.replay.comparisons().map(|(_, comparison)| comparison.turns).sum();
        let different = self.replay.comparisons().filter(|(_, comparison)| !comparison.is_equal());
        let first = different.filter_map(|(host, comparison)| Some((comparison.first_difference?, host))).min();
        Some(ReplayedSoFar {
            turns,
            first_difference: first.map(|(at, host)| (host, self.instant(at))),
            problem: self.problem.as_ref().map(ToString::to_string),
        })
    }

    fn into_simulation(self: Box<Self>) -> Option<Box<Simulation>> {
        None
    }
}
