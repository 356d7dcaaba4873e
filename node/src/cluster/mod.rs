//! `cubecast up`: a whole cluster on one machine, with a real process for each node.
//!
//! Each node is a child process with its own data folder and log file, and is restarted if it dies. When this process
//! ends in any way, its children end too: each child watches its standard input, which closes with its parent.

pub mod child;
pub mod folder;
pub mod health;
pub mod ports;
pub mod screen;

use std::path::PathBuf;
use std::time::Duration;

use child::{Child, News};
use cubecast_core::address::Host;
use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use folder::ClusterFolder;
use health::Health;
use screen::Screen;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::config::TypedWeb;
use crate::failure::Failure;
use crate::shutdown;

/// The interval between requests for the nodes' states.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The time after which the reasons are shown why a cluster is not ready yet. They are shown again after twice the
/// time, and so on.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// The validated settings of `up`.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The dimension of the cube.
    pub dimension: Dimension,
    /// The folder of the cluster.
    pub data: PathBuf,
    /// The host on which the nodes listen.
    pub host: Host,
    /// One port for each node, in their order.
    pub ports: Vec<u16>,
    /// The source of the dashboard's files, as typed. `None`: the files in this program.
    pub web: Option<TypedWeb>,
    /// The sync mode, as typed.
    pub sync: String,
    /// As typed. `None`: a part of the disk.
    pub storage_reserve: Option<String>,
    /// `None`: the default limit.
    pub registrations_per_second: Option<u32>,
    /// As typed. `None`: never.
    pub names_expire_after: Option<String>,
    /// The time that the nodes' recordings cover, as typed, or `off`.
    pub record: String,
    /// Whether clients may request faults.
    pub allow_faults: bool,
    /// Whether the user set `allow_faults`. Otherwise it follows from the host.
    pub faults_were_asked_for: bool,
    /// Origins of web pages that may open connections.
    pub allow_origin: Vec<String>,
    /// Accepted hosts, in addition to those of the nodes.
    pub allow_host: Vec<String>,
    /// Whether to restart nodes that die.
    pub restart: bool,
    /// Whether to copy the nodes' logs to standard output.
    pub verbose: bool,
    /// Whether to print JSON lines.
    pub json: bool,
    /// The nodes' log level or filter.
    pub log: String,
    /// The nodes' log format.
    pub log_format: String,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// The node.
    pub node: HostId,
    /// The address for clients.
    pub address: String,
    /// The port on which the node listens.
    pub port: u16,
    /// The process id, while the node runs.
    pub pid: Option<u32>,
    /// The number of restarts.
    pub restarts: u32,
    /// `None` while the node does not answer.
    pub health: Option<Health>,
    /// How the process ended last, while it is not running.
    pub ended: Option<String>,
}

impl Plan {
    /// The nodes of the cluster.
    pub fn seating(&self) -> Seating {
        Seating::founding(self.dimension)
    }

    fn port(&self, node: HostId) -> u16 {
        self.ports[self.seating().index_of(node).expect("a node of this cluster")]
    }

    /// The address at which clients reach a node.
    pub fn address(&self, node: HostId) -> String {
        self.host.reached_locally().at(self.port(node)).to_string()
    }

    /// The address on which a node listens.
    pub fn listen(&self, node: HostId) -> String {
        self.host.at(self.port(node)).to_string()
    }

    /// A warning about faults for users who open a cluster to the network.
    fn remark_on_faults(&self) -> Option<String> {
        let host = &self.host;
        match (host.is_loopback(), self.allow_faults, self.faults_were_asked_for) {
            (false, false, false) => Some(format!(
                "Requested faults are off, because {host} is open to the network. \
                 To let every client stop nodes and cut links, start with --faults on."
            )),
            (false, true, _) => {
                Some(format!("Requested faults are on: every client that reaches {host} can stop nodes and cut links."))
            }
            _ => None,
        }
    }
}

/// Runs the cluster until `stop` turns true, then ends all nodes.
pub async fn run(plan: Plan, stop: watch::Receiver<bool>) -> Result<(), Failure> {
    let folder =
        ClusterFolder::open(&plan.data, plan.dimension).map_err(|error| Failure::new(error.exit_code(), error))?;
    folder.write_nodes(&plan).map_err(|error| Failure::new(error.exit_code(), error))?;
    let (tell, news) = mpsc::unbounded_channel();
    let mut children = JoinSet::new();
    for node in plan.seating().hosts() {
        children.spawn(Child::new(node, &plan, &folder).keep(tell.clone(), stop.clone()));
    }
    drop(tell);
    let mut view = View::new(&plan);
    if let Some(remark) = plan.remark_on_faults() {
        view.screen.say_remark(&remark);
    }
    view.follow(news, stop.clone()).await;
    while children.join_next().await.is_some() {}
    view.screen.say_end();
    if *stop.borrow() {
        Ok(())
    } else {
        Err(Failure::new(Failure::FAILED, "all nodes exited unexpectedly, and --no-restart is set"))
    }
}

/// The known states of the nodes, and the screen that shows them.
struct View {
    rows: Vec<Row>,
    screen: Screen,
    announced: bool,
    began: Instant,
    /// The age of the cluster at which the missing conditions are shown next.
    next_word: Duration,
}

impl View {
    fn new(plan: &Plan) -> View {
        let rows = plan.seating().hosts().map(|node| Row {
            node,
            address: plan.address(node),
            port: plan.port(node),
            pid: None,
            restarts: 0,
            health: None,
            ended: None,
        });
        View {
            rows: rows.collect(),
            screen: Screen::new(plan),
            announced: false,
            began: Instant::now(),
            next_word: FIRST_WORD,
        }
    }

    /// Shows events until the last child has ended.
    async fn follow(&mut self, mut news: mpsc::UnboundedReceiver<News>, stop: watch::Receiver<bool>) {
        let (tell_health, mut healths) = mpsc::unbounded_channel();
        let looking = tokio::spawn(look(self.rows.iter().map(|row| row.address.clone()).collect(), tell_health));
        let mut stopping = stop.clone();
        let mut told = false;
        loop {
            tokio::select! {
                happened = news.recv() => match happened {
                    Some(happened) => self.take_news(happened),
                    None => break,
                },
                Some((index, health)) = healths.recv() => self.take_health(index, health),
                () = shutdown::requested(&mut stopping), if !told => {
                    told = true;
                    self.screen.say_stopping(self.rows.len());
                }
            }
            if !told {
                self.screen.draw(&self.rows);
            }
        }
        looking.abort();
    }

    fn take_news(&mut self, news: News) {
        match &news {
            News::Started { node, pid, restarts } => {
                let Some(row) = self.rows.iter_mut().find(|row| row.node == *node) else { return };
                (row.pid, row.restarts, row.ended) = (Some(*pid), *restarts, None);
            }
            News::Ended { node, how, .. } => {
                let Some(row) = self.rows.iter_mut().find(|row| row.node == *node) else { return };
                (row.pid, row.health, row.ended) = (None, None, Some(how.clone()));
            }
            News::Log { .. } => {}
        }
        let row = self.rows.iter().find(|row| row.node == news.node()).cloned();
        self.screen.say(&news, row.as_ref());
    }

    fn take_health(&mut self, index: usize, health: Option<Health>) {
        let row = &mut self.rows[index];
        if row.pid.is_none() {
            return;
        }
        let told = |row: &Row| row.health.as_ref().map(|health| (health.state.clone(), health.ready));
        let before = told(row);
        row.health = health;
        if before != told(row) {
            self.screen.say_state(&self.rows[index]);
        }
        if !self.announced {
            self.announce_when_ready();
        }
    }

    /// Announces that the cluster is ready: every replica group accepts publishes. This takes an election after the
    /// last node is up.
    fn announce_when_ready(&mut self) {
        let waits_for = waits_for(&self.rows);
        if waits_for.is_empty() {
            self.announced = true;
            self.screen.announce(&self.rows);
        } else if self.began.elapsed() >= self.next_word {
            self.next_word *= 2;
            self.screen.say_unready(&waits_for);
        }
    }
}

/// Why the cluster is not ready, each reason once. Empty if it is ready.
fn waits_for(rows: &[Row]) -> Vec<String> {
    let reasons = rows.iter().flat_map(|row| match &row.health {
        None => vec![format!("node {} is not responding", row.node)],
        Some(health) => health.reasons.iter().map(|reason| reason.message.clone()).collect(),
    });
    reasons.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// Requests the state of every node periodically.
async fn look(addresses: Vec<String>, tell: mpsc::UnboundedSender<(usize, Option<Health>)>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let asked =
            addresses.iter().enumerate().map(|(index, address)| async move { (index, health::ask(address).await) });
        for (index, health) in futures_util::future::join_all(asked).await {
            if tell.send((index, health)).is_err() {
                return;
            }
        }
    }
}
