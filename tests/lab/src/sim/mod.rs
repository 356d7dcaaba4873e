//! `cubecast-lab sim`: simulates whole clusters in virtual time with faults of every kind, and checks every promise.

mod catalogue;
mod farm;
mod print;

use std::num::NonZeroUsize;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::time::Duration;

use cubecast_core::recording::incident::Incident;
use cubecast_node::failure::Failure;
use cubecast_node::output::{even_unread, line, raw};
use cubecast_node::recording::collect;
use cubecast_sim::{FaultClass, Report, Scenario, Shrunk, shrink, trace};
use farm::{Farm, Harvest, Job};

use crate::output::{ReportFormat, remark};

/// Simulate clusters with faults of every kind, and check every promise.
///
/// Runs the nodes' own code in virtual time, with simulated disks and a simulated network. Minutes of virtual time
/// take milliseconds. A scenario and a seed determine a run completely. When a promise is broken, the command prints
/// the seed, searches for the shortest run that still breaks it, and can write that run to a file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast-lab sim\n    \
    cubecast-lab sim --minutes 10\n    \
    cubecast-lab sim --seeds 1000 --faults kill,partition,power\n    \
    cubecast-lab sim --seed 4711 --trace run.json\n    \
    cubecast-lab sim --seed 4711 --incident run.incident\n    \
    cubecast-lab sim --scenario core/sim/scenarios --seeds 20\n    \
    cubecast-lab sim --list")]
pub struct Args {
    /// Number of seeds per scenario.
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with_all = ["minutes", "seed"])]
    seeds: u64,
    /// Run new seeds for this many minutes.
    #[arg(long, value_name = "M", conflicts_with = "seed")]
    minutes: Option<f64>,
    /// Run only this seed.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// The first seed. Default: a random one, which is printed.
    #[arg(long, value_name = "S", conflicts_with = "seed")]
    from: Option<u64>,
    /// Scenario files, or folders with such files; their own seeds are run first. Default: any fault at any place and
    /// time.
    #[arg(long, value_name = "FILE|FOLDER")]
    scenario: Vec<PathBuf>,
    /// Use only random faults of these classes: `all`, `none`, or names separated by commas (see --list).
    #[arg(long, value_name = "CLASS,...")]
    faults: Option<String>,
    /// Use only cubes of this dimension.
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u8).range(1..=6))]
    dimension: Option<u8>,
    /// Continue after a broken promise, and count all of them.
    #[arg(long)]
    keep_going: bool,
    /// Write the first run that breaks a promise, shortened, to this file. With --seed, write the run in any case.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Record all nodes in the run that --trace would write, as an incident. `cubecast incident replay` and the
    /// dashboard open it.
    #[arg(long, value_name = "FILE")]
    incident: Option<PathBuf>,
    /// Concurrent runs. Default: the number of processors.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
    /// List the fault classes and the checkers, and run nothing.
    #[arg(long, exclusive = true)]
    list: bool,
}

/// The maximum number of attempts to shorten a failing run.
const SHRINKING: u32 = 300;

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.list {
        return line(&print::list());
    }
    let scenarios = scenarios(args)?;
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let first = args.seed.or(args.from).unwrap_or_else(random_seed);
    let farm = Farm { threads, keep_going: args.keep_going, budget: args.minutes.map(minutes) };
    let own = scenarios.iter().flat_map(|scenario| scenario.seeds.iter().map(|seed| Job::new(scenario, *seed)));
    let count = match (args.seed, args.minutes) {
        (Some(_), _) => 1,
        (None, Some(_)) => u64::MAX,
        (None, None) => args.seeds,
    };
    let drawn =
        (0..count).flat_map(|at| scenarios.iter().map(move |scenario| Job::new(scenario, first.wrapping_add(at))));
    let own: Vec<Job<'_>> = if args.seed.is_some() { Vec::new() } else { own.collect() };
    let expected = args.minutes.is_none().then(|| own.len() as u64 + count * scenarios.len() as u64);
    let harvest = farm.run(own.into_iter().chain(drawn), expected);
    even_unread(raw(&print::report(args.format, &harvest, first)))?;
    follow_up(args, &scenarios, &harvest)
}

/// Reports and shortens a failing run, or writes the trace of a successful one if requested.
fn follow_up(args: &Args, scenarios: &[Scenario], harvest: &Harvest) -> Result<(), Failure> {
    let Some(failed) = harvest.failures.first() else {
        if let (Some(path), Some(seed)) = (&args.trace, args.seed) {
            write_trace(path, &trace::record(&scenarios[0], seed, &Default::default()))?;
        }
        if let (Some(path), Some(seed)) = (&args.incident, args.seed) {
            write_incident(path, &trace::record_incident(&scenarios[0], seed, &Default::default()))?;
        }
        return Ok(());
    };
    let scenario = scenarios.iter().find(|scenario| scenario.name == failed.scenario).expect("it was just run");
    remark(&format!("searching for the shortest run of seed {} that still fails", failed.seed));
    let shrunk = shrink(scenario, failed.clone(), SHRINKING, farm::run_caught);
    remark(&print::shrunk(&shrunk));
    if let Some(path) = &args.trace {
        write_failure(path, scenario, &shrunk)?;
    }
    if let Some(path) = &args.incident {
        let recorded = catch_unwind(|| trace::record_incident(scenario, failed.seed, &shrunk.reduction));
        match recorded {
            Ok(incident) => write_incident(path, &incident)?,
            Err(_) => remark("the run cannot be recorded: a node panics in it"),
        }
    }
    Err(Failure::new(Failure::FAILED, print::how_to_see_it(failed, &args.scenario)))
}

fn write_failure(path: &PathBuf, scenario: &Scenario, shrunk: &Shrunk) -> Result<(), Failure> {
    let Report { seed, .. } = shrunk.report;
    let recorded = catch_unwind(|| trace::record(scenario, seed, &shrunk.reduction));
    let file = recorded.unwrap_or_else(|_| trace::TraceFile {
        cubecast_trace: 2,
        version: env!("CARGO_PKG_VERSION").into(),
        scenario: scenario.clone(),
        seed,
        reduction: shrunk.reduction.clone(),
        report: shrunk.report.clone(),
        left_out: 0,
        events: Vec::new(),
    });
    write_trace(path, &file)
}

fn write_trace(path: &PathBuf, file: &trace::TraceFile) -> Result<(), Failure> {
    let written = serde_json::to_vec(file).map_err(std::io::Error::other).and_then(|json| std::fs::write(path, json));
    written.map_err(|error| Failure::new(Failure::FAILED, format!("{}: {error}", path.display())))?;
    remark(&format!("run written to {}", path.display()));
    Ok(())
}

fn write_incident(path: &PathBuf, incident: &Incident) -> Result<(), Failure> {
    let written = collect::compress(incident).and_then(|bytes| std::fs::write(path, bytes));
    written.map_err(|error| Failure::new(Failure::FAILED, format!("{}: {error}", path.display())))?;
    remark(&format!("incident written to {}; replay it with: cubecast incident replay {0}", path.display()));
    Ok(())
}

fn scenarios(args: &Args) -> Result<Vec<Scenario>, Failure> {
    let usage = |error: String| Failure::new(Failure::USAGE, error);
    let mut scenarios = if args.scenario.is_empty() {
        vec![Scenario::default()]
    } else {
        catalogue::load(&args.scenario).map_err(usage)?
    };
    for scenario in &mut scenarios {
        if let Some(faults) = &args.faults {
            scenario.faults = fault_classes(faults).map_err(usage)?;
        }
        if let Some(dimension) = args.dimension {
            scenario.dimensions = vec![dimension];
        }
        scenario.check().map_err(|bad| usage(bad.to_string()))?;
    }
    Ok(scenarios)
}

fn fault_classes(text: &str) -> Result<Vec<FaultClass>, String> {
    match text {
        "all" => Ok(FaultClass::ALL.to_vec()),
        "none" => Ok(Vec::new()),
        names => names.split(',').map(|name| name.trim().parse().map_err(|error| format!("{error}"))).collect(),
    }
}

/// A number that is short enough to read aloud.
fn random_seed() -> u64 {
    getrandom::u64().unwrap_or(0) % 1_000_000_000
}

fn minutes(minutes: f64) -> Duration {
    Duration::from_secs_f64((minutes * 60.0).clamp(0.1, 1e7))
}
