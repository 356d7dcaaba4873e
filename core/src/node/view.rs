//! The read-only context of all parts: the identity and place of this node, time, other nodes, groups and disk.
//!
//! Parts receive a `&View`. Only [`Node`](super::Node) changes it, between two calls to parts.

use serde::{Deserialize, Serialize};

use super::config::NodeConfig;
use super::groups::{Groups, Maintenance};
use super::lifecycle::Lifecycle;
use super::out::Out;
use super::storage::Storage;
use crate::bugs::{Bug, Bugs};
use crate::cube::Vertex;
use crate::group::Group;
use crate::group::members::Presence;
use crate::identity::{GroupId, HostId, Member, RequestKey};
use crate::names::TopicId;
use crate::overlay::{Overlay, OverlayConfig};
use crate::placement;
use crate::seating::Seating;
use crate::states::{NodeState, Role};
use crate::time::{Instant, Now};
use crate::topics::Known;
use crate::wire::answer::{Answer, Done, ErrorCode, Failure};
use crate::wire::client::Action;
use crate::wire::peer::Reply;

/// See the [module](self).
#[derive(Serialize, Deserialize)]
pub(super) struct View {
    pub me: HostId,
    pub seating: Seating,
    pub now: Now,
    /// The start of this process.
    pub started: Instant,
    pub config: NodeConfig,
    pub bugs: Bugs,
    pub overlay: Overlay,
    pub lifecycle: Lifecycle,
    pub groups: Groups,
    pub storage: Storage,
    /// The last durable batch.
    pub written: u64,
}

impl View {
    /// A process that has not read its disk yet.
    pub fn new(config: NodeConfig, now: Now) -> View {
        let (me, seed, bugs) = (config.host, config.seed, Bugs::of(config.bug));
        let seating = config.seating.clone();
        View {
            me,
            now,
            started: now.monotonic,
            bugs,
            overlay: Overlay::new(OverlayConfig { me, seating: seating.clone(), seed, bugs }, now),
            lifecycle: Lifecycle::new(me, seating.co_members(me), seed, bugs),
            groups: Groups::new(now.monotonic),
            storage: Storage::new(u64::from(seating.links()) + 1),
            seating,
            written: 0,
            config,
        }
    }

    // This node.

    /// The time of the monotonic clock in this turn.
    pub fn monotonic(&self) -> Instant {
        self.now.monotonic
    }

    /// The member that this node is. `None` until it knows its incarnation.
    pub fn identity(&self) -> Option<Member> {
        self.lifecycle.identity()
    }

    /// Under which this node numbers its requests, also before it knows its identity.
    pub fn coordinator(&self) -> Member {
        self.identity().unwrap_or(Member::founding(self.me))
    }

    /// Whether the record of this start is not durable yet. Until then the node sends nothing under a request number of
    /// its own.
    pub fn is_starting(&self) -> bool {
        self.written < self.lifecycle.started_in()
    }

    /// The state that this node reports.
    pub fn state(&self) -> NodeState {
        match self.lifecycle.state() {
            NodeState::Up if self.groups.is_any_learner() => NodeState::Recovering,
            state => state,
        }
    }

    /// Returns a key that no other request of this incarnation uses. Numbers are consecutive and used for requests
    /// only, so a topic can store the numbers of one coordinator as a few ranges.
    pub fn next_key(&self, out: &mut Out) -> RequestKey {
        let starts = if self.bugs.has(Bug::NumbersBeginAgain) { 0 } else { self.lifecycle.starts() };
        RequestKey { coordinator: self.coordinator(), number: (starts << 32) + out.next_number() }
    }

    /// Returns a token that matches a reply with its ask, or a confirmed read with its jobs. It is as unique as a
    /// request's number.
    pub fn next_token(&self, out: &mut Out) -> u64 {
        (self.lifecycle.starts() << 32) + out.next_token()
    }

    /// The failure of all requests while this node is stopped by a requested fault.
    pub fn node_failed(&self) -> Failure {
        ErrorCode::NodeFailed
            .because(format!("node {} is stopped by a requested fault; use another node, or recover it", self.me))
    }

    /// An answer of this node to another.
    pub fn answer_with(&self, hops: Vec<HostId>, result: Result<Done, Failure>) -> Box<Answer> {
        Box::new(Answer { id: None, served_by: self.me, hops: Some(hops), result })
    }

    // Other nodes.

    /// Whether a host is this one or appears alive.
    pub fn is_up(&self, host: HostId) -> bool {
        host == self.me || self.overlay.is_alive(host)
    }

    /// Whether exactly this member is up, and not another incarnation of its host.
    pub fn is_member_up(&self, member: Member) -> bool {
        if member.host == self.me {
            return self.identity() == Some(member);
        }
        self.overlay.is_alive(member.host) && self.is_current(member)
    }

    /// Whether no other incarnation of the member's host is known, so that its disk is assumed to exist.
    pub fn is_current(&self, member: Member) -> bool {
        self.overlay.incarnation_of(member.host).is_none_or(|incarnation| incarnation == member.incarnation)
    }

    // Groups.

    /// The home of a name.
    pub fn home_of(&self, name: &str) -> Vertex {
        placement::home(name, self.seating.dimension())
    }

    /// The group of a name.
    pub fn group_of(&self, name: &str) -> GroupId {
        GroupId::of(self.home_of(name))
    }

    /// The group of the action's subject.
    pub fn group_of_action(&self, action: &Action) -> GroupId {
        self.group_of(action.subject().unwrap_or(""))
    }

    /// The home of a group. Groups of other cubes are refused where they come from: by the decoder of peers' messages
    /// and at the start from a disk.
    pub fn home(&self, group: GroupId) -> Vertex {
        self.seating.home(group).expect("a group of this cube has its home here")
    }

    /// The hosts of a group's members, its home first.
    pub fn members(&self, group: GroupId) -> impl Iterator<Item = HostId> + use<> {
        self.seating.members(group).into_iter()
    }

    /// The leader of a group: taken from the group itself if this node is a member, otherwise from the leaders'
    /// announcements.
    pub fn find_leader(&self, group: GroupId) -> Option<HostId> {
        let reachable = |host: &HostId| self.is_up(*host);
        let own_view = self.groups.get(group).and_then(Group::leader).map(|leader| leader.host);
        own_view.filter(reachable).or_else(|| self.overlay.leader_of(group)).filter(reachable)
    }

    /// Returns a reachable replica: this node, the home, or a neighbour of the home. Prefers replicas that are not
    /// catching up.
    pub fn find_member(&self, group: GroupId) -> Option<HostId> {
        let own_role = self.groups.get(group).map(Group::role);
        if own_role.is_some_and(|role| role != Role::Learner) {
            return Some(self.me);
        }
        let alive = || self.members(group).filter(|member| *member != self.me && self.overlay.is_alive(*member));
        let up = alive().find(|member| self.overlay.state_of(*member) == NodeState::Up);
        up.or_else(|| alive().next()).or(own_role.map(|_| self.me))
    }

    /// The voters of a group as this node's member knows them; none without a member.
    pub fn voters(&self, group: GroupId) -> Vec<Member> {
        self.groups.get(group).map(Group::voters).unwrap_or_default()
    }

    /// Whether this holds for a majority of a group's voters. Never without a member.
    pub fn is_quorum(&self, group: GroupId, has: impl Fn(Member) -> bool) -> bool {
        self.groups.get(group).is_some_and(|member| member.is_quorum(has))
    }

    /// Whether this node can take commands and linearizable reads of the group. The error is the reply to the
    /// requester.
    pub fn check_leads(&self, group: GroupId) -> Result<(), Reply> {
        let not_leader = |leader| Err(Reply::NotLeader { leader, proposed: false });
        let Some(member) = self.groups.get(group) else { return not_leader(self.overlay.leader_of(group)) };
        if !member.is_leader() {
            return not_leader(member.leader().map(|leader| leader.host).filter(|leader| *leader != self.me));
        }
        self.lacks_quorum(group).map_or(Ok(()), |why| Err(Reply::Unavailable { why }))
    }

    /// Why the group lacks a quorum, or `None` if it has one. Lost members are detected here at once; raft would detect
    /// them only by a timeout.
    pub fn lacks_quorum(&self, group: GroupId) -> Option<String> {
        let is_up = |voter| self.is_member_up(voter);
        (!self.is_quorum(group, is_up)).then(|| {
            let voters = self.voters(group);
            let up = voters.iter().copied().filter(|voter| is_up(*voter)).count();
            format!(
                "only {up} of the {} voters of the replica group of {} are reachable from its leader {}, which is \
                 no majority",
                voters.len(),
                self.home(group),
                self.me
            )
        })
    }

    /// Whether a topic of a group was deleted, as far as this node's replica knows.
    pub fn is_deleted(&self, group: GroupId, topic: TopicId) -> bool {
        self.groups.get(group).is_some_and(|group| group.topics().known(topic) == Known::Deleted)
    }

    /// The tasks of the members that lead.
    pub fn maintenance(&self) -> Vec<Maintenance> {
        let led = self.groups.iter().filter(|group| group.is_leader());
        led.map(|group| Maintenance {
            group: group.id(),
            presences: self.members(group.id()).map(|host| self.presence(host)).collect(),
            room: self.room_to_lead(group.id()),
        })
        .collect()
    }

    fn presence(&self, host: HostId) -> Presence {
        let own = || self.identity().map(|identity| identity.incarnation);
        let alive = if host == self.me { own() } else { self.overlay.incarnation_of(host) };
        let alive = alive.filter(|incarnation| incarnation.0 != 0 && self.is_up(host));
        Presence { host, alive, away: self.groups.away(self.monotonic(), host) }
    }
}
