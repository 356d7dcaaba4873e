//! Repair of messages that this node's disk has lost, from another member of their group.
//!
//! A read that needs a damaged row waits here. The node requests the same offsets from another member, writes them
//! again and repeats the read. Messages below a topic's end are committed, so every member has the same ones. An answer
//! must therefore only have the requested offsets; checksums protect its bytes on the other disk and in transit. While
//! no member can supply the messages, reads end before them, or fail if they start with them, and the members are asked
//! again periodically.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::out::{GroupAsk, Out, PartEffect};
use super::super::queues::Queue;
use super::super::view::View;
use super::super::vocabulary::{AskedFor, LostAt, ReadRange, Requester};
use super::ReplicaServer;
use super::reads::Reader;
use crate::bugs::Bug;
use crate::identity::{GroupId, HostId};
use crate::names::Offset;
use crate::records::StoredMessage;
use crate::store::{Damaged, ReadFailed, Write};
use crate::time::Instant;
use crate::topics::Known;
use crate::wire::peer::{Call, Reply};

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

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Repairs {
    under_way: BTreeMap<LostAt, Repair>,
    /// Number of reads that wait for repairs under way.
    waiting: usize,
    /// The latest finished repairs.
    done: VecDeque<(LostAt, Instant)>,
    told: Option<Instant>,
    /// When other disk failures were last reported, by group.
    troubles: BTreeMap<GroupId, Instant>,
}

#[derive(Serialize, Deserialize)]
struct Repair {
    /// The first offset that is not restored yet; `end` is the offset after the last lost one.
    next: Offset,
    end: Offset,
    /// The members asked in this round.
    asked: BTreeSet<HostId>,
    asking: Option<Asking>,
    /// Every member that is up was asked without success. They are asked again at this time, and a returning member at
    /// once.
    rests_until: Option<Instant>,
    waiting: Vec<(ReadRange, Reader)>,
    /// Its start was reported, so its end is reported too.
    is_told: bool,
    is_told_in_vain: bool,
}

#[derive(Serialize, Deserialize)]
struct Asking {
    member: HostId,
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

    fn is_hopeless(&self, lost_at: LostAt, now: Instant) -> bool {
        let same = |(done, at): &&(LostAt, Instant)| *done == lost_at && now.since(*at) < REPAIRED_LATELY;
        self.done.iter().filter(same).count() >= MOST_REPAIRS_OF_ONE
    }

    fn note_done(&mut self, lost_at: LostAt, now: Instant) {
        self.done.push_back((lost_at, now));
        if self.done.len() > MAX_REPAIRED {
            self.done.pop_front();
        }
    }

    fn take_waiting(&mut self, lost_at: &LostAt) -> Vec<(ReadRange, Reader)> {
        let waiting = self.under_way.get_mut(lost_at).map(|repair| std::mem::take(&mut repair.waiting));
        let waiting = waiting.unwrap_or_default();
        self.waiting -= waiting.len();
        waiting
    }
}

// The member that lost messages.
impl ReplicaServer {
    /// Handles a failed read: starts a repair if a repair can help.
    pub(super) fn handle_read_failed(
        &mut self,
        range: ReadRange,
        reader: Reader,
        failed: ReadFailed,
        view: &View,
        out: &mut Out,
    ) {
        let now = view.monotonic();
        let lost = failed.damaged.filter(|_| !view.bugs.has(Bug::DamagedRowsStay));
        let lost_at = |lost: &Damaged| LostAt { group: range.group, topic: range.topic, from: lost.from };
        match lost.filter(|lost| !self.repairs.is_hopeless(lost_at(lost), now)) {
            Some(lost) => self.repair(lost, range, reader, failed, view, out),
            None => {
                self.tell_trouble(range.group, &failed, view, out);
                self.let_another_lead(range.group, out);
                self.fail_read(reader, failed, view, out);
            }
        }
    }

    fn repair(
        &mut self,
        lost: Damaged,
        range: ReadRange,
        reader: Reader,
        failed: ReadFailed,
        view: &View,
        out: &mut Out,
    ) {
        let lost_at = LostAt { group: range.group, topic: range.topic, from: lost.from };
        if !self.repairs.under_way.contains_key(&lost_at) && self.repairs.under_way.len() < MAX_REPAIRS {
            self.begin_repair(lost_at, lost, view, out);
        }
        // A member that repairs its own disk asks the next member instead of waiting for this one.
        let waits = !matches!(reader, Reader::Stored(_)) && self.repairs.waiting < MAX_WAITING;
        match self.repairs.under_way.get_mut(&lost_at) {
            Some(repair) if repair.rests_until.is_some() => {
                let failed = self.lost_for_now(lost_at, lost.end, view);
                self.give_what_comes_before(lost_at, range, reader, failed, view, out);
            }
            Some(repair) if waits => {
                repair.waiting.push((range, reader));
                self.repairs.waiting += 1;
            }
            Some(_) | None => self.give_what_comes_before(lost_at, range, reader, failed, view, out),
        }
    }

    /// Reads the messages before the lost ones, which no member can supply now, or fails if there are none.
    fn give_what_comes_before(
        &mut self,
        LostAt { from: lost, .. }: LostAt,
        range: ReadRange,
        reader: Reader,
        failed: ReadFailed,
        view: &View,
        out: &mut Out,
    ) {
        if lost > range.from {
            self.read(ReadRange { end: lost.min(range.end), ..range }, reader, view, out);
        } else {
            self.fail_read(reader, failed, view, out);
        }
    }

    fn lost_for_now(&self, lost_at: LostAt, end: Offset, view: &View) -> ReadFailed {
        let what = self.name_lost(lost_at, end, view);
        ReadFailed::because(format!("{what} are damaged on node {}, and no other reachable member has them", view.me))
    }

    fn begin_repair(&mut self, lost_at: LostAt, lost: Damaged, view: &View, out: &mut Out) {
        let now = view.monotonic();
        out.counters.damaged += 1;
        let is_told = self.repairs.told.is_none_or(|told| now.since(told) >= TELL_EVERY);
        if is_told {
            self.repairs.told = Some(now);
            let what = self.name_lost(lost_at, lost.end, view);
            let text =
                format!("{what} are damaged on the disk of node {}; they are requested from another member", view.me);
            out.warn(text);
        }
        self.repairs.under_way.insert(
            lost_at,
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
        self.ask_for_lost(lost_at, view, out);
    }

    /// Asks the next member that may have the messages.
    fn ask_for_lost(&mut self, lost_at: LostAt, view: &View, out: &mut Out) {
        match self.not_asked_yet(&lost_at, view) {
            Some(member) => self.ask_member_for_lost(lost_at, member, view, out),
            None => self.rest_from_asking(lost_at, view, out),
        }
    }

    fn not_asked_yet(&self, lost_at: &LostAt, view: &View) -> Option<HostId> {
        let repair = self.repairs.under_way.get(lost_at)?;
        let may_have =
            |member: &HostId| *member != view.me && !repair.asked.contains(member) && view.overlay.is_alive(*member);
        view.members(lost_at.group).find(may_have)
    }

    fn ask_member_for_lost(&mut self, lost_at: LostAt, member: HostId, view: &View, out: &mut Out) {
        let token = view.next_token(out);
        let since = view.monotonic();
        let Some(repair) = self.repairs.under_way.get_mut(&lost_at) else { return };
        repair.asked.insert(member);
        repair.rests_until = None;
        repair.asking = Some(Asking { member, token, since });
        let call = Call::Stored {
            group: lost_at.group,
            topic: lost_at.topic,
            from: repair.next,
            end: repair.end,
            max_bytes: PIECE_BYTES,
        };
        let asked_for = AskedFor::Repair(lost_at);
        out.push(PartEffect::Ask { to: member, trace: None, token, call, asked_for });
    }

    /// Fails the waiting reads after all members were asked without success, and schedules the next round.
    fn rest_from_asking(&mut self, lost_at: LostAt, view: &View, out: &mut Out) {
        let now = view.monotonic();
        let Some(repair) = self.repairs.under_way.get_mut(&lost_at) else { return };
        repair.asking = None;
        repair.rests_until = Some(now + ASK_ALL_AGAIN);
        let end = repair.end;
        let failed = self.lost_for_now(lost_at, end, view);
        if let Some(repair) = self.repairs.under_way.get_mut(&lost_at)
            && !std::mem::replace(&mut repair.is_told_in_vain, true)
        {
            let every = ASK_ALL_AGAIN.as_secs();
            let text = format!(
                "{failed}: reads of them fail until a member has them; the other members are asked every {every} s"
            );
            out.warn(text);
        }
        for (range, reader) in self.repairs.take_waiting(&lost_at) {
            self.give_what_comes_before(lost_at, range, reader, failed.clone(), view, out);
        }
    }

    /// Handles a member's reply with lost messages. If they are not the requested ones, another member is asked. A late
    /// reply is ignored.
    pub fn handle_lost_found(&mut self, lost_at: LostAt, token: u64, reply: Reply, view: &View, out: &mut Out) {
        let Some(repair) = self.repairs.under_way.get_mut(&lost_at) else { return };
        let Some(asking) = repair.asking.take_if(|asking| asking.token == token) else { return };
        let (member, next, end) = (asking.member, repair.next, repair.end);
        match reply {
            Reply::Stored { messages } if are_lost_ones(&messages, next, end) => {
                self.take_back(lost_at, member, messages, view, out);
            }
            _ => self.ask_for_lost(lost_at, view, out),
        }
    }

    /// Writes the messages of another member to disk, unless their topic was deleted.
    fn take_back(&mut self, lost_at: LostAt, member: HostId, messages: Vec<StoredMessage>, view: &View, out: &mut Out) {
        let LostAt { group, topic, .. } = lost_at;
        let Some(repair) = self.repairs.under_way.get_mut(&lost_at) else { return };
        repair.next.0 += messages.len() as u64;
        let is_all = repair.next >= repair.end;
        if view.is_deleted(group, topic) {
            return self.end_repair(lost_at, view, out);
        }
        out.write(Write::Repair { group, topic, messages });
        if !is_all {
            return self.ask_member_for_lost(lost_at, member, view, out);
        }
        out.counters.repaired += 1;
        self.repairs.note_done(lost_at, view.monotonic());
        if let Some(repair) = self.repairs.under_way.get(&lost_at).filter(|repair| repair.is_told) {
            let what = self.name_lost(lost_at, repair.end, view);
            let text = format!("{what} are repaired on node {}, with a copy from node {member}", view.me);
            out.warn(text);
        }
        self.end_repair(lost_at, view, out);
    }

    /// Ends a repair and repeats the waiting reads, ordered after its writes.
    fn end_repair(&mut self, lost_at: LostAt, view: &View, out: &mut Out) {
        let waiting = self.repairs.take_waiting(&lost_at);
        self.repairs.under_way.remove(&lost_at);
        for (range, reader) in waiting {
            self.read(range, reader, view, out);
        }
    }

    pub(super) fn handle_repairs_time(&mut self, view: &View, out: &mut Out) {
        let now = view.monotonic();
        let all: Vec<LostAt> = self.repairs.under_way.keys().copied().collect();
        for lost_at in all {
            if view.is_deleted(lost_at.group, lost_at.topic) {
                self.end_repair(lost_at, view, out);
                continue;
            }
            let Some(repair) = self.repairs.under_way.get_mut(&lost_at) else { continue };
            let is_silent = repair.asking.as_ref().is_some_and(|asking| now.since(asking.since) >= ASK_ANOTHER);
            let rests_until = repair.rests_until;
            let is_rested = rests_until.is_some_and(|until| now >= until);
            if is_rested {
                repair.asked.clear();
            }
            let somebody_is_back = rests_until.is_some() && self.not_asked_yet(&lost_at, view).is_some();
            if is_silent || is_rested || somebody_is_back {
                self.ask_for_lost(lost_at, view, out);
            }
        }
    }

    /// Hands leadership over after a disk failure that cannot be repaired here.
    fn let_another_lead(&mut self, group: GroupId, out: &mut Out) {
        out.push(PartEffect::Group(group, GroupAsk::HandOver));
    }

    fn tell_trouble(&mut self, group: GroupId, failed: &ReadFailed, view: &View, out: &mut Out) {
        let now = view.monotonic();
        if self.repairs.troubles.get(&group).is_none_or(|told| now.since(*told) >= TELL_AGAIN) {
            self.repairs.troubles.insert(group, now);
            let text = format!(
                "messages of group {} could not be read from the disk of node {}: {failed}",
                view.home(group),
                view.me
            );
            out.warn(text);
        }
    }

    fn name_lost(&self, LostAt { group, topic, from }: LostAt, end: Offset, view: &View) -> String {
        let known = view.groups.get(group).and_then(|group| group.topics().topic_by_id(topic));
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
impl ReplicaServer {
    /// Reads messages for another member whose disk has lost them.
    pub(super) fn handle_stored(&mut self, requester: Requester, range: ReadRange, view: &View, out: &mut Out) {
        let known = view.groups.get(range.group).map(|group| group.topics().known(range.topic));
        let end = match known {
            Some(Known::Here(here)) => range.end.min(here),
            _ => Offset(0),
        };
        if range.from >= end {
            let why = format!("node {} does not have these messages", view.me);
            return out.reply(&requester, Reply::Unavailable { why });
        }
        let max_bytes = range.max_bytes.min(u64::from(PIECE_BYTES));
        let range = ReadRange { end, max_messages: PIECE_MESSAGES, max_bytes, ..range };
        self.read(range, Reader::Stored(requester), view, out);
    }
}
