//! `cubecast-lab verify`: the evaluations of the system that Cubecast set out to surpass, on the running cluster.
//!
//! Each evaluation uses its own topics, causes the failures that it needs, prints its evidence step by step, and
//! gives a verdict. An evaluation fails if one of its checks fails. In any case its failures are ended and its topics
//! are deleted.

mod api;
mod consistency;
mod evidence;
mod failover;
mod placement;
mod recovery;
mod rejoin;
mod replication;
mod simultaneous;
mod stage;

use std::time::Instant;

use clap::ValueEnum;
use cubecast_core::client::Target;
use cubecast_node::client::CubecastClient;
use cubecast_node::command::remote::Remote;
use cubecast_node::failure::Failure;
use cubecast_node::output;
use cubecast_node::output::{Format, Table, even_unread, line};
use evidence::Evidence;
use serde_json::json;
use stage::{Halt, Stage};

/// Check the guarantees on the running cluster: each evaluation shows its evidence and a verdict.
///
/// Uses its own topics, and makes nodes fail, which they must allow (`cubecast up` and `cubecast node
/// --allow-faults`). At the end, and after Ctrl-C, all failures are ended.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast-lab verify\n    \
    cubecast-lab verify --only placement,replication\n    \
    cubecast-lab verify --format json")]
pub struct Args {
    /// Run only these evaluations, separated by commas.
    #[arg(long, value_enum, value_name = "EVALUATION,...", value_delimiter = ',')]
    only: Vec<Evaluation>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Evaluation {
    /// 1a: every API works on every node.
    Api,
    /// 1b: several nodes publish and subscribe to one topic at the same time.
    Simultaneous,
    /// 2: a topic's home follows from its hash; the eight published placements.
    Placement,
    /// 2: a topic is replicated on the right nodes, and on no others.
    Replication,
    /// 3: a failed node recovers to the state before the failure.
    Recovery,
    /// 4: a node that comes online fetches all of its data from the others.
    Rejoin,
    /// 5: while the right node is offline, its replicas serve requests and name it.
    Failover,
    /// 8: the guarantees of each consistency level if the home fails.
    Consistency,
}

impl Evaluation {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_string())
    }

    /// The claim that the evaluation checks. It begins with its number in the report.
    fn claim(self) -> String {
        let value = self.to_possible_value();
        value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }

    async fn run(self, stage: &mut Stage, evidence: &mut Evidence) -> Result<(), Halt> {
        match self {
            Evaluation::Api => api::run(stage, evidence).await,
            Evaluation::Simultaneous => simultaneous::run(stage, evidence).await,
            Evaluation::Placement => placement::run(stage, evidence).await,
            Evaluation::Replication => replication::run(stage, evidence).await,
            Evaluation::Recovery => recovery::run(stage, evidence).await,
            Evaluation::Rejoin => rejoin::run(stage, evidence).await,
            Evaluation::Failover => failover::run(stage, evidence).await,
            Evaluation::Consistency => consistency::run(stage, evidence).await,
        }
    }
}

struct Verdict {
    evaluation: Evaluation,
    evidence: Evidence,
    seconds: f64,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    args.remote.run(|client| async move {
        // An unreachable cluster is not a failed evaluation.
        client.cluster(Target::Any).await?;
        let mut verdicts = Vec::new();
        let chosen = if args.only.is_empty() { Evaluation::value_variants() } else { &args.only };
        for evaluation in chosen {
            let verdict = judge(*evaluation, &client, args.remote.format).await?;
            let interrupted = verdict.evidence.is_interrupted;
            verdicts.push(verdict);
            if interrupted {
                break;
            }
        }
        conclude(args.remote.format, &verdicts)
    })
}

/// Runs one evaluation with its own stage, and mends everything afterwards.
async fn judge(evaluation: Evaluation, client: &CubecastClient, format: Format) -> Result<Verdict, Failure> {
    let began = Instant::now();
    let mut evidence = Evidence::new(format);
    evidence.title(&format!("{} ({})", evaluation.name(), evaluation.claim()))?;
    match Stage::set(client, &evaluation.name()).await {
        Err(halt) => evidence.halt(&halt),
        Ok(mut stage) => {
            tokio::select! {
                ended = evaluation.run(&mut stage, &mut evidence) => {
                    if let Err(halt) = ended {
                        evidence.halt(&halt);
                    }
                }
                _ = tokio::signal::ctrl_c() => evidence.halt(&Halt::Interrupted),
            }
            if let Err(halt) = stage.mend().await {
                evidence.halt(&halt);
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let passed = evidence.passed();
    evidence.title(&format!(
        "{} {} ({seconds:.1} s)\n",
        evaluation.name(),
        if passed { "PASSED" } else { "FAILED" }
    ))?;
    if format == Format::Json {
        even_unread(output::json(&evidence.json(&evaluation.name(), &evaluation.claim(), seconds)))?;
    }
    Ok(Verdict { evaluation, evidence, seconds })
}

fn conclude(format: Format, verdicts: &[Verdict]) -> Result<(), Failure> {
    let failed = verdicts.iter().filter(|verdict| !verdict.evidence.passed()).count();
    even_unread(match format {
        Format::Json => output::json(&json!({ "evaluations": verdicts.len(), "failed": failed })),
        Format::Table => line(&summary(verdicts)),
    })?;
    match failed {
        0 => Ok(()),
        failed => Err(Failure::new(Failure::FAILED, format!("{failed} of {} evaluations failed", verdicts.len()))),
    }
}

fn summary(verdicts: &[Verdict]) -> String {
    let mut table = Table::new(["evaluation", "verdict", "checks", "time", "claim"]);
    for Verdict { evaluation, evidence, seconds } in verdicts {
        let verdict = if evidence.passed() { "passed" } else { "FAILED" };
        let checks = format!("{}/{}", evidence.held(), evidence.checked());
        table.row([evaluation.name(), verdict.into(), checks, format!("{seconds:.1} s"), evaluation.claim()]);
    }
    table.render()
}
