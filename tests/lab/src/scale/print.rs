//! The figures as tables, for people and for documents.

use cubecast_node::output::Table;
use cubecast_sim::scale::{Figures, Spread, theory};

use super::Measured;
use crate::output::{ReportFormat, grouped};

pub(super) fn report(format: ReportFormat, measured: &Measured) -> String {
    match format {
        ReportFormat::Json => serde_json::to_string(measured).expect("figures are numbers"),
        ReportFormat::Table | ReportFormat::Markdown => tables(format, &measured.cubes).join("\n\n"),
    }
}

fn tables(format: ReportFormat, cubes: &[Figures]) -> Vec<String> {
    vec![
        table(format, cubes, "Hops of a request", ROUTING, routing),
        table(format, cubes, "Hops with some nodes dead", DETOURS, detours),
        table(format, cubes, "Detection of a failed node", NEWS, news),
        table(format, cubes, "Leadership", LEADERSHIP, leadership),
        table(format, cubes, "Publish with quorum", PUBLISHING, publishing),
        table(format, cubes, "Start and idle", START, start),
    ]
}

const ROUTING: [&str; 9] =
    ["d", "nodes", "theory d/2", "mean", "p99", "most", "shortest path", "frames per request", "round trip ms"];

fn routing(cube: &Figures) -> [String; 9] {
    let counted = &cube.whole;
    [
        cube.dimension.to_string(),
        grouped(cube.nodes as u64),
        format!("{:.1}", theory::mean_hops(cube.dimension)),
        format!("{:.2}", counted.hops.mean),
        format!("{}", counted.hops.p99),
        format!("{}", counted.hops.most),
        percent(counted.shortest),
        format!("{:.2}", counted.frames),
        format!("{:.2}", counted.round_trip_ms.mean),
    ]
}

const DETOURS: [&str; 9] =
    ["d", "dead", "mean", "p99", "most", "mean distance", "mean shortest path left", "took shortest", "delivered"];

fn detours(cube: &Figures) -> [String; 9] {
    let counted = &cube.broken;
    [
        cube.dimension.to_string(),
        counted.dead_nodes.to_string(),
        format!("{:.3}", counted.hops.mean),
        format!("{}", counted.hops.p99),
        format!("{}", counted.hops.most),
        format!("{:.3}", counted.mean_distance),
        format!("{:.3}", counted.mean_shortest),
        percent(counted.shortest),
        percent(counted.delivered),
    ]
}

const NEWS: [&str; 9] = [
    "d",
    "theory: edges to last",
    "first ms",
    "median ms",
    "last ms",
    "frames",
    "per node",
    "theory: d(d-1) per node",
    "hung node, last ms",
];

fn news(cube: &Figures) -> [String; 9] {
    let counted = &cube.news;
    [
        cube.dimension.to_string(),
        format!("{}", theory::news_edges(cube.dimension)),
        format!("{:.1}", counted.first_ms),
        format!("{:.1}", counted.median_ms),
        format!("{:.1}", counted.last_ms),
        grouped(counted.frames.round() as u64),
        format!("{:.1}", counted.frames / cube.nodes as f64),
        format!("{}", theory::flood_of_a_death(cube.dimension)),
        format!("{:.1}", cube.silence.last_ms),
    ]
}

const LEADERSHIP: [&str; 5] =
    ["d", "another node leads, ms", "publish acknowledged, ms", "home leads again, ms", "votes and entries, frames"];

fn leadership(cube: &Figures) -> [String; 5] {
    let counted = &cube.failover;
    [
        cube.dimension.to_string(),
        median_and_most(&counted.led_ms),
        median_and_most(&counted.acknowledged_ms),
        median_and_most(&counted.returned_ms),
        format!("{:.0}", counted.frames),
    ]
}

const PUBLISHING: [&str; 5] = ["d", "mean hops to the leader", "acknowledged, median ms", "p99 ms", "frames"];

fn publishing(cube: &Figures) -> [String; 5] {
    let counted = &cube.publishing;
    [
        cube.dimension.to_string(),
        format!("{:.2}", counted.hops.mean),
        format!("{:.1}", counted.acknowledged_ms.median),
        format!("{:.1}", counted.acknowledged_ms.p99),
        format!("{:.1}", counted.frames),
    ]
}

const START: [&str; 6] = [
    "d",
    "all nodes see all, ms",
    "all groups have leaders, ms",
    "frames per node",
    "link states per node",
    "idle frames per node and second",
];

fn start(cube: &Figures) -> [String; 6] {
    let counted = &cube.start;
    [
        cube.dimension.to_string(),
        format!("{:.0}", counted.seen_ms),
        format!("{:.0}", counted.led_ms),
        grouped(counted.frames.round() as u64),
        grouped(counted.words.round() as u64),
        format!("{:.0}", cube.idle_frames),
    ]
}

fn median_and_most(spread: &Spread) -> String {
    format!("{:.0}, at most {:.0}", spread.median, spread.most)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// One table with a row for each cube.
fn table<const N: usize>(
    format: ReportFormat,
    cubes: &[Figures],
    title: &str,
    headings: [&str; N],
    row: fn(&Figures) -> [String; N],
) -> String {
    if format == ReportFormat::Markdown {
        let ruled = |cells: &[String]| format!("| {} |", cells.join(" | "));
        let mut lines =
            vec![format!("### {title}\n"), ruled(&headings.map(String::from)), format!("|{}", "---:|".repeat(N))];
        lines.extend(cubes.iter().map(|cube| ruled(&row(cube))));
        return lines.join("\n");
    }
    let mut table = Table::new(headings);
    cubes.iter().for_each(|cube| table.row(row(cube)));
    format!("{title}\n\n{}", table.render())
}

#[cfg(test)]
mod tests {
    use cubecast_sim::scale::Sizes;

    use super::*;
    use crate::scale::tests::small;

    #[test]
    fn each_table_has_a_row_for_each_cube_in_both_forms() {
        let measured = Measured { sizes: Sizes::default(), cubes: small() };
        let (text, markdown) = (report(ReportFormat::Table, &measured), report(ReportFormat::Markdown, &measured));
        for cube in &measured.cubes {
            let starts = |text: &str, mark: String| text.lines().filter(|line| line.starts_with(&mark)).count();
            assert_eq!(starts(&text, format!("{} ", cube.dimension)), 6);
            assert_eq!(starts(&markdown, format!("| {} |", cube.dimension)), 6);
        }
    }
}
