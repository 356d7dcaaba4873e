//! Random choices that are equal on every machine: drawn as `u64`, never as `usize`.

use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use fastrand::Rng;

/// Returns true in `share` of `of` cases.
pub(super) fn happens(random: &mut Rng, share: u64, of: u64) -> bool {
    random.u64(0..of) < share
}

pub(super) fn one_of<'a, T>(random: &mut Rng, items: &'a [T]) -> Option<&'a T> {
    let count = items.len() as u64;
    (count > 0).then(|| &items[random.u64(0..count) as usize])
}

/// One of the items, with probabilities proportional to their weights.
pub(super) fn weighted<T: Copy>(random: &mut Rng, items: &[(T, u64)]) -> T {
    let total = items.iter().map(|(_, weight)| weight).sum();
    let mut draw = random.u64(0..total);
    for (item, weight) in items {
        match draw.checked_sub(*weight) {
            Some(rest) => draw = rest,
            None => return *item,
        }
    }
    unreachable!("a draw below the sum of all weights falls into one of them")
}

pub(super) fn other_node(random: &mut Rng, seating: &Seating, node: HostId) -> HostId {
    let others: Vec<HostId> = seating.hosts().filter(|other| *other != node).collect();
    *one_of(random, &others).expect("a cluster has two nodes or more")
}
