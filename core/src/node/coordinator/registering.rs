//! Requests that register a name or act under one: which of them ask first, wait, or proceed.

use std::time::Duration;

use super::super::out::Out;
use super::super::view::View;
use super::Coordinator;
use super::names::{BURST_SECONDS, NameStatus, Names, each_us};
use super::pending::{Pending, Registering, Requests, Stage};
use crate::time::Instant;
use crate::wire::answer::ErrorCode;
use crate::wire::client::Registry;

impl Coordinator {
    /// Admits a name. A known name costs nothing. If there is no place for a new name, the group is first asked whether
    /// the name is new.
    pub(super) fn admit_name(&mut self, number: u64, view: &View, out: &mut Out) {
        let (now, per_second) = (view.monotonic(), view.config.limits.registrations_per_second);
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        let (kind, name) = match std::mem::replace(&mut pending.stage, Stage::Acting) {
            Stage::Admitting { kind, name } => (kind, name),
            other => return pending.stage = other,
        };
        let is_known = self.names.known.status(kind, &name, now) == NameStatus::Registered;
        let may_take = !is_known && self.names.waiting.is_empty();
        pending.counts_as_new = may_take && self.names.allowance.take(now, per_second);
        if !is_known && !pending.counts_as_new {
            pending.stage = Stage::Registering(Box::new(Registering { kind, name, linearizable: false, is_new: true }));
        }
        self.drive(number, view, out);
    }

    /// Queues a new name until its client's turn. It is refused if its deadline passes first.
    pub(super) fn await_place(&mut self, number: u64) {
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        pending.stage = Stage::AwaitingPlace;
        pending.ask_at = Instant(u64::MAX);
        let client = pending.connection;
        self.names.waiting.push(client, number);
    }

    pub(super) fn admit_waiting_names(&mut self, view: &View, out: &mut Out) {
        let (now, per_second) = (view.monotonic(), view.config.limits.registrations_per_second);
        let Coordinator { requests: Requests { pending, .. }, names: Names { waiting, allowance, .. }, .. } = self;
        waiting.retain(|number| pending.get(number).is_some_and(|pending| now < pending.deadline));
        let mut admitted = Vec::new();
        while !waiting.is_empty() && allowance.take(now, per_second) {
            admitted.extend(waiting.pop());
        }
        for number in admitted {
            let Some(pending) = self.requests.pending.get_mut(&number) else { continue };
            (pending.stage, pending.ask_at, pending.counts_as_new) = (Stage::Acting, now, true);
            self.drive(number, view, out);
        }
    }

    pub(super) fn refuse_new_name(&mut self, number: u64, view: &View, out: &mut Out) {
        let per_second = view.config.limits.registrations_per_second;
        let ahead = each_us(per_second) * self.names.waiting.len() as u64;
        let wait = self.names.allowance.wait(view.monotonic(), per_second) + Duration::from_micros(ahead);
        let failure = ErrorCode::Overloaded.because(format!(
            "node {} accepts {per_second} new publishers and subscribers a second, and {} at once, and this limit is \
             reached; nothing was done: retry in {} ms, or use another node",
            view.me,
            u64::from(per_second) * BURST_SECONDS,
            wait.as_millis() + 1
        ));
        self.finish(number, Err(failure), view.me, vec![view.me], view, out);
    }

    pub(super) fn registered(&mut self, pending: &Pending, kind: Registry, name: &str, existed: bool, view: &View) {
        self.names.known.remember_registered(kind, name, view.monotonic());
        if existed && pending.counts_as_new {
            self.names.allowance.give_back(view.config.limits.registrations_per_second);
        }
    }

    /// Proceeds with a cached registration because no replica is reachable. Returns false if there is none.
    pub(super) fn goes_by_memory(&mut self, number: u64) -> bool {
        let Some(pending) = self.requests.pending.get_mut(&number) else { return false };
        let Stage::Registering(registering) = &pending.stage else { return false };
        let Registering { kind, name, linearizable, is_new } = &**registering;
        let remembered = !linearizable && !is_new && self.names.known.was_registered(*kind, name);
        if remembered {
            pending.stage = Stage::Acting;
        }
        remembered
    }
}

/// The first stage of a request that acts under a name.
pub(super) fn stage_under(kind: Registry, name: &str, status: NameStatus) -> Stage {
    let ask = |linearizable| {
        Stage::Registering(Box::new(Registering { kind, name: name.to_owned(), linearizable, is_new: false }))
    };
    match status {
        NameStatus::Registered => Stage::Acting,
        NameStatus::Unknown => ask(false),
        NameStatus::Deleted => ask(true),
    }
}
