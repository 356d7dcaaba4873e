//! The processes of the cluster: starting, killing, stopping, wiping and restarting.
//!
//! ```text
//! FOLDER/secret            the nodes' shared secret
//! FOLDER/NODE/config.toml  a node's configuration
//! FOLDER/NODE/store/       its state
//! FOLDER/NODE/log          its standard output and standard error
//! ```
//!
//! The nodes end with this process in any case: each watches its standard input, which closes with its parent. A
//! helper process that keeps a node stopped resumes the node first.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use cubecast_core::address::Host;
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use cubecast_node::cluster::ports::{self, BasePort, PortError};
use cubecast_node::config::{Typed, TypedLimits, UNLIMITED_REGISTRATIONS};
use cubecast_node::failure::Failure;
use cubecast_node::private;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::outside::{Outside, Place};

const HOST: Host = Host::LOOPBACK;
/// The time limit for a node to end; after it the node is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// The minimum length of a secret is 16 bytes.
const SECRET_BYTES: usize = 32;

/// The processes of a cluster.
#[derive(Debug)]
pub struct Fleet {
    seating: Seating,
    folder: PathBuf,
    /// The `cubecast` program of the nodes.
    program: PathBuf,
    outside: Option<Outside>,
    /// The addresses for clients, by the index of the vertex.
    addresses: Vec<String>,
    running: BTreeMap<HostId, Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    /// Keeps the process stopped until it is dropped.
    hold: Option<Hold>,
}

/// A helper process that has stopped another process, and resumes it when its own standard input closes.
#[derive(Debug)]
struct Hold(Child);

/// Why the nodes cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error("{what} {path}: {error}", path = path.display())]
    Io { what: &'static str, path: PathBuf, error: io::Error },
    #[error("{0}")]
    Ports(#[from] PortError),
    #[error("cannot start node {node}: {error}")]
    Start { node: HostId, error: io::Error },
    #[error("{0}")]
    Outside(String),
}

impl From<FleetError> for Failure {
    fn from(error: FleetError) -> Failure {
        let code = match &error {
            FleetError::Io { .. } => Failure::STORAGE,
            FleetError::Ports(_) => Failure::PORT,
            FleetError::Start { .. } | FleetError::Outside(_) => Failure::FAILED,
        };
        Failure::new(code, error)
    }
}

impl Fleet {
    /// Writes the files of nodes that `program` will serve. No node runs yet.
    pub async fn prepare(
        program: PathBuf,
        seating: Seating,
        folder: &Path,
        sync: Option<&str>,
        outside: Option<Outside>,
    ) -> Result<Fleet, FleetError> {
        let places = match &outside {
            Some(outside) => outside.places(&seating).await.map_err(FleetError::Outside)?,
            None => places_here(&seating)?,
        };
        let secret = folder.join("secret");
        private::write(&secret, &random_text()).map_err(io_error("cannot write", &secret))?;
        for place in &places {
            let node = folder.join(place.node.to_string());
            private::create_folder(&node).map_err(io_error("cannot create", &node))?;
            let file = node.join("config.toml");
            let config = toml::to_string(&Typed { sync: sync.map(str::to_owned), ..typed(&seating, place, &places) })
                .expect("a configuration is plain data");
            private::write(&file, &config).map_err(io_error("cannot write", &file))?;
        }
        let addresses = places.into_iter().map(|place| place.for_clients).collect();
        Ok(Fleet { seating, folder: folder.into(), program, outside, addresses, running: BTreeMap::new() })
    }

    /// All nodes.
    pub fn seating(&self) -> &Seating {
        &self.seating
    }

    /// The addresses for clients, by the index of the vertex.
    pub fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }

    /// The ids of the running processes.
    pub fn processes(&self) -> Vec<u32> {
        self.running.values().filter_map(|process| process.child.id()).collect()
    }

    /// The program that can cut the network, if there is one.
    pub fn outside(&self) -> Option<&Outside> {
        self.outside.as_ref()
    }

    /// Whether a node's process runs.
    pub fn is_running(&self, node: HostId) -> bool {
        self.running.contains_key(&node)
    }

    /// Starts a node on its folder, if it is not running.
    pub fn start(&mut self, node: HostId) -> Result<(), FleetError> {
        if self.is_running(node) {
            return Ok(());
        }
        let started = self.spawn(node).map_err(|error| FleetError::Start { node, error })?;
        self.running.insert(node, Process { child: started, hold: None });
        Ok(())
    }

    fn spawn(&self, node: HostId) -> io::Result<Child> {
        let log = open_log(&self.log_file(node))?;
        let mut command = match &self.outside {
            Some(outside) => outside.command_in(node, &self.program),
            None => Command::new(&self.program),
        };
        command.args(["node", "--exit-with-stdin", "--config"]).arg(self.node_folder(node).join("config.toml"));
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        // Ctrl-C in a terminal must reach only this process, which then ends the nodes.
        command.process_group(0);
        command.spawn()
    }

    /// Sends SIGKILL, so the node can neither finish nor report anything.
    pub async fn kill(&mut self, node: HostId) {
        if let Some(process) = self.running.remove(&node) {
            process.kill().await;
        }
    }

    /// Sends SIGKILL to all nodes before it waits for any of them.
    pub async fn kill_all(&mut self) {
        for process in self.running.values_mut() {
            let _ = process.child.start_kill();
        }
        for (_, process) in std::mem::take(&mut self.running) {
            process.kill().await;
        }
    }

    /// Asks a node to end and waits for it. `Err`: how it ended instead.
    pub async fn stop(&mut self, node: HostId) -> Result<(), String> {
        let Some(mut process) = self.running.remove(&node) else { return Ok(()) };
        drop(process.child.stdin.take());
        match timeout(ENDS_WITHIN, process.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("node {node} was asked to end, and ended with {status}")),
            Ok(Err(error)) => Err(format!("cannot wait for node {node}: {error}")),
            Err(_) => {
                let _ = process.child.kill().await;
                Err(format!("node {node} was asked to end, but still ran after {} s", ENDS_WITHIN.as_secs()))
            }
        }
    }

    /// Sends SIGSTOP: the node receives and sends nothing, and its sockets stay open.
    pub fn hang(&mut self, node: HostId) -> io::Result<()> {
        let Some(process) = self.running.get_mut(&node) else { return Ok(()) };
        let Some(id) = process.child.id() else { return Ok(()) };
        process.hold = Some(Hold::take(id)?);
        Ok(())
    }

    /// Sends SIGCONT.
    pub async fn resume(&mut self, node: HostId) {
        if let Some(hold) = self.running.get_mut(&node).and_then(|process| process.hold.take()) {
            hold.release().await;
        }
    }

    /// Deletes the data of a node that is down.
    pub fn wipe(&mut self, node: HostId) -> Result<(), FleetError> {
        assert!(!self.is_running(node), "node {node} is running and uses its folder");
        let store = self.node_folder(node).join("store");
        fs::remove_dir_all(&store).map_err(io_error("cannot remove", &store))
    }

    /// Takes the nodes that ended unexpectedly.
    pub fn take_ended(&mut self) -> Vec<(HostId, ExitStatus)> {
        let ended = |(node, process): (&HostId, &mut Process)| Some((*node, process.child.try_wait().ok()??));
        let ended: Vec<_> = self.running.iter_mut().filter_map(ended).collect();
        for (node, _) in &ended {
            self.running.remove(node);
        }
        ended
    }

    /// Lines in the nodes' logs that report a panic.
    pub fn panics(&self) -> Vec<String> {
        let in_log = |node: HostId| {
            let told = match fs::read(self.log_file(node)) {
                Ok(log) => panics_in(&String::from_utf8_lossy(&log)),
                // The unreadable log may contain a panic, so this counts as one.
                Err(error) => vec![format!("cannot read its log: {error}")],
            };
            told.into_iter().map(move |line| format!("node {node}: {line}"))
        };
        self.seating.hosts().flat_map(in_log).collect()
    }

    fn node_folder(&self, node: HostId) -> PathBuf {
        self.folder.join(node.to_string())
    }

    /// The path of a node's log.
    pub fn log_file(&self, node: HostId) -> PathBuf {
        self.node_folder(node).join("log")
    }
}

fn panics_in(log: &str) -> Vec<String> {
    log.lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect()
}

impl Process {
    async fn kill(mut self) {
        // The process may already have ended.
        let _ = self.child.start_kill();
        // Release the hold before waiting: until then the process's id cannot be reused.
        if let Some(hold) = self.hold.take() {
            hold.release().await;
        }
        let _ = self.child.wait().await;
    }
}

impl Hold {
    fn take(process: u32) -> io::Result<Hold> {
        const STOP_UNTIL_LET_GO: &str = "kill -STOP \"$1\"; read -r _; kill -CONT \"$1\"";
        let mut command = Command::new("sh");
        command.args(["-c", STOP_UNTIL_LET_GO, "sh", &process.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Ok(Hold(command.spawn()?))
    }

    async fn release(mut self) {
        drop(self.0.stdin.take());
        // The process that it held may already be dead.
        let _ = self.0.wait().await;
    }
}

fn places_here(seating: &Seating) -> Result<Vec<Place>, PortError> {
    let ports = ports::choose(&HOST, BasePort::Auto, &[], seating.hosts().len())?;
    let place = |(node, port)| {
        let address = HOST.at(port).to_string();
        Place { node, for_peers: address.clone(), for_clients: address.clone(), listen: address }
    };
    Ok(seating.hosts().zip(ports).map(place).collect())
}

fn typed(seating: &Seating, place: &Place, all: &[Place]) -> Typed {
    Typed {
        node: Some(place.node.to_string()),
        dimension: Some(seating.dimension().bits()),
        cluster: Some("chaos".into()),
        secret_file: Some("../secret".into()),
        data: Some("store".into()),
        listen: Some(place.listen.clone()),
        allow_faults: Some(true),
        limits: TypedLimits { registrations_per_second: Some(UNLIMITED_REGISTRATIONS), ..TypedLimits::default() },
        addresses: all.iter().map(|place| (place.node.to_string(), place.for_peers.clone())).collect(),
        ..Typed::default()
    }
}

fn random_text() -> String {
    let mut random = [0; SECRET_BYTES];
    getrandom::fill(&mut random).expect("the operating system gives random bytes");
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn open_log(path: &Path) -> io::Result<File> {
    private::append_log().open(path)
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FleetError {
    let path = path.to_owned();
    move |error| FleetError::Io { what, path, error }
}
