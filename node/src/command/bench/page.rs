//! The results as a page that needs no other file: tables, and a graph a group.

use std::fmt::Write as _;

use super::results::{Results, Row};
use super::table::{apart, millis, number, sentence};
use crate::bench::Figures;

const WIDTH: f64 = 960.0;
/// Where the graphs begin; names stand left of it.
const LEFT: f64 = 420.0;
const RIGHT: f64 = 90.0;
const LINE: f64 = 26.0;
const TOP: f64 = 34.0;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#17202b;--soft:#556070;--ground:#f5f4f1;--card:#fff;--line:#e1dfda;--bar:#0b5cad;--tail:#b5d2ee;--ok:#00745a;--miss:#bb3a00}
@media(prefers-color-scheme:dark){:root{--ink:#e9eef4;--soft:#a2b0c0;--ground:#0e141b;--card:#161e28;--line:#293543;--bar:#7cbcff;--tail:#2b4f74;--ok:#43cfa4;--miss:#ff8a5c}}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1040px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:40px 0 12px}
p{margin:4px 0;color:var(--soft);max-width:76ch}
.card{background:var(--card);border-radius:12px;padding:18px 20px;margin:12px 0;overflow-x:auto;box-shadow:0 1px 3px #0002}
table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
th{text-align:right;font-weight:550;color:var(--soft);white-space:nowrap}td{text-align:right;border-top:1px solid var(--line);white-space:nowrap}
th,td{padding:4px 8px}th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}
svg{display:block;width:100%;height:auto}svg text{fill:var(--ink);font:13px system-ui,sans-serif}svg .soft{fill:var(--soft)}
ul{padding-left:20px}.reached{color:var(--ok)}.missed{color:var(--miss)}";

pub fn render(results: &Results) -> String {
    let machine = &results.machine;
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Cubecast, measured</title><style>{STYLE}</style></head><body><main>\n<h1>Cubecast {}, measured</h1>\n\
         <p>On {} processors ({}), {} GiB, Linux {}. Seed {}. Each case {} times for {} s behind a warm-up: the median is shown, ± half of what lies between \
         the least and the most. Nodes, clients and the program that measures share the machine.</p>\n\
         <p>Latencies are of HDR histograms; at a fixed rate they count from the moment at which a request was due.</p>\n",
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

/// A bar a case: how many a second; the thin line is what lies between the least and the most.
pub fn rates(rows: &[&Row]) -> String {
    let most = rows.iter().map(|row| row.over(|figures| figures.per_second).most).fold(1.0, f64::max);
    let x = |value: f64| LEFT + value / most * (WIDTH - LEFT - RIGHT);
    graph("a second", "", rows, |row, y| {
        let rate = row.over(|figures| figures.per_second);
        format!(
            "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\" rx=\"3\" fill=\"var(--bar)\"/>\
             <path d=\"M{:.1} {y:.1}H{:.1}\" stroke=\"var(--ink)\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            y - 7.0,
            (x(rate.median) - LEFT).max(1.0),
            x(rate.least),
            x(rate.most),
            x(rate.most) + 8.0,
            y + 4.5,
            number(rate.median),
        )
    })
}

/// From the median to 99.9 of 100, on a logarithmic scale; the mark is 99 of 100.
pub fn latencies(rows: &[&Row]) -> String {
    let all = |figure: fn(&Figures) -> f64| rows.iter().map(move |row| row.over(figure).median);
    let least = all(|figures| figures.p50_us).fold(f64::MAX, f64::min).max(1.0);
    let most = all(|figures| figures.p999_us).fold(least * 10.0, f64::max);
    let (from, to) = (least.log10().floor(), most.log10().ceil());
    let x = |micros: f64| LEFT + (micros.max(1.0).log10() - from) / (to - from) * (WIDTH - LEFT - RIGHT);
    let mut ticks = String::new();
    for power in from as i32..=to as i32 {
        let micros = 10f64.powi(power);
        let bottom = TOP + rows.len() as f64 * LINE;
        let _ = write!(
            ticks,
            "<path d=\"M{0:.1} {TOP}V{bottom:.1}\" stroke=\"var(--line)\"/><text class=\"soft\" x=\"{0:.1}\" y=\"22\" text-anchor=\"middle\">{1} ms</text>",
            x(micros),
            micros / 1e3
        );
    }
    graph("latency: median, 99 %, 99.9 %", &ticks, rows, |row, y| {
        let at = |figure: fn(&Figures) -> f64| row.over(figure).median;
        let (p50, p99, p999) = (at(|it| it.p50_us), at(|it| it.p99_us), at(|it| it.p999_us));
        format!(
            "<path d=\"M{:.1} {y:.1}H{:.1}\" stroke=\"var(--tail)\" stroke-width=\"8\" stroke-linecap=\"round\"/>\
             <circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"var(--bar)\"/>\
             <path d=\"M{:.1} {:.1}v12\" stroke=\"var(--bar)\" stroke-width=\"3\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x(p50),
            x(p999),
            x(p50),
            x(p99),
            y - 6.0,
            x(p999) + 10.0,
            y + 4.5,
            millis(p99),
        )
    })
}

/// `ground` lies behind the rows.
fn graph(title: &str, ground: &str, rows: &[&Row], draw: impl Fn(&Row, f64) -> String) -> String {
    let height = TOP + rows.len() as f64 * LINE + 8.0;
    let mut svg = String::new();
    for (at, row) in rows.iter().enumerate() {
        let y = TOP + (at as f64 + 0.5) * LINE;
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{} <tspan class=\"soft\">· {}</tspan></text>{}",
            LEFT - 12.0,
            y + 4.5,
            escape(&row.case),
            escape(&row.pace),
            draw(row, y)
        );
    }
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{title}\"><text class=\"soft\" x=\"{:.1}\" y=\"22\" text-anchor=\"end\">{title}</text>{ground}{svg}</svg>",
        LEFT - 48.0
    )
}

fn table(rows: &[&Row]) -> String {
    let mut html = String::from(
        "<table><tr><th>case</th><th>pace</th><th>a second</th><th>±</th><th>MB/s</th><th>p50 ms</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th>\
         <th>CPU s a million</th><th>MiB a node</th><th>of the bound</th><th>failed</th></tr>",
    );
    for row in rows {
        let rate = row.over(|figures| figures.per_second);
        let median = |figure: fn(&Figures) -> f64| row.over(figure).median;
        let bound =
            row.bound.as_ref().map(|bound| format!("{:.2}", rate.median / bound.per_second)).unwrap_or_default();
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
            bound,
            row.failed().to_string(),
        ];
        let _ = write!(html, "<tr>{}</tr>", cells.map(|cell| format!("<td>{cell}</td>")).concat());
    }
    html + "</table>"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
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
            bound: None,
        };
        let page = render(&Results { rows: vec![row("<a>"), row("b")], ..Results::default() });
        assert!(page.contains("G &amp; H") && page.contains("&lt;a&gt;") && !page.contains("NaN"), "{page}");
        for tag in ["svg", "table", "div", "h2", "tr", "td"] {
            assert_eq!(page.matches(&format!("<{tag}")).count(), page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}
