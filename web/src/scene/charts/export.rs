//! The displayed charts as a table of comma-separated values.

use super::{Chart, ChartsScene};
use crate::model::feed::Fact;

impl ChartsScene {
    /// One row per second, one column per line. Latencies are in microseconds, times are UTC. `words`: a fault as text.
    pub fn csv(&self, words: impl Fn(&Fact) -> String) -> String {
        let mut text = "seconds since 1970,availability,faults".to_owned();
        for (chart, line) in self.columns() {
            text += &format!(",{}", quoted(&format!("{}: {}", chart.title, line.label)));
        }
        text.push('\n');
        for (at, second) in self.seconds.iter().enumerate() {
            let faults: Vec<String> = second.faults.iter().map(&words).collect();
            text += &format!("{},{},{}", second.at_s, second.availability.name(), quoted(&faults.join("; ")));
            for (_, line) in self.columns() {
                text.push(',');
                text += &line.values[at].map(|value| value.to_string()).unwrap_or_default();
            }
            text.push('\n');
        }
        text
    }

    fn columns(&self) -> impl Iterator<Item = (&Chart, &super::Line)> {
        let charts =
            [&self.throughput, &self.latency].into_iter().chain(&self.lag).chain(&self.nodes).chain(&self.topics);
        charts
            .flat_map(|chart| chart.plots.iter().flat_map(move |plot| plot.lines.iter().map(move |line| (chart, line))))
    }
}

/// A field. Spreadsheets would calculate a text that begins with one of these signs.
fn quoted(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{history, scene};
    use super::*;

    #[test]
    fn every_second_and_every_line_is_in_the_table() {
        let table = scene(&history(30), 20).csv(|_| "100 \"crashes\"".to_owned());
        let rows: Vec<&str> = table.lines().collect();
        assert_eq!(rows.len(), 21);
        assert!(rows[0].contains(",\"Latency of this page's publishes: p99\""), "{}", rows[0]);
        assert!(rows[0].ends_with(",\"news: p99\""), "{}", rows[0]);
        let columns = rows[0].matches(',').count();
        assert!(rows[1..].iter().all(|row| row.matches(',').count() == columns));
        assert!(rows[11].starts_with("20,failed,\"100 \"\"crashes\"\"\",0,7,,,"), "{}", rows[11]);
        assert!(rows[14].starts_with("23,good,\"\",100,0,900,2000,9000,"), "{}", rows[14]);
    }

    #[test]
    fn a_name_is_never_a_formula() {
        assert_eq!([quoted("=1+1"), quoted("news")], ["\"'=1+1\"", "\"news\""]);
    }
}
