//! The part of the drawing that is in view: zoom and position, within limits. Pure arithmetic.
//!
//! Spaces: *page* space has the drawing's own units ([`super::geometry`]). *Pane* space is the area of the screen that
//! shows the drawing, in CSS pixels, with the origin at its top left corner.

use super::geometry::{PAGE_HEIGHT, PAGE_WIDTH};

/// A point or a distance in page or pane space.
pub type Pair = (f64, f64);

/// The size of the pane in CSS pixels.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pane {
    pub width: f64,
    pub height: f64,
}

/// The view box: the part of the page that certainly fits into the pane. The pane shows more beside it if the two have
/// different proportions.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Camera {
    /// 1 shows the whole page.
    zoom: f64,
    left: f64,
    top: f64,
}

impl Camera {
    /// The whole page.
    pub const WHOLE: Camera = Camera { zoom: 1.0, left: 0.0, top: 0.0 };
    /// At 8, one node of 64 fills the pane.
    pub const MAX_ZOOM: f64 = 8.0;

    /// Whether the whole page is in view.
    pub fn is_whole(self) -> bool {
        self.zoom <= 1.0
    }

    /// Whether it cannot come closer.
    pub fn is_closest(self) -> bool {
        self.zoom >= Self::MAX_ZOOM
    }

    /// The factor of lines and dots in page units: they grow less than the distances between nodes.
    pub fn slimness(self) -> f64 {
        self.zoom.sqrt().recip()
    }

    /// Left, top, width and height in page units.
    pub fn view_box(self) -> [f64; 4] {
        [self.left, self.top, PAGE_WIDTH / self.zoom, PAGE_HEIGHT / self.zoom]
    }

    /// CSS pixels per page unit.
    pub fn pixels_per_unit(self, pane: Pane) -> f64 {
        (pane.width / PAGE_WIDTH).min(pane.height / PAGE_HEIGHT) * self.zoom
    }

    /// The point of the pane that shows this point of the page. An SVG with this view box agrees.
    pub fn pane_from_page(self, pane: Pane, (x, y): Pair) -> Pair {
        let (unit, [left, top, width, height]) = (self.pixels_per_unit(pane), self.view_box());
        ((pane.width - width * unit) / 2.0 + (x - left) * unit, (pane.height - height * unit) / 2.0 + (y - top) * unit)
    }

    /// The point of the page that is shown at this point of the pane.
    pub fn page_from_pane(self, pane: Pane, (x, y): Pair) -> Pair {
        let unit = self.pixels_per_unit(pane);
        let (left, top) = self.pane_from_page(pane, (0.0, 0.0));
        ((x - left) / unit, (y - top) / unit)
    }

    /// Comes closer by a factor, or moves away. The given point of the page stays where it is in the pane, unless the
    /// limits prevent it.
    pub fn zoomed(self, factor: f64, (x, y): Pair) -> Camera {
        let zoom = (self.zoom * factor).min(Self::MAX_ZOOM);
        // As many steps back as forth lead to the whole page in spite of rounding.
        if zoom < 1.001 {
            return Camera::WHOLE;
        }
        let nearer = zoom / self.zoom;
        Camera { zoom, left: x - (x - self.left) / nearer, top: y - (y - self.top) / nearer }.limited()
    }

    /// Moves the page by a distance in the pane.
    pub fn moved(self, pane: Pane, (dx, dy): Pair) -> Camera {
        let unit = self.pixels_per_unit(pane);
        Camera { left: self.left - dx / unit, top: self.top - dy / unit, ..self }.limited()
    }

    /// Moves as little as necessary so that this point of the page is at least `margin` pixels inside the pane.
    pub fn showing(self, pane: Pane, point: Pair, margin: f64) -> Camera {
        let (x, y) = self.pane_from_page(pane, point);
        let missing = |at: f64, length: f64| {
            let margin = margin.min(length / 2.0);
            at.clamp(margin, length - margin) - at
        };
        self.moved(pane, (missing(x, pane.width), missing(y, pane.height)))
    }

    /// The view box stays on the page.
    fn limited(self) -> Camera {
        let [left, top, width, height] = self.view_box();
        Camera { left: left.clamp(0.0, PAGE_WIDTH - width), top: top.clamp(0.0, PAGE_HEIGHT - height), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Pane = Pane { width: 1200.0, height: 500.0 };
    const TALL: Pane = Pane { width: 390.0, height: 700.0 };

    fn is_near((a, b): Pair, (c, d): Pair) -> bool {
        (a - c).abs() < 1e-6 && (b - d).abs() < 1e-6
    }

    #[test]
    fn the_point_under_the_pointer_stays_under_it() {
        for pane in [WIDE, TALL] {
            for pointer in [(0.3 * pane.width, 0.4 * pane.height), (0.6 * pane.width, 0.55 * pane.height)] {
                let mut camera = Camera::WHOLE;
                let point = camera.page_from_pane(pane, pointer);
                for factor in [1.5, 1.7, 0.8, 3.0, 0.5] {
                    camera = camera.zoomed(factor, point);
                    assert!(is_near(camera.pane_from_page(pane, point), pointer), "{camera:?} {pane:?}");
                    assert!(is_near(camera.page_from_pane(pane, pointer), point), "{camera:?} {pane:?}");
                }
                assert!(camera.zoom > 2.0);
            }
        }
    }

    #[test]
    fn the_page_follows_the_pointer_that_drags_it() {
        for pane in [WIDE, TALL] {
            let camera = Camera::WHOLE.zoomed(4.0, (400.0, 310.0));
            let grasped = camera.page_from_pane(pane, (200.0, 250.0));
            let camera = camera.moved(pane, (30.0, -20.0));
            assert!(is_near(camera.pane_from_page(pane, grasped), (230.0, 230.0)));
        }
    }

    #[test]
    fn no_movement_leaves_the_page_and_no_zoom_its_limits() {
        let on_page = |camera: Camera| {
            let [left, top, width, height] = camera.view_box();
            left >= 0.0 && top >= 0.0 && left + width <= PAGE_WIDTH + 1e-9 && top + height <= PAGE_HEIGHT + 1e-9
        };
        for (dx, dy) in [(1e6, 1e6), (-1e6, -1e6), (1e6, -1e6)] {
            let closest = Camera::WHOLE.zoomed(1e6, (790.0, 10.0));
            assert!(closest.is_closest() && on_page(closest), "{closest:?}");
            assert!(on_page(closest.moved(WIDE, (dx, dy))));
            assert!(on_page(closest.moved(WIDE, (dx, dy)).zoomed(0.3, (0.0, 600.0))));
            assert_eq!(closest.moved(WIDE, (dx, dy)).zoomed(1e-6, (1.0, 1.0)), Camera::WHOLE);
            assert_eq!(Camera::WHOLE.moved(WIDE, (dx, dy)), Camera::WHOLE, "the whole page has no place to go");
        }
    }

    #[test]
    fn a_point_outside_is_brought_inside_and_one_inside_moves_nothing() {
        let camera = Camera::WHOLE.zoomed(6.0, (100.0, 100.0));
        let shown = camera.showing(WIDE, (600.0, 500.0), 40.0);
        let (x, y) = shown.pane_from_page(WIDE, (600.0, 500.0));
        assert!((39.9..=1_160.1).contains(&x) && (39.9..=460.1).contains(&y), "{x} {y}");
        assert_eq!(shown.showing(WIDE, (600.0, 500.0), 30.0), shown);
    }
}
