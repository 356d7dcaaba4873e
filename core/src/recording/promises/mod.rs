//! The promises of a cluster, checked while an incident is replayed.
//!
//! A recording contains nodes, not their clients. The checks therefore use only what the nodes of the replay show:
//! their inputs, their effects, and their state after each turn. The checkers of the simulator (`core/sim`) see more,
//! for example the final messages of all replicas after everything was healed.
//!
//! Recordings of several nodes cover different times, and some are missing. A check compares what is covered, counts
//! what it compared, and reports the number of facts that it could not compare.
//!
//! | file | promises |
//! |---|---|
//! | [`leaders`] | `leaders` |
//! | [`logs`] | `prefixes`, `complete` |
//! | [`messages`] | `replicas`, `offsets`, `times`, `once` |
//! | [`acknowledged`] | `acknowledged` |
//! | [`deliveries`] | `deliveries` |
//! | [`queues`] | `queues` |

mod acknowledged;
mod deliveries;
mod leaders;
mod logs;
mod messages;
mod queues;
mod tally;

use super::replay::{HostStep, Replay, Step};
use acknowledged::Acknowledged;
use deliveries::Deliveries;
use leaders::Leaders;
use logs::Logs;
use messages::Messages;
use queues::Queues;

pub use tally::{Finding, Violation};

/// The checks of one incident. It is told every step of the replay from the beginning.
#[derive(Debug, Default)]
pub struct Promises {
    leaders: Leaders,
    logs: Logs,
    messages: Messages,
    acknowledged: Acknowledged,
    deliveries: Deliveries,
    queues: Queues,
}

impl Promises {
    /// Checks a step that `replay` has just carried out.
    pub fn observe(&mut self, step: &HostStep, replay: &Replay) {
        let (host, at) = (step.host, step.at);
        match &step.step {
            Step::Began { .. } | Step::Ended => {
                self.leaders.forget(host);
                self.logs.forget(host);
                self.messages.forget(host);
                self.acknowledged.forget(host);
                self.deliveries.forget(host);
            }
            Step::Turned { inputs, effects, .. } => {
                let Some(node) = replay.node(host) else { return };
                self.logs.handle_inputs(host, inputs);
                self.acknowledged.handle_inputs(host, at, inputs);
                self.deliveries.handle_inputs(host, inputs);
                self.messages.handle_effects(host, at, effects, node);
                self.acknowledged.handle_effects(host, at, effects);
                self.deliveries.handle_effects(host, at, effects);
            }
        }
        if let Some(node) = replay.node(host) {
            // Logs first: a leader is compared with what was committed before.
            for (group, term) in self.leaders.look(host, at, node) {
                self.logs.handle_leader(host, at, node, group, term);
            }
            self.logs.look(host, at, node);
            self.queues.look(host, at, node);
        }
    }

    /// The result of each check, after the last step.
    pub fn conclude(mut self, replay: &Replay) -> Vec<Finding> {
        self.acknowledged.conclude(&self.messages, replay);
        let Promises { leaders, logs, messages, acknowledged, deliveries, queues } = self;
        let (prefixes, complete) = logs.findings();
        let [replicas, offsets, times, once] = messages.findings();
        let others = [acknowledged.finding(), deliveries.finding(), queues.finding()];
        [vec![leaders.finding(), prefixes, complete, replicas, offsets, times, once], others.into()].concat()
    }
}
