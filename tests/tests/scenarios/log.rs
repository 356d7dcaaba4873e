//! Limits of a node's log when strangers try to fill it.

use std::process::{Child, Command, Stdio};

use cubecast_core::cube::Vertex;
use cubecast_tests::artifacts;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::process::{Process, Signal};
use cubecast_tests::wait::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const REFUSED: usize = 20_000;
const MOST_LOG_BYTES: u64 = 64 << 10;
const LOG_FILE_BYTES: usize = 16 << 20;

#[tokio::test]
async fn twenty_thousand_refused_origins_are_some_lines_and_a_count_of_the_others() {
    let cluster = ProcessCluster::start_as(Plan { dimension: 1, ..Plan::default() }).await;
    let node: Vertex = "0".parse().expect("a vertex");
    let before = std::fs::metadata(cluster.log_file(node)).expect("a log").len();
    let mut stream = TcpStream::connect(cluster.address(node)).await.expect("the node listens");
    let request = "GET /ws HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n";
    let (mut reader, mut writer) = stream.split();
    let asking = async {
        for _ in 1..REFUSED {
            writer.write_all(request.as_bytes()).await.expect("it is taken");
        }
        let last = request.replace("Host:", "Connection: close\r\nHost:");
        writer.write_all(last.as_bytes()).await.expect("it is taken");
    };
    let mut answers = Vec::new();
    let (read, ()) = tokio::join!(reader.read_to_end(&mut answers), asking);
    read.expect("the answers are read");
    let refusals = String::from_utf8_lossy(&answers).matches("HTTP/1.1 403 ").count();
    assert_eq!(refusals, REFUSED);

    eventually("every refusal is in the log, by itself or in a count", || async {
        let log = std::fs::read_to_string(cluster.log_file(node)).map_err(|error| error.to_string())?;
        let (told, counted) = told_and_counted(&log);
        if told + counted == REFUSED { Ok(()) } else { Err(format!("{told} lines, {counted} in counts")) }
    })
    .await;
    let log = std::fs::read_to_string(cluster.log_file(node)).expect("a log");
    let (told, counted) = told_and_counted(&log);
    assert!(told > 0 && counted > 0, "{told} lines, {counted} in counts");
    assert!(log.len() as u64 - before < MOST_LOG_BYTES, "{} bytes", log.len());
}

/// The number of log lines about a refused page, and the number of further lines that the summaries count.
fn told_and_counted(log: &str) -> (usize, usize) {
    let refused = || log.lines().filter(|line| line.contains("A request was refused: The page's origin"));
    let (sums, told): (Vec<_>, Vec<_>) = refused().partition(|line| line.contains(" more lines like this one within "));
    let counts = sums.iter().filter_map(|line| {
        let (before, _) = line.split_once(" more lines like this one")?;
        before.rsplit(' ').next()?.parse::<usize>().ok()
    });
    (told.len(), counts.sum())
}

#[tokio::test]
async fn a_log_of_up_is_put_aside_while_its_node_runs() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let logs = data.path().join("logs");
    std::fs::create_dir(&logs).expect("a folder");
    // The file is full; the node's first line exceeds its limit.
    std::fs::write(logs.join("0.log"), vec![b'\n'; LOG_FILE_BYTES]).expect("an old log");
    let folder = data.path().to_str().expect("a path in words");
    let up = ["up", "--dimension", "1", "--base-port", "auto", "--format", "json", "--data", folder];
    let mut process = Process::start(&up, &data.path().join("up.out"));
    eventually("the node writes to a new file", || async {
        let log = std::fs::read_to_string(logs.join("0.log")).map_err(|error| error.to_string())?;
        if log.len() < LOG_FILE_BYTES && log.contains("serves clients") {
            Ok(())
        } else {
            Err(format!("{} bytes", log.len()))
        }
    })
    .await;
    assert_eq!(std::fs::metadata(logs.join("0.log.1")).expect("the old file is kept").len(), LOG_FILE_BYTES as u64);
    process.signal(Signal::Terminate);
    assert!(process.wait().success());
    let log = std::fs::read_to_string(logs.join("0.log")).expect("a log");
    assert!(log.contains("Node 0 has ended"), "{log}");
}

/// A node that is killed when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().expect("it runs, or has ended");
        self.0.wait().expect("it is waited for");
    }
}

#[tokio::test]
async fn nodes_whose_standard_error_is_closed_or_broken_serve_as_others_do() {
    let cluster = ProcessCluster::prepare(&Plan { dimension: 1, ..Plan::default() });
    // The reading end is dropped, so every write fails with a broken pipe.
    let (_, broken) = std::io::pipe().expect("a pipe");
    let start = |vertex: &str, shell: &str, stderr: Stdio| {
        let config = cluster.config_file(vertex.parse().expect("a vertex"));
        let arguments = ["node", "--config", config.to_str().expect("a path in words")];
        let mut command = Command::new("sh");
        command.args(["-c", shell]).arg(artifacts::cubecast()).args(arguments);
        Killed(command.stdout(Stdio::null()).stderr(stderr).spawn().expect("a shell starts"))
    };
    let mut nodes =
        [start("0", r#"exec "$0" "$@" 2>&-"#, Stdio::null()), start("1", r#"exec "$0" "$@""#, Stdio::from(broken))];
    cluster.wait_until_settled().await;
    let mut client = cluster.client("0".parse().expect("a vertex")).await;
    client.set_up("p1", "s1", "news").await;
    client.publish("p1", "news", "x").await;
    for node in &mut nodes {
        assert_eq!(node.0.try_wait().expect("it is looked at"), None, "it runs");
    }
}
