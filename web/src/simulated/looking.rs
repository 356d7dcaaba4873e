//! Reads the state of simulated or recorded nodes directly. The page gets the same reports as a page that watches the
//! nodes, without requests that could change the run.

use cubecast_core::cube::Vertex;
use cubecast_core::group::Group;
use cubecast_core::identity::HostId;
use cubecast_core::states::NodeState;
use cubecast_core::wire::answer::{Answer, Done, TopicSummary};

use super::world::World;
use crate::model::Action;
use crate::model::cluster::Socket;

/// The status of each node, except failing ones, which would answer only that they fail.
pub fn statuses(world: &dyn World) -> Vec<Action> {
    let nodes = world.nodes().filter_map(|node| world.node(node));
    let statuses = nodes.map(|node| node.status()).filter(|status| status.state != NodeState::Failed);
    statuses.map(|status| answered(status.node, Done::Status(status.into()))).collect()
}

/// The view of each node, except failing ones.
pub fn views(world: &dyn World) -> Vec<Action> {
    let serving = |node: &HostId| world.node(*node).filter(|node| node.status().state != NodeState::Failed);
    let view = |node| Some(answered(node, Done::Cluster(serving(&node)?.cluster_view())));
    world.nodes().filter_map(view).collect()
}

/// The topics, according to the leaders of their groups.
pub fn topics(world: &dyn World) -> Action {
    let (mut topics, mut missing) = (Vec::new(), Vec::new());
    for home in world.dimension().vertices() {
        match leader(world, home) {
            Some((leader, group)) => topics.extend(group.topics().topics().map(|topic| TopicSummary {
                topic: topic.name,
                owner: topic.owner,
                home,
                leader: Some(leader),
                messages: topic.end.0,
                subscribers: topic.subscribers,
            })),
            None => missing.push(home),
        }
    }
    let first = world.nodes().next().expect("a cluster has nodes");
    answered(first, Done::Topics { topics, missing })
}

/// Per node: whether its process runs.
pub fn running(world: &dyn World) -> Vec<bool> {
    world.nodes().map(|node| world.node(node).is_some()).collect()
}

/// Processes that died or started, reported like changes of sockets.
pub fn sockets(world: &dyn World, before: &[bool], after: &[bool]) -> Vec<Action> {
    let changes = world.nodes().zip(before.iter().zip(after)).filter(|(_, (before, after))| before != after);
    let socket = |running: bool| if running { Socket::Open } else { Socket::Closed };
    changes.map(|(node, (_, after))| Action::SocketChanged { node, socket: socket(*after) }).collect()
}

/// The leader of a group in its newest term.
fn leader(world: &dyn World, home: Vertex) -> Option<(HostId, &Group)> {
    let groups = world.members(home).into_iter().filter_map(|member| Some((member, world.group(member, home)?)));
    groups.filter(|(_, group)| group.leads_fully()).max_by_key(|(_, group)| group.term())
}

fn answered(asked: HostId, done: Done) -> Action {
    Action::Answered { asked, answer: Answer { id: None, served_by: asked, hops: None, result: Ok(done) } }
}
