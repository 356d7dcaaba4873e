//! Output: tables for people, one JSON object per line for programs.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::future::pending;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use comfy_table::{CellAlignment, ColumnConstraint, Width, presets};
use cubecast_core::client::Reply;
use cubecast_core::visible::visible_line;
use cubecast_core::wire::answer::ServerFrame;
use cubecast_core::wire::json;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// The format of the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs: one JSON object per line.
    Json,
}

/// Prints one or more lines for people. Hidden characters are escaped.
pub fn line(text: &str) -> Result<(), Failure> {
    raw(&visible_lines(text))
}

/// Prints a line of JSON for programs.
pub fn json(value: &Value) -> Result<(), Failure> {
    raw(&visible_json(&value.to_string()))
}

/// The same JSON with escapes for hidden characters in its strings: programs read the same values, and a terminal
/// receives no control sequences. Every JSON writer already escapes control characters below U+0020.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let is_hidden =
        |c: char| c == '\u{7f}' || !c.is_ascii() && visible_line(c.encode_utf8(&mut [0; 4])) != c.to_string();
    if !json.contains(is_hidden) {
        return json.into();
    }
    let mut visible = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(visible, "\\u{unit:04x}").expect("a string takes everything");
            }
        } else {
            visible.push(c);
        }
    }
    visible.into()
}

/// Prints a text unchanged, followed by a line feed.
pub fn raw(text: &str) -> Result<(), Failure> {
    print(format!("{text}\n").as_bytes())
}

/// Prints bytes. If the reader of standard output is gone, as with `head`, the error is [`Failure::unread`], which
/// ends the command with success. See [`even_unread`].
pub fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::unread(),
        _ => Failure::new(Failure::FAILED, format!("cannot write to standard output: {error}")),
    })
}

/// For commands whose output is not their main work: ignores that the reader of standard output is gone.
pub fn even_unread(printed: Result<(), Failure>) -> Result<(), Failure> {
    printed.or_else(|failure| if failure.is_unread() { Ok(()) } else { Err(failure) })
}

/// Completes when the reader of standard output is gone. Never completes if the system cannot detect this, as for a
/// file.
pub async fn reader_gone() {
    let (tell, gone) = oneshot::channel();
    // This wait cannot be cancelled, so it has its own thread, which ends with the process.
    let waiting = std::thread::Builder::new().name("stdout".into()).spawn(move || {
        // poll always reports hang-ups and errors, and no other events are requested.
        let is_gone = loop {
            match poll(&mut [PollFd::new(&std::io::stdout(), PollFlags::empty())], None) {
                Err(Errno::INTR) => {}
                found => break found.is_ok(),
            }
        };
        if is_gone {
            // The command may be over.
            let _ = tell.send(());
        }
    });
    if waiting.is_err() || gone.await.is_err() {
        pending().await
    }
}

/// Ends a program: prints the message of a failure to standard error, and returns the exit code.
pub fn exit_code(program: &str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                remark_of(program, &failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}

/// Prints a remark of `cubecast` to standard error.
pub fn remark(text: &str) {
    remark_of("cubecast", text);
}

/// Prints a remark of this program to standard error.
pub fn remark_of(program: &str, text: &str) {
    // One write, so that an almost full disk does not receive only the beginnings of lines. If standard error is
    // closed, the error can be reported nowhere.
    let _ = std::io::stderr().write_all(format!("{program}: {}\n", visible_lines(text)).as_bytes());
}

/// Escapes hidden characters, but keeps line feeds.
pub fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible_line).collect::<Vec<_>>().join("\n")
}

/// An answer in the protocol's JSON, with the client's attempts.
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

/// Prints an answer as a sentence or as JSON.
pub fn reply(format: Format, reply: &Reply) -> Result<(), Failure> {
    match (format, &reply.answer.result) {
        (Format::Json, _) => json(&json_of(reply)),
        (Format::Table, Ok(done)) => {
            raw(&visible_line(&json::human_message(done)))?;
            hops(reply)
        }
        (Format::Table, Err(failure)) => raw(&visible_line(&failure.to_string())),
    }
}

fn hops(reply: &Reply) -> Result<(), Failure> {
    match &reply.answer.hops {
        Some(hops) => {
            let way: Vec<_> = hops.iter().map(ToString::to_string).collect();
            line(&format!("  route: {}; served by {}", way.join(" -> "), reply.answer.served_by))
        }
        None => Ok(()),
    }
}

/// A table with aligned columns and without lines.
#[derive(Debug)]
pub struct Table(comfy_table::Table);

impl Table {
    /// An empty table with these headings.
    pub fn new<const N: usize>(headings: [&str; N]) -> Table {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_header(headings);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Table(table)
    }

    /// Aligns these columns to the right, as is usual for numbers.
    pub fn numbers<const N: usize>(mut self, columns: [usize; N]) -> Table {
        columns.into_iter().for_each(|column| self.column(column).set_cell_alignment(CellAlignment::Right));
        self
    }

    /// Gives a column a minimum width, so that a redrawn table keeps its form.
    pub fn at_least(mut self, column: usize, width: u16) -> Table {
        // comfy-table counts the padding too.
        self.column(column).set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width + 2)));
        self
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells.map(|cell| visible_line(&cell).into_owned()));
    }

    /// The table as text.
    pub fn render(&self) -> String {
        self.0.trim_fmt()
    }

    fn column(&mut self, number: usize) -> &mut comfy_table::Column {
        self.0.column_mut(number).expect("the table has a heading for each column")
    }
}

/// Names separated by spaces, `-` if there are none.
pub fn names<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    if names.is_empty() { "-".into() } else { names.join(" ") }
}

/// The item, or `-` if it is unknown.
pub fn known<T: ToString>(item: Option<T>) -> String {
    item.map_or_else(|| "-".into(), |item| item.to_string())
}

/// A number of bytes with a unit, for example `1.5 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} bytes"),
    }
}

/// Milliseconds as a time span, for example `3 min 20 s`.
pub fn time_span(ms: u64) -> String {
    let (seconds, minutes, hours) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    match () {
        () if hours > 0 => format!("{hours} h {} min", minutes % 60),
        () if minutes > 0 => format!("{minutes} min {} s", seconds % 60),
        () => format!("{:.1} s", ms as f64 / 1_000.0),
    }
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
    fn numbers_line_up_at_their_ends_and_a_column_can_be_wider_than_its_cells() {
        let mut table = Table::new(["node", "topics", "leads"]).numbers([1]).at_least(2, 8);
        table.row(["000".into(), "7".into(), "000 001".into()]);
        table.row(["001".into(), "1234567".into(), "".into()]);
        assert_eq!(table.render(), "node   topics  leads\n000         7  000 001\n001   1234567");
    }

    #[test]
    fn columns_line_up_by_what_a_terminal_shows() {
        let mut table = Table::new(["topic", "home"]);
        table.row(["天気".into(), "000".into()]);
        table.row(["e\u{301}te\u{301}".into(), "001".into()]);
        table.row(["in\u{200b}vis".into(), "010".into()]);
        table.row(["two\nlines".into(), "011".into()]);
        assert_eq!(
            table.render(),
            "topic          home\n天気           000\ne\u{301}te\u{301}            001\nin\\u{200b}vis  010\ntwo\\nlines     011"
        );
    }

    #[test]
    fn json_means_the_same_and_commands_no_terminal() {
        let text = "\u{9b}2J \u{7f} \u{202e} \u{e0001} \n \u{1b} ä天 \"quoted\"";
        let json = json!({ "content": text }).to_string();
        let shown = visible_json(&json);
        assert!(!shown.contains(['\u{9b}', '\u{7f}', '\u{202e}', '\u{e0001}', '\n', '\u{1b}']), "{shown}");
        assert!(shown.contains("\\u009b2J \\u007f \\u202e \\udb40\\udc01") && shown.contains("ä天"), "{shown}");
        let read: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read["content"], text);
        assert!(matches!(visible_json("{\"a\":\"ä\"}"), Cow::Borrowed(_)));
    }

    #[test]
    fn times_are_told_in_the_unit_that_fits() {
        assert_eq!(time_span(250), "0.2 s");
        assert_eq!(time_span(65_000), "1 min 5 s");
        assert_eq!(time_span(3_720_000), "1 h 2 min");
    }
}
