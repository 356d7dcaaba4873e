//! Compares Cubecast with alternatives: the same work, on the same machine, in one process run, with interleaved runs.
//!
//! | file | content |
//! |---|---|
//! | [`system`] | the interface of a compared system: its requests, and its guarantees |
//! | [`cubecast`], [`jetstream`], [`redis_streams`] | systems, each started on loopback in its own folder |
//! | [`rabbitmq`], [`mosquitto`], [`source`] | further systems, started in the same way |
//! | [`servers`] | child processes |
//! | [`compare`] | the comparisons, and their ratios |
//! | [`failover`] | the comparison in which a leader dies |
//! | [`outcome`] | the results, for saving |
//! | [`targets`] | the targets, and whether they were reached |

mod compare;
mod cubecast;
mod failover;
mod jetstream;
mod mosquitto;
mod outcome;
mod rabbitmq;
mod redis_streams;
mod servers;
mod source;
mod system;
mod targets;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use cubecast_lab::measure::Timing;

/// Measures Cubecast and its peers side by side, and prints ratios with their spread.
#[derive(Debug, Parser)]
pub struct Args {
    /// The `cubecast` binary to measure.
    #[arg(long, value_name = "FILE", default_value = "target/dist/cubecast")]
    cubecast: PathBuf,
    /// Seconds of each run, after a warm-up of a quarter of that.
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    seconds: f64,
    /// Runs of each system, in turns.
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeat: u32,
    /// Kills of each system's leader, in turns; fewer if they would take longer than seven minutes.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    kills: u32,
    /// Only these comparisons, separated by commas.
    #[arg(long, value_enum, value_name = "WHAT,...", value_delimiter = ',')]
    only: Vec<compare::Comparison>,
    /// Measures nothing: prints the targets and results in saved files, of this program and of `cubecast-lab bench`, as
    /// a Markdown table.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["only", "save"])]
    table: Vec<PathBuf>,
    /// Writes all figures as JSON.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

impl Args {
    fn timing(&self) -> Timing {
        Timing::measuring(Duration::from_secs_f64(self.seconds))
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if !args.table.is_empty() {
        return conclude(targets::table(&args.table).map(|table| print!("{table}")));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    conclude(runtime.block_on(compare::run(&args)))
}

fn conclude(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("cubecast-peers: {why}");
            ExitCode::FAILURE
        }
    }
}
