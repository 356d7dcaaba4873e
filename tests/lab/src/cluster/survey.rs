//! The status of all nodes at one moment, and the conditions that the cluster does not meet.

use std::collections::BTreeMap;

use cubecast_core::cube::Vertex;
use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::seating::Seating;
use cubecast_core::states::{NodeState, Role};
use cubecast_core::wire::answer::{GroupStatus, NodeStatus};

/// The status of all nodes that answered.
#[derive(Clone, Debug)]
pub struct Survey {
    seating: Seating,
    nodes: BTreeMap<HostId, NodeStatus>,
}

impl Survey {
    /// A survey with these answers.
    pub fn new(seating: Seating, nodes: BTreeMap<HostId, NodeStatus>) -> Survey {
        Survey { seating, nodes }
    }

    /// Describes what is missing until every node is up, every group is led by its home, and every member votes.
    pub fn lacks_leaders(&self) -> Vec<String> {
        let down = self.seating.hosts().filter_map(|node| match self.nodes.get(&node).map(|node| node.state) {
            Some(NodeState::Up) => None,
            Some(state) => Some(format!("{node} is {state:?}")),
            None => Some(format!("{node} is not responding")),
        });
        let groups = self.homes().filter_map(|home| self.lacks_leader(home));
        down.chain(groups).collect()
    }

    fn lacks_leader(&self, home: Vertex) -> Option<String> {
        let group = self.group(self.seating.host_of(home), home)?;
        if group.role != Role::Leader {
            return Some(format!("{home} does not lead its group; the leader is {:?}", group.leader));
        }
        let silent: Vec<_> = self.members(home).filter(|member| !group.voters.contains(member)).collect();
        (!silent.is_empty()).then(|| format!("{silent:?} do not vote in the group of {home}"))
    }

    /// Describes what is missing until every member has applied all entries that its group's leader has committed.
    pub fn lacks_entries(&self) -> Vec<String> {
        self.homes().flat_map(|home| self.behind(home)).collect()
    }

    fn behind(&self, home: Vertex) -> Vec<String> {
        let end = self.group(self.seating.host_of(home), home).map_or(0, |group| group.commit_index);
        let behind = |member: HostId| {
            let applied = self.group(member, home)?.applied_index;
            (applied < end).then(|| format!("{member} has applied {applied} of {end} entries of group {home}"))
        };
        self.members(home).filter_map(behind).collect()
    }

    /// Describes the outboxes that are not empty.
    pub fn lacks_drains(&self) -> Vec<String> {
        let waiting = |(node, status): (&HostId, &NodeStatus)| {
            let waiting = status.counters.outbox;
            (waiting > 0).then(|| format!("{waiting} publishes are in the outbox of {node}"))
        };
        self.nodes.iter().filter_map(waiting).collect()
    }

    /// All missing conditions. If there are none, all disks are in use and all members are equal, so one disk may be
    /// lost.
    pub fn lacks(&self) -> Vec<String> {
        [self.lacks_leaders(), self.lacks_entries(), self.lacks_drains()].concat()
    }

    /// The incarnation of a node, if it answered.
    pub fn incarnation(&self, node: HostId) -> Option<u32> {
        self.nodes.get(&node).map(|status| status.incarnation)
    }

    /// The state of a node, if it answered.
    pub fn state(&self, node: HostId) -> Option<NodeState> {
        self.nodes.get(&node).map(|status| status.state)
    }

    fn homes(&self) -> impl Iterator<Item = Vertex> {
        self.seating.dimension().vertices()
    }

    fn members(&self, home: Vertex) -> impl Iterator<Item = HostId> {
        self.seating.members(GroupId::of(home)).into_iter()
    }

    fn group(&self, node: HostId, home: Vertex) -> Option<&GroupStatus> {
        self.nodes.get(&node)?.groups.iter().find(|group| group.home == home)
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;
    use cubecast_core::wire::answer::{Counters, StorageStatus};

    use super::*;

    fn seating() -> Seating {
        Seating::founding(Dimension::new(2).unwrap())
    }

    fn whole() -> Survey {
        let nodes = seating().hosts().map(|node| (node, status(node)));
        Survey::new(seating(), nodes.collect())
    }

    fn status(node: HostId) -> NodeStatus {
        NodeStatus {
            node,
            incarnation: 1,
            state: NodeState::Up,
            version: String::new(),
            sync: String::new(),
            uptime_ms: 0,
            faults_allowed: true,
            storage: StorageStatus::default(),
            groups: seating().groups_of(node).map(|id| group(node, id)).collect(),
            links: Vec::new(),
            counters: Counters::default(),
        }
    }

    fn group(node: HostId, id: GroupId) -> GroupStatus {
        let members = seating().members(id);
        GroupStatus {
            home: seating().home(id).unwrap(),
            role: if node == members[0] { Role::Leader } else { Role::Follower },
            term: 1,
            leader: Some(members[0]),
            usable: true,
            obstacle: None,
            voters_up: 3,
            voters_needed: 2,
            voters: members,
            learners: Vec::new(),
            last_index: 7,
            commit_index: 7,
            applied_index: 7,
            log_entries: 7,
            log_bytes: 7,
            topics: 1,
            messages: 7,
        }
    }

    fn named(text: &str) -> HostId {
        text.parse().unwrap()
    }

    fn changed(node: &str, change: impl Fn(&mut NodeStatus)) -> Survey {
        let mut survey = whole();
        change(survey.nodes.get_mut(&named(node)).unwrap());
        survey
    }

    #[test]
    fn a_whole_cluster_lacks_nothing() {
        assert_eq!(whole().lacks(), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut survey = whole();
        survey.nodes.remove(&named("01"));
        assert_eq!(survey.lacks(), ["01 is not responding"]);
        let survey = changed("10", |status| status.state = NodeState::Recovering);
        assert_eq!(survey.lacks(), ["10 is Recovering"]);
        let survey = changed("11", |status| status.groups[0].role = Role::Follower);
        assert_eq!(survey.lacks(), ["11 does not lead its group; the leader is Some(11)"]);
        let survey = changed("00", |status| status.groups[0].voters.truncate(2));
        assert_eq!(survey.lacks(), ["[10] do not vote in the group of 00"]);
        let survey = changed("00", |status| status.groups[1].applied_index = 6);
        assert_eq!(survey.lacks(), ["00 has applied 6 of 7 entries of group 01"]);
        let survey = changed("00", |status| status.counters.outbox = 2);
        assert_eq!(survey.lacks(), ["2 publishes are in the outbox of 00"]);
    }
}
