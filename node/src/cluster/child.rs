//! One node process of the cluster: start, supervision and restart.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use cubecast_core::identity::HostId;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::Plan;
use super::folder::ClusterFolder;
use crate::log::sink::LogFile;
use crate::shutdown;

/// The pause before a node that died is restarted. It doubles with each death up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After this lifetime, the next restart uses the first pause again.
const LIVED_WELL: Duration = Duration::from_secs(10);
/// A node that does not end within this time is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of a log's end that are searched for the reason for a failure, and the maximum length of a displayed line.
const TAIL_BYTES: u64 = 64 << 10;

/// An event of a child.
#[derive(Clone, Debug)]
pub enum News {
    Started {
        node: HostId,
        pid: u32,
        restarts: u32,
    },
    /// `reason`: the cause of the failure, as the node reported it. `again_in`: the pause before a restart, if there
    /// is one.
    Ended {
        node: HostId,
        how: String,
        reason: Option<String>,
        again_in: Option<Duration>,
        asked: bool,
    },
    /// A line of the child's log.
    Log {
        node: HostId,
        line: String,
    },
}

impl News {
    /// The node of the child's node.
    pub fn node(&self) -> HostId {
        match self {
            News::Started { node, .. } | News::Ended { node, .. } | News::Log { node, .. } => *node,
        }
    }
}

/// How to start one child.
#[derive(Debug)]
pub struct Child {
    node: HostId,
    config: PathBuf,
    log: std::io::Result<std::fs::File>,
    log_file: PathBuf,
    verbose: bool,
    restart: bool,
    log_filter: String,
    log_format: String,
}

impl Child {
    /// The child for a node, with its log opened.
    pub fn new(node: HostId, plan: &Plan, folder: &ClusterFolder) -> Child {
        Child {
            node,
            config: folder.config_file(node),
            log: folder.open_log(node),
            log_file: folder.log_file(node),
            verbose: plan.verbose,
            restart: plan.restart,
            log_filter: plan.log.clone(),
            log_format: plan.log_format.clone(),
        }
    }

    /// Keeps the node running until `stop` turns true.
    pub async fn keep(self, tell: mpsc::UnboundedSender<News>, mut stop: watch::Receiver<bool>) {
        let node = self.node;
        let mut pause = FIRST_PAUSE;
        let mut restarts = 0;
        loop {
            let began = Instant::now();
            let (how, reason) = match self.run_once(restarts, &tell, &mut stop).await {
                Ok((status, reason)) => (describe(status), reason),
                Err(error) => (format!("cannot run it: {error}"), None),
            };
            let asked = *stop.borrow();
            if began.elapsed() > LIVED_WELL {
                pause = FIRST_PAUSE;
            }
            let again_in = (self.restart && !asked).then_some(pause);
            // The receiver ends only with the program.
            let _ = tell.send(News::Ended { node, how, reason, again_in, asked });
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
    ) -> std::io::Result<(ExitStatus, Option<String>)> {
        let log = self.log.as_ref().map_err(|error| std::io::Error::new(error.kind(), error.to_string()))?;
        let logged = log.metadata().map_or(0, |log| log.len());
        let mut process = self.command(log)?.spawn()?;
        let saying = process.stdout.take().map(|output| tokio::spawn(last_words(output)));
        // Waiting for the process would close its standard input, which ends the node. So the input is taken out
        // first.
        let stdin = process.stdin.take();
        let _ = tell.send(News::Started { node: self.node, pid: process.id().unwrap_or_default(), restarts });
        if let Some(output) = process.stderr.take() {
            tokio::spawn(copy_log(self.node, output, LogFile::open(&self.log_file)?, tell.clone()));
        }
        let status = tokio::select! {
            status = process.wait() => status?,
            () = shutdown::requested(stop) => {
                drop(stdin);
                ended(&mut process).await?
            }
        };
        let said = match saying {
            Some(saying) if !status.success() => saying.await.unwrap_or_default(),
            _ => String::new(),
        };
        let reason = if said.is_empty() { self.last_error(logged) } else { Some(said) };
        Ok((status, reason.filter(|_| !status.success())))
    }

    /// The last error in the log after its first `logged` bytes.
    fn last_error(&self, logged: u64) -> Option<String> {
        let mut file = std::fs::File::open(&self.log_file).ok()?;
        let end = file.metadata().ok()?.len();
        // A shorter file is a new one, because the log was rotated.
        let since = if end < logged { 0 } else { logged };
        file.seek(SeekFrom::Start(since.max(end.saturating_sub(TAIL_BYTES)))).ok()?;
        let mut tail = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut tail).ok()?;
        error_in(&String::from_utf8_lossy(&tail))
    }

    fn command(&self, log: &std::fs::File) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["node", "--exit-with-stdin", "--log", &self.log_filter, "--log-format", &self.log_format]);
        command.arg("--config").arg(&self.config);
        // Standard output carries only the reason for a failure, which may not fit into a log on a full disk.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        if self.verbose {
            command.stderr(Stdio::piped())
        } else {
            command.arg("--log-file").arg(&self.log_file).stderr(log.try_clone()?)
        };
        // Ctrl-C in a terminal must reach only this process, which then ends the nodes.
        #[cfg(unix)]
        command.process_group(0);
        Ok(command)
    }
}

/// Waits for a process to end, and kills it after a time limit.
async fn ended(process: &mut tokio::process::Child) -> std::io::Result<ExitStatus> {
    match timeout(ENDS_WITHIN, process.wait()).await {
        Ok(status) => status,
        Err(_) => {
            process.kill().await?;
            process.wait().await
        }
    }
}

/// The beginning of a process's standard output, on one line.
async fn last_words(mut output: impl AsyncRead + Unpin) -> String {
    let mut said = Vec::new();
    // On an error, the bytes read so far are used.
    let _ = (&mut output).take(TAIL_BYTES).read_to_end(&mut said).await;
    let _ = tokio::io::copy(&mut output, &mut tokio::io::sink()).await;
    on_one_line(&String::from_utf8_lossy(&said))
}

/// The last panic, or the last error that ended the process, in a part of its log.
fn error_in(log: &str) -> Option<String> {
    let lines: Vec<&str> = log.lines().collect();
    let last = lines.iter().rposition(|line| line.starts_with("cubecast: ") || line.contains(" panicked at "))?;
    match lines[last].strip_prefix("cubecast: ") {
        Some(reason) => Some(reason.to_owned()),
        None => Some(on_one_line(&lines[last..lines.len().min(last + 2)].join(" "))),
    }
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Copies the log to the file and to the screen. Very long lines are split; nothing is dropped.
async fn copy_log(node: HostId, output: impl AsyncRead + Unpin, mut file: LogFile, tell: mpsc::UnboundedSender<News>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        match (&mut output).take(TAIL_BYTES).read_until(b'\n', &mut line).await {
            Ok(1..) => {}
            Ok(0) => break,
            Err(error) => {
                let _ = tell.send(News::Log { node, line: format!("cannot read its log any more: {error}") });
                break;
            }
        }
        // On a full disk, the line must still reach the screen.
        let _ = file.write(&line);
        let line = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
        let _ = tell.send(News::Log { node, line });
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_of_a_log_is_its_reason() {
        assert_eq!(error_in("INFO Node 0 starts\n"), None);
        assert_eq!(error_in("cubecast: old\nINFO x\ncubecast: the disk is full\n"), Some("the disk is full".into()));
        let panic = "INFO x\nthread 'main' (7) panicked at src/a.rs:1:2:\nindex out of bounds\nnote: run with\n";
        assert_eq!(error_in(panic), Some("thread 'main' (7) panicked at src/a.rs:1:2: index out of bounds".into()));
    }

    #[tokio::test]
    async fn a_line_that_is_no_utf_8_is_copied_and_so_are_those_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let (tell, mut told) = mpsc::unbounded_channel();
        let node: HostId = "0".parse().unwrap();
        copy_log(node, &b"one\nb\xffd\nthree"[..], LogFile::open(&log).unwrap(), tell).await;
        assert_eq!(std::fs::read(&log).unwrap(), b"one\nb\xffd\nthree");
        let mut lines = Vec::new();
        while let Some(News::Log { line, .. }) = told.recv().await {
            lines.push(line);
        }
        assert_eq!(lines, ["one", "b\u{fffd}d", "three"]);
    }
}
