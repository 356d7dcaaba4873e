//! The search for a linearization.
//!
//! Operations that overlap in time may have taken effect in either order; an operation that ended before another one
//! was invoked took effect first. The operations are linearizable (Herlihy and Wing, 1990) if some order that respects
//! this explains every answer.
//!
//! The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993): take an operation that no
//! remaining one must precede and whose answer fits the state of the model, and continue; if none fits, undo the last
//! one. From Lowe ("Testing for linearizability", 2017) comes the set of visited pairs of taken operations and state,
//! so that each dead end is entered once.
//!
//! Two rules shorten the search without excluding a solution:
//!
//! * An operation that fits and only reads is taken at once, without alternatives. In any order that takes it later, it
//!   can be moved forward to here.
//! * Of equal operations without an answer, only the first is tried. The others would have the same effect and can come
//!   later.
//!
//! If a model's state changes in one way only, as a log with known content does, the search never goes back.

use std::collections::BTreeSet;

use cubecast_core::time::Instant;

/// The effect of operations on a state.
pub trait Model {
    /// The state of the model.
    type State: Clone + Ord;
    /// An operation together with its answer.
    type Step: PartialEq;

    /// The state after a step; `None`: the step cannot give its answer in this state.
    fn apply(&self, state: &Self::State, step: &Self::Step) -> Option<Self::State>;

    /// Whether a step that fits in this state only reads: it changes neither this state nor any that may follow.
    fn only_looks(&self, state: &Self::State, step: &Self::Step) -> bool;
}

/// A step that took effect between two times, both included.
#[derive(Clone, PartialEq, Debug)]
pub struct Timed<S> {
    /// The earliest time.
    pub invoked: Instant,
    /// The latest time. `None`: there was no answer; it took effect at any time after `invoked`, or never.
    pub over: Option<Instant>,
    pub step: S,
}

/// The search failed: no order explains the answers. Describes the longest order that was found.
#[derive(Clone, PartialEq, Debug)]
pub struct Stuck<S> {
    /// The operations that were taken, in order.
    pub order: Vec<usize>,
    /// The state after them.
    pub state: S,
    /// The operation that must come next and does not fit.
    pub next: usize,
}

/// Searches for an order of all answered operations, with as many of the others as needed.
pub fn find_order<M: Model>(
    model: &M,
    initial: M::State,
    operations: &[Timed<M::Step>],
) -> Result<(), Stuck<M::State>> {
    Search::new(model, initial, operations).run()
}

/// Marks the end of the linked list of events.
const NONE: usize = usize::MAX;

#[derive(Clone, Copy)]
enum Event {
    Call(usize),
    Return(usize),
}

struct Search<'a, M: Model> {
    model: &'a M,
    operations: &'a [Timed<M::Step>],
    /// Calls and returns in order of time, as a linked list from which taken operations are removed.
    events: Vec<Event>,
    next: Vec<usize>,
    previous: Vec<usize>,
    head: usize,
    /// For each operation, the index of its call; `returns` has the index of its return.
    calls: Vec<usize>,
    returns: Vec<usize>,
    /// For each operation, its rank in order of calls.
    ranks: Vec<usize>,
    taken: Taken,
    /// Number of answered operations that are not taken yet.
    left: usize,
    state: M::State,
    path: Vec<Move<M::State>>,
    seen: BTreeSet<(Window, M::State)>,
    deepest: Option<Stuck<M::State>>,
}

/// One operation that was taken.
struct Move<S> {
    operation: usize,
    before: S,
    /// There was no alternative.
    forced: bool,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, initial: M::State, operations: &'a [Timed<M::Step>]) -> Self {
        // At equal times calls come first: operations that touch count as overlapping.
        let mut timed: Vec<(Instant, bool, usize)> = Vec::with_capacity(2 * operations.len());
        for (index, operation) in operations.iter().enumerate() {
            timed.push((operation.invoked, false, index));
            timed.extend(operation.over.map(|over| (over.max(operation.invoked), true, index)));
        }
        timed.sort_unstable();
        let mut search = Search {
            model,
            operations,
            events: Vec::with_capacity(timed.len()),
            next: (1..=timed.len()).collect(),
            previous: (0..timed.len()).map(|at| at.wrapping_sub(1)).collect(),
            head: 0,
            calls: vec![NONE; operations.len()],
            returns: vec![NONE; operations.len()],
            ranks: vec![0; operations.len()],
            taken: Taken::new(operations.len()),
            left: 0,
            state: initial,
            path: Vec::new(),
            seen: BTreeSet::new(),
            deepest: None,
        };
        let mut rank = 0;
        for (at, (_, is_return, index)) in timed.into_iter().enumerate() {
            if is_return {
                search.events.push(Event::Return(index));
                search.returns[index] = at;
                search.left += 1;
            } else {
                search.events.push(Event::Call(index));
                search.calls[index] = at;
                search.ranks[index] = rank;
                rank += 1;
            }
        }
        if let Some(last) = search.next.last_mut() {
            *last = NONE;
        } else {
            search.head = NONE;
        }
        search
    }

    fn run(mut self) -> Result<(), Stuck<M::State>> {
        let mut from = self.settle();
        while self.left > 0 {
            match self.choose(from) {
                Some((operation, after)) => {
                    self.take(operation, after, false);
                    from = self.settle();
                }
                None => {
                    self.note_depth();
                    match self.go_back() {
                        Some(operation) => from = self.next[self.calls[operation]],
                        None => return Err(self.deepest.expect("the depth was noted")),
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes all operations that fit and only read. Returns the event from which to choose, or `NONE` if this state was
    /// visited before.
    fn settle(&mut self) -> usize {
        while let Some(operation) = self.find_look() {
            self.take(operation, self.state.clone(), true);
        }
        let is_new = self.seen.insert((self.taken.window(), self.state.clone()));
        if is_new { self.head } else { NONE }
    }

    fn find_look(&self) -> Option<usize> {
        let mut at = self.head;
        while at != NONE {
            let Event::Call(operation) = self.events[at] else { return None };
            let only_looks = self.model.only_looks(&self.state, &self.operations[operation].step);
            if only_looks && self.apply(operation).is_some() {
                return Some(operation);
            }
            at = self.next[at];
        }
        None
    }

    /// The first operation at or after `from` that may come next.
    fn choose(&self, from: usize) -> Option<(usize, M::State)> {
        let mut at = from;
        while at != NONE {
            let Event::Call(operation) = self.events[at] else { return None };
            if let Some(after) = self.apply(operation).filter(|_| !self.is_like_an_earlier(operation)) {
                return Some((operation, after));
            }
            at = self.next[at];
        }
        None
    }

    fn apply(&self, operation: usize) -> Option<M::State> {
        self.model.apply(&self.state, &self.operations[operation].step)
    }

    /// Whether an earlier operation without an answer has the same step as this one, which has no answer either.
    fn is_like_an_earlier(&self, operation: usize) -> bool {
        if self.operations[operation].over.is_some() {
            return false;
        }
        let mut at = self.previous[self.calls[operation]];
        while at != NONE {
            if let Event::Call(earlier) = self.events[at]
                && self.operations[earlier].over.is_none()
                && self.operations[earlier].step == self.operations[operation].step
            {
                return true;
            }
            at = self.previous[at];
        }
        false
    }

    fn take(&mut self, operation: usize, after: M::State, forced: bool) {
        self.lift(self.calls[operation]);
        if self.returns[operation] != NONE {
            self.lift(self.returns[operation]);
            self.left -= 1;
        }
        self.taken.insert(self.ranks[operation]);
        let before = std::mem::replace(&mut self.state, after);
        self.path.push(Move { operation, before, forced });
    }

    /// Undoes all moves down to the last one with alternatives, and returns its operation.
    fn go_back(&mut self) -> Option<usize> {
        while let Some(Move { operation, before, forced }) = self.path.pop() {
            if self.returns[operation] != NONE {
                self.put_back(self.returns[operation]);
                self.left += 1;
            }
            self.put_back(self.calls[operation]);
            self.taken.remove(self.ranks[operation]);
            self.state = before;
            if !forced {
                return Some(operation);
            }
        }
        None
    }

    fn note_depth(&mut self) {
        if self.deepest.as_ref().is_some_and(|deepest| deepest.order.len() >= self.path.len()) {
            return;
        }
        let mut at = self.head;
        while let Some(Event::Call(_)) = self.events.get(at) {
            at = self.next[at];
        }
        if let Some(Event::Return(next)) = self.events.get(at).copied() {
            let order = self.path.iter().map(|taken| taken.operation).collect();
            self.deepest = Some(Stuck { order, state: self.state.clone(), next });
        }
    }

    fn lift(&mut self, at: usize) {
        let (before, after) = (self.previous[at], self.next[at]);
        match before {
            NONE => self.head = after,
            before => self.next[before] = after,
        }
        if after != NONE {
            self.previous[after] = before;
        }
    }

    /// Reinserts an event. Events must be reinserted in reverse order of removal, so that each finds its former
    /// neighbours.
    fn put_back(&mut self, at: usize) {
        let (before, after) = (self.previous[at], self.next[at]);
        match before {
            NONE => self.head = at,
            before => self.next[before] = at,
        }
        if after != NONE {
            self.previous[after] = at;
        }
    }
}

/// The set of taken operations, by rank.
struct Taken {
    words: Vec<u64>,
    /// All words before this one are full.
    first: usize,
    /// All words from this one on are empty.
    end: usize,
}

/// The set of taken operations as a key: all before the window, and those in it.
type Window = (usize, Vec<u64>);

impl Taken {
    fn new(operations: usize) -> Taken {
        Taken { words: vec![0; operations.div_ceil(64)], first: 0, end: 0 }
    }

    fn insert(&mut self, rank: usize) {
        self.words[rank / 64] |= 1 << (rank % 64);
        self.end = self.end.max(rank / 64 + 1);
        while self.words.get(self.first) == Some(&u64::MAX) {
            self.first += 1;
        }
    }

    fn remove(&mut self, rank: usize) {
        self.words[rank / 64] &= !(1 << (rank % 64));
        self.first = self.first.min(rank / 64);
        while self.end > 0 && self.words[self.end - 1] == 0 {
            self.end -= 1;
        }
    }

    fn window(&self) -> Window {
        (self.first, self.words[self.first.min(self.end)..self.end].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::super::register::{Register, Step};
    use super::*;

    fn step(invoked: u64, over: u64, step: Step) -> Timed<Step> {
        Timed { invoked: Instant(invoked), over: Some(Instant(over)), step }
    }

    fn in_doubt(invoked: u64, step: Step) -> Timed<Step> {
        Timed { invoked: Instant(invoked), over: None, step }
    }

    #[test]
    fn what_overlaps_may_come_in_either_order() {
        let operations = [step(0, 10, Step::Write(1)), step(1, 9, Step::Read(0)), step(2, 8, Step::Read(1))];
        assert_eq!(find_order(&Register, 0, &operations), Ok(()));
        assert_eq!(find_order(&Register, 0, &[]), Ok(()));
    }

    #[test]
    fn what_touches_may_overlap_and_what_is_over_may_not() {
        assert_eq!(find_order(&Register, 0, &[step(0, 5, Step::Write(1)), step(5, 6, Step::Read(0))]), Ok(()));
        let stuck = find_order(&Register, 0, &[step(0, 5, Step::Write(1)), step(6, 7, Step::Read(0))]).unwrap_err();
        assert_eq!(stuck, Stuck { order: vec![0], state: 1, next: 1 });
    }

    #[test]
    fn a_choice_that_leads_nowhere_is_taken_back() {
        // Only 0 -> 1 -> 2 -> 3 explains the read: the write of 3 must come last, and the swaps in order.
        let operations = [
            step(0, 10, Step::Write(3)),
            step(0, 10, Step::Swap(1, 2)),
            step(0, 10, Step::Swap(0, 1)),
            step(11, 12, Step::Read(3)),
        ];
        assert_eq!(find_order(&Register, 0, &operations), Ok(()));
        assert_eq!(find_order(&Register, 1, &operations).map_err(|stuck| stuck.order.len()), Err(2));
    }

    #[test]
    fn what_changes_nothing_now_may_be_needed_later() {
        let operations = [step(0, 10, Step::Write(0)), step(0, 3, Step::Write(1)), step(5, 6, Step::Read(0))];
        assert_eq!(find_order(&Register, 0, &operations), Ok(()));
    }

    #[test]
    fn what_was_never_answered_may_come_late_or_never() {
        let mut operations = vec![
            in_doubt(0, Step::Write(1)),
            in_doubt(0, Step::Write(1)),
            step(1, 2, Step::Read(0)),
            step(3, 4, Step::Read(1)),
            step(5, 6, Step::Write(0)),
            step(7, 8, Step::Read(1)),
        ];
        assert_eq!(find_order(&Register, 0, &operations), Ok(()));
        operations.remove(1);
        assert!(find_order(&Register, 0, &operations).is_err());
    }

    #[test]
    fn many_in_doubt_cost_little_though_no_order_exists() {
        let mut operations: Vec<_> = (0..40).map(|at| in_doubt(at, Step::Write((at % 2) as u8))).collect();
        operations.push(step(50, 60, Step::Read(7)));
        assert!(find_order(&Register, 0, &operations).is_err());
    }
}
