//! The mouse or the fingers on the drawing: what their movements mean. Pure.

use crate::scene::camera::Pair;

/// A pointer that moved less since it was pressed only clicks; CSS pixels.
const CLICK: f64 = 4.0;

/// The pressed pointers, at most two; more are ignored.
#[derive(Default)]
pub struct Fingers {
    pressed: Vec<Finger>,
    /// Whether a movement has begun, so that this is no click.
    moves: bool,
}

struct Finger {
    id: i32,
    at: Pair,
}

/// A movement, in CSS pixels.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Gesture {
    /// One pointer moved by a distance.
    Drag { by: Pair },
    /// Two fingers moved apart by a factor, around the point in their middle, which moved by a distance.
    Pinch { factor: f64, about: Pair, by: Pair },
}

impl Fingers {
    pub fn press(&mut self, id: i32, at: Pair) {
        if self.pressed.len() < 2 && self.pressed.iter().all(|finger| finger.id != id) {
            self.pressed.push(Finger { id, at });
        }
    }

    pub fn release(&mut self, id: i32) {
        self.pressed.retain(|finger| finger.id != id);
        self.moves &= !self.pressed.is_empty();
    }

    /// Whether the fingers move the drawing, and not the page around it.
    pub fn are_two(&self) -> bool {
        self.pressed.len() == 2
    }

    /// `None` for a pointer that is not pressed, and for the trembling of a click.
    pub fn travel(&mut self, id: i32, to: Pair) -> Option<Gesture> {
        let place = self.pressed.iter().position(|finger| finger.id == id)?;
        let from = self.pressed[place].at;
        let by = (to.0 - from.0, to.1 - from.1);
        let is_pair = self.are_two();
        self.moves |= is_pair || by.0.hypot(by.1) >= CLICK;
        if !self.moves {
            return None;
        }
        self.pressed[place].at = to;
        let other = self.pressed.iter().find(|finger| finger.id != id).map(|finger| finger.at);
        Some(other.map_or(Gesture::Drag { by }, |other| {
            let apart = |one: Pair| (one.0 - other.0).hypot(one.1 - other.1).max(1.0);
            let about = ((from.0 + other.0) / 2.0, (from.1 + other.1) / 2.0);
            Gesture::Pinch { factor: apart(to) / apart(from), about, by: (by.0 / 2.0, by.1 / 2.0) }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_may_tremble_and_a_drag_goes_on_from_where_it_was_pressed() {
        let mut fingers = Fingers::default();
        assert_eq!(fingers.travel(1, (50.0, 50.0)), None, "nothing is pressed");
        fingers.press(1, (10.0, 10.0));
        assert_eq!(fingers.travel(1, (12.0, 11.0)), None);
        assert_eq!(fingers.travel(1, (16.0, 10.0)), Some(Gesture::Drag { by: (6.0, 0.0) }));
        assert_eq!(fingers.travel(1, (16.0, 11.0)), Some(Gesture::Drag { by: (0.0, 1.0) }));
        fingers.release(1);
        fingers.press(1, (16.0, 11.0));
        assert_eq!(fingers.travel(1, (16.0, 12.0)), None, "the next press is a click again");
    }

    #[test]
    fn two_fingers_pinch_around_their_middle_and_a_third_does_nothing() {
        let mut fingers = Fingers::default();
        fingers.press(1, (0.0, 0.0));
        fingers.press(2, (100.0, 0.0));
        fingers.press(3, (50.0, 80.0));
        assert!(fingers.are_two());
        assert_eq!(fingers.travel(3, (0.0, 0.0)), None);
        let pinch = fingers.travel(2, (200.0, 0.0));
        assert_eq!(pinch, Some(Gesture::Pinch { factor: 2.0, about: (50.0, 0.0), by: (50.0, 0.0) }));
        fingers.release(1);
        assert_eq!(fingers.travel(2, (201.0, 0.0)), Some(Gesture::Drag { by: (1.0, 0.0) }));
    }
}
