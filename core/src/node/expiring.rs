//! Expiry of names that are not used for a long time, if the operator configures it.
//!
//! A node that receives a request under a name, or delivers to a subscriber, reports the use to the leader of the
//! name's group. It reports each name again only after a quarter of the expiry time. The leader writes a report to the
//! log unless its state already has a use within the last eighth of that time. Periodically the leader searches for
//! names that were unused for the whole expiry time and proposes their removal as one command, so all members remove
//! the same names.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Node;
use super::pending::Purpose;
use super::queues::Queue;
use super::serve::Requester;
use crate::cube::Vertex;
use crate::group::Group;
use crate::names::{PublisherId, SubscriberId};
use crate::placement;
use crate::time::{Instant, Timestamp};
use crate::topics::Topics;
use crate::topics::command::Op;
use crate::wire::client::Registry;
use crate::wire::peer::{Body, Call, Reply};

/// Most remembered reports. All are dropped when there are more.
const MAX_REPORTED: usize = 100_000;
/// A report without confirmation is repeated by the next use after this delay.
const REPORT_AGAIN: Duration = Duration::from_secs(5);
/// The longest interval between two scans of subscriber sessions, and between two searches for expired names.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(super) struct Uses {
    /// Before this time the use of a name is not reported again.
    reported_until: BTreeMap<(Registry, String), Instant>,
    sessions_due: Instant,
    expiry_due: Instant,
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

/// A use is reported if the last report is older than this.
fn precision(expire_after: Duration) -> Duration {
    expire_after / 4
}

fn pause(expire_after: Duration) -> Duration {
    (expire_after / 16).min(LONGEST_PAUSE)
}

// The part of the node that receives requests.
impl Node {
    pub(super) fn report_use(&mut self, kind: Registry, name: &str) {
        if self.config.limits.names_expire_after.is_none() {
            return;
        }
        let now = self.now.monotonic;
        let key = (kind, name.to_owned());
        if self.uses.reported_until.get(&key).is_some_and(|until| now < *until) {
            return;
        }
        let Some(leader) = self.find_leader(placement::home(name, self.me.dimension())) else { return };
        let (kind, name) = key;
        self.uses.remember(kind, name.clone(), now + REPORT_AGAIN);
        let token = self.next_token();
        self.expect_reply(token, Purpose::Use(kind, name.clone()));
        self.send(leader, None, Body::Ask { token, call: Call::Use { kind, name } });
    }

    pub(super) fn handle_use_reply(&mut self, kind: Registry, name: String, reply: Reply) {
        if let (Reply::Registered(true), Some(expire_after)) = (reply, self.config.limits.names_expire_after) {
            self.uses.remember(kind, name, self.now.monotonic + precision(expire_after));
        }
    }

    /// Subscribers to which messages are pushed use their names without a request.
    pub(super) fn report_uses_of_sessions(&mut self) {
        let now = self.now.monotonic;
        let Some(expire_after) = self.config.limits.names_expire_after else { return };
        if now < self.uses.sessions_due {
            return;
        }
        self.uses.sessions_due = now + pause(expire_after);
        let subscribers: Vec<String> =
            self.push.sessions.values().map(|session| session.subscription.subscriber.as_str().to_owned()).collect();
        for subscriber in subscribers {
            self.report_use(Registry::Subscriber, &subscriber);
        }
    }
}

// At the leader of a name's group.
impl Node {
    pub(super) fn handle_use(&mut self, requester: Requester, kind: Registry, name: String) {
        let home = placement::home(&name, self.me.dimension());
        let reply = self.take_use(home, kind, &name).unwrap_or_else(|refusal| refusal);
        self.reply(&requester, reply);
    }

    fn take_use(&mut self, home: Vertex, kind: Registry, name: &str) -> Result<Reply, Reply> {
        self.check_leads(home)?;
        let topics = self.groups[&home].topics();
        let Some((used, op)) = use_of(topics, kind, name) else { return Ok(Reply::Registered(false)) };
        let due = self.config.limits.names_expire_after.map(|after| later(used, precision(after) / 2));
        let is_due = due.is_some_and(|due| self.now.wall.max(topics.latest()) >= due);
        if is_due && !self.enter_alone(home, op) {
            let why = format!("node {} has too many commands in progress", self.me);
            return Err(Reply::Unavailable { why });
        }
        Ok(Reply::Registered(true))
    }

    pub(super) fn expire_names(&mut self) {
        let now = self.now.monotonic;
        let Some(expire_after) = self.config.limits.names_expire_after else { return };
        if now < self.uses.expiry_due {
            return;
        }
        self.uses.expiry_due = now + pause(expire_after);
        let before = Timestamp(self.now.wall.0.saturating_sub(expire_after.as_micros() as u64));
        let has_unused = |group: &&Group| group.leads_fully() && group.topics().has_names_unused_since(before);
        let homes: Vec<Vertex> = self.groups.values().filter(has_unused).map(Group::home).collect();
        for home in homes {
            self.enter_alone(home, Op::ExpireNames { before });
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
