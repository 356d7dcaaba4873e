//! The command line: its arguments and subcommands.
//!
//! Exit codes: 0 success; 1 failure, or a node refused; 2 an error in the command line or the configuration; 3 the
//! cluster is unavailable, or a port cannot be listened on; 4 the storage failed or is in use; 129, 130, 143 a signal
//! ended the command before it was done (see [`crate::shutdown`]).
//!
//! Each subcommand is a file in this folder with `Args` (as typed) and `run`.

pub mod fail;
pub mod incident;
pub mod link;
pub mod locate;
pub mod node;
pub mod publish;
pub mod pull;
pub mod recover;
pub mod registration;
pub mod remote;
pub mod status;
pub mod subscribe;
pub mod topic;
pub mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::TypedWeb;
use crate::failure::Failure;
use crate::log::LogFormat;
use crate::output;

/// Publish/subscribe on a hypercube of equal nodes, without a central broker.
#[derive(Debug, Parser)]
#[command(name = "cubecast", version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Start eight nodes on this machine, with the dashboard on http://127.0.0.1:8000/:
    cubecast up

Publish and subscribe, from other terminals:
    cubecast pub news 'hello' --as publisher1 --create
    cubecast sub news --as subscriber1 --create

Make a node fail and look at the cluster:
    cubecast fail 100 --for 10s
    cubecast status

Exit codes: 0 success, 1 failed or refused, 2 wrong usage or configuration, 3 unavailable or port in use, 4 storage
failed or in use; 129, 130 or 143 ended early by SIGHUP, SIGINT or SIGTERM. `up`, `node` and `sub` are normally ended by
SIGINT or SIGTERM and then exit with 0. If the reader of standard output ends early, as `head` does, the exit code is 0.";

/// The level and the format of logs. Logs go to standard error.
#[derive(Clone, Debug, clap::Args)]
pub struct Logging {
    /// Level (error, warn, info, debug, trace) or a filter like `info,cubecast_node=debug`.
    #[arg(
        id = "log_filter",
        long = "log",
        env = "CUBECAST_LOG",
        default_value = "info",
        value_name = "LEVEL",
        help_heading = "Logging"
    )]
    pub filter: String,
    /// The format of log lines.
    #[arg(id = "log_format", long = "log-format", value_enum, default_value_t, help_heading = "Logging")]
    pub format: LogFormat,
}

/// The source of the dashboard's files.
#[derive(Debug, clap::Args)]
pub struct Web {
    /// Serve the dashboard's files from this folder. Default: the files in this program.
    #[arg(long = "web", value_name = "DIR", conflicts_with = "no_web")]
    folder: Option<PathBuf>,
    /// Do not serve the dashboard.
    #[arg(long)]
    no_web: bool,
}

impl Web {
    /// The setting; `None` if no flag was given.
    fn typed(self) -> Option<TypedWeb> {
        if self.no_web { Some(TypedWeb::Switch(false)) } else { self.folder.map(TypedWeb::Folder) }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a whole cluster on this machine: 2^dimension node processes and the dashboard.
    Up(up::Args),
    /// Run one node. `up` starts nodes on this machine; use `node` to spread a cluster over several machines.
    Node(node::Args),
    Pub(publish::Args),
    Sub(subscribe::Args),
    Pull(pull::Args),
    Topic(topic::Args),
    Publisher(registration::Publisher),
    Subscriber(registration::Subscriber),
    Locate(locate::Args),
    Status(status::Args),
    Fail(fail::Args),
    Recover(recover::Args),
    Link(link::Args),
    Incident(incident::Args),
    /// Print completions for your shell.
    Completions {
        shell: Shell,
    },
}

/// The entry point of the program.
pub fn main() -> ExitCode {
    output::exit_code("cubecast", run(Cli::parse()))
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Up(args) => up::run(args),
        Command::Node(args) => node::run(args),
        Command::Pub(args) => publish::run(&args),
        Command::Sub(args) => subscribe::run(&args),
        Command::Pull(args) => pull::run(&args),
        Command::Topic(args) => topic::run(&args),
        Command::Publisher(args) => registration::run_publisher(&args),
        Command::Subscriber(args) => registration::run_subscriber(&args),
        Command::Locate(args) => locate::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Fail(args) => fail::run(&args),
        Command::Recover(args) => recover::run(&args),
        Command::Link(args) => link::run(&args),
        Command::Incident(args) => incident::run(args),
        Command::Completions { shell } => print_completions(shell),
    }
}

fn print_completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cubecast", &mut script);
    output::print(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_logs_takes_a_log_level() {
        for line in ["up --format json --log debug", "node --node 000 --log-format json"] {
            let words = std::iter::once("cubecast").chain(line.split(' '));
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn every_shell_gets_completions() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "cubecast", &mut script);
            assert!(String::from_utf8(script).unwrap().contains("completions"));
        }
    }

    /// The examples in the help of a command and its subcommands, without their explanations.
    fn examples(command: &clap::Command) -> Vec<String> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let own = help.lines().filter_map(|line| line.split("cubecast ").nth(1).filter(|_| line.starts_with("    ")));
        let own = own.map(|line| line.split("   ").next().unwrap_or(line).trim().to_string());
        own.chain(command.get_subcommands().flat_map(examples)).collect()
    }

    #[test]
    fn every_example_in_the_help_is_a_command_line() {
        let examples = examples(&Cli::command());
        assert!(examples.len() > 20, "{examples:?}");
        for example in examples {
            let words = example.split_whitespace().map(|word| word.trim_matches('\''));
            let parsed = Cli::try_parse_from(std::iter::once("cubecast").chain(words));
            assert!(parsed.is_ok(), "cubecast {example}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_done() {
        for line in [
            "pub news hello",
            "pub news hello --as p --ack most",
            "pub news hello --as p --at-once 0",
            "pub a\tb hello --as p",
            "sub news --as s --from yesterday",
            "pull news --as s --max 0",
            "topic",
            "fail 2",
            "fail 111 --for ever",
            "link 000 001 --cut --up",
            "pub news hello --as p --file lines.txt",
            "pub news - --as p --file lines.txt",
            "pub news --as p --file lines.txt --count 2",
            "pub news --as p --whole --count 2",
            "pub news hello --as p --count 0",
            "sub news --as s --count 0",
            "pull news --as s --from 0",
            "pull news --as s --node 101 --read any",
            "link 000 001 --cut --delay 5",
            "completions bash --log debug",
            "status --format xml",
        ] {
            let parsed = Cli::try_parse_from(["cubecast"].into_iter().chain(line.split(' ')));
            assert_eq!(parsed.err().map(|error| error.exit_code()), Some(Failure::USAGE.into()), "{line}");
        }
    }
}
