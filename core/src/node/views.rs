//! Read-only views: the cluster, one node, the location and replicas of a topic, and the list of topics.
//!
//! The last two are gathered: each replica or group is asked as soon as it is reachable. Missing answers are shown:
//! `locate` reports such replicas as not alive, and `topics` lists such groups as missing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Node;
use super::groups::vertices;
use super::pending::{Purpose, Stage};
use super::usability::Usability;
use crate::cube::Vertex;
use crate::group::Group;
use crate::names::{Offset, TopicName};
use crate::placement;
use crate::states::NodeState;
use crate::time::Instant;
use crate::wire::answer::{
    ClusterView, Counters, Done, GroupStatus, Location, NodeStatus, NodeView, Replica, TopicSummary,
};
use crate::wire::peer::{Body, Call, Reply};

/// Time limit of a gathering.
const GATHER: Duration = Duration::from_millis(1000);

pub(super) struct Gathering {
    what: What,
    /// The replicas or groups that are not asked yet because they are not reachable.
    unasked: BTreeSet<Vertex>,
    /// Asks without an answer yet, by vertex, with their tokens.
    outstanding: BTreeMap<Vertex, u64>,
    until: Instant,
}

enum What {
    Location { topic: TopicName, holdings: BTreeMap<Vertex, (Option<Offset>, bool)> },
    Topics { found: Vec<TopicSummary>, missing: Vec<Vertex> },
}

impl Gathering {
    /// Whether the gathering can end. A location needs one replica and does not wait for unreachable ones; the topics
    /// need every group.
    fn is_complete(&self, now: Instant) -> bool {
        let has_all = match &self.what {
            What::Location { holdings, .. } => !holdings.is_empty(),
            What::Topics { .. } => self.unasked.is_empty(),
        };
        (self.outstanding.is_empty() && has_all) || now >= self.until
    }
}

impl Node {
    pub(super) fn gather_location(&mut self, number: u64, topic: TopicName) -> Gathering {
        let replicas = placement::members(placement::home(topic.as_str(), self.me.dimension()));
        self.gathering_of(number, What::Location { topic, holdings: BTreeMap::new() }, replicas.collect())
    }

    pub(super) fn gather_topics(&mut self, number: u64) -> Gathering {
        let groups = self.me.dimension().vertices().collect();
        self.gathering_of(number, What::Topics { found: Vec::new(), missing: Vec::new() }, groups)
    }

    fn gathering_of(&mut self, number: u64, what: What, unasked: BTreeSet<Vertex>) -> Gathering {
        let until = self.now.monotonic + GATHER;
        let mut gathering = Gathering { what, unasked, outstanding: BTreeMap::new(), until };
        self.ask_in_reach(number, &mut gathering);
        gathering
    }

    /// Continues a gathering. Ends it when it is complete or its time has passed.
    pub(super) fn gather(&mut self, number: u64) {
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        let Stage::Gathering(mut gathering) = std::mem::replace(&mut pending.stage, Stage::NotBegun) else { return };
        self.ask_in_reach(number, &mut gathering);
        let is_complete = gathering.is_complete(self.now.monotonic);
        self.requests.pending.entry(number).and_modify(|pending| pending.stage = Stage::Gathering(gathering));
        if is_complete {
            self.finish_gathering(number);
        }
    }

    /// Asks those that are reachable now and not asked yet.
    fn ask_in_reach(&mut self, number: u64, gathering: &mut Gathering) {
        for about in std::mem::take(&mut gathering.unasked) {
            let ask = match &gathering.what {
                What::Location { topic, .. } => {
                    self.is_up(about).then(|| (about, Call::Holding { topic: topic.clone() }))
                }
                What::Topics { .. } => {
                    let replica = self.find_leader(about).or_else(|| self.find_member(about));
                    replica.map(|replica| (replica, Call::ListTopics { group: about }))
                }
            };
            match ask {
                Some((to, call)) => {
                    gathering.outstanding.insert(about, self.ask_for(number, about, to, call));
                }
                None => {
                    gathering.unasked.insert(about);
                }
            }
        }
    }

    /// `about`: the vertex under which the answer is stored.
    fn ask_for(&mut self, number: u64, about: Vertex, to: Vertex, call: Call) -> u64 {
        let token = self.next_token();
        self.expect_reply(token, Purpose::Gather(number, about));
        self.send(to, None, Body::Ask { token, call });
        token
    }

    pub(super) fn handle_gathered(&mut self, number: u64, about: Vertex, reply: Reply) {
        let now = self.now.monotonic;
        let Some(gathering) = self.gathering(number) else { return };
        gathering.outstanding.remove(&about);
        match (&mut gathering.what, reply) {
            (What::Location { holdings, .. }, Reply::Holding { end, votes }) => {
                holdings.insert(about, (end, votes));
            }
            (What::Topics { found, .. }, Reply::Topics(topics)) => found.extend(topics),
            (What::Topics { missing, .. }, _) => missing.push(about),
            (What::Location { .. }, _) => {}
        }
        if gathering.is_complete(now) {
            self.finish_gathering(number);
        }
    }

    pub(super) fn finish_gathering(&mut self, number: u64) {
        let Some(gathering) = self.gathering(number) else { return };
        let silent: Vec<(Vertex, u64)> = std::mem::take(&mut gathering.outstanding).into_iter().collect();
        let unasked = std::mem::take(&mut gathering.unasked);
        let what = std::mem::replace(&mut gathering.what, What::Topics { found: Vec::new(), missing: Vec::new() });
        for (_, token) in &silent {
            self.requests.asks.remove(token);
        }
        let done = match what {
            What::Location { topic, holdings } => Done::Located(self.location(topic, &holdings)),
            What::Topics { mut found, mut missing } => {
                missing.extend(silent.into_iter().map(|(group, _)| group).chain(unasked));
                missing.sort();
                found.sort_by(|a, b| a.topic.cmp(&b.topic));
                Done::Topics { topics: found, missing }
            }
        };
        self.finish(number, Ok(done), self.me, vec![self.me]);
    }

    fn location(&self, topic: TopicName, holdings: &BTreeMap<Vertex, (Option<Offset>, bool)>) -> Location {
        let home = placement::home(topic.as_str(), self.me.dimension());
        let most = holdings.values().filter_map(|(end, _)| *end).max();
        let members = placement::members(home)
            .map(|node| {
                let (end, voter) = holdings.get(&node).copied().unwrap_or((None, false));
                let last_offset = end.and_then(|end| end.0.checked_sub(1)).map(Offset);
                let lag = most.zip(end).map(|(most, end)| most.0 - end.0);
                Replica { node, alive: holdings.contains_key(&node), last_offset, lag, voter }
            })
            .collect();
        let neighbours = home.neighbours().collect();
        Location { topic, exists: most.is_some(), home, neighbours, leader: self.find_leader(home), members }
    }

    pub(super) fn holding(&self, topic: &TopicName) -> Reply {
        let home = placement::home(topic.as_str(), self.me.dimension());
        let group = self.groups.get(&home);
        let end = group.and_then(|group| group.topics().place(topic)).map(|(_, end)| end);
        let votes = group.is_some_and(|group| group.voters().iter().any(|voter| Some(*voter) == self.record.identity));
        Reply::Holding { end, votes }
    }

    pub(super) fn list_topics(&self, group: Vertex) -> Reply {
        let Some(members) = self.groups.get(&group) else {
            return Reply::Unavailable { why: format!("node {} holds no replica of {group}", self.me) };
        };
        let leader = members.leader().map(|leader| leader.vertex);
        let topics = members.topics().topics().map(|topic| TopicSummary {
            topic: topic.name,
            owner: topic.owner,
            home: group,
            leader,
            messages: topic.end.0,
            subscribers: topic.subscribers,
        });
        Reply::Topics(topics.collect())
    }

    fn is_up(&self, vertex: Vertex) -> bool {
        vertex == self.me || self.overlay.is_alive(vertex)
    }

    /// The cluster as this node sees it.
    pub fn cluster_view(&self) -> ClusterView {
        let dimension = self.me.dimension();
        let nodes = dimension
            .vertices()
            .map(|node| NodeView {
                node,
                address: self.config.addresses.get(node.index()).cloned().unwrap_or_default(),
                state: if node == self.me { self.state() } else { self.seen_state(node) },
                incarnation: self.overlay.incarnation_of(node).map_or(0, |incarnation| incarnation.0),
                leads: dimension.vertices().filter(|group| self.find_leader(*group) == Some(node)).collect(),
            })
            .collect();
        ClusterView { dimension, nodes, links: self.overlay.links() }
    }

    fn seen_state(&self, node: Vertex) -> NodeState {
        if self.overlay.is_alive(node) { self.overlay.state_of(node) } else { NodeState::Failed }
    }

    /// The status of this node.
    pub fn status(&self) -> NodeStatus {
        let frames = self.overlay.counters();
        NodeStatus {
            node: self.me,
            incarnation: self.record.identity.map_or(0, |identity| identity.incarnation.0),
            state: self.state(),
            version: self.config.version.clone(),
            sync: self.config.sync.clone(),
            uptime_ms: self.now.monotonic.since(self.started).as_millis() as u64,
            faults_allowed: self.config.allow_faults,
            storage: self.storage.status(),
            groups: self.groups.values().map(|group| self.group_status(group)).collect(),
            links: self.overlay.link_statuses(),
            counters: Counters {
                frames_sent: frames.sent,
                frames_received: frames.received,
                frames_forwarded: frames.forwarded,
                frames_dropped: frames.dropped,
                ..self.counters
            },
        }
    }

    fn group_status(&self, group: &Group) -> GroupStatus {
        let (log_entries, log_bytes) = group.log_size();
        let counts = group.topics().counts();
        let Usability { voters_up, voters_needed, obstacle } = self.usability(group.home());
        GroupStatus {
            home: group.home(),
            role: group.role(),
            term: group.term(),
            leader: group.leader().map(|leader| leader.vertex),
            usable: obstacle.is_none(),
            obstacle,
            voters_up,
            voters_needed,
            voters: vertices(group.voters()),
            learners: vertices(group.learners()),
            last_index: group.last_index(),
            commit_index: group.commit_index(),
            applied_index: group.applied_index(),
            log_entries,
            log_bytes,
            topics: counts.topics,
            messages: counts.messages,
        }
    }
}
