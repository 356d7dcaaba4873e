//! The cluster's processes: started, killed, stopped, wiped and started again.
//!
//! ```text
//! FOLDER/secret            the nodes' shared secret
//! FOLDER/NODE/config.toml  a node's configuration
//! FOLDER/NODE/store/       its state
//! FOLDER/NODE/log          both of its outputs
//! ```
//!
//! Whatever ends this process ends the nodes: each watches its standard input, which closes with its parent, and whoever holds a node
//! stopped lets it go on first.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use cubecast_core::address::Host;
use cubecast_core::cube::{Dimension, Vertex};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::outside::{Outside, Place};
use crate::cluster::ports::{self, BasePort, PortError};
use crate::config::{Typed, TypedLimits, UNLIMITED_REGISTRATIONS};
use crate::private;

const HOST: Host = Host::LOOPBACK;
/// A node that was told to end and does not is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// The smallest secret is 16 bytes long.
const SECRET_BYTES: usize = 32;

#[derive(Debug)]
pub struct Fleet {
    dimension: Dimension,
    folder: PathBuf,
    /// The `cubecast` that runs as nodes.
    program: PathBuf,
    outside: Option<Outside>,
    /// By the index of the vertex: where clients reach it.
    addresses: Vec<String>,
    running: BTreeMap<Vertex, Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    /// Holds it stopped while it lives.
    hold: Option<Hold>,
}

/// A process that has stopped another, and lets it go on when its own standard input closes.
#[derive(Debug)]
struct Hold(Child);

/// Why the nodes cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error("{what} {path}: {error}", path = path.display())]
    Io { what: &'static str, path: PathBuf, error: io::Error },
    #[error("{0}")]
    Ports(#[from] PortError),
    #[error("node {node} cannot be started: {error}")]
    Start { node: Vertex, error: io::Error },
    #[error("{0}")]
    Outside(String),
}

impl Fleet {
    /// Writes what the nodes need; none runs yet.
    pub async fn prepare(
        dimension: Dimension,
        folder: &Path,
        sync: Option<&str>,
        outside: Option<Outside>,
    ) -> Result<Fleet, FleetError> {
        let places = match &outside {
            Some(outside) => outside.places(dimension).await.map_err(FleetError::Outside)?,
            None => places_here(dimension)?,
        };
        let secret = folder.join("secret");
        private::write(&secret, &random_text()).map_err(io_error("cannot write", &secret))?;
        for place in &places {
            let node = folder.join(place.node.to_string());
            private::create_folder(&node).map_err(io_error("cannot create", &node))?;
            let file = node.join("config.toml");
            let config = toml::to_string(&Typed { sync: sync.map(str::to_owned), ..typed(dimension, place, &places) })
                .expect("a configuration is plain data");
            private::write(&file, &config).map_err(io_error("cannot write", &file))?;
        }
        let addresses = places.into_iter().map(|place| place.for_clients).collect();
        let program = std::env::current_exe().map_err(io_error("cannot find", Path::new("this program")))?;
        Ok(Fleet { dimension, folder: folder.into(), program, outside, addresses, running: BTreeMap::new() })
    }

    /// Has another program than this one run as nodes.
    pub fn running(self, program: PathBuf) -> Fleet {
        Fleet { program, ..self }
    }

    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// By the index of the vertex.
    pub fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }

    /// The processes that run.
    pub fn processes(&self) -> Vec<u32> {
        self.running.values().filter_map(|process| process.child.id()).collect()
    }

    pub fn outside(&self) -> Option<&Outside> {
        self.outside.as_ref()
    }

    pub fn is_running(&self, node: Vertex) -> bool {
        self.running.contains_key(&node)
    }

    /// Starts a node on its folder, if it is not running.
    pub fn start(&mut self, node: Vertex) -> Result<(), FleetError> {
        if self.is_running(node) {
            return Ok(());
        }
        let started = self.spawn(node).map_err(|error| FleetError::Start { node, error })?;
        self.running.insert(node, Process { child: started, hold: None });
        Ok(())
    }

    fn spawn(&self, node: Vertex) -> io::Result<Child> {
        let log = open_log(&self.log_file(node))?;
        let mut command = match &self.outside {
            Some(outside) => outside.command_in(node, &self.program),
            None => Command::new(&self.program),
        };
        command.args(["node", "--exit-with-stdin", "--config"]).arg(self.node_folder(node).join("config.toml"));
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        // Ctrl-C in a terminal is for us; we end the nodes.
        command.process_group(0);
        command.spawn()
    }

    /// SIGKILL: nothing is finished, nothing is said.
    pub async fn kill(&mut self, node: Vertex) {
        if let Some(process) = self.running.remove(&node) {
            process.kill().await;
        }
    }

    /// SIGKILL to all, before any of them is waited for.
    pub async fn kill_all(&mut self) {
        for process in self.running.values_mut() {
            let _ = process.child.start_kill();
        }
        for (_, process) in std::mem::take(&mut self.running) {
            process.kill().await;
        }
    }

    /// Tells it to end and waits until it has. `Err`: how it ended instead.
    pub async fn stop(&mut self, node: Vertex) -> Result<(), String> {
        let Some(mut process) = self.running.remove(&node) else { return Ok(()) };
        drop(process.child.stdin.take());
        match timeout(ENDS_WITHIN, process.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("node {node} was told to end, and did so with {status}")),
            Ok(Err(error)) => Err(format!("node {node} cannot be waited for: {error}")),
            Err(_) => {
                let _ = process.child.kill().await;
                Err(format!("node {node} was told to end and had not after {} s", ENDS_WITHIN.as_secs()))
            }
        }
    }

    /// SIGSTOP: it neither hears nor says anything, and its sockets stand.
    pub fn hang(&mut self, node: Vertex) -> io::Result<()> {
        let Some(process) = self.running.get_mut(&node) else { return Ok(()) };
        let Some(id) = process.child.id() else { return Ok(()) };
        process.hold = Some(Hold::take(id)?);
        Ok(())
    }

    /// SIGCONT.
    pub async fn resume(&mut self, node: Vertex) {
        if let Some(hold) = self.running.get_mut(&node).and_then(|process| process.hold.take()) {
            hold.release().await;
        }
    }

    /// The disk of a node that is down is lost.
    pub fn wipe(&mut self, node: Vertex) -> Result<(), FleetError> {
        assert!(!self.is_running(node), "node {node} runs and has its folder open");
        let store = self.node_folder(node).join("store");
        fs::remove_dir_all(&store).map_err(io_error("cannot remove", &store))
    }

    /// Nodes that have ended though nobody had them end.
    pub fn take_ended(&mut self) -> Vec<(Vertex, ExitStatus)> {
        let ended = |(node, process): (&Vertex, &mut Process)| Some((*node, process.child.try_wait().ok()??));
        let ended: Vec<_> = self.running.iter_mut().filter_map(ended).collect();
        for (node, _) in &ended {
            self.running.remove(node);
        }
        ended
    }

    /// Lines of the nodes' logs that tell of a panic.
    pub fn panics(&self) -> Vec<String> {
        let in_log = |node: Vertex| {
            let told = match fs::read(self.log_file(node)) {
                Ok(log) => panics_in(&String::from_utf8_lossy(&log)),
                // A panic may stand in it.
                Err(error) => vec![format!("its log cannot be read: {error}")],
            };
            told.into_iter().map(move |line| format!("node {node}: {line}"))
        };
        self.dimension.vertices().flat_map(in_log).collect()
    }

    fn node_folder(&self, node: Vertex) -> PathBuf {
        self.folder.join(node.to_string())
    }

    pub fn log_file(&self, node: Vertex) -> PathBuf {
        self.node_folder(node).join("log")
    }
}

fn panics_in(log: &str) -> Vec<String> {
    log.lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect()
}

impl Process {
    async fn kill(mut self) {
        // It may have ended by itself.
        let _ = self.child.start_kill();
        // Before it is waited for: until then its number is nobody else's.
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
        // What it held may be dead by now.
        let _ = self.0.wait().await;
    }
}

fn places_here(dimension: Dimension) -> Result<Vec<Place>, PortError> {
    let ports = ports::choose(&HOST, BasePort::Auto, &[], dimension.size())?;
    let place = |(node, port)| {
        let address = HOST.at(port).to_string();
        Place { node, for_peers: address.clone(), for_clients: address.clone(), listen: address }
    };
    Ok(dimension.vertices().zip(ports).map(place).collect())
}

fn typed(dimension: Dimension, place: &Place, all: &[Place]) -> Typed {
    Typed {
        node: Some(place.node.to_string()),
        dimension: Some(dimension.bits()),
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
