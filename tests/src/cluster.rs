//! A cluster of real processes on this machine: one `cubecast node` a vertex, each with a folder and a log of its own.

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

/// The secret that all nodes of a test share.
pub const SECRET: &str = "a secret of this test only";
/// The name of the clusters here.
pub const CLUSTER: &str = "tested";
/// Lines of each log that are shown when a test fails.
const SHOWN_LINES: usize = 25;

/// How a cluster is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    pub dimension: u8,
    pub web: Option<PathBuf>,
    /// Origins of pages from elsewhere that nodes serve.
    pub allow_origin: Vec<String>,
    /// Whether clients may ask for faults.
    pub allow_faults: bool,
    /// Where its folder is made; `None`: among the temporary ones.
    pub within: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Plan { dimension: 3, web: None, allow_origin: Vec::new(), allow_faults: true, within: None }
    }
}

/// A cluster. When it is dropped, all processes end and all files go.
#[derive(Debug)]
pub struct ProcessCluster {
    dimension: Dimension,
    folder: TempDir,
    ports: Vec<u16>,
    /// By the vertex's index; `None` while it is down.
    nodes: Mutex<Vec<Option<Process>>>,
}

impl ProcessCluster {
    /// A cluster of dimension 3 in which every home leads.
    pub async fn start() -> ProcessCluster {
        ProcessCluster::start_as(Plan::default()).await
    }

    pub async fn start_as(plan: Plan) -> ProcessCluster {
        let cluster = ProcessCluster::prepare(&plan);
        for vertex in cluster.vertices() {
            cluster.start_node(vertex);
        }
        cluster.wait_until_settled().await;
        cluster
    }

    /// A cluster that tests share which do it no harm. It lives as long as one of them runs.
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

    /// A cluster none of whose nodes runs.
    pub fn prepare(plan: &Plan) -> ProcessCluster {
        let dimension = Dimension::new(plan.dimension).expect("a test chooses a good dimension");
        // Ports beneath those that the system lends to outgoing connections, so that a node finds its own free again.
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
        let web = plan.web.as_ref().map(|web| format!("web = {:?}\n", web.display().to_string())).unwrap_or_default();
        format!(
            "node = \"{vertex}\"\ndimension = {}\ncluster = \"{CLUSTER}\"\nsecret_file = \"secret\"\ndata = \"{vertex}.store\"\n\
             allow_faults = {}\nallow_origin = {:?}\n{web}\n[storage]\nshared_by = {}\n\n[addresses]\n{addresses}",
            self.dimension.bits(),
            plan.allow_faults,
            plan.allow_origin,
            self.dimension.size()
        )
    }

    /// One node, which is down, looks for another at this address.
    pub fn redirect(&self, node: Vertex, to: Vertex, address: &str) {
        let file = self.config_file(node);
        let config = std::fs::read_to_string(&file).expect("the configuration is read");
        let config = config.replace(&format!("{to} = \"{}\"", self.address(to)), &format!("{to} = \"{address}\""));
        std::fs::write(file, config).expect("a configuration is written");
    }

    // Places.

    pub fn vertices(&self) -> impl DoubleEndedIterator<Item = Vertex> + ExactSizeIterator + Clone + use<> {
        self.dimension.vertices()
    }

    /// A topic's, publisher's or subscriber's home.
    pub fn home(&self, name: &str) -> Vertex {
        placement::home(name, self.dimension)
    }

    /// Home first.
    pub fn holders(&self, topic: &str) -> Vec<Vertex> {
        placement::members(self.home(topic)).collect()
    }

    pub fn address(&self, vertex: Vertex) -> String {
        format!("127.0.0.1:{}", self.ports[vertex.index()])
    }

    pub fn config_file(&self, vertex: Vertex) -> PathBuf {
        self.folder.path().join(format!("{vertex}.toml"))
    }

    pub fn data_folder(&self, vertex: Vertex) -> PathBuf {
        self.folder.path().join(format!("{vertex}.store"))
    }

    pub fn log_file(&self, vertex: Vertex) -> PathBuf {
        self.folder.path().join(format!("{vertex}.log"))
    }

    /// A place for what else a test writes.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    // What is done to nodes.

    /// Starts a node that is down, on its own port and folder.
    pub fn start_node(&self, vertex: Vertex) {
        self.start_node_by(vertex, Process::start);
    }

    /// The same, with so many descriptors.
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

    /// The process that serves this vertex; `None` while none does.
    pub fn process_id(&self, vertex: Vertex) -> Option<u32> {
        self.nodes()[vertex.index()].as_ref().map(Process::id)
    }

    /// SIGKILL.
    pub fn kill(&self, vertex: Vertex) {
        self.take(vertex).kill();
    }

    /// SIGKILL to all, at once.
    pub fn kill_all(&self) {
        let running: Vec<Process> = self.nodes().iter_mut().filter_map(Option::take).collect();
        let killers: Vec<_> = running.into_iter().map(|process| std::thread::spawn(|| process.kill())).collect();
        for killer in killers {
            killer.join().expect("killing does not panic");
        }
    }

    /// SIGTERM, and its end, which must be a clean one.
    pub fn stop(&self, vertex: Vertex) {
        let mut process = self.take(vertex);
        process.signal(Signal::Terminate);
        let status = process.wait();
        assert!(
            status.success(),
            "node {vertex} was told to end, and did so with {status}:\n{}",
            tail(&self.log_file(vertex), SHOWN_LINES)
        );
    }

    /// SIGSTOP: it neither hears nor says anything, and its sockets stand.
    pub fn pause(&self, vertex: Vertex) {
        self.nodes()[vertex.index()].as_ref().unwrap_or_else(|| panic!("node {vertex} is down")).signal(Signal::Stop);
    }

    pub fn resume(&self, vertex: Vertex) {
        self.nodes()[vertex.index()]
            .as_ref()
            .unwrap_or_else(|| panic!("node {vertex} is down"))
            .signal(Signal::Continue);
    }

    /// The data folder of a node that is down is lost.
    pub fn wipe(&self, vertex: Vertex) {
        assert!(self.nodes()[vertex.index()].is_none(), "node {vertex} runs and has its folder open");
        std::fs::remove_dir_all(self.data_folder(vertex)).expect("the folder can be removed");
    }

    fn take(&self, vertex: Vertex) -> Process {
        self.nodes()[vertex.index()].take().unwrap_or_else(|| panic!("node {vertex} is down already"))
    }

    fn nodes(&self) -> MutexGuard<'_, Vec<Option<Process>>> {
        self.nodes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    // How it is.

    /// A client of this node.
    pub async fn client(&self, vertex: Vertex) -> Client {
        eventually(&format!("node {vertex} takes a client"), || Client::connect(self.address(vertex))).await
    }

    /// A client of a node that has no part in the topic, if there is one: all its requests cross the cube.
    pub async fn far_client(&self, topic: &str) -> Client {
        let home = self.home(topic);
        let farthest = self.vertices().max_by_key(|vertex| vertex.distance(home)).expect("a cube has vertices");
        self.client(farthest).await
    }

    /// Waits until every node that runs sees every node up, and every home leading its own group and no other.
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

    /// Waits until `observer` sees `vertex` in this state.
    pub async fn wait_until_seen(&self, observer: Vertex, vertex: Vertex, state: &str) {
        eventually(&format!("node {observer} sees node {vertex} {state}"), || async move {
            let view = self.look(observer).await?;
            let seen = &view["nodes"][vertex.index()];
            if seen["state"] == state { Ok(()) } else { Err(seen.to_string()) }
        })
        .await;
    }

    /// Waits until `observer` sees a leader of the group of `home`, other than the one given; says who.
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

    /// The cluster as one node sees it.
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
