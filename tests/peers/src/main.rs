//! Cubecast beside what people would use instead: the same work, on the same machine, in one run, with the runs interleaved.
//!
//! | file | what |
//! |---|---|
//! | [`system`] | what is compared: how it is asked, and what it promises |
//! | [`cubecast`], [`jetstream`], [`redis_streams`], [`rabbitmq`], [`mosquitto`], [`source`] | the systems, each started on loopback in a folder of its own |
//! | [`servers`] | processes of others |
//! | [`compare`] | the comparisons, and their ratios |
//! | [`failover`] | the one of them in which a leader dies |

mod compare;
mod cubecast;
mod failover;
mod jetstream;
mod mosquitto;
mod rabbitmq;
mod redis_streams;
mod servers;
mod source;
mod system;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use cubecast_node::bench::Timing;

/// Measures Cubecast and its peers side by side, and prints ratios with their spread.
#[derive(Debug, Parser)]
pub struct Args {
    /// The `cubecast` to be measured.
    #[arg(long, value_name = "FILE", default_value = "target/release/cubecast")]
    cubecast: PathBuf,
    /// Seconds of each run, behind a warm-up of a quarter of that.
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    seconds: f64,
    /// Runs of each system, in turns.
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeat: u32,
    /// Kills of each system's leader, in turns; fewer, where so many would take longer than seven minutes.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    kills: u32,
    /// Only these comparisons, separated by commas.
    #[arg(long, value_enum, value_name = "WHAT,...", value_delimiter = ',')]
    only: Vec<compare::Comparison>,
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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(compare::run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("cubecast-peers: {why}");
            ExitCode::FAILURE
        }
    }
}
