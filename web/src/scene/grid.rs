//! The cube as a flat grid: rows and columns in Gray-code order, so that cells side by side are neighbours in the cube.
//! The lower half of the bits selects the column, the upper half the row.

use cubecast_core::cube::{Dimension, Vertex};

use super::geometry::{Curve, Outline, PAGE_HEIGHT, PAGE_WIDTH, PagePoint, between};

/// Space at the border of the page.
const MARGIN: f64 = 24.0;
/// The largest distance of two columns: a grid of few cells does not fill the page.
const WIDEST: f64 = 176.0;
/// The largest distance of two rows, relative to that of two columns.
const HIGHEST: f64 = 0.9;

/// The size of a grid, in page units.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Grid {
    columns: usize,
    rows: usize,
    /// The distance of two columns.
    dx: f64,
    /// The distance of two rows.
    dy: f64,
}

impl Grid {
    fn of(dimension: Dimension) -> Grid {
        let columns = 1 << column_bits(dimension);
        let rows = dimension.size() / columns;
        let dx = ((PAGE_WIDTH - 2.0 * MARGIN) / columns as f64).min(WIDEST);
        let dy = ((PAGE_HEIGHT - 2.0 * MARGIN) / rows as f64).min(dx * HIGHEST);
        Grid { columns, rows, dx, dy }
    }

    fn point(&self, (column, row): (usize, usize)) -> PagePoint {
        let from_middle = |place: usize, count: usize| place as f64 - (count - 1) as f64 / 2.0;
        PagePoint {
            x: PAGE_WIDTH / 2.0 + from_middle(column, self.columns) * self.dx,
            y: PAGE_HEIGHT / 2.0 + from_middle(row, self.rows) * self.dy,
            scale: 1.0,
        }
    }
}

/// The page position of every vertex, by vertex index.
pub fn grid_points(dimension: Dimension) -> Vec<PagePoint> {
    let grid = Grid::of(dimension);
    dimension.vertices().map(|vertex| grid.point(place(vertex))).collect()
}

/// The outline of a cell.
pub fn cell(dimension: Dimension) -> Outline {
    let Grid { dx, dy, .. } = Grid::of(dimension);
    Outline { half_width: dx * 0.37, half_height: dy * 0.36, corner: 8.0 }
}

/// Whether the two cells are next to each other.
pub fn is_side_by_side(a: Vertex, b: Vertex) -> bool {
    let ((a_column, a_row), (b_column, b_row)) = (place(a), place(b));
    a_column.abs_diff(b_column) + a_row.abs_diff(b_row) == 1
}

/// The way of the link between two neighbours. Links to more distant cells run between the rows or columns.
pub fn grid_link(a: Vertex, b: Vertex) -> Curve {
    let grid = Grid::of(a.dimension());
    let (from, to) = (grid.point(place(a)), grid.point(place(b)));
    if is_side_by_side(a, b) {
        return Curve::straight(from, to);
    }
    // The curve reaches half the distance of its control point. The longer it is, the farther away it passes, so that
    // two links of one cell can be told apart.
    let bow = |distance: f64, step: f64| step * 0.8 + distance * 0.06 * step / grid.dx.min(grid.dy);
    let middle = between(from, to, 0.5);
    let via = match from.y == to.y {
        true => PagePoint { y: middle.y - bow((to.x - from.x).abs(), grid.dy), ..middle },
        false => PagePoint { x: middle.x + bow((to.y - from.y).abs(), grid.dx), ..middle },
    };
    Curve { from, via, to }
}

/// The column and the row.
fn place(vertex: Vertex) -> (usize, usize) {
    let bits = column_bits(vertex.dimension());
    (rank(vertex.index() & ((1 << bits) - 1)), rank(vertex.index() >> bits))
}

fn column_bits(dimension: Dimension) -> u8 {
    dimension.bits().div_ceil(2)
}

/// The position of a number in the binary-reflected Gray code: 0, 1, 3, 2, 6, 7, 5, 4 and so on.
fn rank(mut code: usize) -> usize {
    let mut rank = 0;
    while code > 0 {
        rank ^= code;
        code >>= 1;
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cubes() -> impl Iterator<Item = Dimension> {
        (1..=Dimension::MAX_PROCESSES).map(|bits| Dimension::new(bits).unwrap())
    }

    #[test]
    fn cells_side_by_side_are_neighbours_in_the_cube() {
        for dimension in cubes() {
            let mut beside = 0;
            for a in dimension.vertices() {
                for b in dimension.vertices().filter(|b| is_side_by_side(a, *b)) {
                    assert_eq!(a.distance(b), 1, "{a} and {b}");
                    beside += 1;
                }
            }
            let Grid { columns, rows, .. } = Grid::of(dimension);
            assert_eq!(beside, 2 * (rows * (columns - 1) + columns * (rows - 1)), "no cell has two vertices");
        }
    }

    #[test]
    fn neighbours_share_a_row_or_a_column() {
        for dimension in cubes() {
            let points = grid_points(dimension);
            for a in dimension.vertices() {
                for b in a.neighbours() {
                    let (a, b) = (points[a.index()], points[b.index()]);
                    assert!(a.x == b.x || a.y == b.y);
                }
            }
        }
    }

    #[test]
    fn the_first_row_of_four_columns_is_in_gray_code_order() {
        let mut row: Vec<_> = Dimension::new(3).unwrap().vertices().filter(|vertex| place(*vertex).1 == 0).collect();
        row.sort_by_key(|vertex| place(*vertex).0);
        assert_eq!(row.iter().map(ToString::to_string).collect::<Vec<_>>(), ["000", "001", "011", "010"]);
    }

    #[test]
    fn every_cell_stands_on_the_page_and_touches_no_other() {
        for dimension in cubes() {
            let (grid, cell) = (Grid::of(dimension), cell(dimension));
            assert!(2.0 * cell.half_width < grid.dx && 2.0 * cell.half_height < grid.dy);
            for point in grid_points(dimension) {
                assert!((cell.half_width..=PAGE_WIDTH - cell.half_width).contains(&point.x), "{dimension:?} {point:?}");
                assert!((cell.half_height..=PAGE_HEIGHT - cell.half_height).contains(&point.y), "{dimension:?}");
            }
        }
    }

    #[test]
    fn a_long_link_passes_beside_the_cells_that_it_skips_and_is_the_same_in_both_directions() {
        for dimension in cubes() {
            let cell = cell(dimension);
            for a in dimension.vertices() {
                for b in a.neighbours().filter(|b| !is_side_by_side(a, *b)) {
                    let link = grid_link(a, b);
                    let (middle, straight) = (link.at(0.5), between(link.from, link.to, 0.5));
                    let off = (middle.x - straight.x).abs().max((middle.y - straight.y).abs());
                    let half = if link.from.y == link.to.y { cell.half_height } else { cell.half_width };
                    assert!(off > half, "{a} {b}: {off}, and a cell has {half}");
                    assert_eq!(grid_link(b, a).at(0.5), middle);
                }
            }
        }
    }
}
