//! Output of the laboratory, in addition to [`cubecast_node::output`].

use clap::ValueEnum;
use cubecast_node::output::remark_of;

/// The name of the program in its remarks.
pub const PROGRAM: &str = "cubecast-lab";

/// The format of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    #[default]
    Table,
    /// For programs: one JSON object.
    Json,
    /// For documents.
    Markdown,
}

/// Prints a remark to standard error.
pub fn remark(text: &str) {
    remark_of(PROGRAM, text);
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
    fn large_numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
