//! Expiry of names that are not used for a long time, if the operator configures it: the part of the leader of a name's
//! group.
//!
//! See [`expiry`](super::super::expiry) for the whole.

use std::time::Duration;

use super::super::expiry::{report_interval, scan_interval};
use super::super::out::Out;
use super::super::view::View;
use super::super::vocabulary::Requester;
use super::ReplicaServer;
use crate::group::Group;
use crate::identity::GroupId;
use crate::names::{PublisherId, SubscriberId};
use crate::time::Timestamp;
use crate::topics::Topics;
use crate::topics::command::Op;
use crate::wire::client::Registry;
use crate::wire::peer::Reply;

impl ReplicaServer {
    pub(super) fn handle_use(
        &mut self,
        requester: Requester,
        kind: Registry,
        name: String,
        view: &View,
        out: &mut Out,
    ) {
        let group = view.group_of(&name);
        let reply = self.take_use(group, kind, &name, view, out).unwrap_or_else(|refusal| refusal);
        out.reply(&requester, reply);
    }

    fn take_use(
        &mut self,
        group: GroupId,
        kind: Registry,
        name: &str,
        view: &View,
        out: &mut Out,
    ) -> Result<Reply, Reply> {
        view.check_leads(group)?;
        let topics = view.groups[group].topics();
        let Some((used, op)) = use_of(topics, kind, name) else { return Ok(Reply::Registered(false)) };
        let due = view.config.limits.names_expire_after.map(|after| later(used, report_interval(after) / 2));
        let is_due = due.is_some_and(|due| view.now.wall.max(topics.latest()) >= due);
        if is_due && !self.enter_alone(group, op, view, out) {
            let why = format!("node {} has too many commands in progress", view.me);
            return Err(Reply::Unavailable { why });
        }
        Ok(Reply::Registered(true))
    }

    /// Proposes the expiry of unused names in each group that this node leads. Scans at intervals; does nothing if
    /// expiry is not configured.
    pub fn expire_names(&mut self, view: &View, out: &mut Out) {
        let now = view.monotonic();
        let Some(expire_after) = view.config.limits.names_expire_after else { return };
        if now < self.expiry_due {
            return;
        }
        self.expiry_due = now + scan_interval(expire_after);
        let before = Timestamp(view.now.wall.0.saturating_sub(expire_after.as_micros() as u64));
        let has_unused = |group: &&Group| group.leads_fully() && group.topics().has_names_unused_since(before);
        let groups: Vec<GroupId> = view.groups.iter().filter(has_unused).map(Group::id).collect();
        for group in groups {
            self.enter_alone(group, Op::ExpireNames { before }, view, out);
        }
    }
}

/// The last use of a registered name, and the command that records another use. `None` if it is not registered, which
/// includes invalid names.
fn use_of(topics: &Topics, kind: Registry, name: &str) -> Option<(Timestamp, Op)> {
    match kind {
        Registry::Publisher => {
            let publisher = PublisherId::new(name).ok()?;
            Some((topics.publisher_used(&publisher)?, Op::UsePublisher { publisher }))
        }
        Registry::Subscriber => {
            let subscriber = SubscriberId::new(name).ok()?;
            Some((topics.subscriber_used(&subscriber)?, Op::UseSubscriber { subscriber }))
        }
    }
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp(time.0.saturating_add(by.as_micros() as u64))
}
