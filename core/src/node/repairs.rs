//! Repair of messages that this node's disk has lost, from another member of their group.
//!
//! A read that needs a damaged row waits here. The node requests the same offsets from another member, writes them
//! again and repeats the read. Messages below a topic's end are committed, so every member has the same ones. An answer
//! must therefore only have the requested offsets; checksums protect its bytes on the other disk and in transit. While
//! no member can supply the messages, reads end before them, or fail if they start with them, and the members are asked
//! again periodically.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Node;
use super::pending::Purpose as ReplyPurpose;
use super::queues::Queue;
use super::reads::{Purpose, Range};
use super::serve::Requester;
use crate::bugs::Bug;
use crate::cube::Vertex;
use crate::names::{Offset, TopicId};
use crate::placement;
use crate::records::StoredMessage;
use crate::store::{Damaged, ReadFailed, Write};
use crate::time::Instant;
use crate::topics::Known;
use crate::wire::event::Event;
use crate::wire::peer::{Body, Call, Reply};

/// Bytes of contents in one answer.
const PIECE_BYTES: u32 = 1024 * 1024;
const PIECE_MESSAGES: u32 = 4096;
/// A member that has not answered within this time is skipped.
const ASK_ANOTHER: Duration = Duration::from_millis(1000);
/// Delay before the members are asked again after all of them failed to supply the messages.
const ASK_ALL_AGAIN: Duration = Duration::from_secs(1);
/// Most repairs under way. Beyond this, a read that meets another damaged row fails.
const MAX_REPAIRS: usize = 1024;
/// Most reads that wait for repairs. Beyond this, such a read fails.
const MAX_WAITING: usize = 8_192;
/// If a disk loses the same messages this often within [`REPAIRED_LATELY`], it is assumed not to keep written data.
const MOST_REPAIRS_OF_ONE: usize = 3;
const REPAIRED_LATELY: Duration = Duration::from_secs(60);
const MAX_REPAIRED: usize = 256;
/// The shortest interval between reports of damage. All damage is counted.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Delay before the same disk problem is reported again.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// The place of lost messages: their group, topic and first offset.
type Place = (Vertex, TopicId, Offset);

#[derive(Default)]
pub(super) struct Repairs {
    under_way: BTreeMap<Place, Repair>,
    /// Number of reads that wait for repairs under way.
    waiting: usize,
    /// The latest finished repairs.
    done: VecDeque<(Place, Instant)>,
    told: Option<Instant>,
    /// When other disk failures were last reported, by group.
    troubles: BTreeMap<Vertex, Instant>,
}

struct Repair {
    /// The first offset that is not restored yet; `end` is the offset after the last lost one.
    next: Offset,
    end: Offset,
    /// The members asked in this round.
    asked: BTreeSet<Vertex>,
    asking: Option<Asking>,
    /// Every member that is up was asked without success. They are asked again at this time, and a returning member at
    /// once.
    rests_until: Option<Instant>,
    waiting: Vec<(Range, Purpose)>,
    /// Its start was reported, so its end is reported too.
    is_told: bool,
    is_told_in_vain: bool,
}

struct Asking {
    member: Vertex,
    token: u64,
    since: Instant,
}

impl Repairs {
    pub(super) fn is_anything_waiting(&self) -> bool {
        !self.under_way.is_empty()
    }

    pub(super) fn queues(&self) -> [Queue; 2] {
        [
            Queue::of("repairs under way", self.under_way.len(), MAX_REPAIRS),
            Queue::of("reads that wait for repairs", self.waiting, MAX_WAITING),
        ]
    }

    fn is_hopeless(&self, place: Place, now: Instant) -> bool {
        let same = |(done, at): &&(Place, Instant)| *done == place && now.since(*at) < REPAIRED_LATELY;
        self.done.iter().filter(same).count() >= MOST_REPAIRS_OF_ONE
    }

    fn note_done(&mut self, place: Place, now: Instant) {
        self.done.push_back((place, now));
        if self.done.len() > MAX_REPAIRED {
            self.done.pop_front();
        }
    }

    fn take_waiting(&mut self, place: &Place) -> Vec<(Range, Purpose)> {
        let waiting = self.under_way.get_mut(place).map(|repair| std::mem::take(&mut repair.waiting));
        let waiting = waiting.unwrap_or_default();
        self.waiting -= waiting.len();
        waiting
    }
}

// The member that lost messages.
impl Node {
    /// Handles a failed read: starts a repair if a repair can help.
    pub(super) fn handle_read_failed(&mut self, range: Range, purpose: Purpose, failed: ReadFailed) {
        let now = self.now.monotonic;
        let lost = failed.damaged.filter(|_| !self.bugs.has(Bug::DamagedRowsStay));
        let lost = lost.map(|lost| ((range.group, range.topic, lost.from), lost));
        match lost.filter(|(place, _)| !self.repairs.is_hopeless(*place, now)) {
            Some((place, lost)) => self.repair(place, lost, range, purpose, failed),
            None => {
                self.tell_trouble(range.group, &failed);
                self.let_another_lead(range.group);
                self.fail_read(purpose, failed);
            }
        }
    }

    fn repair(&mut self, place: Place, lost: Damaged, range: Range, purpose: Purpose, failed: ReadFailed) {
        if !self.repairs.under_way.contains_key(&place) && self.repairs.under_way.len() < MAX_REPAIRS {
            self.begin_repair(place, lost);
        }
        // A member that repairs its own disk asks the next member instead of waiting for this one.
        let waits = !matches!(purpose, Purpose::Stored(_)) && self.repairs.waiting < MAX_WAITING;
        match self.repairs.under_way.get_mut(&place) {
            Some(repair) if repair.rests_until.is_some() => {
                let failed = self.lost_for_now(place, lost.end);
                self.give_what_comes_before(place, range, purpose, failed);
            }
            Some(repair) if waits => {
                repair.waiting.push((range, purpose));
                self.repairs.waiting += 1;
            }
            Some(_) | None => self.give_what_comes_before(place, range, purpose, failed),
        }
    }

    /// Reads the messages before the lost ones, which no member can supply now, or fails if there are none.
    fn give_what_comes_before(&mut self, (.., lost): Place, range: Range, purpose: Purpose, failed: ReadFailed) {
        if lost > range.from {
            self.read(Range { end: lost.min(range.end), ..range }, purpose);
        } else {
            self.fail_read(purpose, failed);
        }
    }

    fn lost_for_now(&self, place: Place, end: Offset) -> ReadFailed {
        let what = self.name_lost(place, end);
        ReadFailed::because(format!("{what} are damaged on node {}, and no other reachable member has them", self.me))
    }

    fn begin_repair(&mut self, place: Place, lost: Damaged) {
        let now = self.now.monotonic;
        self.counters.damaged += 1;
        let is_told = self.repairs.told.is_none_or(|told| now.since(told) >= TELL_EVERY);
        if is_told {
            self.repairs.told = Some(now);
            let what = self.name_lost(place, lost.end);
            let text =
                format!("{what} are damaged on the disk of node {}; they are requested from another member", self.me);
            self.observe(Event::Warning { text }, None);
        }
        self.repairs.under_way.insert(
            place,
            Repair {
                next: lost.from,
                end: lost.end,
                asked: BTreeSet::new(),
                asking: None,
                rests_until: None,
                waiting: Vec::new(),
                is_told,
                is_told_in_vain: false,
            },
        );
        self.ask_for_lost(place);
    }

    /// Asks the next member that may have the messages.
    fn ask_for_lost(&mut self, place: Place) {
        match self.not_asked_yet(&place) {
            Some(member) => self.ask_member_for_lost(place, member),
            None => self.rest_from_asking(place),
        }
    }

    fn not_asked_yet(&self, place: &Place) -> Option<Vertex> {
        let repair = self.repairs.under_way.get(place)?;
        let may_have =
            |member: &Vertex| *member != self.me && !repair.asked.contains(member) && self.overlay.is_alive(*member);
        placement::members(place.0).find(may_have)
    }

    fn ask_member_for_lost(&mut self, place: Place, member: Vertex) {
        let token = self.next_token();
        let since = self.now.monotonic;
        let Some(repair) = self.repairs.under_way.get_mut(&place) else { return };
        repair.asked.insert(member);
        repair.rests_until = None;
        repair.asking = Some(Asking { member, token, since });
        let call =
            Call::Stored { group: place.0, topic: place.1, from: repair.next, end: repair.end, max_bytes: PIECE_BYTES };
        self.expect_reply(token, ReplyPurpose::Repair(place));
        self.send(member, None, Body::Ask { token, call });
    }

    /// Fails the waiting reads after all members were asked without success, and schedules the next round.
    fn rest_from_asking(&mut self, place: Place) {
        let now = self.now.monotonic;
        let Some(repair) = self.repairs.under_way.get_mut(&place) else { return };
        repair.asking = None;
        repair.rests_until = Some(now + ASK_ALL_AGAIN);
        let end = repair.end;
        let failed = self.lost_for_now(place, end);
        if let Some(repair) = self.repairs.under_way.get_mut(&place)
            && !std::mem::replace(&mut repair.is_told_in_vain, true)
        {
            let every = ASK_ALL_AGAIN.as_secs();
            let text = format!(
                "{failed}: reads of them fail until a member has them; the other members are asked every {every} s"
            );
            self.observe(Event::Warning { text }, None);
        }
        for (range, purpose) in self.repairs.take_waiting(&place) {
            self.give_what_comes_before(place, range, purpose, failed.clone());
        }
    }

    pub(super) fn handle_lost_found(&mut self, place: Place, token: u64, reply: Reply) {
        let Some(repair) = self.repairs.under_way.get_mut(&place) else { return };
        let Some(asking) = repair.asking.take_if(|asking| asking.token == token) else { return };
        let (member, next, end) = (asking.member, repair.next, repair.end);
        match reply {
            Reply::Stored { messages } if are_lost_ones(&messages, next, end) => {
                self.take_back(place, member, messages);
            }
            _ => self.ask_for_lost(place),
        }
    }

    /// Writes the messages of another member to disk, unless their topic was deleted.
    fn take_back(&mut self, place: Place, member: Vertex, messages: Vec<StoredMessage>) {
        let (group, topic, _) = place;
        let Some(repair) = self.repairs.under_way.get_mut(&place) else { return };
        repair.next.0 += messages.len() as u64;
        let is_all = repair.next >= repair.end;
        if self.is_deleted(group, topic) {
            return self.end_repair(place);
        }
        self.writes.push(Write::Repair { group, topic, messages });
        if !is_all {
            return self.ask_member_for_lost(place, member);
        }
        self.counters.repaired += 1;
        self.repairs.note_done(place, self.now.monotonic);
        if let Some(repair) = self.repairs.under_way.get(&place).filter(|repair| repair.is_told) {
            let what = self.name_lost(place, repair.end);
            let text = format!("{what} are repaired on node {}, with a copy from node {member}", self.me);
            self.observe(Event::Warning { text }, None);
        }
        self.end_repair(place);
    }

    /// Ends a repair and repeats the waiting reads, ordered after its writes.
    fn end_repair(&mut self, place: Place) {
        let waiting = self.repairs.take_waiting(&place);
        self.repairs.under_way.remove(&place);
        for (range, purpose) in waiting {
            self.read(range, purpose);
        }
    }

    pub(super) fn handle_repairs_time(&mut self) {
        let now = self.now.monotonic;
        let places: Vec<Place> = self.repairs.under_way.keys().copied().collect();
        for place in places {
            if self.is_deleted(place.0, place.1) {
                self.end_repair(place);
                continue;
            }
            let Some(repair) = self.repairs.under_way.get_mut(&place) else { continue };
            let is_silent = repair.asking.as_ref().is_some_and(|asking| now.since(asking.since) >= ASK_ANOTHER);
            let rests_until = repair.rests_until;
            let is_rested = rests_until.is_some_and(|until| now >= until);
            if is_rested {
                repair.asked.clear();
            }
            let somebody_is_back = rests_until.is_some() && self.not_asked_yet(&place).is_some();
            if is_silent || is_rested || somebody_is_back {
                self.ask_for_lost(place);
            }
        }
    }

    /// Hands leadership over after a disk failure that cannot be repaired here.
    fn let_another_lead(&mut self, group: Vertex) {
        if let Some(group) = self.groups.get_mut(&group) {
            group.hand_over(|_| true);
        }
    }

    fn tell_trouble(&mut self, group: Vertex, failed: &ReadFailed) {
        let now = self.now.monotonic;
        if self.repairs.troubles.get(&group).is_none_or(|told| now.since(*told) >= TELL_AGAIN) {
            self.repairs.troubles.insert(group, now);
            let text =
                format!("messages of group {group} could not be read from the disk of node {}: {failed}", self.me);
            self.observe(Event::Warning { text }, None);
        }
    }

    fn name_lost(&self, (group, topic, from): Place, end: Offset) -> String {
        let known = self.groups.get(&group).and_then(|group| group.topics().topic_by_id(topic));
        let name = known.map_or_else(|| format!("number {}", topic.0), |topic| format!("`{}`", topic.name));
        format!("messages {from} to {} of topic {name}", end.0.saturating_sub(1))
    }
}

/// Whether the messages are exactly the next of the lost ones.
fn are_lost_ones(messages: &[StoredMessage], next: Offset, end: Offset) -> bool {
    let offsets = messages.iter().map(|message| message.offset.0);
    !messages.is_empty() && offsets.eq((next.0..end.0).take(messages.len()))
}

// The member that is asked.
impl Node {
    pub(super) fn handle_stored(
        &mut self,
        requester: Requester,
        group: Vertex,
        topic: TopicId,
        from: Offset,
        end: Offset,
        max_bytes: u32,
    ) {
        let known = self.groups.get(&group).map(|group| group.topics().known(topic));
        let end = match known {
            Some(Known::Here(here)) => end.min(here),
            _ => Offset(0),
        };
        if from >= end {
            let why = format!("node {} does not have these messages", self.me);
            return self.reply(&requester, Reply::Unavailable { why });
        }
        let max_bytes = u64::from(max_bytes.min(PIECE_BYTES));
        self.read(
            Range { group, topic, from, end, max_messages: PIECE_MESSAGES, max_bytes },
            Purpose::Stored(requester),
        );
    }
}
