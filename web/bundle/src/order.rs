//! An order in which similar functions are close to each other.

use std::collections::HashMap;

/// The length of the compared pieces of code, in bytes. Lengths from 6 to 8 give the same size.
const PIECE: usize = 6;
/// Gzip finds repetitions within 32 KiB. Half of it gives the best order, because closer repetitions take fewer bits.
const WINDOW: usize = 16 * 1024;
/// Pieces that more functions contain are ignored: one of these functions is always near.
const MOST_HOLDERS: usize = 300;
/// Makes short functions less attractive than their share of known pieces: they fit in many places.
const HANDICAP: u64 = 80;

/// The indices of the functions, in the order in which they compress well. Starts with the largest function; each next
/// one is the one of which the last [`WINDOW`] bytes contain most.
pub fn by_likeness(bodies: &[&[u8]]) -> Vec<usize> {
    let mut likeness = Likeness::new(bodies);
    let mut left: Vec<usize> = (0..bodies.len()).collect();
    let mut order = Vec::new();
    let (mut oldest, mut bytes) = (0, 0);
    while let Some(next) = likeness.take_best(&mut left, bodies) {
        order.push(next);
        likeness.enter_window(next);
        bytes += bodies[next].len();
        while bytes > WINDOW && oldest + 1 < order.len() {
            likeness.leave_window(order[oldest]);
            bytes -= bodies[order[oldest]].len();
            oldest += 1;
        }
    }
    order
}

/// Which pieces of code the functions share, and which of them are in the window.
struct Likeness {
    /// For each function, its pieces that other functions contain too.
    pieces: Vec<Vec<usize>>,
    /// For each piece, the functions that contain it.
    holders: Vec<Vec<usize>>,
    /// For each piece, how many functions in the window contain it.
    in_window: Vec<u32>,
    /// For each function, the weight of its pieces that are in the window.
    score: Vec<u64>,
}

impl Likeness {
    fn new(bodies: &[&[u8]]) -> Likeness {
        let (mut pieces, holders) = pieces(bodies);
        let useful = |piece: &usize| (2..=MOST_HOLDERS).contains(&holders[*piece].len());
        pieces.iter_mut().for_each(|pieces| pieces.retain(useful));
        let in_window = vec![0; holders.len()];
        Likeness { pieces, holders, in_window, score: vec![0; bodies.len()] }
    }

    /// Removes the best next function from `left`: the one with the highest score for its length, or the largest.
    fn take_best(&self, left: &mut Vec<usize>, bodies: &[&[u8]]) -> Option<usize> {
        let merit = |function: usize| {
            let bytes = bodies[function].len() as u64;
            ((self.score[function] << 20) / (bytes + HANDICAP), bytes, std::cmp::Reverse(function))
        };
        let best = (0..left.len()).max_by_key(|at| merit(left[*at]))?;
        Some(left.swap_remove(best))
    }

    fn enter_window(&mut self, function: usize) {
        for &piece in &self.pieces[function] {
            self.in_window[piece] += 1;
            if self.in_window[piece] == 1 {
                let holders = &self.holders[piece];
                holders.iter().for_each(|holder| self.score[*holder] += weight(holders.len()));
            }
        }
    }

    fn leave_window(&mut self, function: usize) {
        for &piece in &self.pieces[function] {
            self.in_window[piece] -= 1;
            if self.in_window[piece] == 0 {
                let holders = &self.holders[piece];
                holders.iter().for_each(|holder| self.score[*holder] -= weight(holders.len()));
            }
        }
    }
}

/// For each function its different pieces, and for each piece the functions that contain it.
fn pieces(bodies: &[&[u8]]) -> (Vec<Vec<usize>>, Vec<Vec<usize>>) {
    let mut numbers: HashMap<&[u8], usize> = HashMap::new();
    let mut holders: Vec<Vec<usize>> = Vec::new();
    let mut pieces = vec![Vec::new(); bodies.len()];
    for (function, body) in bodies.iter().enumerate() {
        for piece in body.windows(PIECE) {
            let number = *numbers.entry(piece).or_insert(holders.len());
            if number == holders.len() {
                holders.push(Vec::new());
            }
            if holders[number].last() != Some(&function) {
                holders[number].push(function);
                pieces[function].push(number);
            }
        }
    }
    (pieces, holders)
}

/// A rare piece says more than a frequent one: one over the square root of its holders. A whole number, so that sums
/// are exact.
fn weight(holders: usize) -> u64 {
    (1000.0 / (holders as f64).sqrt()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_are_almost_the_same_become_neighbours() {
        let body = |seed: u8, last: u8| -> Vec<u8> { (0..100u8).map(|i| i.wrapping_mul(seed)).chain([last]).collect() };
        let bodies = [body(3, 0), body(5, 0), body(7, 0), body(3, 1), body(7, 1), body(5, 1)];
        let order = by_likeness(&bodies.each_ref().map(Vec::as_slice));
        let kinds: Vec<usize> = order.iter().map(|function| [0, 1, 2, 0, 2, 1][*function]).collect();
        assert!(kinds.chunks(2).all(|pair| pair[0] == pair[1]), "{order:?}");
    }

    #[test]
    fn every_function_occurs_once_even_if_it_resembles_no_other() {
        let bodies: Vec<Vec<u8>> = (0..50u8).map(|i| vec![i; usize::from(i)]).collect();
        let mut order = by_likeness(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>());
        order.sort();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
