//! Requests that ask several nodes: the location and replicas of a topic, and the list of topics.
//!
//! Each replica or group is asked as soon as it is reachable. Missing answers are shown: `locate` reports such replicas
//! as not alive, and `topics` lists such groups as missing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::out::{Out, PartEffect};
use super::super::view::View;
use super::super::vocabulary::{About, AskedFor};
use super::Coordinator;
use super::gathering::{Gathering, What};
use super::pending::Stage;
use crate::identity::{GroupId, HostId};
use crate::names::{Offset, TopicName};
use crate::wire::answer::{Done, Location, Replica};
use crate::wire::peer::{Call, Reply};

/// Time limit of a gathering.
const GATHER: Duration = Duration::from_millis(1000);

impl Coordinator {
    pub(super) fn gather_location(&mut self, number: u64, topic: TopicName, view: &View, out: &mut Out) -> Gathering {
        let replicas = view.members(view.group_of(topic.as_str())).map(About::Replica);
        self.gathering_of(number, What::Location { topic, holdings: BTreeMap::new() }, replicas.collect(), view, out)
    }

    pub(super) fn gather_topics(&mut self, number: u64, view: &View, out: &mut Out) -> Gathering {
        let groups = view.seating.dimension().vertices().map(|home| About::Group(GroupId::of(home))).collect();
        self.gathering_of(number, What::Topics { found: Vec::new(), missing: Vec::new() }, groups, view, out)
    }

    fn gathering_of(
        &mut self,
        number: u64,
        what: What,
        unasked: BTreeSet<About>,
        view: &View,
        out: &mut Out,
    ) -> Gathering {
        let until = view.monotonic() + GATHER;
        let mut gathering = Gathering { what, unasked, outstanding: BTreeMap::new(), until };
        self.ask_in_reach(number, &mut gathering, view, out);
        gathering
    }

    /// Continues a gathering. Ends it when it is complete or its time has passed.
    pub(super) fn gather(&mut self, number: u64, view: &View, out: &mut Out) {
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        let Stage::Gathering(mut gathering) = std::mem::replace(&mut pending.stage, Stage::NotBegun) else { return };
        self.ask_in_reach(number, &mut gathering, view, out);
        let is_complete = gathering.is_complete(view.monotonic());
        self.requests.pending.entry(number).and_modify(|pending| pending.stage = Stage::Gathering(gathering));
        if is_complete {
            self.finish_gathering(number, view, out);
        }
    }

    /// Asks those that are reachable now and not asked yet.
    fn ask_in_reach(&mut self, number: u64, gathering: &mut Gathering, view: &View, out: &mut Out) {
        for about in std::mem::take(&mut gathering.unasked) {
            let ask = match (&gathering.what, about) {
                (What::Location { topic, .. }, About::Replica(host)) => {
                    view.is_up(host).then(|| (host, Call::Holding { topic: topic.clone() }))
                }
                (What::Topics { .. }, About::Group(group)) => {
                    let replica = view.find_leader(group).or_else(|| view.find_member(group));
                    replica.map(|replica| (replica, Call::ListTopics { group }))
                }
                (What::Location { .. }, About::Group(_)) | (What::Topics { .. }, About::Replica(_)) => None,
            };
            match ask {
                Some((to, call)) => {
                    gathering.outstanding.insert(about, self.ask_for(number, about, to, call, view, out));
                }
                None => {
                    gathering.unasked.insert(about);
                }
            }
        }
    }

    /// `about`: what the answer is about, under which it is stored.
    fn ask_for(&mut self, number: u64, about: About, to: HostId, call: Call, view: &View, out: &mut Out) -> u64 {
        let token = view.next_token(out);
        out.push(PartEffect::Ask { to, trace: None, token, call, asked_for: AskedFor::Gathering(number, about) });
        token
    }

    /// Stores the reply about one replica or group, and answers the request if it was the last one.
    pub fn handle_gathered(&mut self, number: u64, about: About, reply: Reply, view: &View, out: &mut Out) {
        let now = view.monotonic();
        let Some(gathering) = self.gathering(number) else { return };
        gathering.outstanding.remove(&about);
        match (&mut gathering.what, about, reply) {
            (What::Location { holdings, .. }, About::Replica(host), Reply::Holding { end, votes }) => {
                holdings.insert(host, (end, votes));
            }
            (What::Topics { found, .. }, _, Reply::Topics(topics)) => found.extend(topics),
            (What::Topics { missing, .. }, About::Group(group), _) => missing.push(view.home(group)),
            (What::Location { .. }, _, _) | (What::Topics { .. }, About::Replica(_), _) => {}
        }
        if gathering.is_complete(now) {
            self.finish_gathering(number, view, out);
        }
    }

    pub(super) fn finish_gathering(&mut self, number: u64, view: &View, out: &mut Out) {
        let Some(gathering) = self.gathering(number) else { return };
        let silent: Vec<(About, u64)> = std::mem::take(&mut gathering.outstanding).into_iter().collect();
        let unasked = std::mem::take(&mut gathering.unasked);
        let what = std::mem::replace(&mut gathering.what, What::Topics { found: Vec::new(), missing: Vec::new() });
        for (_, token) in &silent {
            out.push(PartEffect::ForgetAsk(*token));
        }
        let done = match what {
            What::Location { topic, holdings } => Done::Located(self.location(topic, &holdings, view)),
            What::Topics { mut found, mut missing } => {
                let unanswered = silent.into_iter().map(|(about, _)| about).chain(unasked);
                missing.extend(unanswered.filter_map(About::group).map(|group| view.home(group)));
                missing.sort();
                found.sort_by(|a, b| a.topic.cmp(&b.topic));
                Done::Topics { topics: found, missing }
            }
        };
        self.finish(number, Ok(done), view.me, vec![view.me], view, out);
    }

    fn location(&self, topic: TopicName, holdings: &BTreeMap<HostId, (Option<Offset>, bool)>, view: &View) -> Location {
        let home = view.home_of(topic.as_str());
        let group = GroupId::of(home);
        let most = holdings.values().filter_map(|(end, _)| *end).max();
        let members = view
            .members(group)
            .map(|node| {
                let (end, voter) = holdings.get(&node).copied().unwrap_or((None, false));
                let last_offset = end.and_then(|end| end.0.checked_sub(1)).map(Offset);
                let lag = most.zip(end).map(|(most, end)| most.0 - end.0);
                Replica { node, alive: holdings.contains_key(&node), last_offset, lag, voter }
            })
            .collect();
        let neighbours = home.neighbours().collect();
        Location { topic, exists: most.is_some(), home, neighbours, leader: view.find_leader(group), members }
    }
}
