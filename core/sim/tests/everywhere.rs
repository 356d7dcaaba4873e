//! Core makes the same decisions on every platform. These tests run natively (`cargo test`), as WebAssembly in Node.js
//! (`make test-node`) and in Chromium (`make test-browser`).
//!
//! Write `#[wasm_bindgen_test(unsupported = test)]` where other files use `#[test]`. Do not use threads, files or
//! clocks here.

use std::time::Duration;

use cubecast_core::cube::Dimension;
use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, PublisherId, Sequence, SubscriberId, TopicName};
use cubecast_core::recording::incident::Incident;
use cubecast_core::recording::replay::Replay;
use cubecast_core::wire::answer::{Done, ServerFrame};
use cubecast_core::wire::client::{Ack, Action, Admin, Read, ReadLevel, Write};
use cubecast_sim::{Cluster, ClusterConfig, Recording, Reduction, Scenario, Simulation, run};
use wasm_bindgen_test::wasm_bindgen_test;

const PATIENCE: Duration = Duration::from_secs(20);

#[wasm_bindgen_test(unsupported = test)]
fn a_number_has_the_same_bytes_everywhere() {
    assert_eq!(postcard::to_allocvec(&300u64).unwrap(), [0xAC, 0x02]);
}

/// A bit of everything. The hash over all effects of all nodes is pinned: native, Node.js and Chromium agree byte for
/// byte. A change of core's decisions changes this number.
#[wasm_bindgen_test(unsupported = test)]
fn the_same_seed_gives_the_same_trace_on_every_machine() {
    let mut cluster = cluster(3, 42);
    cluster.send_from("001", publish("a", Ack::Quorum, None));
    cluster.send_from("010", publish("b", Ack::All, None));
    cluster.sim.kill(host("100"));
    cluster.send_from("011", publish("c", Ack::One, None));
    let (from, to) = (host("101"), host("001"));
    let conditions = LinkConditions { loss: 0.3, delay_ms: 5, jitter_ms: 20, ..LinkConditions::PERFECT };
    cluster.send_from("101", Action::Admin(Admin::SetLink { from, to, conditions }));
    cluster.sim.run_for(Duration::from_secs(2));
    cluster.sim.start(host("100"));
    cluster.send_from("110", Action::Admin(Admin::StopNode { node: None, mode: StopMode::Wipe, duration_ms: 500 }));
    cluster.sim.run_for(Duration::from_secs(8));
    assert_eq!(cluster.stored(), ["a", "b", "c"]);
    assert_eq!(cluster.sim.trace(), TRACE, "the trace is {:#018x}", cluster.sim.trace());
}

const TRACE: u64 = 0x8d93_f3c2_ffea_4cd1;

/// A recording that was made on one platform is replayed on every other: the saved states have the same bytes. A hash
/// over them is pinned.
#[wasm_bindgen_test(unsupported = test)]
fn a_saved_state_has_the_same_bytes_everywhere_and_is_replayed() {
    let scenario = Scenario { seconds: 6, fault_every_ms: 300, dimensions: vec![3], ..Scenario::default() };
    let mut busy = Simulation::recorded(&scenario, 3, &Reduction::default());
    busy.advance(busy.ends());
    let config = ClusterConfig::new(Dimension::new(3).unwrap(), 42);
    let mut long = Cluster::with(ClusterConfig { recorder: Some(Recording::begin), ..config });
    long.run_for(Duration::from_secs(65));
    let hashes = [busy.cluster(), &long].map(|cluster| replay(&cluster.incident(Duration::from_secs(3600))));
    assert_eq!(hashes, STATES, "the hashes are {hashes:#010x?}");
}

const STATES: [u32; 2] = [0xc420_5cc1, 0x1dac_81c7];

/// Replays an incident, checks that it is equal, and returns a hash over its states.
fn replay(incident: &Incident) -> u32 {
    let mut replay = Replay::open(incident).unwrap();
    while replay.step().unwrap().is_some() {}
    for (host, comparison) in replay.comparisons() {
        assert!(comparison.is_equal(), "node {host}: {comparison:?}");
    }
    let states = incident.hosts.iter().flat_map(|host| host.read().unwrap()).flat_map(|segment| segment.head.state);
    crc32fast::hash(&states.collect::<Vec<u8>>())
}

/// Random runs with every class of fault. Events and findings are equal on every machine, to the last bit.
#[wasm_bindgen_test(unsupported = test)]
fn a_seed_makes_the_same_run_on_every_machine() {
    let scenario = Scenario { seconds: 6, fault_every_ms: 300, ..Scenario::default() };
    let traces = RUNS.map(|(seed, _)| {
        let report = run(&scenario, seed, &Reduction::default());
        assert!(report.is_clean(), "{:?}", report.findings.violations);
        (seed, report.trace)
    });
    assert_eq!(traces, RUNS, "the seeds and their traces are {traces:#018x?}");
}

const RUNS: [(u64, u64); 3] = [(1, 0xd08c_3c4a_86a7_6a6f), (2, 0xd319_999b_85ac_9451), (4, 0x5337_e9bc_fdfc_1972)];

#[wasm_bindgen_test(unsupported = test)]
fn what_is_published_is_pulled_on_cubes_of_every_small_dimension() {
    for dimension in 1..=4 {
        let mut cluster = cluster(dimension, u64::from(dimension));
        let nodes: Vec<HostId> = cluster.sim.nodes().collect();
        for (i, node) in nodes.iter().enumerate() {
            cluster.sim.must(*node, publish(&format!("m{i}"), Ack::All, None)).unwrap();
        }
        assert_eq!(cluster.stored().len(), nodes.len());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_killed_home_is_replaced_and_a_repeat_is_stored_once() {
    let mut cluster = cluster(3, 5);
    cluster.sim.must(host("001"), publish("once", Ack::Quorum, Some(1))).unwrap();
    cluster.sim.kill(host("100"));
    let done = cluster.sim.must(host("001"), publish("once", Ack::Quorum, Some(1))).unwrap();
    assert!(matches!(done, Done::Published { offset: Some(Offset(0)), repeated: true, .. }), "{done:?}");
    assert_eq!(cluster.stored(), ["once"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lost_disk_is_refilled() {
    let mut cluster = cluster(3, 6);
    for i in 0..20 {
        cluster.sim.must(host("001"), publish(&format!("m{i}"), Ack::Quorum, None)).unwrap();
    }
    cluster
        .sim
        .must(host("100"), Action::Admin(Admin::StopNode { node: None, mode: StopMode::Wipe, duration_ms: 500 }))
        .unwrap();
    let refilled = cluster.sim.run_until(PATIENCE, |sim| {
        sim.run_for(Duration::from_millis(200));
        let replica = Action::Read(Read::ReplicaPull {
            subscriber: subscriber(),
            topic: topic(),
            max: 100,
            from: Some(Offset(0)),
        });
        matches!(sim.must(host("100"), replica), Ok(Done::Pulled { messages, .. }) if messages.len() == 20)
    });
    assert!(refilled);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_push_subscriber_gets_everything_once_and_in_order() {
    let mut cluster = cluster(3, 7);
    let connection = cluster.sim.connect_client(host("011"));
    let id = cluster.sim.send(
        connection,
        Action::Write(Write::Subscribe { subscriber: subscriber(), topic: topic(), from: None, push: true }),
    );
    assert!(cluster.sim.run_until(PATIENCE, |sim| sim.take_answer(connection, id).is_some()));
    for i in 0..20 {
        cluster.sim.must(host("110"), publish(&format!("m{i}"), Ack::Quorum, None)).unwrap();
    }
    let mut offsets = Vec::new();
    cluster.sim.run_until(PATIENCE, |sim| {
        offsets.extend(sim.frames(connection).into_iter().filter_map(|frame| match frame {
            ServerFrame::Message(delivery) => Some(delivery.message.offset.0),
            _ => None,
        }));
        offsets.len() >= 20
    });
    assert_eq!(offsets, (0..20).collect::<Vec<_>>());
}

// Helpers.

struct Story {
    sim: Cluster,
}

fn host(text: &str) -> HostId {
    text.parse().unwrap()
}

/// Its home is 100 in three dimensions.
fn topic() -> TopicName {
    TopicName::new("news").unwrap()
}

fn publisher() -> PublisherId {
    PublisherId::new("publisher1").unwrap()
}

fn subscriber() -> SubscriberId {
    SubscriberId::new("subscriber1").unwrap()
}

fn publish(content: &str, ack: Ack, sequence: Option<u64>) -> Action {
    let sequence = sequence.map(Sequence);
    Action::Write(Write::Publish { publisher: publisher(), topic: topic(), content: content.into(), ack, sequence })
}

/// A cluster with a publisher, a topic and its subscriber.
fn cluster(dimension: u8, seed: u64) -> Story {
    let mut sim = Cluster::new(Dimension::new(dimension).unwrap(), seed);
    sim.run_for(Duration::from_secs(2));
    let at = sim.nodes().next().unwrap();
    sim.must(at, Action::Write(Write::CreatePublisher { publisher: publisher() })).unwrap();
    sim.must(at, Action::Write(Write::CreateSubscriber { subscriber: subscriber() })).unwrap();
    sim.must(at, Action::Write(Write::CreateTopic { publisher: publisher(), topic: topic() })).unwrap();
    sim.must(at, Action::Write(Write::Subscribe { subscriber: subscriber(), topic: topic(), from: None, push: false }))
        .unwrap();
    Story { sim }
}

impl Story {
    fn send_from(&mut self, node: &str, action: Action) {
        let connection = self.sim.connect_client(host(node));
        self.sim.send(connection, action);
        self.sim.run_for(Duration::from_millis(5));
    }

    /// The result of a linearizable read.
    fn stored(&mut self) -> Vec<String> {
        let at = self.sim.nodes().next().unwrap();
        let pull = Action::Read(Read::Pull {
            subscriber: subscriber(),
            topic: topic(),
            max: 1000,
            read: ReadLevel::Leader,
            commit: false,
        });
        match self.sim.must(at, pull) {
            Ok(Done::Pulled { messages, .. }) => {
                messages.into_iter().map(|message| message.content.to_string()).collect()
            }
            other => panic!("not a pull's answer: {other:?}"),
        }
    }
}
