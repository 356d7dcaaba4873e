//! One `cubecast` process with its output in a file; killed when dropped.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use crate::artifacts;
use crate::wait::PATIENCE;

/// Interval at which the end of a process is polled.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A signal for a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGSTOP.
    Stop,
    /// SIGCONT.
    Continue,
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Kept open: nodes end when it closes, so none outlives a test that is killed.
    _stdin: Option<ChildStdin>,
}

impl Process {
    /// Runs `cubecast ARGUMENTS`; both outputs are appended to `log`.
    pub fn start(arguments: &[&str], log: &Path) -> Process {
        let mut command = Command::new(artifacts::cubecast());
        command.args(arguments);
        Process::spawn(command, log)
    }

    /// As [`Process::start`], with a limit of file descriptors.
    pub fn start_with_descriptors(descriptors: u32, arguments: &[&str], log: &Path) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")]);
        command.arg(artifacts::cubecast()).args(arguments);
        Process::spawn(command, log)
    }

    fn spawn(mut command: Command, log: &Path) -> Process {
        let open = || -> File {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(log)
                .unwrap_or_else(|error| panic!("{}: {error}", log.display()))
        };
        command.stdin(Stdio::piped()).stdout(open()).stderr(open());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Process { _stdin: child.stdin.take(), child }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(mut self) {
        self.kill_and_reap();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Terminate => "-TERM",
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
        };
        // The process id is valid: the child is not reaped before this value is dropped.
        let sent = Command::new("sh").args(["-c", "kill \"$1\" \"$2\"", "sh", name, &self.id().to_string()]).status();
        assert!(sent.as_ref().is_ok_and(ExitStatus::success), "kill {name} {}: {sent:?}", self.id());
    }

    /// Waits until the process ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "process {} does not end", self.id());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Whether the process is still running.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    fn kill_and_reap(&mut self) {
        // An error means that it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_and_reap();
    }
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `cubecast ARGUMENTS` to its end.
pub async fn run(arguments: &[&str]) -> Ended {
    run_with_input(arguments, b"").await
}

/// The same with this standard input.
pub async fn run_with_input(arguments: &[&str], input: &[u8]) -> Ended {
    run_to_end(client(arguments), input).await
}

/// Runs `cubecast-lab ARGUMENTS` to its end.
pub async fn run_lab(arguments: &[&str]) -> Ended {
    run_to_end(piped(artifacts::lab(), arguments), b"").await
}

async fn run_to_end(mut command: tokio::process::Command, input: &[u8]) -> Ended {
    let mut process = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary can be run");
    let mut stdin = process.stdin.take().expect("it is piped");
    let feed = async {
        // A command may end before it has read everything.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let (output, ()) = tokio::join!(tokio::time::timeout(PATIENCE, process.wait_with_output()), feed);
    let output = output.unwrap_or_else(|_| panic!("{command:?} does not end")).expect("it can be waited for");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A command for `cubecast ARGUMENTS` with its output in a pipe; killed when dropped.
pub fn client(arguments: &[&str]) -> tokio::process::Command {
    piped(artifacts::cubecast(), arguments)
}

fn piped(program: &Path, arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    command
}

/// The last lines of a log, for the report of a failure.
pub fn tail(log: &PathBuf, lines: usize) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_else(|error| error.to_string());
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
