//! Reports of uses of names, so that names in use do not expire (see [`expiry`](super::super::expiry)).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::expiry::{report_interval, scan_interval};
use super::super::out::{Out, PartEffect};
use super::super::queues::Queue;
use super::super::view::View;
use super::super::vocabulary::AskedFor;
use super::Coordinator;
use crate::time::Instant;
use crate::wire::client::Registry;
use crate::wire::peer::{Call, Reply};

/// Most remembered reports. All are dropped when there are more.
const MAX_REPORTED: usize = 100_000;
/// A report without confirmation is repeated by the next use after this delay.
const REPORT_AGAIN: Duration = Duration::from_secs(5);

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Uses {
    /// Before this time the use of a name is not reported again.
    reported_until: BTreeMap<(Registry, String), Instant>,
    sessions_due: Instant,
}

impl Uses {
    pub(super) fn queue(&self) -> Queue {
        Queue::of("reported uses of names", self.reported_until.len(), MAX_REPORTED)
    }

    fn remember(&mut self, kind: Registry, name: String, until: Instant) {
        if self.reported_until.len() >= MAX_REPORTED {
            self.reported_until.clear();
        }
        self.reported_until.insert((kind, name), until);
    }
}

impl Coordinator {
    pub(super) fn report_use(&mut self, kind: Registry, name: &str, view: &View, out: &mut Out) {
        if view.config.limits.names_expire_after.is_none() {
            return;
        }
        let now = view.monotonic();
        let key = (kind, name.to_owned());
        if self.uses.reported_until.get(&key).is_some_and(|until| now < *until) {
            return;
        }
        let Some(leader) = view.find_leader(view.group_of(name)) else { return };
        let (kind, name) = key;
        self.uses.remember(kind, name.clone(), now + REPORT_AGAIN);
        let token = view.next_token(out);
        let (call, asked_for) = (Call::Use { kind, name: name.clone() }, AskedFor::Use(kind, name));
        out.push(PartEffect::Ask { to: leader, trace: None, token, call, asked_for });
    }

    /// Handles the reply to a report of use. After a confirmation, the name is not reported again for a report
    /// interval.
    pub fn handle_use_reply(&mut self, kind: Registry, name: String, reply: Reply, view: &View) {
        if let (Reply::Registered(true), Some(expire_after)) = (reply, view.config.limits.names_expire_after) {
            self.uses.remember(kind, name, view.monotonic() + report_interval(expire_after));
        }
    }

    /// Subscribers to which messages are pushed use their names without a request.
    pub(super) fn report_uses_of_sessions(&mut self, view: &View, out: &mut Out) {
        let now = view.monotonic();
        let Some(expire_after) = view.config.limits.names_expire_after else { return };
        if now < self.uses.sessions_due {
            return;
        }
        self.uses.sessions_due = now + scan_interval(expire_after);
        let subscribers: Vec<String> =
            self.sessions.all.values().map(|session| session.subscription.subscriber.as_str().to_owned()).collect();
        for subscriber in subscribers {
            self.report_use(Registry::Subscriber, &subscriber, view, out);
        }
    }
}
