//! `cubecast-lab chaos`: faults in a cluster of real processes, and the simulator's checkers on the observations of its
//! clients.
//!
//! | module | what |
//! |---|---|
//! | [`client`], [`record`] | clients that perform the workload; the record of their observations |
//! | [`watcher`] | records of leaders |
//! | [`fault`], [`fault_schedule`] | the possible faults; their injection and mending |
//! | [`recovery`] | the required state after the faults, and the final content of every replica |
//! | [`report`], [`screen`] | the output |

mod client;
mod fault;
mod fault_schedule;
mod record;
mod recovery;
mod report;
mod screen;
mod watcher;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Client, Listening};
use cubecast_core::seating::Seating;
use cubecast_node::config::check_dimension;
use cubecast_node::executor::block_on;
use cubecast_node::failure::Failure;
use cubecast_node::output::{Format, even_unread, line, raw};
use cubecast_node::shutdown::Shutdown;
use cubecast_sim::check::workload::{Load, Workload};
use cubecast_sim::check::{Evidence, check_all};
use fault::FaultClass;
use fault_schedule::FaultSchedule;
use record::Recorder;
use recovery::Keeper;
use report::{Measured, Report};
use screen::Screen;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::cluster::fleet::Fleet;
use crate::cluster::nodes::Nodes;
use crate::cluster::outside::Outside;
use crate::cluster::program::Program;
use crate::cluster::{STARTS_WITHIN, wait_until_whole};

/// Inject faults into a new cluster of real processes while clients use it, then check that it kept its promises.
///
/// Clients use every action at every node while nodes are killed, stopped, wiped and cut off from each other. Then
/// all faults are mended, and the checkers of the simulator check the clients' observations and the content of every
/// node.
///
/// The seed determines the faults, their order, and the clients' requests. Real time is not reproducible: the same
/// seed does not give the same run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast-lab chaos\n    \
    cubecast-lab chaos --minutes 10 --seed 7\n    \
    cubecast-lab chaos --faults kill,hang,partition --dimension 2\n    \
    cubecast-lab chaos --format json\n\n\
    Ctrl-C ends the faults early; they are still mended, and the cluster is still checked. Exit code 1: a promise was \
    broken.")]
pub struct Args {
    /// The time during which faults occur. Starting, mending and checking take additional time.
    #[arg(long, value_name = "M", default_value = "1", value_parser = parse_minutes)]
    minutes: Duration,
    /// The seed of faults and requests. Default: random.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// The cube's dimension: 2^D nodes, D from 1 to 6.
    #[arg(long, value_name = "D", default_value_t = 3)]
    dimension: u8,
    /// The number of clients. Each performs one request after the other.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    clients: u32,
    /// Use only these classes of faults, separated by commas. [default: all but outside]
    #[arg(long, value_enum, value_name = "FAULT,...", value_delimiter = ',')]
    faults: Vec<FaultClass>,
    /// An empty folder for the nodes' data and logs, which are kept. [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The file for the evidence of a broken promise. [default: cubecast-chaos-SEED.json]
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Run the nodes in environments between which this program can cut the network; see scripts/partition.
    #[arg(long, value_name = "PROGRAM")]
    outside: Option<PathBuf>,
    #[command(flatten)]
    program: Program,
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    block_on(async { Chaos::new(args)?.run(Shutdown::on_signals()?.requested).await })
}

/// The validated settings.
struct Chaos {
    seating: Seating,
    seed: u64,
    length: Duration,
    load: Load,
    classes: Vec<FaultClass>,
    /// The `cubecast` program of the nodes.
    program: PathBuf,
    outside: Option<Outside>,
    folder: PathBuf,
    /// The folder was not requested, so it is removed after a successful run.
    is_temporary: bool,
    trace: PathBuf,
    format: Format,
    screen: Screen,
}

/// The cluster and its observers.
struct Scene {
    addresses: Arc<Vec<String>>,
    nodes: Arc<Nodes>,
    recorder: Recorder,
    faults: FaultSchedule,
    workload: Arc<Mutex<Workload>>,
    /// Watches leaders until this is dropped.
    _watchers: JoinSet<()>,
}

impl Chaos {
    fn new(args: &Args) -> Result<Chaos, Failure> {
        let dimension = check_dimension(args.dimension).map_err(|error| Failure::new(Failure::USAGE, error))?;
        let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
        let classes = if args.faults.is_empty() { FaultClass::usual() } else { args.faults.clone() };
        if classes.contains(&FaultClass::Outside) && args.outside.is_none() {
            let message = "--faults outside needs --outside PROGRAM: see scripts/partition";
            return Err(Failure::new(Failure::USAGE, message));
        }
        let temporary = || std::env::temp_dir().join(format!("cubecast-chaos-{seed}-{}", std::process::id()));
        Ok(Chaos {
            seating: Seating::founding(dimension),
            seed,
            length: args.minutes,
            load: Load { clients: args.clients, ..Load::default() },
            classes,
            program: args.program.find()?,
            outside: args.outside.clone().map(Outside::new),
            folder: empty_folder(args.data.clone().unwrap_or_else(temporary))?,
            is_temporary: args.data.is_none(),
            trace: args.trace.clone().unwrap_or_else(|| format!("cubecast-chaos-{seed}.json").into()),
            format: args.format,
            screen: Screen::new(args.minutes),
        })
    }

    async fn run(mut self, stop: watch::Receiver<bool>) -> Result<(), Failure> {
        self.screen.say(&format!(
            "chaos with seed {}, {} nodes, in {}",
            self.seed,
            self.seating.hosts().len(),
            self.folder.display()
        ));
        let mut scene = self.set().await?;
        let began = Instant::now();
        let (clients, stop_clients) = begin_clients(&scene);
        self.inject(&mut scene, stop).await;
        let seconds = began.elapsed().as_secs_f64();
        let gaps = scene.recorder.end_counting();
        self.screen.say("mending all faults and waiting for recovery");
        stop_clients.send_replace(true);
        let (listening, ()) = tokio::join!(clients.join_all(), scene.faults.end_all());
        let (evidence, past) = self.gather(scene, listening).await;
        self.screen.say(&format!("checking {} operations", evidence.history.operations.len()));
        let checked = tokio::task::spawn_blocking(move || (check_all(&evidence), evidence)).await;
        let (findings, evidence) =
            checked.map_err(|error| Failure::new(Failure::FAILED, format!("a checker failed: {error}")))?;
        let report = Report::new(&evidence, findings, Measured { seed: self.seed, seconds, gaps, past });
        self.conclude(&report, &evidence)
    }

    /// Starts a cluster, waits until it is whole, and creates everything that the clients need.
    async fn set(&self) -> Result<Scene, Failure> {
        let program = self.program.clone();
        let mut fleet = Fleet::prepare(program, self.seating.clone(), &self.folder, None, self.outside.clone()).await?;
        for node in self.seating.hosts() {
            fleet.start(node)?;
        }
        let recorder = Recorder::start();
        let addresses = Arc::new(fleet.addresses());
        let nodes = Arc::new(Nodes::new(self.seating.clone(), addresses.clone()));
        let _watchers = watcher::watch_all(&addresses, self.seating.hosts(), &recorder);
        let until = Instant::now() + STARTS_WITHIN;
        wait_until_whole(&nodes, until, &self.folder).await?;
        let workload = Workload::new(&self.seating, self.load.clone(), self.seed);
        let keeper = Keeper { addresses: &addresses, recorder: &recorder, seating: &self.seating };
        let prepared = keeper.settle(workload.preparation(), until).await;
        prepared.map_err(|why| Failure::new(Failure::UNAVAILABLE, format!("cannot prepare the clients: {why}")))?;
        recorder.begin_counting(&workload.lasting_topics());
        let faults = FaultSchedule::new(fleet, nodes.clone(), recorder.clone(), self.classes.clone(), self.seed);
        Ok(Scene { addresses, nodes, recorder, faults, workload: Arc::new(Mutex::new(workload)), _watchers })
    }

    /// Injects faults and shows the progress.
    async fn inject(&mut self, scene: &mut Scene, stop: watch::Receiver<bool>) {
        let mut ticks = interval(self.screen.every());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let recorder = scene.recorder.clone();
        let faults = scene.faults.count.clone();
        self.screen.begin();
        let injecting = scene.faults.inject(Instant::now() + self.length, stop);
        tokio::pin!(injecting);
        loop {
            tokio::select! {
                () = &mut injecting => return,
                _ = ticks.tick() => self.screen.progress(&recorder, faults.load(std::sync::atomic::Ordering::Relaxed)),
            }
        }
    }

    /// Waits for recovery, reads the replicas, collects the record, and ends the cluster.
    async fn gather(&self, scene: Scene, listening: Vec<Listening>) -> (Evidence, fault_schedule::Past) {
        let Scene { addresses, nodes, recorder, faults, workload, _watchers } = scene;
        let workload = workload.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        let (recovery, holdings) = recovery::recover(&nodes, &addresses, &recorder, &workload, listening).await;
        drop(_watchers);
        let record = recorder.take();
        // No topic was prepared: the cluster is new, and the keeper's own requests are in the record.
        let evidence = Evidence {
            history: record.history,
            holdings,
            leaderships: record.leaderships,
            disk_losses: record.disk_losses,
            ..Evidence::new(self.seating.dimension(), recovery)
        };
        (evidence, faults.end().await)
    }

    fn conclude(mut self, report: &Report, evidence: &Evidence) -> Result<(), Failure> {
        match self.format {
            Format::Json => even_unread(raw(&serde_json::to_string(report).expect("a report is plain data")))?,
            Format::Table => even_unread(line(&report.render()))?,
        }
        if report.passed {
            if self.is_temporary {
                // A folder that cannot be removed is left to the cleanup of temporary folders.
                let _ = std::fs::remove_dir_all(&self.folder);
            }
            return Ok(());
        }
        write_evidence(&self.trace, evidence)?;
        self.screen.say(&format!("evidence: {}; logs of the nodes: {}", self.trace.display(), self.folder.display()));
        Err(Failure::new(Failure::FAILED, format!("{} violations with seed {}", report.violations.len(), self.seed)))
    }
}

fn begin_clients(scene: &Scene) -> (JoinSet<Listening>, watch::Sender<bool>) {
    let (tell, stop) = watch::channel(false);
    let ids: Vec<_> = scene.workload.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clients().collect();
    let client = |id| Client::new(id, scene.workload.clone(), scene.recorder.clone(), scene.addresses.clone());
    (ids.into_iter().map(|id| client(id).run(stop.clone())).collect(), tell)
}

fn write_evidence(path: &Path, evidence: &Evidence) -> Result<(), Failure> {
    let written = std::fs::File::create(path)
        .map_err(serde_json::Error::io)
        .and_then(|file| serde_json::to_writer(std::io::BufWriter::new(file), evidence));
    written.map_err(|error| {
        Failure::new(Failure::FAILED, format!("cannot write the evidence to {}: {error}", path.display()))
    })
}

/// Requires an empty folder, because data of an earlier run would be mistaken for data of this one.
fn empty_folder(path: PathBuf) -> Result<PathBuf, Failure> {
    let failed = |error: std::io::Error| Failure::new(Failure::STORAGE, format!("{}: {error}", path.display()));
    std::fs::create_dir_all(&path).map_err(failed)?;
    if std::fs::read_dir(&path).map_err(failed)?.next().is_some() {
        let message = format!("{} is not empty: choose another folder with --data", path.display());
        return Err(Failure::new(Failure::USAGE, message));
    }
    std::fs::canonicalize(&path).map_err(failed)
}

/// Parses minutes; fractions are allowed.
fn parse_minutes(text: &str) -> Result<Duration, String> {
    const LONGEST: f64 = 7.0 * 24.0 * 60.0;
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes <= LONGEST => Ok(Duration::from_secs_f64(minutes * 60.0)),
        _ => Err(format!("use a number of minutes above 0, up to {LONGEST}, for example 10 or 0.5")),
    }
}

#[cfg(test)]
mod tests {
    use cubecast_sim::check::evidence::DiskLoss;

    use super::*;

    #[test]
    fn minutes_are_a_number_above_zero() {
        assert_eq!(parse_minutes("0.5"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_minutes("10"), Ok(Duration::from_secs(600)));
        for bad in ["0", "-1", "ten", "NaN", "inf", "1e9"] {
            assert!(parse_minutes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn evidence_is_read_as_it_was_written() {
        let node = "01".parse().unwrap();
        let empty = report::tests::evidence(vec![], &[&["a", "b"], &["a"]]);
        let evidence = Evidence { disk_losses: vec![DiskLoss { node, at: Default::default() }], ..empty };
        let file = tempfile::NamedTempFile::new().unwrap();
        write_evidence(file.path(), &evidence).unwrap();
        let read: Evidence = serde_json::from_reader(std::fs::File::open(file.path()).unwrap()).unwrap();
        assert_eq!(read, evidence);
    }

    #[test]
    fn a_folder_that_is_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(empty_folder(folder.path().join("new")).is_ok());
        let refused = empty_folder(folder.path().into()).unwrap_err();
        assert_eq!(refused.code, Failure::USAGE);
        assert!(refused.message.contains("is not empty"), "{refused}");
    }
}
