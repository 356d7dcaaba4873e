//! After the faults: checks that the cluster recovers by itself within a time limit, and reads the final state of the
//! replicas.

use std::collections::BTreeMap;
use std::time::Duration;

use cubecast_core::cube::Vertex;
use cubecast_core::group::Group;
use cubecast_core::identity::{GroupId, HostId, Member};
use cubecast_core::names::{Offset, TopicName};
use cubecast_core::node::Node;
use cubecast_core::placement;
use cubecast_core::seating::Seating;
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::{Done, ErrorCode, Message, NodeStatus};
use cubecast_core::wire::client::{Action, Read, Write};

use crate::check::evidence::{Holdings, Recovery};
use crate::check::history::{Answered, Operation};
use crate::check::workload::Workload;
use crate::clients::Clients;
use crate::cluster::Cluster;
use crate::nemesis::{Nemesis, newest_leader};

/// Time limit for the complete recovery.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A request during the recovery is repeated after this time.
const PATIENCE: Duration = Duration::from_secs(10);
const PAGE: u32 = 1_000;

/// Messages stored while the replicas are read are delivered within this time.
const STILL_ON_ITS_WAY: Duration = Duration::from_secs(1);
/// Most attempts to read the replicas at rest. After these, no earlier request can still be under way.
const MOST_LOOKS: u32 = 10;

/// The messages of a topic at one replica; `None`: the replica has no such topic.
type Holding = Option<Vec<Message>>;

/// Waits for the recovery, and records when each part of it was complete.
pub(super) fn recover(cluster: &mut Cluster, clients: &mut Clients, nemesis: &mut Nemesis) -> Recovery {
    let healed = cluster.now();
    let mut recovery = Recovery::begun(healed, LIMIT);
    let until = healed + LIMIT;
    let mut farewell = clients.workload.farewell();
    loop {
        nemesis.replace_refused(cluster);
        run_for(cluster, clients, LOOK_EVERY);
        let now = cluster.now();
        recovery.remains = homes_that_do_not_lead(cluster);
        if !recovery.remains.is_empty() {
            if now >= until {
                return recovery;
            }
            continue;
        }
        recovery.homes_lead.get_or_insert(now);
        farewell.retain(|publish| !ask(cluster, clients, publish.clone()));
        if farewell.is_empty() {
            recovery.published.get_or_insert(cluster.now());
        }
        let (unequal, waiting) = (unequal_replicas(cluster), waiting_outboxes(cluster));
        if unequal.is_empty() && farewell.is_empty() {
            recovery.replicas_equal.get_or_insert(cluster.now());
        }
        if waiting.is_empty() {
            recovery.outboxes_empty.get_or_insert(cluster.now());
        }
        recovery.remains = [unequal, waiting, undelivered(cluster, clients)].concat();
        if (recovery.remains.is_empty() && farewell.is_empty()) || cluster.now() >= until {
            return recovery;
        }
    }
}

fn run_for(cluster: &mut Cluster, clients: &mut Clients, time: Duration) {
    let until = cluster.now() + time;
    while cluster.step(until) {}
    clients.hear(cluster);
}

/// Sends a request of the keeper to the topic's home. Returns whether it is settled.
fn ask(cluster: &mut Cluster, clients: &mut Clients, action: Action) -> bool {
    let home = cluster.seating().host_of(placement::home(action.subject().unwrap_or(""), cluster.dimension()));
    let invoked = cluster.now();
    let answer = cluster.ask(home, action.clone(), PATIENCE);
    clients.hear(cluster);
    let answered = answer.map(|answer| Answered {
        at: cluster.now(),
        served_by: answer.served_by,
        hops: answer.hops.unwrap_or_default(),
        result: answer.result,
    });
    let settled = answered.as_ref().is_some_and(|answered| Workload::is_settled(&answered.result));
    clients.history.operations.push(Operation { client: Workload::KEEPER, node: home, action, invoked, answered });
    settled
}

fn homes_that_do_not_lead(cluster: &Cluster) -> Vec<String> {
    let members = usize::from(cluster.dimension().bits()) + 1;
    let trouble = |home: Vertex| {
        let Some(leader) = newest_leader(cluster, GroupId::of(home)) else {
            return Some(format!("group {home} has no leader"));
        };
        let own = cluster.group(cluster.seating().host_of(home), home);
        if !own.is_some_and(|own| own.leads_fully() && own.term() == leader.term()) {
            return Some(format!("group {home} is not led by its home"));
        }
        let voters = leader.voters();
        let is_there = |voter: &Member| cluster.node(voter.host).and_then(Node::identity) == Some(*voter);
        let whole = voters.len() == members && voters.iter().all(is_there) && leader.learners().is_empty();
        (!whole).then(|| {
            format!("group {home} of {members} has the voters {voters:?} and learners {:?}", leader.learners())
        })
    };
    let troubles: Vec<String> = cluster.dimension().vertices().filter_map(trouble).collect();
    if troubles.is_empty() { nodes_that_are_not_ready(cluster) } else { troubles }
}

fn nodes_that_are_not_ready(cluster: &Cluster) -> Vec<String> {
    let statuses = cluster.nodes().filter_map(|node| Some(cluster.node(node)?.status()));
    let unready = |status: NodeStatus| {
        let node = status.node;
        status.unready().into_iter().map(move |reason| format!("node {node} is not ready: {}", reason.message))
    };
    statuses.flat_map(unready).collect()
}

/// The replicas that have not applied everything that their leader has committed.
fn unequal_replicas(cluster: &Cluster) -> Vec<String> {
    let mut unequal = Vec::new();
    for home in cluster.dimension().vertices() {
        let Some(leader) = newest_leader(cluster, GroupId::of(home)) else { continue };
        for replica in cluster.members(home) {
            let applied = cluster.group(replica, home).map(Group::applied_index);
            if applied != Some(leader.commit_index()) {
                unequal.push(format!("{replica} has applied {applied:?} of {} in group {home}", leader.commit_index()));
            }
        }
    }
    unequal
}

fn waiting_outboxes(cluster: &Cluster) -> Vec<String> {
    let waiting = |node: HostId| {
        let count = cluster.node(node)?.status().counters.outbox;
        (count > 0).then(|| format!("{count} publishes wait in the outbox of {node}"))
    };
    cluster.nodes().filter_map(waiting).collect()
}

/// The open push subscriptions that are behind.
fn undelivered(cluster: &Cluster, clients: &Clients) -> Vec<String> {
    let end = |topic: &TopicName| {
        let leader = newest_leader(cluster, GroupId::of(placement::home(topic.as_str(), cluster.dimension())))?;
        Some(leader.topics().topic(topic)?.end.0)
    };
    let lasting = clients.workload.lasting_topics();
    let ends = lasting.into_iter().filter_map(|topic| end(&topic).map(|end| (topic, end))).collect();
    let behind = clients.history.undelivered(&ends);
    behind
        .map(|session| {
            format!(
                "subscriber `{}` has not received topic `{}` from offset {}",
                session.subscriber,
                session.topic,
                session.next()
            )
        })
        .collect()
}

/// Reads every replica's messages of every topic once no more deliveries arrive. A publish may still be under way when
/// everything else is at rest.
pub(super) fn read_holdings_at_rest(cluster: &mut Cluster, clients: &mut Clients, topics: Vec<TopicName>) -> Holdings {
    clients.hear(cluster);
    let mut holdings = Holdings::new();
    for _ in 0..MOST_LOOKS {
        let shown = clients.history.deliveries();
        holdings = read_holdings(cluster, &topics);
        run_for(cluster, clients, STILL_ON_ITS_WAY);
        if clients.history.deliveries() == shown {
            break;
        }
    }
    holdings
}

/// Reads the replicas' messages as a client does.
fn read_holdings(cluster: &mut Cluster, topics: &[TopicName]) -> Holdings {
    let mut holdings = BTreeMap::new();
    for topic in topics.iter().cloned() {
        let home = placement::home(topic.as_str(), cluster.dimension());
        let members = cluster.members(home);
        let subscribe = Action::Write(Write::Subscribe {
            subscriber: Workload::auditor(),
            topic: topic.clone(),
            from: None,
            push: false,
        });
        let exists = cluster.ask(members[0], subscribe, PATIENCE).is_some_and(|answer| answer.result.is_ok());
        if exists {
            // Every replica must have applied the subscription before it is asked.
            cluster.run_for(Duration::from_secs(1));
        }
        let mut by_replica = BTreeMap::new();
        for replica in members {
            if let Some(holding) = read_replica(cluster, replica, &topic) {
                by_replica.insert(replica, holding);
            }
        }
        holdings.insert(topic, by_replica);
    }
    holdings
}

/// Counts a replica without an answer as not equal to the others.
pub(super) fn hold_silence_against(
    recovery: &mut Recovery,
    holdings: &Holdings,
    topics: &[TopicName],
    seating: &Seating,
) {
    for (topic, said) in holdings.iter().filter(|(topic, _)| topics.contains(topic)) {
        let group = GroupId::of(placement::home(topic.as_str(), seating.dimension()));
        for silent in seating.members(group).into_iter().filter(|replica| !said.contains_key(replica)) {
            recovery.replicas_equal = None;
            recovery.remains.push(format!("{silent} does not report its messages of `{topic}`"));
        }
    }
}

/// Reports damage that is still on disk. Every message was read, so each damaged one should have been repaired.
pub(super) fn hold_damage_against(recovery: &mut Recovery, cluster: &Cluster) {
    for node in cluster.nodes().filter(|node| cluster.disk(*node).has_bad_row()) {
        recovery.replicas_equal = None;
        recovery.remains.push(format!("a message on the disk of {node} is still damaged"));
    }
}

/// `None`: the replica does not answer.
fn read_replica(cluster: &mut Cluster, replica: HostId, topic: &TopicName) -> Option<Holding> {
    let mut messages: Vec<Message> = Vec::new();
    loop {
        let from = Some(Offset(messages.len() as u64));
        let pull =
            Action::Read(Read::ReplicaPull { subscriber: Workload::auditor(), topic: topic.clone(), max: PAGE, from });
        match cluster.ask(replica, pull, PATIENCE)?.result {
            Ok(Done::Pulled { messages: page, .. }) if page.is_empty() => return Some(Some(messages)),
            Ok(Done::Pulled { messages: page, .. }) => messages.extend(page),
            Err(failure) if failure.code == ErrorCode::UnknownTopic => return Some(None),
            _ => return None,
        }
    }
}

/// Time until the recovery was complete; the time limit if it never was.
pub(super) fn time_taken(recovery: &Recovery) -> Duration {
    let Recovery { published, homes_lead, replicas_equal, outboxes_empty, .. } = recovery;
    let back: Option<Vec<Instant>> =
        [published, homes_lead, replicas_equal, outboxes_empty].into_iter().copied().collect();
    back.and_then(|times| times.into_iter().max()).map_or(recovery.limit, |last| last.since(recovery.healed))
}
