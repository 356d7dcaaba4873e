//! A cluster of real processes on this machine: one `cubecast node` per vertex, each with its own folder and log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, Weak};

use cubecast_core::address::Host;
use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::placement;
use cubecast_node::cluster::ports::{self, BasePort};
use cubecast_node::private;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::process::{Process, Signal, tail};
use crate::wait::eventually;

/// The secret of all test nodes.
pub const SECRET: &str = "a secret of this test only";
/// The name of all test clusters.
pub const CLUSTER: &str = "tested";
/// Lines of each log that are shown when a test fails.
const SHOWN_LINES: usize = 25;

/// The configuration of a cluster.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cube's dimension.
    pub dimension: u8,
    /// The folder of the dashboard's files; `None`: nodes do not serve a dashboard.
    pub web: Option<PathBuf>,
    /// Origins of pages that may connect although they come from elsewhere.
    pub allow_origin: Vec<String>,
    /// Whether clients may inject faults.
    pub allow_faults: bool,
    /// Whether the nodes are recorded.
    pub record: bool,
    /// Where its folder is created; `None`: in the system's temporary folder.
    pub within: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Plan { dimension: 3, web: None, allow_origin: Vec::new(), allow_faults: true, record: false, within: None }
    }
}

/// A cluster. Dropping it kills all processes and deletes all files.
#[derive(Debug)]
pub struct ProcessCluster {
    dimension: Dimension,
    folder: TempDir,
    ports: Vec<u16>,
    /// By vertex index; `None` while the node is down.
    nodes: Mutex<Vec<Option<Process>>>,
}

impl ProcessCluster {
    /// Starts a cluster of dimension 3 and waits until every home leads.
    pub async fn start() -> ProcessCluster {
        ProcessCluster::start_as(Plan::default()).await
    }

    /// Starts a cluster and waits until every home leads.
    pub async fn start_as(plan: Plan) -> ProcessCluster {
        let cluster = ProcessCluster::prepare(&plan);
        for vertex in cluster.vertices() {
            cluster.start_node(vertex);
        }
        cluster.wait_until_settled().await;
        cluster
    }

    /// A cluster shared by tests that do not harm it. It lives as long as one of them runs.
    pub async fn shared() -> Arc<ProcessCluster> {
        static SHARED: tokio::sync::Mutex<Weak<ProcessCluster>> = tokio::sync::Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(cluster) = shared.upgrade() {
            return cluster;
        }
        let cluster = Arc::new(ProcessCluster::start().await);
        *shared = Arc::downgrade(&cluster);
        cluster
    }

    /// A cluster without running nodes.
    pub fn prepare(plan: &Plan) -> ProcessCluster {
        let dimension = Dimension::new(plan.dimension).expect("a test chooses a good dimension");
        // Ports below the range that the system uses for outgoing connections, so that a restarted node finds its port
        // free.
        let ports =
            ports::choose(&Host::LOOPBACK, BasePort::Auto, &[], dimension.size()).expect("there are free ports");
        let within = plan.within.clone().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::Builder::new().prefix("cubecast-test-").tempdir_in(within).expect("a temporary folder");
        let nodes = Mutex::new(dimension.vertices().map(|_| None).collect());
        let cluster = ProcessCluster { dimension, folder, ports, nodes };
        private::write(&cluster.folder.path().join("secret"), SECRET).expect("the secret is written");
        for vertex in cluster.vertices() {
            std::fs::write(cluster.config_file(vertex), cluster.config(plan, vertex))
                .expect("a configuration is written");
        }
        cluster
    }

    fn config(&self, plan: &Plan, vertex: Vertex) -> String {
        let addresses: String =
            self.vertices().map(|vertex| format!("{vertex} = \"{}\"\n", self.address(vertex))).collect();
        let web = plan.web.as_ref().map_or("false".into(), |web| format!("{:?}", web.display().to_string()));
        let record = if plan.record { "\"5m\"" } else { "\"off\"" };
        format!(
            "node = \"{vertex}\"\ndimension = {}\ncluster = \"{CLUSTER}\"\nsecret_file = \"secret\"\n\
             data = \"{vertex}.store\"\nallow_faults = {}\nallow_origin = {:?}\nweb = {web}\n\n\
             [storage]\nshared_by = {}\n\n[recording]\nlast = {record}\n\n[addresses]\n{addresses}",
            self.dimension.bits(),
            plan.allow_faults,
            plan.allow_origin,
            self.dimension.size()
        )
    }

    /// Changes the configuration of node `node`, which is down: it dials `address` to reach node `to`.
    pub fn redirect(&self, node: Vertex, to: Vertex, address: &str) {
        let file = self.config_file(node);
        let config = std::fs::read_to_string(&file).expect("the configuration is read");
        let config = config.replace(&format!("{to} = \"{}\"", self.address(to)), &format!("{to} = \"{address}\""));
        std::fs::write(file, config).expect("a configuration is written");
    }

    // Addresses and files.

    /// All vertices.
    pub fn vertices(&self) -> impl DoubleEndedIterator<Item = Vertex> + ExactSizeIterator + Clone + use<> {
        self.dimension.vertices()
    }

    /// The home of a topic, publisher or subscriber.
    pub fn home(&self, name: &str) -> Vertex {
        placement::home(name, self.dimension)
    }

    /// The topic's replicas, home first.
    pub fn replicas(&self, topic: &str) -> Vec<Vertex> {
        placement::members(self.home(topic)).collect()
    }

    /// The node's `HOST:PORT`.
    pub fn address(&self, vertex: Vertex) -> String {
        format!("127.0.0.1:{}", self.ports[vertex.index()])
    }

    /// The node's configuration file.
    pub fn config_file(&self, vertex: Vertex) -> PathBuf {
        self.folder.path().join(format!("{vertex}.toml"))
    }

    /// The node's data folder.
    pub fn data_folder(&self, vertex: Vertex) -> PathBuf {
        self.folder.path().join(format!("{vertex}.store"))
    }

    /// The node's log.
    pub fn log_file(&self, vertex: Vertex) -> PathBuf {
        self.folder.path().join(format!("{vertex}.log"))
    }

    /// The cluster's folder, for other files of a test.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    // Actions on nodes.

    /// Starts a node that is down, on its own port and folder.
    pub fn start_node(&self, vertex: Vertex) {
        self.start_node_by(vertex, Process::start);
    }

    /// The same with a limit of file descriptors.
    pub fn start_node_with_descriptors(&self, vertex: Vertex, descriptors: u32) {
        self.start_node_by(vertex, |arguments, log| Process::start_with_descriptors(descriptors, arguments, log));
    }

    fn start_node_by(&self, vertex: Vertex, start: impl FnOnce(&[&str], &Path) -> Process) {
        let mut nodes = self.nodes();
        assert!(nodes[vertex.index()].is_none(), "node {vertex} runs already");
        let config = self.config_file(vertex);
        let arguments = ["node", "--exit-with-stdin", "--config", config.to_str().expect("the folder's name is UTF-8")];
        nodes[vertex.index()] = Some(start(&arguments, &self.log_file(vertex)));
    }

    /// The process id of a node; `None` if it is down.
    pub fn process_id(&self, vertex: Vertex) -> Option<u32> {
        self.nodes()[vertex.index()].as_ref().map(Process::id)
    }

    /// Sends SIGKILL to a node.
    pub fn kill(&self, vertex: Vertex) {
        self.take(vertex).kill();
    }

    /// Sends SIGKILL to all nodes at once.
    pub fn kill_all(&self) {
        let running: Vec<Process> = self.nodes().iter_mut().filter_map(Option::take).collect();
        let killers: Vec<_> = running.into_iter().map(|process| std::thread::spawn(|| process.kill())).collect();
        for killer in killers {
            killer.join().expect("killing does not panic");
        }
    }

    /// Sends SIGTERM and waits for the end, which must be clean.
    pub fn stop(&self, vertex: Vertex) {
        let mut process = self.take(vertex);
        process.signal(Signal::Terminate);
        let status = process.wait();
        assert!(
            status.success(),
            "node {vertex} was asked to end, and ended with {status}:\n{}",
            tail(&self.log_file(vertex), SHOWN_LINES)
        );
    }

    /// Sends SIGSTOP: the node sends and processes nothing, and its sockets stay open.
    pub fn pause(&self, vertex: Vertex) {
        self.nodes()[vertex.index()].as_ref().unwrap_or_else(|| panic!("node {vertex} is down")).signal(Signal::Stop);
    }

    /// Sends SIGCONT to a paused node.
    pub fn resume(&self, vertex: Vertex) {
        self.nodes()[vertex.index()]
            .as_ref()
            .unwrap_or_else(|| panic!("node {vertex} is down"))
            .signal(Signal::Continue);
    }

    /// Deletes the data folder of a node that is down.
    pub fn wipe(&self, vertex: Vertex) {
        assert!(self.nodes()[vertex.index()].is_none(), "node {vertex} is running and uses its folder");
        std::fs::remove_dir_all(self.data_folder(vertex)).expect("the folder can be removed");
    }

    fn take(&self, vertex: Vertex) -> Process {
        self.nodes()[vertex.index()].take().unwrap_or_else(|| panic!("node {vertex} is down already"))
    }

    fn nodes(&self) -> MutexGuard<'_, Vec<Option<Process>>> {
        self.nodes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    // State.

    /// A client of this node.
    pub async fn client(&self, vertex: Vertex) -> Client {
        eventually(&format!("node {vertex} takes a client"), || Client::connect(self.address(vertex))).await
    }

    /// A client of the node farthest from the topic's home. If that node is no replica, all its requests cross the
    /// cube.
    pub async fn far_client(&self, topic: &str) -> Client {
        let home = self.home(topic);
        let farthest = self.vertices().max_by_key(|vertex| vertex.distance(home)).expect("a cube has vertices");
        self.client(farthest).await
    }

    /// Waits until every running node reports all nodes as up, and each home leads exactly its own group.
    pub async fn wait_until_settled(&self) {
        for vertex in self.vertices() {
            eventually(&format!("node {vertex} sees all nodes up and leading at home"), || async move {
                let view = self.look(vertex).await?;
                let nodes = view["nodes"].as_array().ok_or("no nodes")?;
                let wrong = nodes.iter().find(|node| node["state"] != "up" || node["leads"] != json!([node["node"]]));
                wrong.map_or(Ok(()), |node| Err(node.to_string()))
            })
            .await;
        }
    }

    /// Waits until `observer` reports `vertex` in this state.
    pub async fn wait_until_seen(&self, observer: Vertex, vertex: Vertex, state: &str) {
        eventually(&format!("node {observer} sees node {vertex} {state}"), || async move {
            let view = self.look(observer).await?;
            let seen = &view["nodes"][vertex.index()];
            if seen["state"] == state { Ok(()) } else { Err(seen.to_string()) }
        })
        .await;
    }

    /// Waits until `observer` reports a leader of the group of `home` other than `other_than`; returns the leader.
    pub async fn wait_for_leader(&self, observer: Vertex, home: Vertex, other_than: Option<Vertex>) -> Vertex {
        eventually(
            &format!("node {observer} sees a leader of group {home}, other than {other_than:?}"),
            || async move {
                let view = self.look(observer).await?;
                let nodes = view["nodes"].as_array().ok_or("no nodes")?;
                let leaders =
                    nodes.iter().filter(|node| node["leads"].as_array().is_some_and(|led| led.contains(&json!(home))));
                let mut leaders = leaders.filter_map(|node| node["node"].as_str()?.parse::<Vertex>().ok());
                leaders.find(|leader| Some(*leader) != other_than).ok_or_else(|| view["nodes"].to_string())
            },
        )
        .await
    }

    /// The cluster as reported by one node.
    async fn look(&self, vertex: Vertex) -> Result<Value, String> {
        let mut client = Client::connect(self.address(vertex)).await?;
        let view = client.try_ask(json!({"action": "cluster"})).await?;
        if view["ok"] == true { Ok(view) } else { Err(view.to_string()) }
    }

    fn show_logs(&self) {
        for vertex in self.vertices() {
            eprintln!("---- log of node {vertex}\n{}", tail(&self.log_file(vertex), SHOWN_LINES));
        }
    }
}

impl Drop for ProcessCluster {
    fn drop(&mut self) {
        self.kill_all();
        if std::thread::panicking() {
            self.show_logs();
        }
    }
}
