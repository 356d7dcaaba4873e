//! Requests that concern this process as a whole: its status, requested faults, returning early, and conditions of
//! links.

use super::Node;
use super::asks::Asks;
use super::lifecycle::FaultStep;
use super::out::PartEffect;
use super::outbox::Outbox;
use super::replica_server::ReplicaServer;
use super::view::View;
use super::vocabulary::AnswerTo;
use crate::faults::LinkConditions;
use crate::identity::HostId;
use crate::io::Effect;
use crate::overlay::{Overlay, OverlayConfig};
use crate::store::Recovered;
use crate::wire::answer::{Done, ErrorCode, Failure};
use crate::wire::client::Admin;
use crate::wire::event::Event;

impl Node {
    /// Carries out such a request and answers it.
    pub(super) fn administer(&mut self, admin: &Admin, to: AnswerTo) {
        let (node, now) = (self.view.me, self.view.monotonic());
        let result = match *admin {
            Admin::Status { .. } => Ok(Done::Status(Box::new(self.status()))),
            Admin::StopNode { mode, duration_ms, .. } => self.check_faults_allowed().map(|()| {
                self.view.lifecycle.handle_stop(now, mode, duration_ms, &mut self.out);
                Done::NodeStopped { node, mode, duration_ms }
            }),
            Admin::RecoverNode { .. } => self.check_faults_allowed().map(|()| {
                self.view.lifecycle.handle_recover(now);
                self.handle_faults();
                Done::NodeRecovered { node }
            }),
            Admin::SetLink { to, conditions, .. } => self.set_link(to, conditions),
        };
        self.out.push(PartEffect::Answer { to, result });
    }

    fn check_faults_allowed(&self) -> Result<(), Failure> {
        if self.view.config.allow_faults {
            return Ok(());
        }
        Err(ErrorCode::FaultsForbidden.because(format!(
            "node {} does not accept requested faults: it was not started with --allow-faults (or `cubecast up \
             --faults on`)",
            self.view.me
        )))
    }

    fn set_link(&mut self, to: HostId, conditions: LinkConditions) -> Result<Done, Failure> {
        self.check_faults_allowed()?;
        let from = self.view.me;
        if self.view.seating.edge(from, to).is_none() {
            return Err(ErrorCode::BadRequest
                .because(format!("there is no edge between {from} and {to}: they are not neighbours")));
        }
        self.view.overlay.set_conditions(self.view.now, to, conditions);
        self.out.event(Event::LinkConditions { from, to, conditions });
        Ok(Done::LinkSet { from, to, conditions })
    }

    /// Carries out the steps of failures that are due.
    pub(super) fn handle_faults(&mut self) {
        while let Some(step) = self.view.lifecycle.poll_fault(self.view.monotonic()) {
            match step {
                FaultStep::Pause => self.drop_requests(),
                FaultStep::Crash => {
                    self.crash();
                    self.drop_requests();
                }
                FaultStep::Reopen { wipe } => self.out.effects.push(Effect::ReopenStorage { wipe }),
                FaultStep::Resume => self.report_return(),
            }
        }
    }

    fn drop_requests(&mut self) {
        self.coordinator.handle_stopped(&self.view, &mut self.out);
        self.asks = Asks::default();
    }

    /// Drops the parts that live in memory only. [`Node::handle_reopened`] fills them again from the disk.
    fn crash(&mut self) {
        self.view.groups.drop_members();
        self.out.forget_writes_and_reads();
        self.replica_server = ReplicaServer::default();
        self.outbox = Outbox::default();
        self.coordinator.handle_crash(&self.view, &mut self.out);
        self.out.effects.push(Effect::SetPeersAllowed(false));
    }

    /// The store was opened again after a crash.
    pub(super) fn handle_reopened(&mut self, recovered: Recovered) {
        let Some(wiped) = self.view.lifecycle.reopens() else { return };
        self.view.storage.forget_writes();
        let seed = self.view.lifecycle.random();
        let View { me, seating, bugs, .. } = &self.view;
        let config = OverlayConfig { me: *me, seating: seating.clone(), seed, bugs: *bugs };
        self.view.overlay = Overlay::new(config, self.view.now);
        self.out.effects.push(Effect::SetPeersAllowed(true));
        self.start(recovered, wiped);
        self.report_return();
    }

    fn report_return(&mut self) {
        self.out.event(Event::Returned { incarnation: self.view.lifecycle.incarnation().0 });
    }
}
