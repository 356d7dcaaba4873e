//! Failures on request, and recovery: after a set duration, or on command.
//!
//! A crash loses everything that is not on disk and closes all connections to neighbours. A wipe also erases the disk,
//! so the node returns as a new incarnation. A pause only stops the node from sending and processing.

use std::time::Duration;

use super::{Node, Phase};
use crate::faults::{LinkConditions, StopMode};
use crate::io::Effect;
use crate::overlay::{Overlay, OverlayConfig};
use crate::store::Recovered;
use crate::wire::answer::{Done, ErrorCode, Failure};
use crate::wire::event::Event;

/// Delay between the answer to `stop_node` and the failure.
const TIME_TO_ANSWER: Duration = Duration::from_millis(20);

impl Node {
    /// Whether the node neither sends to nor processes from its neighbours.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.phase, Phase::Paused { .. } | Phase::Crashed { .. } | Phase::Reopening { .. })
    }

    pub(super) fn faults_forbidden(&self) -> Option<Failure> {
        (!self.config.allow_faults).then(|| {
            ErrorCode::FaultsForbidden.because(format!(
                "node {} does not accept requested faults: it was not started with --allow-faults (or `cubecast up \
                 --faults on`)",
                self.me
            ))
        })
    }

    /// Schedules the failure for a moment later, so that the requester is answered first.
    pub(super) fn stop(&mut self, mode: StopMode, duration_ms: u64) -> Result<Done, Failure> {
        if let Some(failure) = self.faults_forbidden() {
            return Err(failure);
        }
        self.observe(Event::Stopped { mode, duration_ms }, None);
        self.stopping = Some((self.now.monotonic + TIME_TO_ANSWER, mode, duration_ms));
        Ok(Done::NodeStopped { node: self.me, mode, duration_ms })
    }

    fn stop_when_due(&mut self) {
        let now = self.now.monotonic;
        let Some((_, mode, duration_ms)) = self.stopping.take_if(|(due, ..)| now >= *due) else { return };
        let until = self.now.monotonic + Duration::from_millis(duration_ms);
        match mode {
            StopMode::Pause => self.phase = Phase::Paused { until },
            StopMode::Crash => self.crash(Phase::Crashed { until, wipe: false }),
            StopMode::Wipe => self.crash(Phase::Crashed { until, wipe: true }),
        }
        self.fail_all_requests();
    }

    fn crash(&mut self, phase: Phase) {
        self.phase = phase;
        self.groups.clear();
        self.held.clear();
        self.writes.clear();
        self.disk_reads.clear();
        self.serving = Default::default();
        self.pulls = Default::default();
        self.reads = Default::default();
        self.repairs = Default::default();
        self.crash_sessions();
        self.outbox = Default::default();
        self.effects.push(Effect::SetPeersAllowed(false));
    }

    pub(super) fn handle_fault_deadline(&mut self) {
        self.stop_when_due();
        let now = self.now.monotonic;
        match self.phase {
            Phase::Paused { until } if now >= until => self.resume(),
            Phase::Crashed { until, wipe } if now >= until => {
                self.phase = Phase::Reopening { wipe };
                self.effects.push(Effect::ReopenStorage { wipe });
            }
            _ => {}
        }
    }

    /// Ends a failure early.
    pub(super) fn recover(&mut self) -> Result<Done, Failure> {
        if let Some(failure) = self.faults_forbidden() {
            return Err(failure);
        }
        // A requested failure that has not begun is cancelled.
        self.stopping = None;
        if let Phase::Paused { until } | Phase::Crashed { until, .. } = &mut self.phase {
            *until = self.now.monotonic;
        }
        self.handle_fault_deadline();
        Ok(Done::NodeRecovered { node: self.me })
    }

    fn resume(&mut self) {
        if self.record.identity.is_some() {
            self.phase = Phase::Serving;
        } else {
            self.begin_joining();
        }
        self.report_return();
    }

    pub(super) fn handle_reopened(&mut self, recovered: Recovered) {
        let Phase::Reopening { wipe } = self.phase else { return };
        let identity = self.record.identity;
        self.storage.forget_writes();
        self.overlay =
            Overlay::new(OverlayConfig { me: self.me, seed: self.random.u64(..), bugs: self.bugs }, self.now);
        self.effects.push(Effect::SetPeersAllowed(true));
        self.record.identity = identity;
        self.start(recovered, wipe);
        self.report_return();
    }

    fn report_return(&mut self) {
        let incarnation = self.record.identity.map_or(0, |identity| identity.incarnation.0);
        self.observe(Event::Returned { incarnation }, None);
    }

    pub(super) fn set_link(&mut self, to: crate::cube::Vertex, conditions: LinkConditions) -> Result<Done, Failure> {
        if let Some(failure) = self.faults_forbidden() {
            return Err(failure);
        }
        if self.me.edge_to(to).is_none() {
            return Err(ErrorCode::BadRequest
                .because(format!("there is no edge between {} and {to}: they are not neighbours", self.me)));
        }
        self.overlay.set_conditions(self.now, to, conditions);
        self.observe(Event::LinkConditions { from: self.me, to, conditions }, None);
        Ok(Done::LinkSet { from: self.me, to, conditions })
    }
}
