//! One run: prepare a cluster, run clients and faults, heal everything, and check the evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cubecast_core::bugs::Bug;
use cubecast_core::cube::Dimension;
use cubecast_core::group::Group;
use cubecast_core::identity::HostId;
use cubecast_core::io::ConnectionId;
use cubecast_core::seating::Seating;
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::Done;
use cubecast_core::wire::event::WatchEvent;
use serde::{Deserialize, Serialize};

use crate::check::evidence::{Evidence, QueuePeak};
use crate::check::history::{History, Outcome};
use crate::check::workload::{Load, Workload};
use crate::check::{self, Findings};
use crate::clients::Clients;
use crate::cluster::{Cluster, ClusterConfig};
use crate::nemesis::Nemesis;
use crate::recording::Recording;
use crate::recovery;
use crate::report::{Report, Totals};
use crate::scenario::{Plan, Scenario};

/// Time limit for one step of the preparation on a healthy cluster.
const PATIENCE: Duration = Duration::from_secs(20);

/// A reduction of the whole run, found by shrinking.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reduction {
    /// Clients and faults end after this time, if that is before the scenario's end.
    pub length: Option<Duration>,
    /// Faults to omit, by their index in the plan.
    pub without: BTreeSet<u32>,
}

/// A run under way.
pub struct Simulation {
    scenario: String,
    seed: u64,
    cluster: Cluster,
    clients: Clients,
    nemesis: Nemesis,
    began: Instant,
    ends: Instant,
    peaks: BTreeMap<(HostId, &'static str), (u64, u64)>,
    next_look: Instant,
    /// Connections of guests with frames or a closure that the guest has not collected.
    guests: BTreeSet<ConnectionId>,
}

/// Interval of the queue checks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Performs a whole run.
pub fn run(scenario: &Scenario, seed: u64, reduction: &Reduction) -> Report {
    let mut simulation = Simulation::new(scenario, seed, reduction);
    simulation.advance(simulation.ends());
    simulation.finish()
}

impl Simulation {
    /// Creates a settled cluster in which everything that the clients need exists. The clients start now. The scenario
    /// must have passed [`Scenario::check`].
    pub fn new(scenario: &Scenario, seed: u64, reduction: &Reduction) -> Simulation {
        Simulation::of(scenario.name.clone(), seed, scenario.plan(seed), reduction)
    }

    /// As [`Simulation::new`], but keeps the nodes' events for [`Simulation::take_events`]. The run is the same.
    pub fn observed(scenario: &Scenario, seed: u64, reduction: &Reduction) -> Simulation {
        let mut plan = scenario.plan(seed);
        plan.cluster.keep_events = true;
        Simulation::of(scenario.name.clone(), seed, plan, reduction)
    }

    /// As [`Simulation::new`], but records all hosts for [`Cluster::incident`]. The run is the same.
    pub fn recorded(scenario: &Scenario, seed: u64, reduction: &Reduction) -> Simulation {
        let mut plan = scenario.plan(seed);
        plan.cluster.recorder = Some(Recording::begin);
        Simulation::of(scenario.name.clone(), seed, plan, reduction)
    }

    /// As [`Simulation::with_bug`], but records all hosts.
    pub fn recorded_with_bug(scenario: &Scenario, seed: u64, bug: Bug) -> Simulation {
        let mut plan = scenario.plan(seed);
        plan.cluster.bug = Some(bug);
        plan.cluster.recorder = Some(Recording::begin);
        Simulation::of(scenario.name.clone(), seed, plan, &Reduction::default())
    }

    /// As [`Simulation::new`], with a deliberate bug in every node.
    pub fn with_bug(scenario: &Scenario, seed: u64, bug: Bug) -> Simulation {
        let mut plan = scenario.plan(seed);
        plan.cluster.bug = Some(bug);
        Simulation::of(scenario.name.clone(), seed, plan, &Reduction::default())
    }

    fn of(scenario: String, seed: u64, plan: Plan, reduction: &Reduction) -> Simulation {
        let Plan { cluster, workload_seed, length, faults, load } = plan;
        let workload = Workload::new(&Seating::founding(cluster.dimension), load, workload_seed);
        let mut clients = Clients::new(workload, workload_seed ^ 1);
        let mut cluster = Cluster::with(cluster);
        prepare(&mut cluster, &clients.workload);
        let began = cluster.now();
        let faults = (0..).zip(faults).filter(|(at, _)| !reduction.without.contains(at)).map(|(_, planned)| planned);
        let ends = began + reduction.length.unwrap_or(length).min(length);
        let nemesis = Nemesis::new(faults.filter(|planned| planned.begins(began) < ends).collect(), began);
        clients.begin(began);
        Simulation {
            scenario,
            seed,
            cluster,
            clients,
            nemesis,
            began,
            ends,
            peaks: BTreeMap::new(),
            next_look: began,
            guests: BTreeSet::new(),
        }
    }

    /// A settled cluster without clients, faults or an end, for guests. Keeps the nodes' events.
    pub fn quiet(dimension: Dimension, seed: u64) -> Simulation {
        let mut cluster = Cluster::with(ClusterConfig { keep_events: true, ..ClusterConfig::new(dimension, seed) });
        settle(&mut cluster);
        cluster.take_touched();
        Simulation::with_guests(cluster, seed)
    }

    /// This cluster without clients, faults or an end, for guests.
    pub fn with_guests(cluster: Cluster, seed: u64) -> Simulation {
        let began = cluster.now();
        let nobody = Workload::new(cluster.seating(), Load { clients: 0, passing_topics: 0, ..Load::default() }, seed);
        Simulation {
            scenario: "quiet".into(),
            seed,
            cluster,
            clients: Clients::new(nobody, seed),
            nemesis: Nemesis::new(Vec::new(), began),
            began,
            ends: Instant(u64::MAX),
            peaks: BTreeMap::new(),
            next_look: began,
            guests: BTreeSet::new(),
        }
    }

    /// The simulated cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The cluster for guests, that is, participants besides the scenario's clients and faults, for example a person at
    /// a page. After their actions the run is no longer the one that scenario and seed determine.
    pub fn cluster_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// The nodes' events since the last call, in an observed run.
    pub fn take_events(&mut self) -> Vec<WatchEvent> {
        self.cluster.take_events()
    }

    /// The clients' history so far.
    pub fn history(&self) -> &History {
        &self.clients.history
    }

    /// The current virtual time.
    pub fn now(&self) -> Instant {
        self.cluster.now()
    }

    /// When the clients started.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// When clients and faults end.
    pub fn ends(&self) -> Instant {
        self.ends
    }

    /// The faults so far, each with its time and a readable description.
    pub fn story(&self) -> &[(Instant, String)] {
        &self.nemesis.story
    }

    /// Advances clients, faults and nodes until this time or the end.
    pub fn advance(&mut self, until: Instant) {
        while !self.advance_to_news(until).is_empty() {}
    }

    /// As [`Simulation::advance`], but stops when a guest's connection receives frames or is closed. Returns these
    /// connections.
    pub fn advance_to_news(&mut self, until: Instant) -> BTreeSet<ConnectionId> {
        let until = until.min(self.ends);
        while self.now() < until && self.guests.is_empty() {
            let due = [self.clients.due(), self.nemesis.due(), Some(self.next_look)];
            let next = due.into_iter().flatten().min().map_or(until, |due| due.min(until));
            while self.cluster.step(next) {
                if self.cluster.has_touched() {
                    let others = self.clients.hear(&mut self.cluster);
                    self.guests.extend(others);
                    break;
                }
            }
            self.nemesis.act(&mut self.cluster);
            self.clients.act(&mut self.cluster);
            if self.now() >= self.next_look {
                self.next_look = self.now() + LOOK_EVERY;
                self.nemesis.replace_refused(&mut self.cluster);
                self.look_at_queues();
            }
        }
        std::mem::take(&mut self.guests)
    }

    /// Stops the clients and ends all faults. Time can then advance without end.
    pub fn heal(&mut self) {
        self.clients.rest(&mut self.cluster);
        self.nemesis.heal(&mut self.cluster);
        self.ends = Instant(u64::MAX);
    }

    fn look_at_queues(&mut self) {
        for id in self.cluster.nodes() {
            let Some(node) = self.cluster.node(id) else { continue };
            for queue in node.queues() {
                let peak = self.peaks.entry((id, queue.name)).or_default();
                *peak = (peak.0.max(queue.len), queue.limit);
            }
        }
    }

    /// Heals everything, waits for the recovery and checks all guarantees.
    pub fn finish(mut self) -> Report {
        self.heal();
        let mut recovery = recovery::recover(&mut self.cluster, &mut self.clients, &mut self.nemesis);
        let topics = self.clients.workload.lasting_topics().into_iter().chain(self.clients.workload.passing_topics());
        let holdings = recovery::read_holdings_at_rest(&mut self.cluster, &mut self.clients, topics.collect());
        let lasting = self.clients.workload.lasting_topics();
        recovery::hold_silence_against(&mut recovery, &holdings, &lasting, self.cluster.seating());
        recovery::hold_damage_against(&mut recovery, &self.cluster);
        let slowest_recovery_us = recovery::time_taken(&recovery).as_micros() as u64;
        let evidence = Evidence {
            dimension: self.cluster.dimension(),
            prepared: self.clients.workload.lasting_topics().into_iter().collect(),
            history: std::mem::take(&mut self.clients.history),
            holdings,
            leaderships: self.cluster.leaderships().to_vec(),
            member_changes: self.cluster.member_changes().to_vec(),
            disk_losses: [self.nemesis.disk_losses.as_slice(), self.cluster.disk_losses()].concat(),
            queues: peaks(self.peaks),
            disk_mishaps: self.cluster.disk_mishaps().to_vec(),
            undetected_damage: self.cluster.undetected_damage().to_vec(),
            recovery,
        };
        let findings = check::check_all(&evidence);
        let totals = totals(&evidence.history, &findings);
        let tell = |(at, what): (Instant, String)| format!("{:>8.3} s  {what}", at.since(self.began).as_secs_f64());
        Report {
            scenario: self.scenario,
            seed: self.seed,
            dimension: self.cluster.dimension(),
            totals: Totals {
                virtual_us: self.cluster.now().0,
                faults: self.nemesis.counts,
                frames: self.cluster.frame_counts(),
                slowest_recovery_us,
                ..totals
            },
            findings,
            trace: self.cluster.trace(),
            story: self.nemesis.story.into_iter().map(tell).collect(),
        }
    }
}

/// Waits until every home leads its group.
fn settle(cluster: &mut Cluster) {
    let settled = cluster.run_until(PATIENCE, |cluster| {
        cluster.run_for(Duration::from_millis(100));
        cluster
            .dimension()
            .vertices()
            .all(|home| cluster.group(cluster.seating().host_of(home), home).is_some_and(Group::leads_fully))
    });
    assert!(settled, "a healthy cluster settles within {PATIENCE:?}");
}

fn prepare(cluster: &mut Cluster, workload: &Workload) {
    settle(cluster);
    let nodes: Vec<HostId> = cluster.nodes().collect();
    for (node, action) in nodes.iter().cycle().zip(workload.preparation()) {
        let done = (0..3).any(|tried| {
            if tried > 0 {
                // A deliberate bug may have refused an action that all nodes accept a moment later.
                cluster.run_for(Duration::from_millis(200));
            }
            let answer = cluster.ask(*node, action.clone(), PATIENCE);
            answer.is_some_and(|answer| Workload::is_settled(&answer.result))
        });
        assert!(done, "a healthy cluster does what it is asked: {action:?}");
    }
    cluster.take_touched();
}

fn peaks(peaks: BTreeMap<(HostId, &'static str), (u64, u64)>) -> Vec<QueuePeak> {
    let peak = |((node, name), (length, limit))| QueuePeak { node, name: String::from(name), length, limit };
    peaks.into_iter().map(|((node, name), lengths): ((HostId, &str), _)| peak(((node, name), lengths))).collect()
}

fn totals(history: &History, findings: &Findings) -> Totals {
    let count = |such: &dyn Fn(&Outcome<'_>) -> bool| {
        history.operations.iter().filter(|operation| such(&operation.outcome())).count() as u64
    };
    Totals {
        runs: 1,
        operations: history.operations.len() as u64,
        acknowledged: count(&|outcome| matches!(outcome, Outcome::Done(Done::Published { .. }))),
        refused: count(&|outcome| matches!(outcome, Outcome::Refused(_))),
        in_doubt: count(&|outcome| matches!(outcome, Outcome::InDoubt)),
        delivered: history.sessions.iter().map(|session| session.deliveries.len() as u64).sum(),
        checked: findings.checked.clone(),
        ..Totals::default()
    }
}
