//! Child processes on free ports, in their own folders. They are killed when this program ends.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// RabbitMQ's nodes wait for each other.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// A child process; killed when dropped.
pub struct Server {
    child: Child,
    /// The port that it listens on.
    pub port: u16,
}

impl Server {
    /// Starts a process and waits until its port accepts connections. Its output goes to `FOLDER/log`.
    pub async fn start(mut command: Command, folder: &Path, port: u16) -> Result<Server, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = |error: std::io::Error| format!("{name} cannot be started: {error}; scripts/peers installs it");
        let log = File::create(folder.join("log")).map_err(failed)?;
        let words = log.try_clone().map_err(failed)?;
        let child = command.stdin(Stdio::null()).stdout(words).stderr(log).spawn().map_err(failed)?;
        let mut server = Server { child, port };
        let until = Instant::now() + STARTS_WITHIN;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("{name} ended with {status}: see {}", folder.join("log").display()));
            }
            if Instant::now() >= until {
                return Err(format!("{name} does not listen on port {port}: see {}", folder.join("log").display()));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The process id.
    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ports that are free at the moment.
pub fn free_ports(count: usize) -> Result<Vec<u16>, String> {
    let listen = || TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string());
    let listeners = (0..count).map(|_| listen()).collect::<Result<Vec<_>, _>>()?;
    listeners.iter().map(|it| it.local_addr().map(|at| at.port()).map_err(|error| error.to_string())).collect()
}

/// Creates a folder of this name.
pub fn folder(within: &Path, name: &str) -> Result<PathBuf, String> {
    let folder = within.join(name);
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}
