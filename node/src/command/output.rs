//! What is printed: tables for people, one JSON object a line for programs.

use std::io::{ErrorKind, Write};

use clap::ValueEnum;
use cubecast_core::client::Reply;
use cubecast_core::wire::answer::ServerFrame;
use cubecast_core::wire::json;
use serde_json::{Value, json};

use super::Failure;

/// For whom the output is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs: one JSON object a line.
    Json,
}

/// Prints one line to standard output.
pub fn line(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| match error.kind() {
        // Whoever read has had enough, as `head` does.
        ErrorKind::BrokenPipe => Failure::new(0, ""),
        _ => Failure::new(Failure::FAILED, format!("standard output: {error}")),
    })
}

/// Prints a remark to standard error.
pub fn remark(text: &str) {
    // When standard error is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "cubecast: {text}");
}

/// An answer in the protocol's JSON, with how the client came by it.
pub fn json_of(reply: &Reply) -> Value {
    let mut value: Value = serde_json::from_str(&json::render(&ServerFrame::Answer(reply.answer.clone())))
        .expect("core renders valid JSON");
    if let Value::Object(fields) = &mut value {
        fields.remove("id");
        fields.insert("asked".into(), json!(reply.asked));
        fields.insert("attempts".into(), json!(reply.attempts));
        let fell_over = reply.fell_over.as_ref();
        fields.insert(
            "fell_over".into(),
            json!(fell_over.map(|fell| json!({ "from": fell.from, "to": fell.to, "why": fell.why }))),
        );
    }
    value
}

/// Prints an answer: its sentence, or its JSON.
pub fn reply(format: Format, reply: &Reply) -> Result<(), Failure> {
    match (format, &reply.answer.result) {
        (Format::Json, _) => line(&json_of(reply).to_string()),
        (Format::Table, Ok(done)) => {
            line(&json::human_message(done))?;
            hops(reply)
        }
        (Format::Table, Err(failure)) => line(&failure.to_string()),
    }
}

fn hops(reply: &Reply) -> Result<(), Failure> {
    match &reply.answer.hops {
        Some(hops) => {
            let way: Vec<_> = hops.iter().map(ToString::to_string).collect();
            line(&format!("  way: {}; served by {}", way.join(" -> "), reply.answer.served_by))
        }
        None => Ok(()),
    }
}

/// Columns that line up.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<const N: usize>(headings: [&str; N]) -> Table {
        Table { rows: vec![headings.map(String::from).to_vec()] }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    pub fn render(&self) -> String {
        let columns = self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<_> = (0..columns).map(width).collect();
        let render = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
        };
        self.rows.iter().map(render).collect::<Vec<_>>().join("\n")
    }
}

/// Names separated by blanks, `-` for none.
pub fn names<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    if names.is_empty() { "-".into() } else { names.join(" ") }
}

/// `-` for what is not known.
pub fn known<T: ToString>(item: Option<T>) -> String {
    item.map_or_else(|| "-".into(), |item| item.to_string())
}

/// A time in milliseconds as people say it.
pub fn time_span(ms: u64) -> String {
    let (seconds, minutes, hours) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    match () {
        () if hours > 0 => format!("{hours} h {} min", minutes % 60),
        () if minutes > 0 => format!("{minutes} min {} s", seconds % 60),
        () => format!("{:.1} s", ms as f64 / 1_000.0),
    }
}

/// 1234567 as 1,234,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let mut table = Table::new(["node", "state"]);
        table.row(["000".into(), "up".into()]);
        table.row(["1".into(), "recovering".into()]);
        assert_eq!(table.render(), "node  state\n000   up\n1     recovering");
    }

    #[test]
    fn times_are_told_in_the_unit_that_fits() {
        assert_eq!(time_span(250), "0.2 s");
        assert_eq!(time_span(65_000), "1 min 5 s");
        assert_eq!(time_span(3_720_000), "1 h 2 min");
    }

    #[test]
    fn large_numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
