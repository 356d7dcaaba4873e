//! Read-only views of this node and of the cluster, for clients and for other nodes.

use super::usability::Usability;
use super::view::View;
use crate::cube::Vertex;
use crate::group::Group;
use crate::identity::NodeId;
use crate::names::TopicName;
use crate::states::NodeState;
use crate::wire::answer::{ClusterView, Counters, GroupStatus, NodeStatus, NodeView, TopicSummary};
use crate::wire::peer::Reply;

impl View {
    pub fn holding(&self, topic: &TopicName) -> Reply {
        let home = self.home_of(topic.as_str());
        let group = self.groups.get(home);
        let end = group.and_then(|group| group.topics().place(topic)).map(|(_, end)| end);
        let votes = group.is_some_and(|group| group.voters().iter().any(|voter| Some(*voter) == self.identity()));
        Reply::Holding { end, votes }
    }

    pub fn list_topics(&self, group: Vertex) -> Reply {
        let Some(members) = self.groups.get(group) else {
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
    pub fn status(&self, counters: &Counters) -> NodeStatus {
        let frames = self.overlay.counters();
        NodeStatus {
            node: self.me,
            incarnation: self.identity().map_or(0, |identity| identity.incarnation.0),
            state: self.state(),
            version: self.config.version.clone(),
            sync: self.config.sync.clone(),
            uptime_ms: self.monotonic().since(self.started).as_millis() as u64,
            faults_allowed: self.config.allow_faults,
            storage: self.storage.status(),
            groups: self.groups.iter().map(|group| self.group_status(group)).collect(),
            links: self.overlay.link_statuses(),
            counters: Counters {
                frames_sent: frames.sent,
                frames_received: frames.received,
                frames_forwarded: frames.forwarded,
                frames_dropped: frames.dropped,
                ..*counters
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

/// The vertices of members. Two incarnations can be members at one vertex for a while: a lost one and its successor.
pub(super) fn vertices(members: Vec<NodeId>) -> Vec<Vertex> {
    let mut vertices: Vec<Vertex> = members.into_iter().map(|member| member.vertex).collect();
    vertices.dedup();
    vertices
}
