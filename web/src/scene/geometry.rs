//! The position of a vertex on the page: rotation, perspective and projection of a hypercube. Pure arithmetic.
//!
//! Spaces: *cube* space has the d bits as axes, each mapped into three dimensions. *View* space is cube space rotated
//! towards the viewer, with +z pointing at the viewer. *Page* space has the drawing's own units, with +y downwards.

use cubecast_core::cube::{Dimension, Vertex};

/// Width of the drawing in its own units; it scales with the page.
pub const PAGE_WIDTH: f64 = 800.0;
/// Height of the drawing in its own units.
pub const PAGE_HEIGHT: f64 = 620.0;
/// Distance of the viewer from the centre, in radii of the cube; smaller values exaggerate depth.
const EYE_DISTANCE: f64 = 4.6;

/// A point in cube or view space.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Point3 {
    pub x: f64,
    pub y: f64,
    pub z: f64,
}

/// A point of the drawing, in page space.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct PagePoint {
    pub x: f64,
    pub y: f64,
    /// Size factor by depth: 1 at the centre, more in front, less behind.
    pub scale: f64,
}

/// The outline of a node around its point: a circle in the cube, a cell in the grid.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Outline {
    pub half_width: f64,
    pub half_height: f64,
    /// The radius of the corners. A circle consists of four corners.
    pub corner: f64,
}

impl Outline {
    /// A circle.
    pub fn circle(radius: f64) -> Outline {
        Outline { half_width: radius, half_height: radius, corner: radius }
    }

    /// The same outline in another size.
    pub fn scaled(self, factor: f64) -> Outline {
        let Outline { half_width, half_height, corner } = self;
        Outline { half_width: half_width * factor, half_height: half_height * factor, corner: corner * factor }
    }

    /// The same outline at a distance from this one.
    pub fn grown(self, by: f64) -> Outline {
        let Outline { half_width, half_height, corner } = self;
        Outline { half_width: half_width + by, half_height: half_height + by, corner: corner + by }
    }

    pub fn is_circle(self) -> bool {
        self.corner >= self.half_width
    }
}

/// The way of a link from one node to another: straight in the cube, bowed around other cells in the grid. A quadratic
/// Bézier curve.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Curve {
    pub from: PagePoint,
    /// The control point.
    pub via: PagePoint,
    pub to: PagePoint,
}

impl Curve {
    /// A straight line.
    pub fn straight(from: PagePoint, to: PagePoint) -> Curve {
        Curve { from, via: between(from, to, 0.5), to }
    }

    /// The point at `share` (0 to 1) of the way.
    pub fn at(&self, share: f64) -> PagePoint {
        self.blossom(share, share)
    }

    /// The part between two shares of the way.
    pub fn part(&self, begin: f64, end: f64) -> Curve {
        Curve { from: self.at(begin), via: self.blossom(begin, end), to: self.at(end) }
    }

    /// The curve's polar form, which yields both its points and the control points of its parts.
    fn blossom(&self, one: f64, other: f64) -> PagePoint {
        between(between(self.from, self.via, one), between(self.via, self.to, one), other)
    }
}

/// The rotation of the cube, radians.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Turn {
    /// About the vertical axis.
    pub yaw: f64,
    /// About the horizontal axis.
    pub pitch: f64,
}

impl Turn {
    /// The initial view: no vertex hides another, and in three dimensions no other edge covers the middle of an edge.
    pub fn first(dimension: Dimension) -> Turn {
        match dimension.bits() {
            1..=3 => Turn { yaw: -0.58, pitch: 0.28 },
            _ => Turn { yaw: -0.52, pitch: 0.34 },
        }
    }

    /// With a steeper pitch the cube would turn upside down.
    const MAX_PITCH: f64 = 1.2;

    /// Rotates further; the pitch is limited.
    pub fn by(self, yaw: f64, pitch: f64) -> Turn {
        Turn { yaw: self.yaw + yaw, pitch: (self.pitch + pitch).clamp(-Self::MAX_PITCH, Self::MAX_PITCH) }
    }
}

/// The direction of a bit's axis in cube space. The first three bits are the cube's own edges. Each further bit shifts
/// a copy of the whole, so the edges of one bit stay parallel.
fn axis(dimension: Dimension, bit: u8) -> Point3 {
    // Found by a random search for the largest gaps between nodes, and between nodes and the edges of other nodes.
    const COPIES_IN_4: [[f64; 3]; 1] = [[1.43, -0.18, 0.2]];
    const COPIES_IN_5: [[f64; 3]; 2] = [[1.79, 0.1, -0.53], [0.12, 1.79, -0.31]];
    const COPIES_IN_6: [[f64; 3]; 3] = [[2.09, 0.61, -0.54], [0.39, 1.67, -0.32], [-0.03, -0.22, -0.83]];
    let [x, y, z] = match (bit, dimension.bits()) {
        (0, _) => [1.0, 0.0, 0.0],
        (1, _) => [0.0, 1.0, 0.0],
        (2, _) => [0.0, 0.0, 1.0],
        (3, 4) => COPIES_IN_4[0],
        (3 | 4, 5) => COPIES_IN_5[usize::from(bit) - 3],
        (3..=5, _) => COPIES_IN_6[usize::from(bit) - 3],
        // Above the supported dimensions: any distinct position.
        _ => [f64::from(bit), f64::from(bit) / 2.0, 0.0],
    };
    Point3 { x, y, z }
}

/// The position of a vertex, with the cube's centre at the origin.
pub fn point_in_cube(vertex: Vertex) -> Point3 {
    (0..vertex.dimension().bits()).fold(Point3::default(), |sum, bit| {
        let side = if vertex.index() >> bit & 1 == 1 { 0.5 } else { -0.5 };
        let axis = axis(vertex.dimension(), bit);
        Point3 { x: sum.x + side * axis.x, y: sum.y + side * axis.y, z: sum.z + side * axis.z }
    })
}

/// Rotates a point from cube space into view space.
pub fn view_from_cube(point: Point3, turn: Turn) -> Point3 {
    let (sin, cos) = turn.yaw.sin_cos();
    let (x, z) = (point.x * cos + point.z * sin, point.z * cos - point.x * sin);
    let (sin, cos) = turn.pitch.sin_cos();
    Point3 { x, y: point.y * cos - z * sin, z: z * cos + point.y * sin }
}

/// The page position of every vertex, by vertex index, scaled to fill the drawing.
pub fn cube_points(dimension: Dimension, turn: Turn) -> Vec<PagePoint> {
    let points: Vec<_> = dimension.vertices().map(point_in_cube).collect();
    let radius = points.iter().map(|p| (p.x * p.x + p.y * p.y + p.z * p.z).sqrt()).fold(0.0, f64::max);
    let flat: Vec<_> = points.iter().map(|point| flatten(view_from_cube(*point, turn), radius)).collect();
    fit(&flat, margin(dimension))
}

/// Perspective projection, in units of the cube's radius, with +y downwards.
fn flatten(point: Point3, radius: f64) -> PagePoint {
    let scale = EYE_DISTANCE / (EYE_DISTANCE - point.z / radius);
    PagePoint { x: point.x / radius * scale, y: -point.y / radius * scale, scale }
}

fn fit(points: &[PagePoint], margin: f64) -> Vec<PagePoint> {
    let (left, right) = bounds(points.iter().map(|point| point.x));
    let (top, bottom) = bounds(points.iter().map(|point| point.y));
    let room = |space: f64, extent: f64| {
        if extent > 1e-9 { (space - 2.0 * margin) / extent } else { f64::INFINITY }
    };
    let zoom = room(PAGE_WIDTH, right - left).min(room(PAGE_HEIGHT, bottom - top));
    let place = |point: &PagePoint| PagePoint {
        x: PAGE_WIDTH / 2.0 + (point.x - (left + right) / 2.0) * zoom,
        y: PAGE_HEIGHT / 2.0 + (point.y - (top + bottom) / 2.0) * zoom,
        scale: point.scale,
    };
    points.iter().map(place).collect()
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// Space at the border for a node and, in smaller cubes, its label; page units.
fn margin(dimension: Dimension) -> f64 {
    if dimension.bits() < 5 { 64.0 } else { 36.0 }
}

/// The radius of a node's circle at the centre of the cube, in page units.
pub fn node_radius(dimension: Dimension) -> f64 {
    match dimension.bits() {
        1..=3 => 31.0,
        4 => 24.0,
        5 => 19.0,
        _ => 16.0,
    }
}

/// The point at `share` (0 to 1) of the way from `a` to `b`.
pub fn between(a: PagePoint, b: PagePoint, share: f64) -> PagePoint {
    let mix = |a: f64, b: f64| a + (b - a) * share;
    PagePoint { x: mix(a.x, b.x), y: mix(a.y, b.y), scale: mix(a.scale, b.scale) }
}

/// A circle about the origin, filled from the bottom up to this share (0 to 1) of its height, as an SVG path.
pub fn segment(radius: f64, share: f64) -> String {
    let share = share.clamp(0.0, 1.0);
    let y = radius * (1.0 - 2.0 * share);
    // A full circle has no chord. An arc with a minimal gap looks the same.
    let x = (radius * radius - y * y).max(0.01).sqrt();
    let large = u8::from(share > 0.5);
    format!("M{:.1} {y:.1}A{radius:.1} {radius:.1} 0 {large} 0 {x:.1} {y:.1}z", -x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: PagePoint, b: PagePoint) -> f64 {
        (a.x - b.x).hypot(a.y - b.y)
    }

    fn cubes() -> impl Iterator<Item = Dimension> {
        (1..=Dimension::MAX_PROCESSES).map(|bits| Dimension::new(bits).unwrap())
    }

    #[test]
    fn every_vertex_of_every_cube_stands_on_the_page() {
        for dimension in cubes() {
            let margin = margin(dimension) - 1e-6;
            assert!(margin > 1.3 * node_radius(dimension), "a near node fits");
            for point in cube_points(dimension, Turn::first(dimension)) {
                assert!((margin..=PAGE_WIDTH - margin).contains(&point.x), "{dimension:?} {point:?}");
                assert!((margin..=PAGE_HEIGHT - margin).contains(&point.y), "{dimension:?} {point:?}");
            }
        }
    }

    #[test]
    fn no_node_hides_another() {
        for dimension in cubes() {
            let points = cube_points(dimension, Turn::first(dimension));
            for (i, a) in points.iter().enumerate() {
                for (j, b) in points.iter().enumerate().skip(i + 1) {
                    let room = node_radius(dimension) * (a.scale + b.scale);
                    assert!(distance(*a, *b) > room, "{dimension:?}: {i:b} and {j:b} are {} apart", distance(*a, *b));
                }
            }
        }
    }

    #[test]
    fn a_cube_is_a_cube_its_edges_are_of_one_length_before_it_is_flattened() {
        let cube = Dimension::new(3).unwrap();
        for a in cube.vertices() {
            for b in a.neighbours() {
                let (a, b) = (point_in_cube(a), point_in_cube(b));
                let length = ((a.x - b.x).powi(2) + (a.y - b.y).powi(2) + (a.z - b.z).powi(2)).sqrt();
                assert!((length - 1.0).abs() < 1e-9);
            }
        }
    }

    /// Users and tests click on the middle of an edge.
    #[test]
    fn the_middle_of_every_edge_of_a_cube_lies_free_of_other_edges() {
        const HALF_A_HIT: f64 = 12.0;
        let cube = Dimension::new(3).unwrap();
        let points = cube_points(cube, Turn::first(cube));
        let edges: Vec<_> = cube.vertices().flat_map(|a| a.neighbours().map(move |b| (a, b))).collect();
        for (a, b) in &edges {
            let middle = between(points[a.index()], points[b.index()], 0.5);
            for (c, d) in edges.iter().filter(|(c, d)| (c, d) != (a, b) && (c, d) != (b, a)) {
                let gap = distance_to_edge(middle, points[c.index()], points[d.index()]);
                assert!(gap > HALF_A_HIT, "the middle of {a}–{b} lies {gap} from {c}–{d}");
            }
        }
    }

    fn distance_to_edge(point: PagePoint, a: PagePoint, b: PagePoint) -> f64 {
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let share = ((point.x - a.x) * dx + (point.y - a.y) * dy) / (dx * dx + dy * dy);
        distance(point, between(a, b, share.clamp(0.0, 1.0)))
    }

    #[test]
    fn a_glass_fills_from_below() {
        assert_eq!(segment(10.0, 0.5), "M-10.0 0.0A10.0 10.0 0 0 0 10.0 0.0z");
        assert_eq!(segment(10.0, 0.9), "M-6.0 -8.0A10.0 10.0 0 1 0 6.0 -8.0z");
        assert!(segment(10.0, 0.0).starts_with("M-0.1 10.0A") && segment(10.0, 7.0).starts_with("M-0.1 -10.0A"));
    }

    #[test]
    fn what_is_nearer_is_larger() {
        let cube = Dimension::new(3).unwrap();
        let straight = cube_points(cube, Turn { yaw: 0.0, pitch: 0.0 });
        assert!(straight[0b100].scale > straight[0b000].scale, "bit 2 leads towards the eye");
        assert!(straight[0b001].x > straight[0b000].x, "bit 0 leads to the right");
        assert!(straight[0b010].y < straight[0b000].y, "bit 1 leads upwards");
    }

    #[test]
    fn turning_never_tips_the_cube_over() {
        let turn = Turn { yaw: 0.0, pitch: 0.0 }.by(0.0, 100.0);
        assert!(turn.pitch <= Turn::MAX_PITCH);
    }

    #[test]
    fn the_middle_of_an_edge_lies_between_its_ends() {
        let points = cube_points(Dimension::new(1).unwrap(), Turn { yaw: 0.0, pitch: 0.0 });
        let middle = between(points[0], points[1], 0.5);
        assert!((distance(points[0], middle) - distance(middle, points[1])).abs() < 1e-9);
    }

    #[test]
    fn a_part_of_a_curve_lies_on_the_curve() {
        let point = |x, y| PagePoint { x, y, scale: 1.0 };
        let curve = Curve { from: point(0.0, 0.0), via: point(50.0, -40.0), to: point(100.0, 0.0) };
        assert_eq!(curve.at(0.5), point(50.0, -20.0));
        let part = curve.part(0.2, 0.6);
        assert_eq!((part.from, part.to), (curve.at(0.2), curve.at(0.6)));
        assert!(distance(part.at(0.25), curve.at(0.3)) < 1e-9);
        let straight = Curve::straight(point(0.0, 0.0), point(100.0, 0.0));
        assert!(distance(straight.at(0.3), point(30.0, 0.0)) < 1e-9);
    }
}
