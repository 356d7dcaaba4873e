//! The command line of the laboratory: its subcommands.
//!
//! Exit codes are those of `cubecast`: 0 success; 1 a promise was broken, or the work failed; 2 an error in the command
//! line; 3 the cluster is unavailable, or a port cannot be listened on; 4 the storage failed; 129, 130, 143 a signal
//! ended the command before it was done.
//!
//! Each subcommand is a folder of this crate with `Args` (as typed) and `run`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cubecast_node::failure::Failure;
use cubecast_node::output::exit_code;

use crate::output::PROGRAM;
use crate::{bench, chaos, scale, sim, verify};

/// Test and measure Cubecast.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Inject every fault into simulated clusters, and check every promise:
    cubecast-lab sim --minutes 10

Inject faults into real processes:
    cubecast-lab chaos --minutes 10

Check the guarantees on a running cluster, which `cubecast up` starts:
    cubecast-lab verify

Exit codes: 0 success, 1 failed or a promise was broken, 2 wrong usage, 3 unavailable or port in use, 4 storage failed;
129, 130 or 143 ended early by SIGHUP, SIGINT or SIGTERM. If the reader of standard output ends early, as `head` does,
the exit code is 0.";

#[derive(Debug, Subcommand)]
enum Command {
    Verify(verify::Args),
    Chaos(chaos::Args),
    Bench(bench::Args),
    Sim(sim::Args),
    Scale(scale::Args),
}

/// The entry point of the program.
pub fn main() -> ExitCode {
    exit_code(PROGRAM, run(Cli::parse()))
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Verify(args) => verify::run(&args),
        Command::Chaos(args) => chaos::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Sim(args) => sim::run(&args),
        Command::Scale(args) => scale::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// The examples in the help of a command and its subcommands, without their explanations.
    fn examples(command: &clap::Command) -> Vec<String> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let own = help.lines().filter(|line| line.starts_with("    ")).map(|line| line.trim().to_owned());
        own.filter(|line| line.starts_with("cubecast")).chain(command.get_subcommands().flat_map(examples)).collect()
    }

    #[test]
    fn every_example_in_the_help_is_a_command_line() {
        let examples = examples(&Cli::command());
        assert!(examples.len() > 20, "{examples:?}");
        for example in examples {
            let parsed = Cli::try_parse_from(example.split_whitespace());
            assert!(example.starts_with("cubecast-lab ") && parsed.is_ok(), "{example}: {parsed:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_done() {
        for line in ["verify --only everything", "sim --list --seed 1", "chaos --minutes 0", "bench --repeat 0"] {
            let parsed = Cli::try_parse_from([PROGRAM].into_iter().chain(line.split(' ')));
            assert_eq!(parsed.err().map(|error| error.exit_code()), Some(Failure::USAGE.into()), "{line}");
        }
    }
}
