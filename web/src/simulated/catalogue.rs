//! The selectable scenarios: those of `core/sim/scenarios/` that are interesting to watch.

use cubecast_core::identity::HostId;
use cubecast_sim::check::workload::Load;
use cubecast_sim::{Fault, FaultClass, Scenario, Scripted};

/// Names, ordered from mild to severe.
pub const NAMES: &[&str] =
    &["calm", "rolling-crash", "split-in-two", "isolated-nodes", "lost-disks", "power-loss", "bad-edges", "anything"];

/// `None` if no scenario has this name.
pub fn scenario(name: &str) -> Option<Scenario> {
    let scripted = Scenario { name: name.into(), dimensions: vec![3], faults: Vec::new(), ..Scenario::default() };
    let random = Scenario { name: name.into(), ..Scenario::default() };
    Some(match name {
        "anything" => random,
        "calm" => Scenario { about: "Nothing breaks.".into(), faults: Vec::new(), seconds: 10, ..random },
        "bad-edges" => Scenario {
            about: "Edges lose, duplicate, delay and reorder frames, are cut in one direction, \
                and their connections break."
                .into(),
            faults: vec![
                FaultClass::Degrade,
                FaultClass::Degrade,
                FaultClass::Cut,
                FaultClass::Break,
                FaultClass::Link,
            ],
            fault_every_ms: 400,
            ..random
        },
        "lost-disks" => Scenario {
            about: "Disks are lost as often as a quorum survives, while nodes crash and hang.".into(),
            dimensions: vec![3, 2, 3, 4],
            faults: vec![FaultClass::Wipe, FaultClass::Wipe, FaultClass::Stop, FaultClass::Kill, FaultClass::Hang],
            fault_every_ms: 1_500,
            fault_lasts_ms: 2_000,
            seconds: 40,
            ..random
        },
        "rolling-crash" => Scenario {
            about: "One node after the other crashes and comes back, as in an upgrade.".into(),
            variety: false,
            script: (0..).zip(ALL).map(|(number, node)| kill(1_000 + 2_200 * number, node)).collect(),
            ..scripted
        },
        "split-in-two" => Scenario {
            about: "The cube is split into two halves, along each dimension in turn, \
                and once in one direction only."
                .into(),
            script: vec![
                partition(1_000, 4_000, &["000", "001", "010", "011"], false),
                partition(7_000, 4_000, &["000", "001", "100", "101"], false),
                partition(13_000, 4_000, &["000", "010", "100", "110"], true),
            ],
            ..scripted
        },
        "isolated-nodes" => Scenario {
            about: "Single nodes, including leaders, are cut off, and rejoin while others are cut off.".into(),
            script: (0..)
                .zip(["000", "011", "101", "110", "001", "111"])
                .map(|(number, node)| partition(2_500 + 2_500 * number, 3_500, &[node], false))
                .collect(),
            ..scripted
        },
        "power-loss" => Scenario {
            about: "All machines lose power at once, again and again: acknowledged messages are synced, \
                and torn writes are detected."
                .into(),
            load: Load { clients: 6, pause_ms: 60, ..Load::default() },
            seconds: 12,
            script: vec![power(2_000, 300), power(5_000, 1_500), power(9_000, 50)],
            ..scripted
        },
        _ => return None,
    })
}

const ALL: [&str; 8] = ["000", "001", "010", "011", "100", "101", "110", "111"];

fn kill(at_ms: u32, node: &str) -> Scripted {
    Scripted { at_ms, lasts_ms: 1_500, fault: Fault::Kill { node: named(node) } }
}

fn partition(at_ms: u32, lasts_ms: u32, side: &[&str], one_way: bool) -> Scripted {
    let side = side.iter().map(|node| named(node)).collect();
    Scripted { at_ms, lasts_ms, fault: Fault::Partition { side, one_way } }
}

fn power(at_ms: u32, lasts_ms: u32) -> Scripted {
    Scripted { at_ms, lasts_ms, fault: Fault::Power { nodes: ALL.iter().map(|node| named(node)).collect() } }
}

fn named(text: &str) -> HostId {
    text.parse().expect("the catalogue names nodes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_the_one_of_its_file() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/sim/scenarios");
        for name in NAMES {
            let text = std::fs::read_to_string(folder.join(format!("{name}.toml"))).unwrap();
            let mut of_file: Scenario = toml::from_str(&text).unwrap();
            of_file.name = (*name).into();
            let mut ours = scenario(name).unwrap();
            // Fixed seeds concern only the simulator, so they are not compared.
            of_file.seeds.clear();
            if *name == "anything" {
                ours.about.clone_from(&of_file.about);
            }
            assert_eq!(ours, of_file);
            assert_eq!(ours.check(), Ok(()));
        }
    }
}
