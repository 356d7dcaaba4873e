//! The figures as a drawing: four small panels in one SVG, for light and dark pages, without scripts.
//!
//! Measured figures are dots joined by thin lines. The theory is a broad pale line behind them. Each line's name is
//! at its end.

use std::fmt::Write as _;

use cubecast_sim::scale::{Figures, theory};

use super::geometry::{Axis, apart, powers_of_ten, ticks};
use crate::output::grouped;

const WIDTH: f64 = 1180.0;
const HEIGHT: f64 = 820.0;
/// The size of a panel's plot. The names are to the right of it, the title above.
const PLOT: (f64, f64) = (296.0, 230.0);
const LEFT: [f64; 2] = [84.0, 664.0];
const TOP: [f64; 2] = [150.0, 526.0];
/// The distance between two names.
const GAP: f64 = 17.0;

/// One line of a panel.
struct Series {
    /// Its colour's class in [`STYLE`].
    class: &'static str,
    name: String,
    /// By dimension.
    points: Vec<(f64, f64)>,
    /// The largest single figures, by dimension.
    reach: Vec<(f64, f64)>,
}

struct Panel {
    title: &'static str,
    about: String,
    logarithmic: bool,
    theory: Vec<Series>,
    counted: Vec<Series>,
}

const STYLE: &str = "
  .page { fill: #fbfbfe; } .plot { fill: #f1f2fa; } .grid { stroke: #dcdfee; stroke-width: 1; }
  text { font-family: system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1b1e2e; }
  .heading { font-size: 25px; font-weight: 700; } .title { font-size: 17px; font-weight: 700; }
  .about, .tick { font-size: 12.5px; fill: #50566f; } .name { font-size: 13px; font-weight: 600; }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; } .reach { stroke-width: 2; opacity: 0.45; }
  .theory { fill: none; stroke-width: 9; stroke-linecap: round; stroke-linejoin: round; stroke: #f2c14e; opacity: 0.75; }
  .a { stroke: #3d4edb; } .b { stroke: #d1466f; } .c { stroke: #0c8f7c; } .d { stroke: #9a4fd0; }
  .dot.a, .name.a { fill: #3d4edb; } .dot.b, .name.b { fill: #d1466f; } .dot.c, .name.c { fill: #0c8f7c; } .dot.d, .name.d { fill: #9a4fd0; }
  .name { stroke: none; } .dot { stroke: #fbfbfe; stroke-width: 1.5; } .name.t { fill: #8a6100; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #14161f; } .plot { fill: #1b1e2b; } .grid { stroke: #2d3246; }
    text { fill: #eef0fa; } .about, .tick { fill: #aab1cb; }
    .theory { stroke: #b98a1d; opacity: 0.7; } .name.t { fill: #f2c14e; }
    .a { stroke: #8f9bff; } .b { stroke: #ff8aa9; } .c { stroke: #4fd6c0; } .d { stroke: #d3a0ff; }
    .dot.a, .name.a { fill: #8f9bff; } .dot.b, .name.b { fill: #ff8aa9; } .dot.c, .name.c { fill: #4fd6c0; } .dot.d, .name.d { fill: #d3a0ff; }
    .dot { stroke: #14161f; } .name { stroke: none; }
  }
";

/// The whole drawing.
pub(super) fn svg(figures: &[Figures]) -> String {
    let mut drawing = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" \
         aria-label=\"How hops, times and frames grow with the cube\">\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"14\"/>\n"
    );
    text(&mut drawing, "heading", (LEFT[0] - 40.0, 52.0), "start", &heading(figures));
    let about =
        "Simulated in virtual time: 1 ms per edge, 0.5 ms per disk write. Broad lines: theory. Dots: measurements.";
    text(&mut drawing, "about", (LEFT[0] - 40.0, 78.0), "start", about);
    for (at, panel) in panels(figures).iter().enumerate() {
        draw(&mut drawing, panel, figures, (LEFT[at % 2], TOP[at / 2]));
    }
    drawing.push_str("</svg>\n");
    drawing
}

fn heading(figures: &[Figures]) -> String {
    let nodes = |cube: Option<&Figures>| cube.map_or_else(String::new, |cube| grouped(cube.nodes as u64));
    format!("From {} to {} nodes", nodes(figures.first()), nodes(figures.last()))
}

fn panels(figures: &[Figures]) -> [Panel; 4] {
    let by_dimension = |figure: &dyn Fn(&Figures) -> f64| -> Vec<(f64, f64)> {
        figures.iter().map(|cube| (f64::from(cube.dimension), figure(cube))).collect()
    };
    let series = |class, name: &str, figure: &dyn Fn(&Figures) -> f64| Series {
        class,
        name: name.into(),
        points: by_dimension(figure),
        reach: Vec::new(),
    };
    let reaching = |class, name: &str, figure: &dyn Fn(&Figures) -> f64, most: &dyn Fn(&Figures) -> f64| Series {
        reach: by_dimension(most),
        ..series(class, name, figure)
    };
    let dead = figures.last().map_or(0.0, |cube| cube.broken.dead_nodes as f64 / cube.nodes as f64);
    let dead = format!("{:.0} % of nodes dead", dead * 100.0);
    let probes = figures.last().map_or(0, |cube| cube.whole.probes as u64);
    [
        Panel {
            title: "Hops of a request",
            about: format!("mean number of edges from origin to target, {} random pairs", grouped(probes)),
            logarithmic: false,
            theory: vec![series("t", "theory: d / 2", &|cube| theory::mean_hops(cube.dimension))],
            counted: vec![
                series("a", "whole cube", &|cube| cube.whole.hops.mean),
                series("b", &dead, &|cube| cube.broken.hops.mean),
            ],
        },
        Panel {
            title: "Detection of a failed node",
            about: "ms from the kill until a node reports it".into(),
            logarithmic: false,
            theory: vec![series("t", "theory: d + 1 edges", &|cube| theory::news_edges(cube.dimension))],
            counted: vec![
                series("a", "the last node", &|cube| cube.news.last_ms),
                series("c", "the median node", &|cube| cube.news.median_ms),
            ],
        },
        Panel {
            title: "Leadership",
            about: "ms, median of the killed homes; vertical lines up to the slowest".into(),
            logarithmic: false,
            theory: Vec::new(),
            counted: vec![
                reaching("d", "home leads again", &|cube| cube.failover.returned_ms.median, &|cube| {
                    cube.failover.returned_ms.most
                }),
                reaching("b", "publish acknowledged", &|cube| cube.failover.acknowledged_ms.median, &|cube| {
                    cube.failover.acknowledged_ms.most
                }),
                reaching("a", "another node leads", &|cube| cube.failover.led_ms.median, &|cube| {
                    cube.failover.led_ms.most
                }),
            ],
        },
        Panel {
            title: "Frames",
            about: "frames sent per node; for a publish, all frames".into(),
            logarithmic: true,
            theory: vec![series("t", "theory: d (d - 1)", &|cube| theory::flood_of_a_death(cube.dimension))],
            counted: vec![
                series("a", "at the start", &|cube| cube.start.frames),
                series("d", "idle, per second", &|cube| cube.idle_frames),
                series("b", "one failed node", &|cube| cube.news.frames / cube.nodes as f64),
                series("c", "one publish", &|cube| cube.publishing.frames),
            ],
        },
    ]
}

fn draw(drawing: &mut String, panel: &Panel, figures: &[Figures], (left, top): (f64, f64)) {
    let (width, height) = PLOT;
    let (x, y, marks) = axes(panel, figures, (left, top));
    text(drawing, "title", (left - 40.0, top - 32.0), "start", panel.title);
    text(drawing, "about", (left - 40.0, top - 13.0), "start", &panel.about);
    let _ = writeln!(
        drawing,
        "<rect class=\"plot\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
    );
    for mark in marks {
        let at = y.point(mark);
        let (from, to) = (left, left + width);
        let _ = writeln!(drawing, "<line class=\"grid\" x1=\"{from}\" y1=\"{at:.1}\" x2=\"{to}\" y2=\"{at:.1}\"/>");
        text(drawing, "tick", (left - 8.0, at + 4.5), "end", &tick(mark));
    }
    for cube in figures {
        let at = x.point(f64::from(cube.dimension));
        text(drawing, "tick", (at, top + height + 22.0), "middle", &cube.dimension.to_string());
        text(drawing, "tick", (at, top + height + 39.0), "middle", &grouped(cube.nodes as u64));
    }
    text(drawing, "tick", (left - 8.0, top + height + 22.0), "end", "d");
    text(drawing, "tick", (left - 8.0, top + height + 39.0), "end", "nodes");
    for series in &panel.theory {
        let _ = writeln!(drawing, "<path class=\"theory\" d=\"{}\"/>", path(series, &x, &y));
    }
    for series in &panel.counted {
        line(drawing, series, &x, &y);
    }
    names(drawing, panel, &y, (left + width + 12.0, top + height));
}

fn axes(panel: &Panel, figures: &[Figures], (left, top): (f64, f64)) -> (Axis, Axis, Vec<f64>) {
    let (width, height) = PLOT;
    let drawn =
        || panel.theory.iter().chain(&panel.counted).flat_map(|series| series.points.iter().chain(&series.reach));
    let most = drawn().map(|(_, figure)| *figure).fold(1.0, f64::max);
    let least = drawn().map(|(_, figure)| *figure).filter(|figure| *figure > 0.0).fold(most, f64::min);
    let marks = if panel.logarithmic { powers_of_ten(least, most) } else { ticks(most) };
    let dimension = |cube: Option<&Figures>| cube.map_or(0.0, |cube| f64::from(cube.dimension));
    let x = Axis {
        least: dimension(figures.first()),
        most: dimension(figures.last()),
        begins: left + 16.0,
        ends: left + width - 16.0,
        logarithmic: false,
    };
    let y = Axis {
        least: marks[0],
        most: marks[marks.len() - 1],
        begins: top + height,
        ends: top,
        logarithmic: panel.logarithmic,
    };
    (x, y, marks)
}

fn line(drawing: &mut String, series: &Series, x: &Axis, y: &Axis) {
    let class = series.class;
    for ((dimension, figure), (_, most)) in series.points.iter().zip(&series.reach) {
        let (at, from, to) = (x.point(*dimension), y.point(*figure), y.point(*most));
        let _ = writeln!(
            drawing,
            "<line class=\"reach {class}\" x1=\"{at:.1}\" y1=\"{from:.1}\" x2=\"{at:.1}\" y2=\"{to:.1}\"/>"
        );
    }
    let _ = writeln!(drawing, "<path class=\"line {class}\" d=\"{}\"/>", path(series, x, y));
    for (dimension, figure) in &series.points {
        let (at, height) = (x.point(*dimension), y.point(*figure));
        let _ = writeln!(drawing, "<circle class=\"dot {class}\" cx=\"{at:.1}\" cy=\"{height:.1}\" r=\"4.5\"/>");
    }
}

fn path(series: &Series, x: &Axis, y: &Axis) -> String {
    let point = |(dimension, figure): &(f64, f64)| format!("{:.1} {:.1}", x.point(*dimension), y.point(*figure));
    format!("M{}", series.points.iter().map(point).collect::<Vec<_>>().join(" L"))
}

/// Draws each line's name and last figure beside its end.
fn names(drawing: &mut String, panel: &Panel, y: &Axis, (left, lowest): (f64, f64)) {
    let named: Vec<(&Series, f64)> = panel
        .theory
        .iter()
        .chain(&panel.counted)
        .filter_map(|series| Some((series, series.points.last()?.1)))
        .collect();
    let wanted: Vec<f64> = named.iter().map(|(_, last)| y.point(*last) + 4.5).collect();
    for ((series, last), height) in named.iter().zip(apart(&wanted, GAP, lowest)) {
        let label = format!("{} {}", series.name, rounded(*last));
        text(drawing, &format!("name {}", series.class), (left, height), "start", &label);
    }
}

fn text(drawing: &mut String, class: &str, (x, y): (f64, f64), anchor: &str, what: &str) {
    let _ =
        writeln!(drawing, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{what}</text>");
}

fn tick(figure: f64) -> String {
    if figure.fract() == 0.0 { grouped(figure as u64) } else { format!("{figure:.1}") }
}

/// A figure with the digits that matter for comparison.
fn rounded(figure: f64) -> String {
    if figure < 20.0 { format!("{figure:.2}") } else { grouped(figure.round() as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::tests::small;

    #[test]
    fn every_panel_names_every_dimension_and_each_of_its_lines() {
        let figures = small();
        let drawing = svg(&figures);
        for cube in &figures {
            let mark = |what: String| format!("text-anchor=\"middle\">{what}</text>");
            assert_eq!(drawing.matches(&mark(cube.dimension.to_string())).count(), 4, "d = {}", cube.dimension);
            assert_eq!(drawing.matches(&mark(cube.nodes.to_string())).count(), 4, "d = {}", cube.dimension);
        }
        let lines: usize = panels(&figures).iter().map(|panel| panel.theory.len() + panel.counted.len()).sum();
        assert_eq!(drawing.matches("<path").count(), lines);
        assert_eq!(drawing.matches("class=\"name ").count(), lines);
        assert!(drawing.contains("theory: d / 2"));
    }

    #[test]
    fn every_dot_lies_in_its_plot() {
        let figures = small();
        for panel in panels(&figures) {
            let (x, y, _) = axes(&panel, &figures, (0.0, 0.0));
            for (dimension, figure) in panel.counted.iter().flat_map(|series| series.points.iter().chain(&series.reach))
            {
                let (across, down) = (x.point(*dimension), y.point(*figure));
                let inside = (0.0..=PLOT.0).contains(&across) && (0.0..=PLOT.1).contains(&down);
                assert!(inside, "{}: {dimension}, {figure} at {across}, {down}", panel.title);
            }
        }
    }
}
