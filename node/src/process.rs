//! One node process: storage, core, runtime and transport put together.

use std::collections::BTreeMap;
use std::sync::Arc;

use cubecast_core::group::LogLimits;
use cubecast_core::identity::HostId;
use cubecast_core::node::{Node, NodeConfig};
use cubecast_core::recording::recorder::Recorder;
use cubecast_core::store::Recovered;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::codec::Rules;
use crate::config::Config;
use crate::dashboard::Dashboard;
use crate::failure::Failure;
use crate::log;
use crate::metrics::Metrics;
use crate::queues::inbox::inbox;
use crate::queues::signals::Signals;
use crate::recording::folder::RecordingFolder;
use crate::recording::recorded_node::RecordedNode;
use crate::recording::writer::Writer;
use crate::runtime::Runtime;
use crate::runtime::clock::Clock;
use crate::runtime::disk::{Disk, ThreadedDisk};
use crate::runtime::machine::Machine;
use crate::shutdown::{self, Shutdown};
use crate::storage::{FolderIdentity, RedbStore, StorageError};
use crate::transport::budget::{BUDGET, Budget};
use crate::transport::handshake::Credentials;
use crate::transport::incidents::Incidents;
use crate::transport::origin::OriginRules;
use crate::transport::places::{Places, Undecided, clients_for, raise_descriptors};
use crate::transport::{Limits, Numbers, ServerContext, dialer, lonely, server};

/// Runs a node until a signal stops it in an orderly way. With `exit_with_stdin`, the end of standard input stops it
/// too.
pub async fn run(config: Config, exit_with_stdin: bool) -> Result<(), Failure> {
    let shutdown = if exit_with_stdin { Shutdown::on_signals_or_end_of_stdin() } else { Shutdown::on_signals() }?;
    let node = config.node;
    tell_start(&config);
    let listener = listen(&config.listen).await?;
    let (store, recovered) = open_store(&config).await?;
    let clock = Clock::start();
    let machine = start_node(&config, recovered, clock);
    info!(%node, "Node {node} serves clients on ws://{}/ws", config.listen);
    let disk = ThreadedDisk::start(node, store, config.sync).map_err(|error| Failure::new(Failure::STORAGE, error))?;
    serve(machine, disk, clock, config.into(), listener, shutdown.requested.clone()).await?;
    info!(%node, "Node {node} ended");
    shutdown.outcome_of_service()
}

/// Starts the node's decisions, and its recorder. A recorder that cannot start is reported and left out.
fn start_node(config: &Config, recovered: Recovered, clock: Clock) -> RecordedNode {
    let now = clock.now();
    let node = Node::new(node_config(config), recovered, now);
    let Some(rules) = config.recording else { return RecordedNode::plain(node) };
    let folder = RecordingFolder::of(&config.data);
    match Writer::start(folder.clone(), rules, now.wall.0) {
        Ok(writer) => {
            let recorder = Recorder::new(config.node, now.wall.0, env!("CARGO_PKG_VERSION").to_owned());
            RecordedNode::recorded(node, recorder, writer)
        }
        Err(error) => {
            warn!(node = %config.node, "The flight recorder cannot use {}: {error}", folder.path().display());
            RecordedNode::plain(node)
        }
    }
}

/// Settings of the transport. Tests supply their own.
#[derive(Debug)]
pub struct Settings {
    /// The cluster's name and secret, for the handshake between neighbours.
    pub credentials: Credentials,
    /// One `HOST:PORT` for each node, in the order of the seating.
    pub addresses: Vec<String>,
    /// Limits of the transport.
    pub limits: Limits,
    /// Limits and nodes that requests are checked against.
    pub rules: Rules,
    /// Origins and hosts that are accepted.
    pub origins: OriginRules,
    /// The source of the dashboard's files.
    pub dashboard: Dashboard,
    /// The recordings of this node.
    pub recordings: RecordingFolder,
}

/// Runs any machine behind a listener until `stop` turns true. This is a whole node except its storage and its
/// decisions.
pub async fn serve(
    machine: impl Machine,
    disk: impl Disk,
    clock: Clock,
    settings: Settings,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let (sender, inbox) = inbox();
    let signals = Signals::default();
    let metrics = Arc::new(Metrics::beside(disk.metrics()));
    // Connections end when the node is asked to stop, and when its runtime ends for any reason.
    let (end, ended) = watch::channel(false);
    let addresses = settings.addresses;
    let nodes = settings.rules.seating.hosts().zip(addresses.iter().cloned()).collect();
    let descriptors = raise_descriptors();
    let clients = clients_for(settings.limits.clients, descriptors);
    if clients < settings.limits.clients {
        let wanted = settings.limits.clients;
        warn!(
            "Client limit reduced from {wanted} to {clients}: the process may open only {descriptors} files (ulimit -n)"
        );
    }
    let context = Arc::new(ServerContext {
        credentials: settings.credentials,
        limits: settings.limits,
        budget: Budget::new(BUDGET),
        admission: Arc::default(),
        places: Places::new(clients, settings.limits.clients_of_one),
        undecided: Undecided::default(),
        rules: settings.rules,
        origins: settings.origins,
        dashboard: settings.dashboard,
        incidents: Incidents::new(settings.recordings, nodes),
        inbox: sender,
        numbers: Numbers::default(),
        peers: Arc::default(),
        gate: signals.gate.subscribe(),
        busy: signals.busy.subscribe(),
        metrics: metrics.clone(),
        stop: ended,
        began: tokio::time::Instant::now(),
    });
    let mut transport = JoinSet::new();
    transport.spawn(server::run(listener, context.clone()));
    let (me, seating) = (context.node(), context.seating());
    let addresses: BTreeMap<HostId, String> = seating.hosts().zip(addresses).collect();
    let own_address = addresses[&me].clone();
    transport.spawn(lonely::watch(context.clone(), own_address));
    for peer in seating.neighbours(me).filter(|peer| dialer::dials(me, *peer)) {
        transport.spawn(dialer::run(context.clone(), peer, addresses[&peer].clone()));
    }
    // The runtime gets its own task: each wake-up of the outermost future also wakes tokio's driver.
    let mut running = JoinSet::new();
    running.spawn(Runtime::new(machine, disk, inbox, clock, signals, metrics).run(stop.clone()));
    let result = tokio::select! {
        result = running.join_next() => result,
        () = shutdown::requested(&mut stop) => {
            end.send_replace(true);
            running.join_next().await
        }
    };
    end.send_replace(true);
    while transport.join_next().await.is_some() {}
    let result =
        result.expect("one task was spawned").unwrap_or_else(|end| std::panic::resume_unwind(end.into_panic()));
    result.map_err(|error| Failure::new(Failure::STORAGE, error))
}

impl From<Config> for Settings {
    fn from(config: Config) -> Settings {
        let instance = getrandom::u64().expect("the operating system gives random bytes");
        Settings {
            origins: OriginRules { allowed: config.allow_origin.clone(), own_hosts: config.own_hosts() },
            rules: Rules { limits: config.requests, seating: config.seating.clone() },
            credentials: Credentials {
                cluster: config.cluster,
                node: config.node,
                seating: config.seating.clone(),
                instance,
                secret: config.secret,
            },
            addresses: config.addresses,
            limits: config.limits,
            dashboard: config.dashboard,
            recordings: RecordingFolder::of(&config.data),
        }
    }
}

fn tell_start(config: &Config) {
    let node = config.node;
    let neighbours: Vec<_> = config.seating.neighbours(node).map(|peer| peer.to_string()).collect();
    info!(
        %node,
        cluster = config.cluster,
        data = %config.data.display(),
        sync = %config.sync,
        "Node {node} starts. Neighbours: {}",
        neighbours.join(", ")
    );
    if config.allow_faults {
        info!(%node, "Requested faults are allowed: clients can stop node {node} and cut its links");
    }
    let dashboard = &config.dashboard;
    match dashboard.exists() || matches!(dashboard, Dashboard::Off) {
        true => info!(%node, "Dashboard: {dashboard}"),
        false => warn!(%node, "No dashboard: {dashboard}"),
    }
}

async fn listen(address: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let port = address.rsplit(':').next().unwrap_or_default();
        let advice = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("Port {port} is in use. Stop the program that uses it, or give this node another address.")
            }
            _ => "Choose an address of this machine and a port that this process may use.".to_owned(),
        };
        Failure::new(Failure::PORT, format!("cannot listen on {address}: {error}. {advice}"))
    })
}

async fn open_store(config: &Config) -> Result<(RedbStore, Recovered), Failure> {
    let (folder, sync, room) = (config.data.clone(), config.sync, config.room);
    let identity = FolderIdentity::new(config.cluster.clone(), config.node, config.seating.dimension());
    let opened = tokio::task::spawn_blocking(move || RedbStore::open_with(&folder, &identity, sync, room)).await;
    let opened =
        opened.map_err(|panic| Failure::new(Failure::STORAGE, format!("panic while opening the storage: {panic}")))?;
    let (store, recovered, report) = opened.map_err(|error: StorageError| Failure::new(Failure::STORAGE, error))?;
    log::opened(config.node, &report);
    Ok((store, recovered))
}

fn node_config(config: &Config) -> NodeConfig {
    NodeConfig {
        host: config.node,
        seating: config.seating.clone(),
        addresses: config.addresses.clone(),
        allow_faults: config.allow_faults,
        seed: getrandom::u64().expect("the operating system gives random bytes"),
        sync: config.sync.to_string(),
        version: env!("CARGO_PKG_VERSION").into(),
        limits: config.requests,
        log: LogLimits::default(),
        observe_all: tracing::enabled!(tracing::Level::DEBUG),
        bug: None,
    }
}
