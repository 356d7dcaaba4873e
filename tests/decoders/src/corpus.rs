//! The inputs kept from fuzzing: one file per decoder in `tests/fuzz/corpus`, one line of hexadecimal digits per input.

use std::path::PathBuf;
use std::{fs, io};

/// The folder of the corpus.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

fn file(decoder: &str) -> PathBuf {
    folder().join(decoder).with_extension("hex")
}

/// The kept inputs of a decoder; empty if it has no file yet. Errors: the file cannot be read.
pub fn load(decoder: &str) -> io::Result<Vec<Vec<u8>>> {
    let text = match fs::read_to_string(file(decoder)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let bad = |line: usize| io::Error::new(io::ErrorKind::InvalidData, format!("{decoder}.hex, line {}", line + 1));
    text.lines().enumerate().map(|(number, line)| from_hex(line).ok_or_else(|| bad(number))).collect()
}

/// Replaces the kept inputs of a decoder. They are sorted by length, then by bytes, to keep diffs small.
pub fn store(decoder: &str, mut inputs: Vec<Vec<u8>>) -> io::Result<()> {
    inputs.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    inputs.dedup();
    fs::create_dir_all(folder())?;
    fs::write(file(decoder), inputs.iter().map(|input| to_hex(input) + "\n").collect::<String>())
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_digits_and_bytes_again() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        assert_eq!(from_hex(""), Some(Vec::new()));
        assert_eq!((from_hex("0"), from_hex("0g"), from_hex("+1")), (None, None, None));
    }
}
