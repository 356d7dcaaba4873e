//! A frame in flight over an edge, drawn as a dot: its position, size and opacity over time.

use super::geometry::{Curve, Outline};

/// At the centre of the cube.
const RADIUS: f64 = 5.0;
/// A dropped frame stops half-way after this share of its time; the rest of the time shows its burst.
const DIES_AT: f64 = 0.6;
/// Final size of the burst, relative to the dot.
const BURST: f64 = 2.4;

/// The path of a dot, from one node's rim to the other's.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Way {
    curve: Curve,
    /// Whether the frame is dropped half-way.
    swallowed: bool,
}

/// A dot to draw, in page coordinates.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Dot {
    pub x: f64,
    pub y: f64,
    pub radius: f64,
    pub opacity: f64,
}

impl Way {
    /// The part of a link between the rims of two nodes. `node`: their outline at the centre of the cube.
    pub fn new(link: Curve, node: Outline, swallowed: bool) -> Way {
        let (dx, dy) = (link.to.x - link.from.x, link.to.y - link.from.y);
        let reach = if dx.abs() > dy.abs() { node.half_width } else { node.half_height };
        let rim = |scale: f64| (reach * scale / dx.hypot(dy).max(1.0)).min(0.5);
        Way { curve: link.part(rim(link.from.scale), 1.0 - rim(link.to.scale)), swallowed }
    }

    /// The dot after this share of its time; `None` once it has arrived.
    pub fn at(&self, share: f64) -> Option<Dot> {
        match (share, self.swallowed) {
            (..1.0, false) => Some(self.dot(ease(share), 1.0, 1.0)),
            (..DIES_AT, true) => Some(self.dot(ease(share / DIES_AT) / 2.0, 1.0, 1.0)),
            (..1.0, true) => {
                let burst = (share - DIES_AT) / (1.0 - DIES_AT);
                Some(self.dot(0.5, 1.0 + burst * (BURST - 1.0), 1.0 - burst))
            }
            _ => None,
        }
    }

    /// The dot for users who prefer reduced motion: half-way, for the whole time.
    pub fn at_rest(&self, share: f64) -> Option<Dot> {
        (share < 1.0).then(|| self.dot(0.5, 1.0, 1.0))
    }

    fn dot(&self, share: f64, size: f64, opacity: f64) -> Dot {
        let at = self.curve.at(share);
        Dot { x: at.x, y: at.y, radius: RADIUS * at.scale * size, opacity }
    }
}

/// Smoothstep: starts and stops gently.
fn ease(share: f64) -> f64 {
    let share = share.clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::geometry::PagePoint;

    fn link(length: f64) -> Curve {
        Curve::straight(PagePoint { scale: 1.0, ..PagePoint::default() }, PagePoint { x: length, y: 0.0, scale: 1.0 })
    }

    fn way(swallowed: bool) -> Way {
        Way::new(link(100.0), Outline::circle(10.0), swallowed)
    }

    #[test]
    fn a_dot_goes_from_rim_to_rim_and_is_gone() {
        let x = |share| way(false).at(share).map(|dot| dot.x.round());
        assert_eq!([x(0.0), x(0.5), x(0.999), x(1.0)], [Some(10.0), Some(50.0), Some(90.0), None]);
    }

    #[test]
    fn a_dot_follows_a_bowed_link() {
        let link = link(100.0);
        let bowed = Curve { via: PagePoint { y: -40.0, ..link.via }, ..link };
        let dot = Way::new(bowed, Outline::circle(10.0), false).at(0.5).unwrap();
        assert_eq!((dot.x, dot.y), (bowed.at(0.5).x, bowed.at(0.5).y));
    }

    #[test]
    fn a_swallowed_one_dies_half_way_and_is_seen_to() {
        let [before, dying] = [0.6, 0.8].map(|share| way(true).at(share).unwrap());
        assert_eq!((before.x, dying.x), (50.0, 50.0));
        assert!(dying.radius > before.radius && dying.opacity < before.opacity);
        assert_eq!(way(true).at(1.0), None);
    }

    #[test]
    fn without_motion_it_marks_the_middle() {
        assert_eq!([0.0, 0.9].map(|share| way(true).at_rest(share).unwrap().x), [50.0, 50.0]);
        assert_eq!(way(false).at_rest(1.0), None);
    }

    #[test]
    fn nodes_that_touch_leave_it_a_place_between() {
        assert_eq!(Way::new(link(10.0), Outline::circle(30.0), false).at(0.3).unwrap().x, 5.0);
    }
}
