//! The results as a self-contained page: tables, and a graph for each group.

use std::fmt::Write as _;

use super::graphs::{COLOURS, escape, latencies, over_time, rates};
use super::results::{Bound, History, Results, Row};
use super::table::{apart, beside, millis, number, sentence};
use crate::measure::Figures;

const STYLE: &str = "\
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1040px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:40px 0 12px}
p{margin:4px 0;color:var(--soft);max-width:76ch}
.card{background:var(--card);border-radius:12px;padding:18px 20px;margin:12px 0;overflow-x:auto;box-shadow:0 1px 3px #0002}
table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
th{text-align:right;font-weight:550;color:var(--soft);white-space:nowrap}td{text-align:right;border-top:1px solid var(--line);white-space:nowrap}
th,td{padding:4px 8px}th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}
svg{display:block;width:100%;height:auto}
ul{padding-left:20px}.reached{color:var(--ok)}.missed{color:var(--miss)}";

/// The page as HTML.
pub fn render(results: &Results) -> String {
    let machine = &results.machine;
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Cubecast benchmark</title><style>{COLOURS}{STYLE}</style></head><body><main>\n\
         <h1>Cubecast {} benchmark</h1>\n\
         <p>On {} processors ({}), {} GiB, Linux {}. Seed {}. Each case ran {} times for {} s after a warm-up. Shown \
         is the median, ± half of the range from minimum to maximum. Nodes, clients and the measuring program share \
         the machine.</p>\n\
         <p>Latencies come from HDR histograms; at a fixed rate they count from the time at which a request was \
         due.</p>\n",
        escape(&results.version),
        machine.processors,
        escape(&machine.model),
        machine.memory_bytes >> 30,
        escape(&machine.kernel),
        results.seed,
        results.repetitions,
        results.seconds,
    );
    for group in results.groups() {
        let _ = writeln!(page, "<h2>{}</h2>", escape(group));
        let rows: Vec<&Row> = results.rows.iter().filter(|row| row.group == group).collect();
        if !rows.is_empty() {
            let _ = writeln!(page, "<div class=\"card\">{}</div>", rates(&rows));
            let _ = writeln!(page, "<div class=\"card\">{}</div>", latencies(&rows));
            let _ = writeln!(page, "<div class=\"card\">{}</div>", table(&rows));
        }
        let histories: Vec<&History> = results.histories.iter().filter(|history| history.group == group).collect();
        if !histories.is_empty() {
            let _ = writeln!(page, "<div class=\"card\">{}</div>", over_time(&histories));
        }
        let facts: Vec<String> = results
            .facts
            .iter()
            .filter(|fact| fact.group == group)
            .map(|fact| {
                let class = match &fact.target {
                    Some((_, true)) => " class=\"reached\"",
                    Some((_, false)) => " class=\"missed\"",
                    None => "",
                };
                format!("<li{class}>{}</li>", escape(&sentence(fact)))
            })
            .collect();
        if !facts.is_empty() {
            let _ = writeln!(page, "<div class=\"card\"><ul>{}</ul></div>", facts.join("\n"));
        }
    }
    page += "</main></body></html>\n";
    page
}

fn table(rows: &[&Row]) -> String {
    let mut html = String::from(
        "<table><tr><th>case</th><th>pace</th><th>per second</th><th>±</th><th>MB/s</th>\
         <th>p50 ms</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th>\
         <th>CPU s per million</th><th>MiB per node</th><th>p50 relative to floor</th>\
         <th>rate relative to bound</th><th>failed</th></tr>",
    );
    for row in rows {
        let rate = row.over(|figures| figures.per_second);
        let median = |figure: fn(&Figures) -> f64| row.over(figure).median;
        let of_bounds = |share: fn(&Row, &Bound) -> String| {
            let shares = row
                .bounds
                .iter()
                .map(|bound| format!("<span title=\"{}\">{}</span>", escape(&bound.what), share(row, bound)));
            shares.collect::<Vec<_>>().join(", ")
        };
        let cells = [
            escape(&row.case),
            escape(&row.pace),
            number(rate.median),
            apart(rate),
            format!("{:.1}", median(|it| it.bytes_per_second) / 1e6),
            millis(median(|it| it.p50_us)),
            millis(median(|it| it.p90_us)),
            millis(median(|it| it.p99_us)),
            millis(median(|it| it.p999_us)),
            millis(median(|it| it.max_us)),
            format!("{:.0}", median(|it| it.cpu_s_per_million)),
            format!("{:.0}", median(|it| it.rss as f64) / f64::from(1 << 20)),
            of_bounds(|row, bound| beside(row.over(|it| it.p50_us).median, bound.p50_us, 1)),
            of_bounds(|row, bound| beside(row.over(|it| it.per_second).median, bound.per_second, 2)),
            row.failed().to_string(),
        ];
        let _ = write!(html, "<tr>{}</tr>", cells.map(|cell| format!("<td>{cell}</td>")).concat());
    }
    html + "</table>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_well_formed_and_shows_every_case() {
        let row = |case: &str| Row {
            group: "G & H".into(),
            case: case.into(),
            pace: "p".into(),
            repetitions: vec![Figures {
                per_second: 5.0,
                p50_us: 10.0,
                p99_us: 100.0,
                p999_us: 900.0,
                ..Figures::default()
            }],
            bounds: Vec::new(),
        };
        let page = render(&Results { rows: vec![row("<a>"), row("b")], ..Results::default() });
        assert!(page.contains("G &amp; H") && page.contains("&lt;a&gt;") && !page.contains("NaN"), "{page}");
        for tag in ["svg", "table", "div", "h2", "tr", "td"] {
            assert_eq!(page.matches(&format!("<{tag}")).count(), page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}
