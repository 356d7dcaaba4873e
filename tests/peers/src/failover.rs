//! Repeated kills of the leader, compared with JetStream: time until the next publish is acknowledged.

use std::path::Path;
use std::time::{Duration, Instant};

use cubecast_lab::bench::failures::{kill_home, percentile_99};
use cubecast_lab::bench::publish::Place;
use cubecast_lab::measure::Spread;
use serde_json::json;

use super::Args;
use super::cubecast::stage;
use super::jetstream::JetStream;
use super::outcome::Outcome;
use super::targets::Aim;

/// No kill starts after this time, so that a system with slow recovery does not delay the following comparisons.
const LONGEST: Duration = Duration::from_secs(420);
/// Seconds.
const OURS: Aim = Aim::AtMost(1.0);
const RATIO: Aim = Aim::AtMost(0.5);

/// Kills the leaders of both systems in turns. Errors: a system could not be started or did not recover.
pub async fn compare(args: &Args, within: &Path, all: &mut Outcome) -> Result<(), String> {
    let mut jetstream = JetStream::start(within).await?;
    let mut stage = stage(args, within, "failover").await?;
    let place = Place::new(&mut stage).await.map_err(|failure| failure.message)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let began = Instant::now();
    while ours.len() < args.kills as usize && began.elapsed() < LONGEST {
        let gap = kill_home(&mut stage, &place).await.map_err(|failure| failure.message)?;
        ours.push(gap.as_secs_f64());
        theirs.push(jetstream.kill_leader().await?.as_secs_f64());
    }
    println!(
        "\nSIGKILL of the leader, {} times each in turns: seconds until the next publish is acknowledged\n",
        ours.len()
    );
    for (name, gaps) in [("Cubecast, sync always", &ours), ("JetStream R3", &theirs)] {
        let Spread { median, least, most } = Spread::of(gaps.iter().copied());
        println!("  {name}: median {median:.3}, p99 {:.3} ({least:.3} to {most:.3})", percentile_99(gaps));
    }
    let (our_p99, their_p99) = (percentile_99(&ours), percentile_99(&theirs));
    let ratio = our_p99 / their_p99;
    let killed = |what: &str| format!("SIGKILL of the leader, {} times; {what}", ours.len());
    let beside = RATIO.of(killed("p99: Cubecast / JetStream R3"), ratio, format!("{ratio:.2}"));
    let alone = OURS.of(killed("p99 of ours"), our_p99, format!("{our_p99:.2} s"));
    println!("\n  p99: Cubecast / JetStream R3 = {ratio:.2}{}", beside.verdict());
    println!("  p99 of ours: {our_p99:.2} s{}", alone.verdict());
    all.targets.extend([beside, alone]);
    all.comparisons.push(json!({
        "what": "seconds until a publish is acknowledged after SIGKILL of the leader",
        "cubecast": ours,
        "jetstream": theirs,
    }));
    Ok(())
}
