//! Names at their origin: which ones it knows to be registered, and how many new ones it takes from its clients.
//!
//! Whether a name is registered is known in its home's group. A node remembers what that group has said of a name, and believes it
//! for [`KNOWN_FOR`]: by then the node has noticed a deletion through another. While no holder of the name can be reached it goes on
//! by what it remembers, so that publishers do not stop because their own home has failed.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use super::Node;
use super::pending::{MAX_PENDING, Pending, Requests, Stage, registers, registration};
use super::queues::Queue;
use crate::io::ConnectionId;
use crate::time::Instant;
use crate::wire::answer::ErrorCode;
use crate::wire::client::Action;
use crate::wire::peer::Registry;

/// A registration is believed for so long, and then asked for again.
pub(super) const KNOWN_FOR: Duration = Duration::from_secs(10);
/// Names that are remembered; all are forgotten at once when there are more.
const MAX_KNOWN: usize = 100_000;
/// New names that are taken at once, in seconds' worth of them.
const BURST_SECONDS: u64 = 10;
const SECOND_US: u64 = 1_000_000;

/// The latest news of names.
#[derive(Default)]
pub(super) struct KnownNames(BTreeMap<(Registry, String), Heard>);

#[derive(Clone, Copy)]
enum Heard {
    /// It was registered at that moment.
    Registered(Instant),
    /// It was deleted through this node: a holder may not have noticed.
    Deleted,
}

impl KnownNames {
    pub(super) fn remember_registered(&mut self, kind: Registry, name: &str, now: Instant) {
        self.remember(kind, name, Heard::Registered(now));
    }

    pub(super) fn remember_deleted(&mut self, kind: Registry, name: &str) {
        self.remember(kind, name, Heard::Deleted);
    }

    fn remember(&mut self, kind: Registry, name: &str, heard: Heard) {
        if self.0.len() >= MAX_KNOWN {
            self.0.clear();
        }
        self.0.insert((kind, name.to_owned()), heard);
    }

    /// The question to ask about a name before anything is done under it.
    pub(super) fn first_stage(&self, kind: Registry, name: &str, now: Instant) -> Stage {
        match self.heard(kind, name) {
            Some(Heard::Registered(seen)) if now.since(seen) < KNOWN_FOR => Stage::Acting,
            Some(Heard::Registered(_)) | None => Stage::Registering { linearizable: false },
            Some(Heard::Deleted) => Stage::Registering { linearizable: true },
        }
    }

    /// Whether it was registered when it was last heard of.
    fn was_registered(&self, kind: Registry, name: &str) -> bool {
        matches!(self.heard(kind, name), Some(Heard::Registered(_)))
    }

    fn heard(&self, kind: Registry, name: &str) -> Option<Heard> {
        self.0.get(&(kind, name.to_owned())).copied()
    }

    pub(super) fn queue(&self) -> Queue {
        Queue::of("known registrations", self.0.len(), MAX_KNOWN)
    }
}

/// Requests that register new names and wait until there is a place for them. Clients have turns, one name each.
#[derive(Default)]
pub(super) struct WaitingNames {
    of_clients: BTreeMap<Option<ConnectionId>, VecDeque<u64>>,
    /// Whose turn was last.
    last: Option<ConnectionId>,
}

impl WaitingNames {
    fn push(&mut self, client: Option<ConnectionId>, number: u64) {
        self.of_clients.entry(client).or_default().push_back(number);
    }

    /// The next one of the next client.
    fn pop(&mut self) -> Option<u64> {
        let after = (Bound::Excluded(self.last), Bound::Unbounded);
        let next = self.of_clients.range(after).next().or_else(|| self.of_clients.first_key_value());
        let client = *next?.0;
        self.last = client;
        let waiting = self.of_clients.get_mut(&client)?;
        let number = waiting.pop_front();
        if waiting.is_empty() {
            self.of_clients.remove(&client);
        }
        number
    }

    /// Forgets those that do not wait any more: the first of each client, for all wait for the same time.
    fn retain(&mut self, waits: impl Fn(&u64) -> bool) {
        self.of_clients.retain(|_, waiting| {
            while waiting.front().is_some_and(|number| !waits(number)) {
                waiting.pop_front();
            }
            !waiting.is_empty()
        });
    }

    fn len(&self) -> usize {
        self.of_clients.values().map(VecDeque::len).sum()
    }

    pub(super) fn queue(&self) -> Queue {
        Queue::of("new names that wait", self.len(), MAX_PENDING)
    }
}

/// New names that may be registered through this node now: so many a second, and some at once.
#[derive(Default)]
pub(super) struct Allowance {
    /// By then all that was taken is given again.
    full_at: Instant,
}

impl Allowance {
    /// Takes one, if there is one.
    fn take(&mut self, now: Instant, per_second: u32) -> bool {
        let is_there = self.wait(now, per_second).is_zero();
        if is_there {
            self.full_at = Instant(self.full_at.max(now).0 + each_us(per_second));
        }
        is_there
    }

    /// How long it takes until there is one.
    fn wait(&self, now: Instant, per_second: u32) -> Duration {
        let burst = BURST_SECONDS * u64::from(per_second) * each_us(per_second);
        let with_one_more = self.full_at.max(now).0 + each_us(per_second);
        Duration::from_micros(with_one_more.saturating_sub(now.0 + burst))
    }

    /// One that was taken was not needed.
    fn give_back(&mut self, per_second: u32) {
        self.full_at.0 = self.full_at.0.saturating_sub(each_us(per_second));
    }
}

fn each_us(per_second: u32) -> u64 {
    SECOND_US / u64::from(per_second)
}

impl Node {
    /// A name that is known costs nothing. Where there is no place for a new one, whether it is new is asked first.
    pub(super) fn admit_name(&mut self, number: u64) {
        let (now, per_second) = (self.now.monotonic, self.config.limits.registrations_per_second);
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        let Some((kind, name)) = registers(&pending.action) else { return };
        let is_known = matches!(self.requests.known.first_stage(kind, name, now), Stage::Acting);
        let may_take = !is_known && self.requests.waiting_names.of_clients.is_empty();
        pending.counts_as_new = may_take && self.requests.allowance.take(now, per_second);
        pending.stage =
            if is_known || pending.counts_as_new { Stage::Acting } else { Stage::Registering { linearizable: false } };
        self.drive(number);
    }

    /// The name is new, and there is no place for it: it has its turn, or is refused when its time is up.
    pub(super) fn await_place(&mut self, number: u64) {
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        pending.stage = Stage::AwaitingPlace;
        pending.ask_at = Instant(u64::MAX);
        let client = pending.connection;
        self.requests.waiting_names.push(client, number);
    }

    pub(super) fn admit_waiting_names(&mut self) {
        let (now, per_second) = (self.now.monotonic, self.config.limits.registrations_per_second);
        let Requests { pending, waiting_names, allowance, .. } = &mut self.requests;
        waiting_names.retain(|number| pending.get(number).is_some_and(|pending| now < pending.deadline));
        let mut admitted = Vec::new();
        while !waiting_names.of_clients.is_empty() && allowance.take(now, per_second) {
            admitted.extend(waiting_names.pop());
        }
        for number in admitted {
            let Some(pending) = self.requests.pending.get_mut(&number) else { continue };
            (pending.stage, pending.ask_at, pending.counts_as_new) = (Stage::Acting, now, true);
            self.drive(number);
        }
    }

    pub(super) fn refuse_new_name(&mut self, number: u64) {
        let per_second = self.config.limits.registrations_per_second;
        let ahead = each_us(per_second) * self.requests.waiting_names.len() as u64;
        let wait = self.requests.allowance.wait(self.now.monotonic, per_second) + Duration::from_micros(ahead);
        let failure = ErrorCode::Overloaded.because(format!(
            "node {} accepts {per_second} new publishers and subscribers a second, and {} at once, and this limit is \
             reached; nothing was done: retry in {} ms, or use another node",
            self.me,
            u64::from(per_second) * BURST_SECONDS,
            wait.as_millis() + 1
        ));
        self.finish(number, Err(failure), self.me, vec![self.me]);
    }

    pub(super) fn registered(&mut self, pending: &Pending, kind: Registry, name: &str, existed: bool) {
        self.requests.known.remember_registered(kind, name, self.now.monotonic);
        if existed && pending.counts_as_new {
            self.requests.allowance.give_back(self.config.limits.registrations_per_second);
        }
    }

    /// No holder can say whether a name is still registered, and this node remembers that it was.
    pub(super) fn goes_by_memory(&mut self, number: u64) -> bool {
        let Some(pending) = self.requests.pending.get_mut(&number) else { return false };
        let Stage::Registering { linearizable: false } = &pending.stage else { return false };
        let known = |(kind, name)| self.requests.known.was_registered(kind, name);
        let remembered = registration(&pending.action).is_some_and(known);
        if remembered {
            pending.stage = Stage::Acting;
        }
        remembered
    }
}

/// The name that a request asks about before it acts: who must be registered, or is to be.
pub(super) fn in_question(action: &Action) -> Option<(Registry, &str)> {
    registration(action).or_else(|| registers(action))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 200;

    fn taken_at(allowance: &mut Allowance, us: u64) -> usize {
        (0..10_000).take_while(|_| allowance.take(Instant(us), RATE)).count()
    }

    #[test]
    fn ten_seconds_worth_of_names_is_taken_at_once_and_then_so_many_a_second() {
        let mut allowance = Allowance::default();
        let begin = 7 * SECOND_US;
        assert_eq!(taken_at(&mut allowance, begin), 2_000);
        assert_eq!(allowance.wait(Instant(begin), RATE), Duration::from_millis(5));
        assert_eq!(taken_at(&mut allowance, begin + SECOND_US), 200);
        assert_eq!(taken_at(&mut allowance, begin + 3_600 * SECOND_US), 2_000, "no more, however long nobody came");
    }

    #[test]
    fn clients_have_turns_and_those_that_do_not_wait_any_more_are_forgotten() {
        let mut waiting = WaitingNames::default();
        let clients = [1, 2, 3].map(|number| Some(ConnectionId(number)));
        for number in [10, 11, 12] {
            waiting.push(clients[0], number);
        }
        waiting.push(clients[1], 20);
        waiting.push(clients[2], 30);
        assert_eq!([(); 3].map(|()| waiting.pop()), [10, 20, 30].map(Some));
        waiting.retain(|number| *number != 11);
        assert_eq!((waiting.len(), waiting.pop(), waiting.pop()), (1, Some(12), None));
    }

    #[test]
    fn what_was_not_needed_is_given_back() {
        let mut allowance = Allowance::default();
        assert_eq!(taken_at(&mut allowance, SECOND_US), 2_000);
        allowance.give_back(RATE);
        assert_eq!(taken_at(&mut allowance, SECOND_US), 1);
    }

    #[test]
    fn a_name_is_believed_for_a_while_and_remembered_for_longer() {
        let mut known = KnownNames::default();
        let stage = |known: &KnownNames, at| match known.first_stage(Registry::Publisher, "ann", at) {
            Stage::Acting => "act",
            Stage::Registering { linearizable: true } => "ask the leader",
            _ => "ask any",
        };
        let later = Instant(0) + KNOWN_FOR;
        assert_eq!(stage(&known, Instant(0)), "ask any");
        known.remember_registered(Registry::Publisher, "ann", Instant(0));
        assert_eq!((stage(&known, Instant(later.0 - 1)), stage(&known, later)), ("act", "ask any"));
        assert!(known.was_registered(Registry::Publisher, "ann") && !known.was_registered(Registry::Subscriber, "ann"));
        known.remember_deleted(Registry::Publisher, "ann");
        assert_eq!(stage(&known, later), "ask the leader");
        assert!(!known.was_registered(Registry::Publisher, "ann"));
        for number in 0..=MAX_KNOWN {
            known.remember_registered(Registry::Publisher, &number.to_string(), later);
        }
        assert!(known.queue().is_within_limit());
    }
}
