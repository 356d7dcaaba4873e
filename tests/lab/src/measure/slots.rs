//! A timeline: counts and latencies in slots of equal length.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::spread::Spread;

/// Collects a timeline. It stores every latency, so it suits some ten thousand requests.
#[derive(Clone, Debug)]
pub struct Slots {
    each: Duration,
    slots: Vec<Slot>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    done: u64,
    latencies: Vec<Duration>,
}

/// A timeline in figures, with one item for each slot.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Timeline {
    /// The length of a slot in seconds.
    pub slot_s: f64,
    /// Requests completed in the slot, per second.
    pub per_second: Vec<f64>,
    /// Median latency of requests that were due in the slot, in microseconds. `None` if none were due, or none of
    /// them completed.
    pub p50_us: Vec<Option<f64>>,
    /// The longest latency, with the same rules.
    pub max_us: Vec<Option<f64>>,
}

impl Slots {
    /// An empty timeline of length `whole`. Its last slot may be shorter than `each`.
    pub fn new(whole: Duration, each: Duration) -> Slots {
        let count = (whole.as_secs_f64() / each.as_secs_f64()).ceil().max(1.0) as usize;
        Slots { each, slots: vec![Slot::default(); count] }
    }

    /// Records a latency. `at`: when the request was due, from the start of the timeline.
    pub fn note_latency(&mut self, at: Duration, latency: Duration) {
        self.slot(at).latencies.push(latency);
    }

    /// Counts a completion. `at`: when the request completed, from the start of the timeline.
    pub fn note_done(&mut self, at: Duration) {
        self.slot(at).done += 1;
    }

    fn slot(&mut self, at: Duration) -> &mut Slot {
        let last = self.slots.len() - 1;
        &mut self.slots[((at.as_secs_f64() / self.each.as_secs_f64()) as usize).min(last)]
    }

    /// Adds a timeline that was collected in parallel, with the same slots.
    pub fn add(&mut self, other: &Slots) {
        for (slot, other) in self.slots.iter_mut().zip(&other.slots) {
            slot.done += other.done;
            slot.latencies.extend(&other.latencies);
        }
    }

    /// The timeline in figures.
    pub fn timeline(mut self) -> Timeline {
        let micros = |latency: &Duration| latency.as_nanos() as f64 / 1e3;
        self.slots.iter_mut().for_each(|slot| slot.latencies.sort());
        Timeline {
            slot_s: self.each.as_secs_f64(),
            per_second: self.slots.iter().map(|slot| slot.done as f64 / self.each.as_secs_f64()).collect(),
            p50_us: self.slots.iter().map(|it| it.latencies.get(it.latencies.len() / 2).map(micros)).collect(),
            max_us: self.slots.iter().map(|it| it.latencies.last().map(micros)).collect(),
        }
    }
}

impl Timeline {
    /// The maximum of a scale of rates: twice the median, or the highest rate if that is less. Requests delayed by a
    /// pause all complete within a slot or two, at a far higher rate than usual.
    pub fn top_of_rates(&self) -> f64 {
        let spread = Spread::of(self.per_second.iter().copied());
        if spread.median > 0.0 { spread.most.min(2.0 * spread.median) } else { spread.most }
    }

    /// The total length in seconds of slots without a completed request.
    pub fn silent_s(&self) -> f64 {
        self.per_second.iter().filter(|rate| **rate == 0.0).count() as f64 * self.slot_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_counts_where_it_was_due_and_where_it_was_done() {
        let ms = Duration::from_millis;
        let mut slots = Slots::new(ms(1_000), ms(250));
        slots.note_latency(ms(100), ms(600));
        slots.note_done(ms(700));
        let mut beside = Slots::new(ms(1_000), ms(250));
        beside.note_latency(ms(120), ms(1));
        beside.note_done(ms(121));
        slots.add(&beside);
        let timeline = slots.timeline();
        assert_eq!(timeline.per_second, [4.0, 0.0, 4.0, 0.0]);
        assert_eq!(timeline.max_us, [Some(600_000.0), None, None, None]);
    }
}
