//! `cubecast status`: the whole cluster in one table, or one node in detail.

use std::time::Duration;

use cubecast_core::client::{ClientError, Reply, Target};
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use cubecast_core::states::{NodeState, Role, StorageState};
use cubecast_core::wire::answer::{ClusterView, Counters, Done, NodeStatus, NodeView, StorageStatus};
use cubecast_core::wire::client::{Action, Admin, Local};
use futures_util::future::join_all;
use serde_json::json;

use super::remote::Remote;
use crate::client::CubecastClient;
use crate::failure::Failure;
use crate::output;
use crate::output::{Format, Table, bytes, known, line, names, time_span};

/// The time limit for the answer of a single node.
const PATIENCE: Duration = Duration::from_secs(2);

/// Show the state of the cluster, or of one node.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    cubecast status\n    cubecast status 111\n    cubecast status --format json")]
pub struct Args {
    /// Show one node in detail. Default: all nodes.
    node: Option<HostId>,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    args.remote.run(|client| async move {
        match args.node {
            Some(node) => show_node(args.remote.format, &client, node).await,
            None => show_cluster(args.remote.format, &client).await,
        }
    })
}

/// Requests the status from the node itself. If it does not answer, shows what the other nodes report about it.
async fn show_node(format: Format, client: &CubecastClient, node: HostId) -> Result<(), Failure> {
    match client.within(PATIENCE).ask(Target::Node(node), Action::Admin(Admin::Status { node: None })).await {
        Ok(reply) => match (&reply.answer.result, format) {
            (Ok(Done::Status(status)), Format::Table) => line(&node_in_detail(status)),
            _ => output::reply(format, &reply),
        },
        Err(error) if error.is_transient() => show_from_afar(format, client, node, &error.to_string()).await,
        Err(error) => Err(error.into()),
    }
}

async fn show_from_afar(format: Format, client: &CubecastClient, node: HostId, why: &str) -> Result<(), Failure> {
    let view = client.cluster(Target::Any).await?;
    let seen = view.value.nodes.iter().find(|seen| seen.node == node).map(|seen| seen.state);
    let (state, seen_by) = (seen.map_or("unknown", state), view.served_by);
    match format {
        Format::Json => output::json(&json!({ "node": node, "state": state, "seen_by": seen_by, "why": why })),
        Format::Table => line(&format!(
            "node {node}: {state}, as reported by node {seen_by}; the node itself is not responding ({why})"
        )),
    }
}

async fn show_cluster(format: Format, client: &CubecastClient) -> Result<(), Failure> {
    let reply = client.ask(Target::Any, Action::Local(Local::Cluster)).await?;
    let Ok(Done::Cluster(view)) = &reply.answer.result else { return output::reply(format, &reply) };
    let asked = view.nodes.iter().map(|node| status_of(client.within(PATIENCE), node.node));
    let (mut statuses, mut silent) = (Vec::new(), Vec::new());
    for (node, asked) in view.nodes.iter().zip(join_all(asked).await) {
        match asked {
            Ok(status) => statuses.push(Some(status)),
            Err(error) => {
                statuses.push(None);
                silent.push(json!({ "node": node.node, "why": error.to_string() }));
            }
        }
    }
    if format == Format::Json {
        let answered: Vec<_> = statuses.iter().flatten().map(output::json_of).collect();
        return output::json(&json!({ "cluster": output::json_of(&reply), "statuses": answered, "silent": silent }));
    }
    line(&cluster_table(view, &statuses))?;
    let cut: Vec<_> =
        view.links.iter().filter(|link| !link.up).map(|link| format!("{}->{}", link.from, link.to)).collect();
    if !cut.is_empty() {
        line(&format!("links down: {}", cut.join(" ")))?;
    }
    statuses.iter().flatten().filter_map(damage).try_for_each(|damage| line(&damage))
}

/// The messages that a node's disk has lost, and those that were restored.
fn damage(reply: &Reply) -> Option<String> {
    let Ok(Done::Status(status)) = &reply.answer.result else { return None };
    let Counters { damaged, repaired, .. } = status.counters;
    (damaged > 0).then(|| {
        let runs = if damaged == 1 { "run of messages was" } else { "runs of messages were" };
        format!("node {}: {damaged} {runs} damaged on its disk since it started, {repaired} repaired", status.node)
    })
}

async fn status_of(client: CubecastClient, node: HostId) -> Result<Reply, ClientError> {
    client.ask(Target::Node(node), Action::Admin(Admin::Status { node: None })).await
}

fn cluster_table(view: &ClusterView, statuses: &[Option<Reply>]) -> String {
    let mut table = Table::new([
        "node", "address", "state", "leads", "topics", "messages", "clients", "requests", "uptime", "sync", "stored",
        "storage",
    ])
    .numbers([4, 5, 6, 7]);
    for (node, reply) in view.nodes.iter().zip(statuses) {
        let status = reply.as_ref().and_then(|reply| match &reply.answer.result {
            Ok(Done::Status(status)) => Some(&**status),
            _ => None,
        });
        table.row(cluster_row(node, status));
    }
    table.render()
}

fn cluster_row(node: &NodeView, status: Option<&NodeStatus>) -> [String; 12] {
    let home = Seating::founded_by(node.node).vertex_of(node.node);
    let own = status.and_then(|status| status.groups.iter().find(|group| Some(group.home) == home));
    [
        node.node.to_string(),
        node.address.clone(),
        state(status.map_or(node.state, |status| status.state)).into(),
        names(&node.leads),
        known(own.map(|group| group.topics)),
        known(own.map(|group| group.messages)),
        known(status.map(|status| status.counters.clients)),
        known(status.map(|status| status.counters.requests)),
        status.map_or("-".into(), |status| time_span(status.uptime_ms)),
        known(status.map(|status| status.sync.clone())),
        known(status.map(|status| bytes(status.storage.stored_bytes))),
        known(status.map(|status| status.storage.state)),
    ]
}

fn node_in_detail(status: &NodeStatus) -> String {
    let NodeStatus { node, incarnation, version, sync, .. } = status;
    let faults = if status.faults_allowed { "allowed" } else { "not allowed" };
    let (state, up_for) = (state(status.state), time_span(status.uptime_ms));
    let head = format!(
        "node {node}: {state}, incarnation {incarnation}, uptime {up_for}, version {version}, sync {sync}, faults \
         {faults}"
    );
    [head, storage(&status.storage), groups_table(status), links_table(status), counters_table(status)].join("\n\n")
}

fn storage(storage: &StorageStatus) -> String {
    let StorageStatus { state, stored_bytes, free_bytes, reusable_bytes, reserve_bytes } = *storage;
    let [stored, free, reusable, reserve] = [stored_bytes, free_bytes, reusable_bytes, reserve_bytes].map(bytes);
    let advice = match state {
        StorageState::Ok => "",
        StorageState::Full => "; publishes are refused: delete topics or free disk space",
        StorageState::Exhausted => "; only reads, votes and deletions work: free disk space or delete topics",
    };
    format!("storage {state}: {stored} stored, {free} free, {reusable} reusable, reserve {reserve}{advice}")
}

fn groups_table(status: &NodeStatus) -> String {
    let mut table = Table::new([
        "group", "role", "term", "leader", "voters", "learners", "last", "commit", "applied", "topics", "messages",
    ])
    .numbers([2, 6, 7, 8, 9, 10]);
    for group in &status.groups {
        table.row([
            group.home.to_string(),
            role(group.role).into(),
            group.term.to_string(),
            known(group.leader),
            names(&group.voters),
            names(&group.learners),
            group.last_index.to_string(),
            group.commit_index.to_string(),
            group.applied_index.to_string(),
            group.topics.to_string(),
            group.messages.to_string(),
        ]);
    }
    table.render()
}

fn links_table(status: &NodeStatus) -> String {
    let mut table = Table::new(["link to", "receives", "is received", "round trip", "conditions"]);
    for link in &status.links {
        let conditions = &link.conditions;
        let conditions = match conditions.cut {
            true => "cut".into(),
            false => format!(
                "delay {} ms, jitter {} ms, loss {}",
                conditions.delay_ms, conditions.jitter_ms, conditions.loss
            ),
        };
        let yes = |yes: bool| String::from(if yes { "yes" } else { "no" });
        let round_trip = link.round_trip_us.map_or("-".into(), |us| format!("{us} us"));
        table.row([link.to.to_string(), yes(link.hears), yes(link.heard), round_trip, conditions]);
    }
    table.render()
}

fn counters_table(status: &NodeStatus) -> String {
    let counters = &status.counters;
    let counts = [
        ("requests", counters.requests),
        ("publishes", counters.publishes),
        ("deliveries", counters.deliveries),
        ("frames sent", counters.frames_sent),
        ("frames received", counters.frames_received),
        ("frames forwarded", counters.frames_forwarded),
        ("frames dropped", counters.frames_dropped),
        ("frames altered in transit", counters.frames_altered),
        ("damaged on the disk", counters.damaged),
        ("repaired on the disk", counters.repaired),
        ("elections", counters.elections),
        ("waiting in the outbox", counters.outbox),
        ("clients", counters.clients),
    ];
    let mut table = Table::new(["since the start of the process", ""]).numbers([1]);
    for (name, count) in counts {
        table.row([name.into(), count.to_string()]);
    }
    table.render()
}

/// The state as it is shown.
pub(super) fn state(state: NodeState) -> &'static str {
    match state {
        NodeState::Up => "up",
        NodeState::Failed => "failed",
        NodeState::Recovering => "recovering",
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
    }
}
