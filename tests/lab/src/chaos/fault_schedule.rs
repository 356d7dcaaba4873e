//! Injects faults in an order that the seed determines. Each fault lasts for a while and is then mended.
//!
//! Every requested class occurs once before any class is repeated. Only a few faults last at the same time. A disk is
//! lost only after the cluster was left alone and became whole: the disks of a quorum survive, and the next disk is
//! not lost before the first one is replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::HostId;
use cubecast_core::states::NodeState;
use cubecast_core::time::Instant;
use cubecast_core::wire::client::{Action, Admin};
use cubecast_node::shutdown;
use cubecast_sim::places::Edge;
use fastrand::Rng;
use tokio::sync::watch;
use tokio::time::{Instant as Moment, sleep, sleep_until};

use super::fault::{Fault, FaultClass, edges_across};
use super::record::Recorder;
use crate::cluster::fleet::Fleet;
use crate::cluster::nodes::Nodes;

/// The maximum number of concurrent faults.
const AT_ONCE: usize = 4;
/// Milliseconds between the starts of two faults.
const BETWEEN: std::ops::RangeInclusive<u64> = 100..=2_000;
/// The interval between checks for processes that died unexpectedly.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The time in which the cluster must become whole before a disk is lost. Otherwise it keeps its disks.
const CALM: Duration = Duration::from_secs(20);
/// The usual maximum time to replace a lost disk. No other disk is lost meanwhile.
const RETURNS_WITHIN: Duration = Duration::from_secs(30);
/// The usual maximum time until a started or returning node is up.
const UP_WITHIN: Duration = Duration::from_secs(10);
const ASK_WITHIN: Duration = Duration::from_secs(1);

/// Injects and mends faults.
pub struct FaultSchedule {
    fleet: Fleet,
    nodes: Arc<Nodes>,
    recorder: Recorder,
    random: Rng,
    classes: Vec<FaultClass>,
    /// Classes that have not occurred in this round.
    bag: Vec<FaultClass>,
    /// Faults to mend, by time.
    agenda: BTreeMap<(Moment, u64), Mend>,
    mends: u64,
    /// Nodes that are down, or stopped by a signal or a requested fault.
    troubled: BTreeSet<HostId>,
    /// A node that loses its disk by a requested fault, and its incarnation before.
    wiping: Option<(HostId, Option<u32>)>,
    /// The number of faults so far, for progress reports.
    pub count: Arc<AtomicU64>,
    /// The faults so far.
    pub past: Past,
}

/// The faults and deaths so far.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// The number of faults that took effect, by class.
    pub counts: BTreeMap<FaultClass, u64>,
    /// Times at which the network was split from outside.
    pub splits: Vec<Split>,
    /// Violations: processes that died unexpectedly, or did not end in an orderly way.
    pub deaths: Vec<String>,
    /// One line for each fault, with its time.
    pub story: Vec<String>,
}

/// A split of the network from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Split {
    /// The nodes on one side.
    pub side: Vec<HostId>,
    /// When the network was split.
    pub from: Instant,
    /// When it was joined.
    pub until: Instant,
}

#[derive(Clone, Debug)]
enum Mend {
    Start(HostId),
    Resume(HostId),
    /// A requested fault ends by itself.
    Returned(HostId),
    Links(Vec<Edge>),
    Join,
}

impl FaultSchedule {
    /// No fault has occurred yet.
    pub fn new(
        fleet: Fleet,
        nodes: Arc<Nodes>,
        recorder: Recorder,
        classes: Vec<FaultClass>,
        seed: u64,
    ) -> FaultSchedule {
        FaultSchedule {
            fleet,
            nodes,
            recorder,
            random: Rng::with_seed(seed),
            classes,
            bag: Vec::new(),
            agenda: BTreeMap::new(),
            mends: 0,
            troubled: BTreeSet::new(),
            wiping: None,
            count: Arc::default(),
            past: Past::default(),
        }
    }

    /// Injects and mends faults until `end`, or until `stop` turns true.
    pub async fn inject(&mut self, end: Moment, mut stop: watch::Receiver<bool>) {
        let mut next_fault = Moment::now() + self.pause();
        while !*stop.borrow() && Moment::now() < end {
            let next_mend = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let next = next_mend.unwrap_or(next_fault).min(next_fault).min(end).min(Moment::now() + LOOK_EVERY);
            tokio::select! {
                () = sleep_until(next) => {}
                () = shutdown::requested(&mut stop) => break,
            }
            self.look_for_deaths();
            self.mend_what_is_due().await;
            if Moment::now() >= next_fault {
                tokio::select! {
                    () = self.begin_a_fault(end) => {}
                    // `end_all` completes an interrupted step.
                    () = shutdown::requested(&mut stop) => break,
                }
                next_fault = Moment::now() + self.pause();
            }
        }
    }

    fn pause(&mut self) -> Duration {
        Duration::from_millis(self.random.u64(BETWEEN))
    }

    async fn begin_a_fault(&mut self, end: Moment) {
        if self.classes.is_empty() || self.agenda.len() >= AT_ONCE {
            return;
        }
        // A separate random source, so that the feasibility of this fault does not change later draws.
        let mut random = self.random.fork();
        let class = self.next_class();
        let fault = Fault::draw(class, self.fleet.seating(), &mut random);
        let duration = fault.duration(&mut random);
        let began = match fault.loses_a_disk() {
            true => self.lose_a_disk(&fault, duration, end).await,
            false => self.begin(&fault, duration).await,
        };
        match began {
            Ok(()) => {
                *self.past.counts.entry(class).or_default() += 1;
                self.count.fetch_add(1, Ordering::Relaxed);
                self.tell(match fault {
                    Fault::Restart | Fault::Wipe { .. } => fault.to_string(),
                    _ => format!("{fault}, for {} ms", duration.as_millis()),
                });
            }
            Err(why) => self.tell(format!("{fault}: not done: {why}")),
        }
    }

    fn next_class(&mut self) -> FaultClass {
        if self.bag.is_empty() {
            self.bag = self.classes.clone();
        }
        let at = self.random.u64(..self.bag.len() as u64) as usize;
        self.bag.swap_remove(at)
    }

    fn tell(&mut self, what: String) {
        let at = self.recorder.now().0 as f64 / 1e6;
        self.past.story.push(format!("{at:8.3} s  {what}"));
    }

    /// Begins a fault. `Err`: it is not possible now.
    async fn begin(&mut self, fault: &Fault, duration: Duration) -> Result<(), String> {
        match fault {
            Fault::Kill { node } => {
                self.require_untroubled(*node)?;
                self.fleet.kill(*node).await;
                self.trouble(*node, duration, Mend::Start(*node));
            }
            Fault::Hang { node } => {
                self.require_untroubled(*node)?;
                self.fleet.hang(*node).map_err(|error| error.to_string())?;
                self.trouble(*node, duration, Mend::Resume(*node));
            }
            Fault::Stop { node, mode } => {
                self.require_untroubled(*node)?;
                self.ask_to_stop(*node, *mode, duration).await?;
                self.trouble(*node, duration, Mend::Returned(*node));
            }
            Fault::Cut { edges } => {
                let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
                self.spoil(edges.clone(), cut, duration).await?;
            }
            Fault::Degrade { edges, conditions } => self.spoil(edges.clone(), *conditions, duration).await?,
            Fault::Partition { side, one_way } => {
                let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
                self.spoil(edges_across(self.fleet.seating(), side, *one_way), cut, duration).await?;
            }
            Fault::Outside { side } => self.split(side, duration).await?,
            Fault::KillAll => self.kill_all(duration).await,
            Fault::Restart => self.restart_one_after_the_other().await,
            Fault::Wipe { .. } => unreachable!("disks are lost one at a time"),
        }
        Ok(())
    }

    fn require_untroubled(&self, node: HostId) -> Result<(), String> {
        let is_fine = !self.troubled.contains(&node) && self.fleet.is_running(node);
        if is_fine { Ok(()) } else { Err(format!("{node} already has a fault")) }
    }

    fn trouble(&mut self, node: HostId, duration: Duration, mend: Mend) {
        self.troubled.insert(node);
        self.mend_later(duration, mend);
    }

    fn mend_later(&mut self, after: Duration, mend: Mend) {
        self.mends += 1;
        self.agenda.insert((Moment::now() + after, self.mends), mend);
    }

    async fn ask_to_stop(&self, node: HostId, mode: StopMode, duration: Duration) -> Result<(), String> {
        let duration_ms = duration.as_millis() as u64;
        let action = Action::Admin(Admin::StopNode { node: None, mode, duration_ms });
        self.nodes.ask_within(ASK_WITHIN, node, action).await.map(drop).map_err(|error| error.to_string())
    }

    /// Sets conditions of links. It counts as a fault if at least one direction was set.
    async fn spoil(&mut self, edges: Vec<Edge>, conditions: LinkConditions, duration: Duration) -> Result<(), String> {
        let spoilt = self.set_links(edges, conditions).await;
        if spoilt.is_empty() {
            return Err("no node of these edges could be reached".into());
        }
        self.mend_later(duration, Mend::Links(spoilt));
        Ok(())
    }

    /// Sets conditions of links. Returns the directions that could be set.
    async fn set_links(&self, edges: Vec<Edge>, conditions: LinkConditions) -> Vec<Edge> {
        let set = edges.into_iter().map(|(from, to)| async move {
            let asked =
                self.nodes.ask_within(ASK_WITHIN, from, Action::Admin(Admin::SetLink { from, to, conditions })).await;
            asked.is_ok().then_some((from, to))
        });
        futures_util::future::join_all(set).await.into_iter().flatten().collect()
    }

    async fn split(&mut self, side: &[HostId], duration: Duration) -> Result<(), String> {
        let outside = self.fleet.outside().ok_or("--outside is not set")?.clone();
        if self.agenda.values().any(|mend| matches!(mend, Mend::Join)) {
            return Err("the network is already split".into());
        }
        outside.split(side).await?;
        let from = self.recorder.now();
        self.past.splits.push(Split { side: side.to_vec(), from, until: from });
        self.mend_later(duration, Mend::Join);
        Ok(())
    }

    async fn kill_all(&mut self, duration: Duration) {
        self.fleet.kill_all().await;
        for node in self.fleet.seating().hosts() {
            // The start of the node mends its other faults too.
            self.forget_mends(node);
            self.trouble(node, duration, Mend::Start(node));
        }
    }

    fn forget_mends(&mut self, node: HostId) {
        self.agenda.retain(|_, mend| match mend {
            Mend::Start(of) | Mend::Resume(of) | Mend::Returned(of) => *of != node,
            Mend::Links(_) | Mend::Join => true,
        });
    }

    async fn restart_one_after_the_other(&mut self) {
        for node in self.fleet.seating().hosts() {
            self.mend_what_is_due().await;
            if self.require_untroubled(node).is_ok() {
                if let Err(how) = self.fleet.stop(node).await {
                    self.past.deaths.push(how);
                }
                self.start(node);
                self.wait_until_up(node).await;
            }
        }
    }

    async fn wait_until_up(&self, node: HostId) {
        let until = Moment::now() + UP_WITHIN;
        while self.nodes.survey().await.state(node) != Some(NodeState::Up) && Moment::now() < until {
            sleep(LOOK_EVERY / 2).await;
        }
    }

    // Lost disks.

    /// Waits until the cluster is whole, destroys a disk, and waits until the cluster is whole again.
    async fn lose_a_disk(&mut self, fault: &Fault, duration: Duration, end: Moment) -> Result<(), String> {
        self.mend_all().await;
        self.wait_until_whole((Moment::now() + CALM).min(end)).await?;
        match fault {
            Fault::Wipe { node } => self.wipe(*node, duration).await?,
            Fault::Stop { node, .. } => self.wipe_on_request(*node, duration).await?,
            _ => unreachable!("only a wipe loses a disk"),
        }
        // If it takes longer, the next loss of a disk waits.
        let _ = self.wait_until_whole((Moment::now() + RETURNS_WITHIN).min(end)).await;
        Ok(())
    }

    async fn wait_until_whole(&mut self, until: Moment) -> Result<(), String> {
        loop {
            self.look_for_deaths();
            self.mend_what_is_due().await;
            let lacks = self.nodes.survey().await.lacks();
            match lacks.first() {
                None => return Ok(()),
                Some(lack) if Moment::now() >= until => return Err(format!("the cluster is not whole: {lack}")),
                Some(_) => sleep(LOOK_EVERY).await,
            }
        }
    }

    async fn wipe(&mut self, node: HostId, duration: Duration) -> Result<(), String> {
        self.fleet.kill(node).await;
        let wiped = self.fleet.wipe(node).map_err(|error| error.to_string());
        self.recorder.lose_disk(node);
        sleep(duration).await;
        self.start(node);
        wiped
    }

    /// The disk counts as lost when the node comes back: before, the node serves no requests; afterwards, it has a
    /// new incarnation.
    async fn wipe_on_request(&mut self, node: HostId, duration: Duration) -> Result<(), String> {
        self.wiping = Some((node, self.nodes.survey().await.incarnation(node)));
        let asked = self.ask_to_stop(node, StopMode::Wipe, duration).await;
        sleep(duration).await;
        self.finish_wiping().await;
        asked
    }

    async fn finish_wiping(&mut self) {
        let Some((node, before)) = self.wiping else { return };
        let until = Moment::now() + UP_WITHIN;
        while self.nodes.survey().await.incarnation(node) <= before && Moment::now() < until {
            sleep(LOOK_EVERY / 4).await;
        }
        self.recorder.lose_disk(node);
        self.wiping = None;
    }

    // Mending.

    async fn mend_what_is_due(&mut self) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= Moment::now()) {
            let mend = entry.remove();
            self.mend(mend).await;
        }
    }

    /// Nodes are mended first, because only running nodes can receive the conditions of their links.
    async fn mend_all(&mut self) {
        let is_of_links = |mend: &Mend| matches!(mend, Mend::Links(_));
        let (links, nodes): (Vec<Mend>, Vec<Mend>) =
            std::mem::take(&mut self.agenda).into_values().partition(is_of_links);
        for mend in nodes.into_iter().chain(links) {
            self.mend(mend).await;
        }
    }

    async fn mend(&mut self, mend: Mend) {
        match mend {
            Mend::Start(node) => self.start(node),
            Mend::Resume(node) => {
                self.fleet.resume(node).await;
                self.troubled.remove(&node);
            }
            Mend::Returned(node) => {
                // This may be slightly before the failure's end. A node that died meanwhile cannot be reached.
                let _ = self.nodes.ask_within(ASK_WITHIN, node, Action::Admin(Admin::RecoverNode { node: None })).await;
                self.troubled.remove(&node);
            }
            Mend::Links(edges) => self.mend_links(edges).await,
            Mend::Join => self.join().await,
        }
    }

    fn start(&mut self, node: HostId) {
        self.troubled.remove(&node);
        if let Err(error) = self.fleet.start(node) {
            self.past.deaths.push(error.to_string());
        }
    }

    /// Resets the conditions of links. A node that is down loses them anyway; a stopped one is asked again later.
    async fn mend_links(&mut self, edges: Vec<Edge>) {
        let mended = self.set_links(edges.clone(), LinkConditions::PERFECT).await;
        let left: Vec<Edge> =
            edges.into_iter().filter(|edge| !mended.contains(edge) && self.fleet.is_running(edge.0)).collect();
        if !left.is_empty() {
            self.mend_later(LOOK_EVERY, Mend::Links(left));
        }
    }

    async fn join(&mut self) {
        let Some(outside) = self.fleet.outside().cloned() else { return };
        if let Some(split) = self.past.splits.last_mut() {
            split.until = self.recorder.now();
        }
        if let Err(why) = outside.join().await {
            self.tell(format!("cannot join the network: {why}"));
            self.mend_later(LOOK_EVERY, Mend::Join);
        }
    }

    fn look_for_deaths(&mut self) {
        for (node, status) in self.fleet.take_ended() {
            let death =
                format!("node {node} ended unexpectedly: {status}; see {}", self.fleet.log_file(node).display());
            self.tell(death.clone());
            self.past.deaths.push(death);
            self.trouble(node, LOOK_EVERY, Mend::Start(node));
        }
    }

    /// Ends the run: mends all faults and waits until the nodes are up.
    pub async fn end_all(&mut self) {
        for node in self.fleet.seating().hosts() {
            self.fleet.resume(node).await;
            self.start(node);
        }
        self.mend_all().await;
        let until = Moment::now() + UP_WITHIN;
        while !self.agenda.is_empty() && Moment::now() < until {
            sleep(LOOK_EVERY).await;
            self.mend_what_is_due().await;
        }
        self.finish_wiping().await;
        self.tell("all faults are mended".into());
    }

    /// Ends the nodes. Panics in their logs count as deaths.
    pub async fn end(mut self) -> Past {
        self.look_for_deaths();
        for node in self.fleet.seating().hosts() {
            if let Err(how) = self.fleet.stop(node).await {
                self.past.deaths.push(how);
            }
        }
        self.past.deaths.extend(self.fleet.panics());
        self.past
    }
}
