//! What happened when: counts and latencies of one while, by slots of equal length.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::figures::Spread;

/// Collects. Latencies are kept one by one, so this is for some ten thousands of requests.
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

/// The same in figures: an item a slot.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Timeline {
    /// How long a slot is, seconds.
    pub slot_s: f64,
    /// Done in the slot, by its length.
    pub per_second: Vec<f64>,
    /// Latencies of what was due in the slot, microseconds; `None` where nothing was, or nothing of it was ever done.
    pub p50_us: Vec<Option<f64>>,
    pub max_us: Vec<Option<f64>>,
}

impl Slots {
    /// Of a while of this length; the last may be shorter than `each`.
    pub fn new(whole: Duration, each: Duration) -> Slots {
        let count = (whole.as_secs_f64() / each.as_secs_f64()).ceil().max(1.0) as usize;
        Slots { each, slots: vec![Slot::default(); count] }
    }

    /// `at`: how long after the while's beginning the request was due.
    pub fn note_latency(&mut self, at: Duration, latency: Duration) {
        self.slot(at).latencies.push(latency);
    }

    /// `at`: how long after the while's beginning it was done.
    pub fn note_done(&mut self, at: Duration) {
        self.slot(at).done += 1;
    }

    fn slot(&mut self, at: Duration) -> &mut Slot {
        let last = self.slots.len() - 1;
        &mut self.slots[((at.as_secs_f64() / self.each.as_secs_f64()) as usize).min(last)]
    }

    /// What was collected beside this, in the same slots.
    pub fn add(&mut self, other: &Slots) {
        for (slot, other) in self.slots.iter_mut().zip(&other.slots) {
            slot.done += other.done;
            slot.latencies.extend(&other.latencies);
        }
    }

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
    /// What a scale of rates has to reach: twice the usual one, or the most where that is less. What waited for a pause to end is done
    /// within a slot or two, far more than at any other time.
    pub fn top_of_rates(&self) -> f64 {
        let spread = Spread::of(self.per_second.iter().copied());
        if spread.median > 0.0 { spread.most.min(2.0 * spread.median) } else { spread.most }
    }

    /// Of all slots in which nothing was done, seconds.
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
