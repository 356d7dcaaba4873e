//! Attacks on one node by clients without any rights. Measured are the memory of the attacked node, the latency of
//! honest clients before and during the attack, and whether the node's neighbours lost it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cubecast_core::cube::Vertex;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::client::Client;
use crate::cluster::ProcessCluster;
use crate::stranger::{As, PING, Stranger, TEXT, frame, head_of_answer};

/// A kind of attack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attack {
    /// Pings of 125 bytes on one connection; nothing is read.
    Pings,
    /// The same from an unauthenticated neighbour.
    NeighbourPings,
    /// Invalid requests with an id of 7 MB; nothing is read.
    LongIds,
    /// 200 connections; each sends a message of 8 MB except its last byte.
    UnfinishedMessages,
    /// 200 connections; each sends complete messages of 8 MB that are not requests.
    LongMessages,
    /// 4,000 connections that send nothing and reconnect when they are closed.
    SilentConnections,
    /// The same with WebSockets.
    IdleSockets,
    /// 16 connections publish 1 MiB each, repeatedly; nothing is read.
    LargePublishes,
    /// 16 connections send `watch` repeatedly; nothing is read.
    RepeatedWatches,
    /// 200 connections watch, and read.
    Watchers,
    /// 16 connections pull a whole topic repeatedly; nothing is read.
    UnreadPulls,
    /// Pages of a refused origin try to connect repeatedly over one connection.
    RefusedOrigins,
    /// 16 connections register new names as fast as possible.
    NewNames,
}

impl Attack {
    /// All attacks.
    pub const ALL: &[Attack] = &[
        Attack::Pings,
        Attack::NeighbourPings,
        Attack::LongIds,
        Attack::UnfinishedMessages,
        Attack::LongMessages,
        Attack::SilentConnections,
        Attack::IdleSockets,
        Attack::LargePublishes,
        Attack::RepeatedWatches,
        Attack::Watchers,
        Attack::UnreadPulls,
        Attack::RefusedOrigins,
        Attack::NewNames,
    ];

    /// The name in tables, and for `CUBECAST_ABUSE_ONLY`.
    pub fn name(self) -> &'static str {
        match self {
            Attack::Pings => "pings, unread",
            Attack::NeighbourPings => "pings as a neighbour, unread",
            Attack::LongIds => "ids of 7 MB, unread",
            Attack::UnfinishedMessages => "200 unfinished messages of 8 MB",
            Attack::LongMessages => "200 x messages of 8 MB",
            Attack::SilentConnections => "4,000 silent connections",
            Attack::IdleSockets => "4,000 idle sockets",
            Attack::LargePublishes => "16 x publishes of 1 MiB, unread",
            Attack::RepeatedWatches => "16 x `watch` over and over, unread",
            Attack::Watchers => "200 watchers",
            Attack::UnreadPulls => "16 x pulls of 4 MiB, unread",
            Attack::RefusedOrigins => "refused origins",
            Attack::NewNames => "16 x new names",
        }
    }

    fn connections(self) -> usize {
        match self {
            Attack::Pings | Attack::NeighbourPings | Attack::LongIds | Attack::RefusedOrigins => 1,
            Attack::UnfinishedMessages | Attack::LongMessages | Attack::Watchers => 200,
            Attack::SilentConnections | Attack::IdleSockets => 4_000,
            Attack::LargePublishes | Attack::RepeatedWatches | Attack::UnreadPulls | Attack::NewNames => 16,
        }
    }

    /// Runs the attack once on a new connection, until the node closes it or there is nothing left to do.
    async fn once(self, address: &str, number: usize) -> Result<(), String> {
        let broken = |error: std::io::Error| error.to_string();
        match self {
            Attack::SilentConnections => {
                let mut stream = TcpStream::connect(address).await.map_err(broken)?;
                wait_for_end(&mut stream).await
            }
            Attack::RefusedOrigins => refused_origins(address).await,
            Attack::NeighbourPings => flood(address, As::Neighbour, &frame(PING, &[7; 125]).repeat(500)).await,
            Attack::Pings => flood(address, As::Client, &frame(PING, &[7; 125]).repeat(500)).await,
            Attack::LongIds => {
                let text = format!(r#"{{"action":"x","id":"{}"}}"#, "i".repeat(7 << 20));
                flood(address, As::Client, &frame(TEXT, text.as_bytes())).await
            }
            Attack::LongMessages => flood(address, As::Client, &frame(TEXT, &vec![b'x'; 8 << 20])).await,
            Attack::LargePublishes => flood(address, As::Client, &publish(number, 1 << 20)).await,
            Attack::UnreadPulls => {
                let pull = json!({
                    "action": "replica_pull", "subscriber_id": "abused", "topic": "abused", "max": 10_000, "from": 0,
                });
                flood(address, As::Client, &frame(TEXT, pull.to_string().as_bytes())).await
            }
            Attack::RepeatedWatches => {
                let watch = json!({"action": "watch", "sample": 1});
                flood(address, As::Client, &frame(TEXT, watch.to_string().as_bytes()).repeat(100)).await
            }
            Attack::UnfinishedMessages => {
                let mut stranger = Stranger::connect(address, As::Client).await?;
                let message = frame(TEXT, &vec![b'x'; (8 << 20) - 14]);
                stranger.0.write_all(&message[..message.len() - 1]).await.map_err(broken)?;
                wait_for_end(&mut stranger.0).await
            }
            Attack::IdleSockets => {
                let mut stranger = Stranger::connect(address, As::Client).await?;
                wait_for_end(&mut stranger.0).await
            }
            Attack::Watchers => {
                let mut stranger = Stranger::connect(address, As::Client).await?;
                let watch = json!({"action": "watch"}).to_string();
                stranger.send(TEXT, watch.as_bytes()).await.map_err(broken)?;
                wait_for_end(&mut stranger.0).await
            }
            Attack::NewNames => {
                let mut client = Client::connect(address.to_owned()).await?;
                let begin = Instant::now();
                for batch in 0.. {
                    let name = |at| format!("n{number}-{batch}-{at}-{}", begin.elapsed().as_nanos());
                    let create = |at| json!({"action": "create_subscriber", "subscriber_id": name(at)});
                    client.pipeline((0..100).map(create)).await?;
                }
                Ok(())
            }
        }
    }
}

/// Sends the same bytes repeatedly and reads nothing.
async fn flood(address: &str, as_whom: As, bytes: &[u8]) -> Result<(), String> {
    let mut stranger = Stranger::connect(address, as_whom).await?;
    loop {
        stranger.0.write_all(bytes).await.map_err(|error| error.to_string())?;
    }
}

fn publish(number: usize, bytes: usize) -> Vec<u8> {
    let request = json!({
        "action": "publish", "publisher_id": "abuser", "topic": format!("abused-{}", number % 4),
        "content": "x".repeat(bytes),
    });
    frame(TEXT, request.to_string().as_bytes())
}

async fn refused_origins(address: &str) -> Result<(), String> {
    let mut stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Origin: http://evil.example\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    loop {
        stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        let head = head_of_answer(&mut stream).await?;
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body).await.map_err(|error| error.to_string())?;
    }
}

/// Reads and discards everything until the connection ends.
async fn wait_for_end(stream: &mut TcpStream) -> Result<(), String> {
    tokio::io::copy(stream, &mut tokio::io::sink()).await.map(drop).map_err(|error| error.to_string())
}

/// A running attack; dropping it ends the attack.
struct Attackers(#[expect(dead_code, reason = "the tasks end with it")] JoinSet<()>);

impl Attackers {
    fn begin(attack: Attack, address: String) -> Attackers {
        let mut tasks = JoinSet::new();
        for number in 0..attack.connections() {
            let address = address.clone();
            tasks.spawn(async move {
                loop {
                    // The node closes or refuses the connection, as it should; the attacker tries again.
                    let _ = attack.once(&address, number).await;
                    sleep(Duration::from_millis(20)).await;
                }
            });
        }
        Attackers(tasks)
    }
}

/// Publishes a small message every 10 ms with `ack: quorum`, and records each latency.
struct Honest {
    end: watch::Sender<bool>,
    task: JoinHandle<(Vec<Duration>, u64)>,
}

/// Limit of a publish; beyond it, the publish counts with this latency and as failed.
const PATIENCE: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_millis(10);

impl Honest {
    /// Returns once the client is connected and has published once.
    async fn begin(address: String, name: &'static str) -> Honest {
        let (end, ended) = watch::channel(false);
        let mut client = None;
        publish_once(&mut client, &address, name).await.expect("nothing is wrong yet");
        let task = tokio::spawn(async move {
            let (mut took, mut failed) = (Vec::new(), 0);
            while !*ended.borrow() {
                let began = Instant::now();
                let done = tokio::time::timeout(PATIENCE, publish_once(&mut client, &address, name)).await;
                if !matches!(done, Ok(Ok(()))) {
                    failed += 1;
                    client = None;
                }
                took.push(began.elapsed());
                sleep(EVERY.saturating_sub(began.elapsed())).await;
            }
            (took, failed)
        });
        Honest { end, task }
    }

    async fn end(self) -> Waits {
        self.end.send_replace(true);
        let (mut took, failed) = self.task.await.expect("an honest client does not panic");
        took.sort();
        let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
        Waits { p50: at(0.5), p99: at(0.99), longest: at(1.0), publishes: took.len() as u64, failed }
    }
}

async fn publish_once(client: &mut Option<Client>, address: &str, name: &str) -> Result<(), String> {
    if client.is_none() {
        *client = Some(Client::connect(address.to_owned()).await?);
    }
    let client = client.as_mut().expect("connected just now");
    let answer = client
        .try_ask(
            json!({"action": "publish", "publisher_id": name, "topic": "honest", "content": "hello", "ack": "quorum"}),
        )
        .await?;
    answer["ok"].as_bool().filter(|ok| *ok).map(drop).ok_or_else(|| answer.to_string())
}

/// The latencies of an honest client's publishes.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    pub p50: Duration,
    pub p99: Duration,
    pub longest: Duration,
    /// Number of publishes, including failed ones.
    pub publishes: u64,
    /// Publishes that were refused or took longer than the limit.
    pub failed: u64,
}

/// The effects of an attack.
#[derive(Clone, Debug)]
pub struct Damage {
    pub attack: Attack,
    /// Latencies before the attack; `meanwhile`: during it. Of a client of the attacked node, and of a client of
    /// another node.
    pub before: [Waits; 2],
    pub meanwhile: [Waits; 2],
    /// Peak memory of the attacked process during the attack, bytes. `memory_before`: before the attack. `log_bytes`:
    /// growth of its log.
    pub memory: u64,
    pub memory_before: u64,
    pub log_bytes: u64,
    /// How often a node lost a neighbour.
    pub lost_neighbours: usize,
    /// Whether the attacked process still runs.
    pub is_running: bool,
}

impl Damage {
    /// The factor by which the 99th percentile of the latency grew, at the attacked node and at the other one.
    pub fn slowdown(&self) -> [f64; 2] {
        std::array::from_fn(|at| self.meanwhile[at].p99.as_secs_f64() / self.before[at].p99.as_secs_f64())
    }

    /// Publishes of honest clients that failed during the attack.
    pub fn failed(&self) -> u64 {
        self.meanwhile.iter().map(|waits| waits.failed).sum()
    }
}

/// Creates the names that attackers and honest clients use; returns the node to attack.
pub async fn prepare(cluster: &ProcessCluster) -> Vertex {
    let attacked = cluster.home("honest");
    let mut client = cluster.client(attacked).await;
    for name in ["here", "there", "abuser"] {
        client.must(json!({"action": "create_publisher", "publisher_id": name})).await;
    }
    for topic in ["honest", "abused", "abused-0", "abused-1", "abused-2", "abused-3"] {
        client.must(json!({"action": "create_topic", "publisher_id": "here", "topic": topic})).await;
    }
    client.must(json!({"action": "create_subscriber", "subscriber_id": "abused"})).await;
    client.must(json!({"action": "subscribe", "subscriber_id": "abused", "topic": "abused"})).await;
    for _ in 0..8 {
        client.publish("abuser", "abused", &"x".repeat(1 << 19)).await;
    }
    attacked
}

/// How long honest clients wait without an attack, at the node to attack and at a neighbour.
pub async fn calm(cluster: &ProcessCluster, attacked: Vertex, lasts: Duration) -> [Waits; 2] {
    let clients = begin_both(cluster, attacked).await;
    sleep(lasts).await;
    end_both(clients).await
}

/// Attacks a node for this time. `before`: how long honest clients wait without an attack.
pub async fn attack(
    cluster: &Arc<ProcessCluster>,
    attacked: Vertex,
    attack: Attack,
    before: [Waits; 2],
    lasts: Duration,
) -> Damage {
    let lost_before = lost_neighbours(cluster);
    let log_before = log_bytes(cluster, attacked);
    let memory_before = memory(cluster, attacked).unwrap_or(0);

    let clients = begin_both(cluster, attacked).await;
    let attackers = Attackers::begin(attack, cluster.address(attacked));
    let began = Instant::now();
    let mut most = 0;
    while began.elapsed() < lasts {
        most = most.max(memory(cluster, attacked).unwrap_or(0));
        sleep(Duration::from_millis(50)).await;
    }
    let meanwhile = end_both(clients).await;
    drop(attackers);
    Damage {
        attack,
        before,
        meanwhile,
        memory: most,
        memory_before,
        log_bytes: log_bytes(cluster, attacked) - log_before,
        lost_neighbours: lost_neighbours(cluster) - lost_before,
        is_running: memory(cluster, attacked).is_some(),
    }
}

async fn begin_both(cluster: &ProcessCluster, attacked: Vertex) -> [Honest; 2] {
    let [here, there] = [attacked, attacked.across(0)].map(|node| cluster.address(node));
    [Honest::begin(here, "here").await, Honest::begin(there, "there").await]
}

async fn end_both(clients: [Honest; 2]) -> [Waits; 2] {
    let [here, there] = clients;
    [here.end().await, there.end().await]
}

/// Resident memory of a node's process, bytes; `None` if it has ended.
pub(crate) fn memory(cluster: &ProcessCluster, node: Vertex) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", cluster.process_id(node)?)).ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    kibibytes.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

fn log_bytes(cluster: &ProcessCluster, node: Vertex) -> u64 {
    std::fs::metadata(cluster.log_file(node)).map_or(0, |file| file.len())
}

fn lost_neighbours(cluster: &ProcessCluster) -> usize {
    let lines = |node| std::fs::read_to_string(cluster.log_file(node)).unwrap_or_default();
    cluster.vertices().map(|node| lines(node).matches(" lost neighbour ").count()).sum()
}

/// A table of the effects, for people.
pub fn table(damages: &[Damage]) -> String {
    let milliseconds = |waits: Duration| format!("{:.1}", waits.as_secs_f64() * 1e3);
    let mut rows = vec![
        [
            "attack",
            "memory MiB",
            "log KiB",
            "p99 here ms",
            "before",
            "times",
            "p99 there ms",
            "before",
            "times",
            "longest ms",
            "failed",
            "neighbours lost",
        ]
        .map(str::to_owned),
    ];
    for damage in damages {
        let [here, there] = damage.slowdown();
        rows.push([
            damage.attack.name().to_owned(),
            format!("{}", damage.memory >> 20),
            format!("{}", damage.log_bytes >> 10),
            milliseconds(damage.meanwhile[0].p99),
            milliseconds(damage.before[0].p99),
            format!("{here:.1}"),
            milliseconds(damage.meanwhile[1].p99),
            milliseconds(damage.before[1].p99),
            format!("{there:.1}"),
            milliseconds(damage.meanwhile[0].longest.max(damage.meanwhile[1].longest)),
            format!("{}", damage.failed()),
            if damage.is_running { damage.lost_neighbours.to_string() } else { "the node ended".to_owned() },
        ]);
    }
    let mut widths = BTreeMap::new();
    for row in &rows {
        for (at, cell) in row.iter().enumerate() {
            let width: &mut usize = widths.entry(at).or_default();
            *width = (*width).max(cell.len());
        }
    }
    let line = |row: &[String; 12]| {
        let cells = row.iter().enumerate().map(|(at, cell)| match at {
            0 => format!("{cell:<width$}", width = widths[&at]),
            _ => format!("{cell:>width$}", width = widths[&at]),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
