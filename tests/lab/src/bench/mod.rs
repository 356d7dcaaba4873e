//! `cubecast-lab bench`: measures speed on clusters of its own.
//!
//! | file | what |
//! |---|---|
//! | [`stage`] | a cluster of real processes on loopback |
//! | [`ask`] | clients and their requests |
//! | [`apis`], [`publish`], [`reads`], [`fan_out`], [`nodes`], [`delay`], [`failures`] | the groups of measurements |
//! | [`outage`] | part of the failures: throughput and latency over time while a leader is away |
//! | [`bounds`] | the limits of this machine for similar work, in the same run |
//! | [`results`] | the results as data |
//! | [`table`], [`page`], [`graphs`] | the results for a terminal, as a self-contained page, and as SVG |

pub mod apis;
pub mod ask;
mod bounds;
mod delay;
pub mod failures;
pub mod fan_out;
mod graphs;
mod nodes;
mod outage;
mod page;
pub mod publish;
mod reads;
pub mod results;
pub mod stage;
pub mod table;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use cubecast_core::content::Content;
use cubecast_core::cube::Dimension;
use cubecast_node::executor::block_on;
use cubecast_node::failure::Failure;
use cubecast_node::output::{Format, line, raw};
use indicatif::{ProgressBar, ProgressStyle};
use results::{Fact, Machine, Results, Row};
use stage::Stage;
use tempfile::TempDir;

use crate::cluster::program::Program;
use crate::measure::{Client, Pace, Timing, measure};

/// The default size of a message in bytes.
const USUAL_SIZE: usize = 256;
/// The default cube: eight nodes.
const USUAL_DIMENSION: u8 = 3;

/// Measure how fast Cubecast is on this machine, with clusters of its own and random work from a seed.
///
/// Each case runs several times after a warm-up. The results are the median, the minimum and the maximum. Latencies
/// come from an HDR histogram; in an open loop they count from the time at which a request was due. Nodes, clients
/// and this program share the machine.
///
/// All groups together take about ten minutes: a hundred cases of three times 1.25 s, and other work. `--seconds` and
/// `--repeat` change this.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast-lab bench\n    \
    cubecast-lab bench --only publish,reads --seconds 5 --repeat 5\n    \
    cubecast-lab bench --page bench.html --graphs docs\n    \
    cubecast-lab bench --only apis --format json")]
pub struct Args {
    /// Measure only these groups, separated by commas.
    #[arg(long, value_enum, value_name = "GROUP,...", value_delimiter = ',')]
    only: Vec<Group>,
    /// Measured seconds of each repetition, after a warm-up of a quarter of that.
    #[arg(long, value_name = "S", default_value = "1", value_parser = parse_seconds)]
    seconds: Duration,
    /// Repetitions of each case.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// Kills of a leader in each repetition of the failures.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    kills: u32,
    /// The seed of names, contents and the choice of nodes.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// The folder for the clusters' data, which is removed at the end. Its disk is measured.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write the results as a self-contained web page with graphs.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Write the graphs of each group as SVG files, `bench-GROUP-WHAT.svg`.
    #[arg(long, value_name = "DIR")]
    graphs: Option<PathBuf>,
    /// Write the results as JSON.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    program: Program,
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Group {
    /// Every API, with one client at random nodes: one request after the other, 64 in progress, and a fixed rate.
    Apis,
    /// Publishes: sizes, acknowledgements, sync modes, numbers in progress, fixed rates; compared with a bare echo
    /// and append.
    Publish,
    /// Pulls at both read levels.
    Reads,
    /// One topic pushed to 1 to 1,000 subscribers.
    FanOut,
    /// 2, 4, 8 and 16 nodes with 2 to 5 copies, idle and under load.
    Nodes,
    /// Slow links.
    Delay,
    /// A leader dies and returns, also over time, with four copies and on the smallest cube; a wiped node refills.
    Failures,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    block_on(async {
        let mut bench = Bench::new(args)?;
        for group in bench.groups.clone() {
            match group {
                Group::Apis => apis::measure(&mut bench).await?,
                Group::Publish => publish::measure(&mut bench).await?,
                Group::Reads => reads::measure(&mut bench).await?,
                Group::FanOut => fan_out::measure(&mut bench).await?,
                Group::Nodes => nodes::measure(&mut bench).await?,
                Group::Delay => delay::measure(&mut bench).await?,
                Group::Failures => failures::measure(&mut bench).await?,
            }
        }
        bench.conclude(args)
    })
}

/// A run in progress.
pub struct Bench {
    groups: Vec<Group>,
    timing: Timing,
    repetitions: u32,
    kills: u32,
    seed: u64,
    /// The `cubecast` program of the nodes.
    program: PathBuf,
    folder: TempDir,
    bar: ProgressBar,
    results: Results,
    began: Instant,
}

impl Bench {
    fn new(args: &Args) -> Result<Bench, Failure> {
        let groups = if args.only.is_empty() { Group::value_variants().to_vec() } else { args.only.clone() };
        let style =
            ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}").expect("a template that is right");
        Ok(Bench {
            groups,
            timing: Timing::measuring(args.seconds),
            repetitions: args.repeat,
            kills: args.kills,
            seed: args.seed,
            program: args.program.find()?,
            folder: temporary(args.data.as_deref())?,
            bar: ProgressBar::new_spinner().with_style(style),
            results: Results {
                version: env!("CARGO_PKG_VERSION").into(),
                machine: Machine::this(),
                seed: args.seed,
                seconds: args.seconds.as_secs_f64(),
                repetitions: args.repeat,
                ..Results::default()
            },
            began: Instant::now(),
        })
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn stage(&self, dimension: u8, sync: &str) -> Result<Stage, Failure> {
        self.bar.set_message(format!("starting {} nodes", 1 << dimension));
        let dimension = Dimension::new(dimension).map_err(|error| Failure::new(Failure::USAGE, error))?;
        Stage::set(self.program.clone(), self.folder(), dimension, sync).await
    }

    fn content(&self, size: usize) -> Content {
        let mut random = fastrand::Rng::with_seed(self.seed);
        (0..size).map(|_| random.alphanumeric()).collect::<String>().into()
    }

    /// Measures one case. `clients` makes the clients of each repetition.
    async fn case<C: Client>(
        &mut self,
        stage: &Stage,
        (group, case): (&str, String),
        pace: Pace,
        clients: impl Fn(u32) -> Vec<C>,
    ) -> &mut Row {
        let servers = stage.fleet.processes();
        let mut repetitions = Vec::new();
        let mut count = 0;
        for repetition in 0..self.repetitions {
            self.bar.set_message(format!("{group}: {case}, {} of {}", repetition + 1, self.repetitions));
            self.bar.tick();
            let clients = clients(repetition);
            count = clients.len();
            repetitions.push(measure(clients, pace, self.timing, &servers).await);
        }
        let pace = words(pace, count);
        self.results.rows.push(Row { group: group.into(), case, pace, repetitions, bounds: Vec::new() });
        self.results.rows.last_mut().expect("one was pushed")
    }

    fn fact(&mut self, fact: Fact) {
        self.results.facts.push(fact);
    }

    fn conclude(mut self, args: &Args) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        self.results.took_s = self.began.elapsed().as_secs_f64();
        let write = |path: &Path, text: String| {
            let failed = |error| Failure::new(Failure::FAILED, format!("{}: {error}", path.display()));
            std::fs::write(path, text).map_err(failed)
        };
        let json = serde_json::to_string_pretty(&self.results).expect("results are plain data");
        if let Some(path) = &args.page {
            write(path, page::render(&self.results))?;
        }
        if let Some(folder) = &args.graphs {
            for (name, svg) in graphs::files(&self.results) {
                write(&folder.join(name), svg)?;
            }
        }
        if let Some(path) = &args.save {
            write(path, json.clone())?;
        }
        match args.format {
            Format::Json => raw(&json),
            Format::Table => line(&table::render(&self.results)),
        }
    }
}

/// A folder that is removed when this run ends, with or without success.
fn temporary(within: Option<&Path>) -> Result<TempDir, Failure> {
    let within = within.map_or_else(std::env::temp_dir, Path::to_path_buf);
    let made = std::fs::create_dir_all(&within)
        .and_then(|()| tempfile::Builder::new().prefix("cubecast-bench-").tempdir_in(&within));
    made.map_err(|error| Failure::new(Failure::STORAGE, format!("{}: {error}", within.display())))
}

/// The pace of requests in words.
pub fn words(pace: Pace, clients: usize) -> String {
    let whose = if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
    match pace {
        Pace::UnderWay(1) => format!("{whose}, one at a time"),
        Pace::UnderWay(most) => format!("{whose}, {most} in progress each"),
        Pace::PerSecond(rate) => format!("{whose}, {rate:.0} per second"),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let bad = || format!("invalid duration `{text}`; use seconds above 0, for example 2 or 0.5");
    let seconds: f64 = text.parse().map_err(|_| bad())?;
    if !(0.01..=3_600.0).contains(&seconds) {
        return Err(bad());
    }
    Ok(Duration::from_secs_f64(seconds))
}
