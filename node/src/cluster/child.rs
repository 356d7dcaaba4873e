//! One node process of the cluster: started, watched, started again.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use cubecast_core::cube::Vertex;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::Plan;
use super::folder::ClusterFolder;
use crate::shutdown;

/// A node that died is started again after this time, doubled with each death up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A node that lived so long starts afresh with the first pause.
const LIVED_WELL: Duration = Duration::from_secs(10);
/// A node that does not end by itself in this time is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// What happened to a child.
#[derive(Clone, Debug)]
pub enum News {
    Started {
        vertex: Vertex,
        pid: u32,
        restarts: u32,
    },
    /// `again_in`: when it is started again, if it is.
    Ended {
        vertex: Vertex,
        how: String,
        again_in: Option<Duration>,
        asked: bool,
    },
    /// A line of its log.
    Log {
        vertex: Vertex,
        line: String,
    },
}

impl News {
    pub fn vertex(&self) -> Vertex {
        match self {
            News::Started { vertex, .. } | News::Ended { vertex, .. } | News::Log { vertex, .. } => *vertex,
        }
    }
}

/// How one child is started.
#[derive(Debug)]
pub struct Child {
    vertex: Vertex,
    config: PathBuf,
    log: std::io::Result<std::fs::File>,
    verbose: bool,
    restart: bool,
    log_filter: String,
    log_format: String,
}

impl Child {
    pub fn new(vertex: Vertex, plan: &Plan, folder: &ClusterFolder) -> Child {
        Child {
            vertex,
            config: folder.config_file(vertex),
            log: folder.open_log(vertex),
            verbose: plan.verbose,
            restart: plan.restart,
            log_filter: plan.log.clone(),
            log_format: plan.log_format.clone(),
        }
    }

    /// Keeps the node running until `stop` turns true.
    pub async fn keep(self, tell: mpsc::UnboundedSender<News>, mut stop: watch::Receiver<bool>) {
        let vertex = self.vertex;
        let mut pause = FIRST_PAUSE;
        let mut restarts = 0;
        loop {
            let began = Instant::now();
            let how = match self.run_once(restarts, &tell, &mut stop).await {
                Ok(status) => describe(status),
                Err(error) => format!("it could not be run: {error}"),
            };
            let asked = *stop.borrow();
            if began.elapsed() > LIVED_WELL {
                pause = FIRST_PAUSE;
            }
            let again_in = (self.restart && !asked).then_some(pause);
            // The receiver ends only with the program.
            let _ = tell.send(News::Ended { vertex, how, again_in, asked });
            if again_in.is_some() {
                tokio::select! {
                    () = sleep(pause) => {}
                    () = shutdown::requested(&mut stop) => return,
                }
            } else {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            restarts += 1;
        }
    }

    async fn run_once(
        &self,
        restarts: u32,
        tell: &mpsc::UnboundedSender<News>,
        stop: &mut watch::Receiver<bool>,
    ) -> std::io::Result<ExitStatus> {
        let log = self.log.as_ref().map_err(|error| std::io::Error::new(error.kind(), error.to_string()))?;
        let mut process = self.command(log)?.spawn()?;
        // Taken out, because to wait for the process would close it, and the node ends when its standard input closes.
        let stdin = process.stdin.take();
        let _ = tell.send(News::Started { vertex: self.vertex, pid: process.id().unwrap_or_default(), restarts });
        if let Some(output) = process.stderr.take() {
            tokio::spawn(copy_log(self.vertex, output, log.try_clone()?, tell.clone()));
        }
        tokio::select! {
            status = process.wait() => return status,
            () = shutdown::requested(stop) => {}
        }
        drop(stdin);
        match timeout(ENDS_WITHIN, process.wait()).await {
            Ok(status) => status,
            Err(_) => {
                process.kill().await?;
                process.wait().await
            }
        }
    }

    fn command(&self, log: &std::fs::File) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["node", "--exit-with-stdin", "--log", &self.log_filter, "--log-format", &self.log_format]);
        command.arg("--config").arg(&self.config);
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).kill_on_drop(true);
        if self.verbose {
            command.stderr(Stdio::piped())
        } else {
            command.stderr(log.try_clone()?)
        };
        // Ctrl-C in a terminal is for us; we end the nodes.
        #[cfg(unix)]
        command.process_group(0);
        Ok(command)
    }
}

/// To the file and to whoever looks.
async fn copy_log(
    vertex: Vertex,
    output: impl AsyncRead + Unpin,
    file: std::fs::File,
    tell: mpsc::UnboundedSender<News>,
) {
    let mut file = tokio::fs::File::from_std(file);
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // A full disk must not keep the node from being heard.
        let _ = file.write_all(format!("{line}\n").as_bytes()).await;
        let _ = tell.send(News::Log { vertex, line });
    }
    let _ = file.flush().await;
}

fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("ended by signal {signal}");
    }
    match status.code() {
        Some(0) => "ended".into(),
        Some(code) => format!("failed with exit code {code}"),
        None => status.to_string(),
    }
}
