//! The comparisons: all systems do the same work in turns, and ratios compare adjacent turns.

use std::sync::Arc;
use std::time::Instant;

use clap::ValueEnum;
use cubecast_core::names::StartAt;
use cubecast_lab::bench::ask::{Api, Calling};
use cubecast_lab::bench::fan_out::{Taking, publish_steadily};
use cubecast_lab::bench::publish::Place;
use cubecast_lab::bench::results::Machine;
use cubecast_lab::bench::stage::Stage;
use cubecast_lab::bench::table::{apart, millis, number};
use cubecast_lab::bench::{apis, words};
use cubecast_lab::measure::{Figures, Pace, Spread, measure};
use cubecast_node::output::Table;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::Args;
use super::cubecast::{Cubecast, stage};
use super::failover;
use super::jetstream::JetStream;
use super::mosquitto::Mosquitto;
use super::outcome::Outcome;
use super::rabbitmq::RabbitMq;
use super::redis_streams::RedisStreams;
use super::source::{APIS, Source};
use super::system::{System, content};
use super::targets::{Aim, Target};

const SIZE: usize = 256;
const UNDER_WAY: usize = 256;
const CLIENTS: usize = 16;
const SUBSCRIBERS: usize = 100;
/// Topics for delete_topic in each run, for the source system and for Cubecast.
const DOOMED: usize = 600;

/// A selectable comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Comparison {
    /// Publishes, compared with JetStream, Redis Streams and RabbitMQ.
    Publish,
    /// Latency at half of JetStream's rate.
    Latency,
    /// Deliveries to 100 subscribers, compared with Mosquitto.
    FanOut,
    /// Time from the death of a leader to the next acknowledged publish, compared with JetStream.
    Failover,
    /// The source system's APIs.
    Source,
}

/// The measurements of one system in one comparison.
struct Measured {
    system: String,
    runs: Vec<Figures>,
}

/// Runs the selected comparisons, prints them and saves them if requested. Errors: a system could not be started or
/// measured.
pub async fn run(args: &Args) -> Result<(), String> {
    let folder = tempfile::Builder::new().prefix("cubecast-peers-").tempdir().map_err(|error| error.to_string())?;
    let machine = Machine::this();
    println!(
        "On {} processors ({}), {} GiB, Linux {}: {} runs of {} s each, in turns. \
         All systems, and who asks them, share the machine.",
        machine.processors,
        machine.model,
        machine.memory_bytes >> 30,
        machine.kernel,
        args.repeat,
        args.seconds
    );
    let only = if args.only.is_empty() { Comparison::value_variants() } else { &args.only };
    let mut all = Outcome::default();
    let publishing = only.iter().any(|it| matches!(it, Comparison::Publish | Comparison::Latency));
    if publishing {
        publishes(args, &folder, only, &mut all).await?;
    }
    if only.contains(&Comparison::FanOut) {
        fan_out(args, &folder, &mut all).await?;
    }
    if only.contains(&Comparison::Failover) {
        failover::compare(args, folder.path(), &mut all).await?;
    }
    if only.contains(&Comparison::Source) {
        source(args, &folder, &mut all).await?;
    }
    if let Some(path) = &args.save {
        let text = serde_json::to_string_pretty(
            &json!({ "machine": machine, "comparisons": all.comparisons, "targets": all.targets }),
        );
        let text = text.expect("figures are plain data");
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

async fn publishes(args: &Args, folder: &TempDir, only: &[Comparison], all: &mut Outcome) -> Result<(), String> {
    let within = folder.path();
    let systems: Vec<Box<dyn System>> = vec![
        Box::new(Cubecast::start(&args.cubecast, within, "never").await?),
        Box::new(JetStream::start(within).await?),
        Box::new(RedisStreams::start(within, "everysec").await?),
        Box::new(Cubecast::start(&args.cubecast, within, "always").await?),
        Box::new(RedisStreams::start(within, "always").await?),
        Box::new(RabbitMq::start(within).await?),
    ];
    println!("\nWhat an acknowledgement means:");
    for system in &systems {
        println!("  {}: {}", system.name(), system.promises());
    }
    if only.contains(&Comparison::Publish) {
        for (clients, under_way) in [(1, UNDER_WAY), (CLIENTS, UNDER_WAY / CLIENTS), (1, 1)] {
            let pace = Pace::UnderWay(under_way);
            let measured = in_turns(args, &systems, clients, pace).await?;
            let title = format!("Publishes of {SIZE} B, {}", words(pace, clients));
            show(&title, &measured, all);
            // Targets apply to pipelined publishes of equal durability.
            let aimed = |least| (under_way == UNDER_WAY).then_some(Aim::AtLeast(least));
            let pairs = [(0, 1, aimed(2.0)), (3, 1, None), (0, 2, aimed(1.5)), (3, 4, aimed(1.5)), (3, 5, None)];
            ratios(&title, &measured, &pairs, ("per second", |figures| figures.per_second), all);
        }
    }
    if only.contains(&Comparison::Latency) {
        let top = in_turns(args, &systems[1..2], CLIENTS, Pace::UnderWay(UNDER_WAY / CLIENTS)).await?;
        let half = Spread::over(&top[0].runs, |figures| figures.per_second).median / 2.0;
        let pace = Pace::PerSecond(half);
        let measured = in_turns(args, &systems[..2], CLIENTS, pace).await?;
        let title = format!("Publishes of {SIZE} B at half of JetStream's rate, {}", words(pace, CLIENTS));
        show(&title, &measured, all);
        ratios(&title, &measured, &[(0, 1, Some(Aim::AtMost(0.5)))], ("p99", |figures| figures.p99_us), all);
    }
    Ok(())
}

async fn in_turns(
    args: &Args,
    systems: &[Box<dyn System>],
    clients: usize,
    pace: Pace,
) -> Result<Vec<Measured>, String> {
    let mut measured: Vec<Measured> =
        systems.iter().map(|system| Measured { system: system.name(), runs: Vec::new() }).collect();
    for _ in 0..args.repeat {
        for (system, measured) in systems.iter().zip(&mut measured) {
            let requesters = system.publishers(clients, SIZE).await?;
            measured.runs.push(measure(requesters, pace, args.timing(), &system.processes()).await);
        }
    }
    Ok(measured)
}

async fn fan_out(args: &Args, folder: &TempDir, all: &mut Outcome) -> Result<(), String> {
    let within = folder.path();
    let mosquitto = Mosquitto::start(within).await?;
    let mut stage = stage(args, within, "fan-out").await?;
    println!("\nMosquitto: {}", Mosquitto::promises());
    println!("Cubecast: every message is on the disks of a majority of its four replicas before it is pushed");
    let mut measured = vec![
        Measured { system: "Cubecast".into(), runs: vec![] },
        Measured { system: "Mosquitto QoS 1".into(), runs: vec![] },
    ];
    for _ in 0..args.repeat {
        let (taking, publishing) = our_fan_out(&mut stage).await?;
        let pace = Pace::UnderWay(1);
        measured[0].runs.push(measure(taking, pace, args.timing(), &stage.fleet.processes()).await);
        drop(publishing);
        let theirs = mosquitto.fan_out(SUBSCRIBERS, SIZE).await?;
        let (requesters, publishing) = theirs.split();
        measured[1].runs.push(measure(requesters, pace, args.timing(), &mosquitto.processes()).await);
        drop(publishing);
    }
    let title = format!("Deliveries of {SIZE} B to {SUBSCRIBERS} subscribers");
    show(&title, &measured, all);
    ratios(&title, &measured, &[(0, 1, Some(Aim::AtLeast(1.5)))], ("per second", |figures| figures.per_second), all);
    Ok(())
}

async fn our_fan_out(stage: &mut Stage) -> Result<(Vec<Taking>, tokio::task::JoinSet<()>), String> {
    let failed = |failure: cubecast_node::failure::Failure| failure.message;
    let place = Place::new(stage).await.map_err(failed)?;
    let (listener, began) = (stage.client(), Instant::now());
    let mut taking = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let subscriber = stage.subscriber().await.map_err(failed)?;
        let deliveries = listener.listen(&subscriber, &place.topic, Some(StartAt::Latest)).await;
        let deliveries = deliveries.map_err(|error| error.to_string())?.value;
        taking.push(Taking { deliveries: Arc::new(Mutex::new(deliveries)), began });
    }
    Ok((taking, publish_steadily(stage.client(), &place, content(SIZE).into(), began)))
}

async fn source(args: &Args, folder: &TempDir, all: &mut Outcome) -> Result<(), String> {
    let within = folder.path();
    let source = Source::start(within).await?;
    let mut stage = stage(args, within, "source").await?;
    let names = apis::names(&mut stage, content(SIZE).into()).await.map_err(|failure| failure.message)?;
    let client = stage.client();
    // The source system has a single copy and answers a pull from it, which corresponds to our read `any`. Our default
    // is `leader`.
    let ours_and_theirs = APIS.into_iter().map(|api| (api, api)).chain([("pull, read any", "pull")]);
    for (name, api) in ours_and_theirs {
        let ours = Api::ALL.into_iter().find(|it| it.name() == name).ok_or("an API of theirs is none of ours")?;
        let mut measured: Vec<Measured> =
            ["Cubecast, one at a time", "Cubecast, 64 in progress", "the source system, made again"]
                .into_iter()
                .map(|system| Measured { system: system.into(), runs: Vec::new() })
                .collect();
        for run in 0..args.repeat {
            for (at, under_way) in [(0, 1), (1, 64)] {
                let mut names = names.clone();
                if ours == Api::DeleteTopic {
                    let doomed = (DOOMED as f64 * args.seconds * if at == 0 { 6.0 } else { 40.0 }) as usize;
                    let doomed = apis::topics(&mut stage, &names, doomed).await.map_err(|failure| failure.message)?;
                    names.doomed = doomed.into();
                }
                let calling = Calling {
                    client: client.clone(),
                    api: ours,
                    seating: stage.seating.clone(),
                    names,
                    random: fastrand::Rng::with_seed(run.into()),
                    prefix: stage.name(api),
                    next: 0,
                };
                let figures =
                    measure(vec![calling], Pace::UnderWay(under_way), args.timing(), &stage.fleet.processes()).await;
                measured[at].runs.push(figures);
            }
            let doomed = (DOOMED as f64 * args.seconds) as usize;
            let requester = source.calling(api, run, doomed).await?;
            measured[2]
                .runs
                .push(measure(vec![requester], Pace::UnderWay(1), args.timing(), &source.processes()).await);
        }
        show(name, &measured, all);
        let pairs = [(0, 2, Some(Aim::AtLeast(5.0))), (1, 2, Some(Aim::AtLeast(50.0)))];
        ratios(name, &measured, &pairs, ("per second", |figures| figures.per_second), all);
    }
    Ok(())
}

fn show(title: &str, measured: &[Measured], all: &mut Outcome) {
    let mut table = Table::new([
        "",
        "per second",
        "±",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "server CPU s/M",
        "client CPU s/M",
        "MiB",
        "failed",
    ]);
    for Measured { system, runs } in measured {
        let of = |figure: fn(&Figures) -> f64| Spread::over(runs, figure);
        table.row([
            system.clone(),
            number(of(|it| it.per_second).median),
            apart(of(|it| it.per_second)),
            millis(of(|it| it.p50_us).median),
            millis(of(|it| it.p99_us).median),
            millis(of(|it| it.p999_us).median),
            format!("{:.0}", of(|it| it.cpu_s_per_million).median),
            format!("{:.0}", of(|it| it.load_cpu_s_per_million).median),
            format!("{:.0}", of(|it| it.rss as f64).median / f64::from(1 << 20)),
            runs.iter().map(|it| it.failed).sum::<u64>().to_string(),
        ]);
    }
    println!("\n{title}\n\n{}", table.render());
    for Measured { system, runs } in measured {
        if let Some(why) = runs.iter().find_map(|figures| figures.why_failed.as_ref()) {
            println!("  {system}: {why}");
        }
    }
    let systems: Vec<Value> = measured.iter().map(|it| json!({ "system": it.system, "runs": it.runs })).collect();
    all.comparisons.push(json!({ "what": title, "systems": systems }));
}

/// Prints the ratio of the first to the second system of each pair; ratios with a target are saved.
fn ratios(
    title: &str,
    measured: &[Measured],
    pairs: &[(usize, usize, Option<Aim>)],
    (what, figure): (&str, impl Fn(&Figures) -> f64),
    all: &mut Outcome,
) {
    println!();
    for (ours, theirs, aim) in pairs {
        let (ours, theirs) = (&measured[*ours], &measured[*theirs]);
        let Spread { median, least, most } = Spread::of_ratios(&ours.runs, &theirs.runs, &figure);
        let of = format!("{what}: {} / {}", ours.system, theirs.system);
        let ratio = format!("{median:.2} ({least:.2} to {most:.2})");
        let target = aim.map(|aim| aim.of(format!("{title}; {of}"), median, ratio.clone()));
        println!("  {of} = {ratio}{}", target.as_ref().map(Target::verdict).unwrap_or_default());
        all.targets.extend(target);
    }
}
