//! Read-only views of this node and of the cluster, for clients and for other nodes.

use super::usability::Usability;
use super::view::View;
use crate::group::Group;
use crate::identity::{GroupId, HostId, Member};
use crate::names::TopicName;
use crate::states::NodeState;
use crate::wire::answer::{ClusterView, Counters, GroupStatus, NodeStatus, NodeView, TopicSummary};
use crate::wire::peer::Reply;

impl View {
    /// The end of this node's replica of a topic, and whether the node votes in its group. The end is `None` if the
    /// node does not have the topic.
    pub fn holding(&self, topic: &TopicName) -> Reply {
        let group = self.groups.get(self.group_of(topic.as_str()));
        let end = group.and_then(|group| group.topics().place(topic)).map(|(_, end)| end);
        let votes = group.is_some_and(|group| group.voters().iter().any(|voter| Some(*voter) == self.identity()));
        Reply::Holding { end, votes }
    }

    /// The topics of a group. The reply is `Unavailable` if this node holds no replica of the group.
    pub fn list_topics(&self, group: GroupId) -> Reply {
        let Some(members) = self.groups.get(group) else {
            return Reply::Unavailable { why: format!("node {} holds no replica of {}", self.me, self.home(group)) };
        };
        let leader = members.leader().map(|leader| leader.host);
        let topics = members.topics().topics().map(|topic| TopicSummary {
            topic: topic.name,
            owner: topic.owner,
            home: self.home(group),
            leader,
            messages: topic.end.0,
            subscribers: topic.subscribers,
        });
        Reply::Topics(topics.collect())
    }

    /// The cluster as this node sees it.
    pub fn cluster_view(&self) -> ClusterView {
        let dimension = self.seating.dimension();
        let nodes = self
            .seating
            .hosts()
            .enumerate()
            .map(|(index, node)| NodeView {
                node,
                address: self.config.addresses.get(index).cloned().unwrap_or_default(),
                state: if node == self.me { self.state() } else { self.seen_state(node) },
                incarnation: self.overlay.incarnation_of(node).map_or(0, |incarnation| incarnation.0),
                leads: dimension.vertices().filter(|home| self.find_leader(GroupId::of(*home)) == Some(node)).collect(),
            })
            .collect();
        ClusterView { dimension, nodes, links: self.overlay.links() }
    }

    fn seen_state(&self, node: HostId) -> NodeState {
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
        let Usability { voters_up, voters_needed, obstacle } = self.usability(group.id());
        GroupStatus {
            home: self.home(group.id()),
            role: group.role(),
            term: group.term(),
            leader: group.leader().map(|leader| leader.host),
            usable: obstacle.is_none(),
            obstacle,
            voters_up,
            voters_needed,
            voters: hosts(group.voters()),
            learners: hosts(group.learners()),
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

/// The hosts of members. Two incarnations of one host can be members for a while: a lost one and its successor.
pub(super) fn hosts(members: Vec<Member>) -> Vec<HostId> {
    let mut hosts: Vec<HostId> = members.into_iter().map(|member| member.host).collect();
    hosts.dedup();
    hosts
}
