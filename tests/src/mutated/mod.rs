//! Sends mutated input to a live node of a cluster: HTTP, frames and requests of clients in both encodings, handshakes
//! of unauthenticated peers, and messages of an authenticated neighbour that were altered in transit. No other
//! participant may be affected.
//!
//! Both the payloads and the frames around them are mutated. A seed and the number of a connection determine everything
//! that it sends; only the interleaving of connections depends on the machine.

mod answers;
mod bytes;
mod frames;
mod neighbour;
mod script;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cubecast_core::cube::Vertex;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use answers::Answers;
use answers::Reader;
use frames::FORGED;
pub use neighbour::Altered;
use script::{Examples, Leaves, Role, Script};

use crate::abuse::memory;
use crate::bystander::Bystander;
use crate::cluster::{Plan, ProcessCluster};
use crate::stranger::{As, Stranger};
use crate::wait::PATIENCE;

/// Connections in parallel.
const LANES: usize = 32;
/// Minimum number of connections, however slow the machine; with this many, every kind of answer occurs.
const FEWEST: u64 = 300;
/// A connection without input for this time has nothing more to send.
const QUIET: Duration = Duration::from_millis(100);
/// The time limit of a connection, unless the node has to end it.
const LONGEST: Duration = Duration::from_secs(1);
/// The kind of a forbidden answer: the connection stays open although the client has closed its direction.
pub const NOT_ENDED: &str = "not ended, half-closed";
/// Interval at which the node's memory is measured.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The effects of mutated input.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    pub sent: Sent,
    pub altered: Altered,
    /// Altered messages counted by the node itself.
    pub altered_counted: u64,
    /// Peak memory of the attacked process, bytes.
    pub memory: u64,
    /// Whether the attacked process still runs.
    pub is_running: bool,
    /// Log lines of all nodes that report a panic.
    pub panics: Vec<String>,
    /// Forged log lines, or lines with terminal control characters.
    pub forged: Vec<String>,
    /// Log lines about lost neighbours, except the one that was stopped on purpose.
    pub lost_neighbours: Vec<String>,
    /// Rounds of publishing and reading that honest clients completed meanwhile.
    pub honest_rounds: usize,
}

/// The input sent by unauthenticated peers, and the answers.
#[derive(Clone, Default, Debug)]
pub struct Sent {
    pub connections: u64,
    /// Connections that were not accepted, or not upgraded.
    pub refused: u64,
    pub frames: u64,
    pub bytes: u64,
    pub answers: Answers,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { seed, sent, altered, .. } = self;
        writeln!(f, "seed {seed}")?;
        writeln!(f, "{:>10}  connections of strangers, {} of them refused", sent.connections, sent.refused)?;
        writeln!(f, "{:>10}  frames, {} bytes", sent.frames, sent.bytes)?;
        write!(f, "{}", sent.answers)?;
        writeln!(f, "{:>10}  altered messages of a neighbour, {} bytes", altered.sent, altered.bytes)?;
        write!(f, "{}", altered.endings)?;
        writeln!(f, "{:>10}  rounds of honest clients, none of them disturbed", self.honest_rounds)?;
        writeln!(f, "{:>10}  MiB of memory at most", self.memory >> 20)?;
        writeln!(f, "{:>10}  panics, {} forged lines in logs", self.panics.len(), self.forged.len())?;
        write!(f, "{:>10}  neighbours lost", self.lost_neighbours.len())
    }
}

/// Sends mutated input to one node of a new cluster of eight: four fifths of the time as unauthenticated peers, the
/// rest as a neighbour. Panics if an honest client is disturbed, or misses a message at the end.
pub async fn attack(seed: u64, lasts: Duration) -> Outcome {
    // Fault requests are among the examples, and must have no effect.
    let cluster = Arc::new(ProcessCluster::start_as(Plan { allow_faults: false, ..Plan::default() }).await);
    let cast = Cast::of(&cluster);
    cluster.client(cast.attacked).await.set_up("ann", "sub", "news").await;
    let process = cluster.process_id(cast.attacked);

    let honest = Bystander::begin(&cluster, cast.attacked, &cast.first).await;
    let (sent, memory_before) = attack_as_strangers(&cluster, &cast, seed, lasts * 4 / 5).await;
    let first_rounds = honest.assert_undisturbed().await;

    cluster.kill(cast.absent);
    cluster.wait_until_seen(cast.attacked, cast.absent, "failed").await;
    let honest = Bystander::begin(&cluster, cast.attacked, &cast.second).await;
    let altering = neighbour::alter(&cluster, cast.attacked, cast.absent, seed, lasts / 5);
    let (altered, memory_then) = beside_looking(&cluster, cast.attacked, altering).await;
    let second_rounds = honest.assert_undisturbed().await;
    let altered_counted = frames_altered(&cluster, cast.attacked).await;
    cluster.start_node(cast.absent);
    cluster.wait_until_settled().await;

    for (name, rounds) in [(&cast.first, first_rounds), (&cast.second, second_rounds)] {
        Bystander::assert_nothing_is_lost(&cluster, cast.attacked.across(2), name, rounds).await;
    }
    Outcome {
        seed,
        sent,
        altered,
        altered_counted,
        memory: memory_before.max(memory_then),
        is_running: memory(&cluster, cast.attacked).is_some() && cluster.process_id(cast.attacked) == process,
        panics: log_lines(&cluster, |line| line.contains("panicked")),
        forged: log_lines(&cluster, |line| line.starts_with(FORGED) || line.contains(char::is_control)),
        lost_neighbours: log_lines(&cluster, |line| {
            line.contains(" lost neighbour ") && !line.contains(&format!(" lost neighbour {}", cast.absent))
        }),
        honest_rounds: first_rounds + second_rounds,
    }
}

/// The participants.
struct Cast {
    attacked: Vertex,
    /// A neighbour of the attacked node, which is down while the test takes its place.
    absent: Vertex,
    /// Names of the honest clients. The attacked node leads their topics, and none of these needs the absent node.
    first: String,
    second: String,
}

impl Cast {
    fn of(cluster: &ProcessCluster) -> Cast {
        let attacked = cluster.home("honest0-t");
        let absent = attacked.across(0);
        let suits = |name: &String| {
            let home = |of: &str| cluster.home(&format!("{name}-{of}"));
            home("t") == attacked && home("p") != absent && home("s") != absent
        };
        let mut names = (0..).map(|number| format!("honest{number}")).filter(suits);
        let mut name = || names.next().expect("numbers do not end");
        Cast { attacked, absent, first: name(), second: name() }
    }
}

async fn attack_as_strangers(cluster: &ProcessCluster, cast: &Cast, seed: u64, lasts: Duration) -> (Sent, u64) {
    let address = cluster.address(cast.attacked);
    let examples = Arc::new(Examples::of(&address, cast.attacked, cast.absent));
    let sent = Arc::new(Mutex::new(Sent::default()));
    let number = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let (address, examples, sent, number) = (address.clone(), examples.clone(), sent.clone(), number.clone());
        lanes.spawn(async move {
            while began.elapsed() < lasts || number.load(Relaxed) < FEWEST {
                let script = Script::of(&examples, seed, number.fetch_add(1, Relaxed));
                let answers = play(&script, &address).await;
                if answers.is_err() {
                    sleep(LOOK_EVERY).await;
                }
                sent.lock().expect("no thread panics while it holds this lock").add(&script, answers);
            }
        });
    }
    let ((), memory) = beside_looking(cluster, cast.attacked, async {
        while let Some(ended) = lanes.join_next().await {
            ended.expect("a stranger does not panic");
        }
    })
    .await;
    let sent = sent.lock().expect("no thread panics while it holds this lock").clone();
    (sent, memory)
}

impl Sent {
    fn add(&mut self, script: &Script, answers: Result<Answers, String>) {
        self.connections += 1;
        match answers {
            Ok(answers) => {
                self.frames += script.frames;
                self.bytes += script.bytes();
                self.answers.add(answers);
            }
            Err(_) => self.refused += 1,
        }
    }
}

/// Runs a script on a new connection: the answers, or why the connection was refused.
async fn play(script: &Script, address: &str) -> Result<Answers, String> {
    let stream = match script.role {
        Role::Http => TcpStream::connect(address).await.map_err(|error| error.to_string())?,
        Role::Client => Stranger::connect(address, As::Client).await?.0,
        Role::Stranger => Stranger::connect(address, As::Neighbour).await?.0,
    };
    let (reader, writer) = stream.into_split();
    let mut reader = Reader::new(reader, script.role).await;
    let mut answers = Answers::default();
    let longest = if script.leaves == Leaves::HalfClosed { PATIENCE } else { LONGEST };
    if timeout(longest, converse(script, writer, &mut reader, &mut answers)).await.is_err() {
        match script.leaves {
            Leaves::HalfClosed => answers.count(NOT_ENDED),
            Leaves::AtOnce | Leaves::WhenQuiet => answers.count("more than was waited for"),
        }
    }
    Ok(answers)
}

async fn converse(script: &Script, mut writer: OwnedWriteHalf, reader: &mut Reader, answers: &mut Answers) {
    let write = async {
        for bytes in &script.writes {
            writer.write_all(bytes).await?;
        }
        if script.leaves == Leaves::HalfClosed {
            writer.shutdown().await?;
        }
        Ok::<_, std::io::Error>(())
    };
    tokio::pin!(write);
    let mut is_writing = true;
    loop {
        tokio::select! {
            // If the node closes the connection during the write, it has already sent the reason, which is read below.
            _ = &mut write, if is_writing => {
                is_writing = false;
                if script.leaves == Leaves::AtOnce {
                    return;
                }
            }
            read = timeout(QUIET, reader.read(answers)) => match read {
                Ok(true) => {}
                Ok(false) => return,
                // The node must end this connection, because no more input follows.
                Err(_) if is_writing || script.leaves == Leaves::HalfClosed => {}
                Err(_) => return answers.count("open and quiet"),
            },
        }
    }
}

/// Runs the work; returns its result and the node's peak memory meanwhile, in bytes.
async fn beside_looking<T>(cluster: &ProcessCluster, node: Vertex, work: impl Future<Output = T>) -> (T, u64) {
    let mut most = 0;
    tokio::pin!(work);
    loop {
        most = most.max(memory(cluster, node).unwrap_or(0));
        tokio::select! {
            done = &mut work => return (done, most),
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

async fn frames_altered(cluster: &ProcessCluster, node: Vertex) -> u64 {
    let status = cluster.client(node).await.must(json!({"action": "status"})).await;
    status["counters"]["frames_altered"].as_u64().unwrap_or_else(|| panic!("no counter in {status}"))
}

fn log_lines(cluster: &ProcessCluster, tells: impl Fn(&str) -> bool) -> Vec<String> {
    let log = |node| std::fs::read_to_string(cluster.log_file(node)).expect("a log is UTF-8 and can be read");
    cluster
        .vertices()
        .flat_map(|node| log(node).split('\n').filter(|line| tells(line)).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}
