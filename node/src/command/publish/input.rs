//! Reads messages from standard input or from a file: one message per line, or the whole input as one message.
//!
//! Nothing is skipped: input that cannot be a message ends the input with an error that names its position. Memory is
//! bounded for any input: a line that no node would accept is not read to its end.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use cubecast_core::visible::visible;
use tokio::sync::mpsc;

/// The maximum content that any node can be configured to accept, in bytes. Nodes have their own, lower limits.
pub const MAX_CONTENT: usize = 16 << 20;
/// Bytes read at once.
const BUFFER: usize = 64 << 10;

/// The source of messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    Stdin,
    File(PathBuf),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Stdin => f.write_str("standard input"),
            Source::File(path) => f.write_str(&visible(&path.to_string_lossy())),
        }
    }
}

/// The part of the input that is one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    Lines,
    Whole,
}

/// Why the input ended early. No part of the bad message is published.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error(
        "it is not UTF-8: byte {} is 0x{byte:02x}; contents must be text, so encode binary data, \
         for example with base64",
        at + 1
    )]
    NotText { at: usize, byte: u8 },
    #[error("too_large: it has more than {MAX_CONTENT} bytes, and no node accepts a longer message")]
    TooLarge,
    #[error("cannot read it: {0}")]
    Unreadable(std::io::Error),
}

/// One message, or why there are no more.
pub type ReadMessage = Result<String, InputError>;

/// Opens the source and reads it on its own thread, because such a read cannot be cancelled. The thread ends with the
/// process.
pub fn read(source: &Source, cut: Cut) -> std::io::Result<Input> {
    let input: Box<dyn Read + Send> = match source {
        Source::Stdin => Box::new(std::io::stdin()),
        Source::File(path) => Box::new(open(path)?),
    };
    // One batch waits while the next one is read.
    let (sender, batches) = mpsc::channel(1);
    std::thread::Builder::new().name("input".into()).spawn(move || match cut {
        Cut::Lines => send_lines(BufReader::with_capacity(BUFFER, input), &sender),
        // The receiver is gone when the command is over.
        Cut::Whole => drop(sender.blocking_send(vec![read_whole(input, MAX_CONTENT)])),
    })?;
    Ok(Input { batches, batch: Vec::new().into_iter() })
}

fn open(path: &Path) -> std::io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() { Err(ErrorKind::IsADirectory.into()) } else { Ok(file) }
}

/// The messages in order.
#[derive(Debug)]
pub struct Input {
    batches: mpsc::Receiver<Vec<ReadMessage>>,
    batch: std::vec::IntoIter<ReadMessage>,
}

impl Input {
    /// The next message. `None` at the end of the input.
    pub async fn next(&mut self) -> Option<ReadMessage> {
        loop {
            match self.batch.next() {
                Some(read) => return Some(read),
                None => self.batch = self.batches.recv().await?.into_iter(),
            }
        }
    }
}

/// Sends batches of the lines that can be read without waiting, so a line typed by a person is published at once.
fn send_lines(input: BufReader<impl Read>, sender: &mpsc::Sender<Vec<ReadMessage>>) {
    let mut lines = Lines { input, limit: MAX_CONTENT, is_over: false };
    let mut batch = Vec::new();
    while let Some(read) = lines.next() {
        batch.push(read);
        let more_is_here = lines.input.buffer().contains(&b'\n');
        if !more_is_here && sender.blocking_send(std::mem::take(&mut batch)).is_err() {
            return;
        }
    }
    if !batch.is_empty() {
        drop(sender.blocking_send(batch));
    }
}

/// Lines end with a line feed, which is not part of them. Everything else is, including a carriage return before the
/// line feed.
struct Lines<R> {
    input: R,
    limit: usize,
    is_over: bool,
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = ReadMessage;

    fn next(&mut self) -> Option<ReadMessage> {
        if self.is_over {
            return None;
        }
        let mut line = Vec::new();
        let read = (&mut self.input).take(self.limit as u64 + 1).read_until(b'\n', &mut line);
        let found = match read {
            Ok(0) => None,
            Ok(_) if line.last() == Some(&b'\n') => {
                line.pop();
                Some(text(line))
            }
            Ok(_) if line.len() > self.limit => Some(Err(InputError::TooLarge)),
            Ok(_) => Some(text(line)),
            Err(error) => Some(Err(InputError::Unreadable(error))),
        };
        self.is_over = !matches!(found, Some(Ok(_)));
        found
    }
}

fn read_whole(input: impl Read, limit: usize) -> ReadMessage {
    let mut whole = Vec::new();
    match input.take(limit as u64 + 1).read_to_end(&mut whole) {
        Ok(bytes) if bytes > limit => Err(InputError::TooLarge),
        Ok(_) => text(whole),
        Err(error) => Err(InputError::Unreadable(error)),
    }
}

fn text(bytes: Vec<u8>) -> ReadMessage {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        InputError::NotText { at, byte: error.as_bytes()[at] }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 8;

    fn lines(input: impl Read) -> Vec<Result<String, String>> {
        // A small buffer, so that lines cross its boundaries.
        let lines = Lines { input: BufReader::with_capacity(3, input), limit: LIMIT, is_over: false };
        lines.map(|read| read.map_err(|error| error.to_string())).collect()
    }

    #[track_caller]
    fn reads(input: &str, expected: &[&str]) {
        assert_eq!(lines(input.as_bytes()), expected.iter().map(|line| Ok((*line).to_owned())).collect::<Vec<_>>());
    }

    /// Checks the number of lines before the error, which is the last item.
    #[track_caller]
    fn ends(input: impl Read, before: usize, error: &str) {
        let mut read = lines(input);
        let last = read.pop().expect("an error").expect_err("no line");
        assert!(last.contains(error), "{last}");
        assert!(read.len() == before && read.iter().all(Result::is_ok), "{read:?}");
    }

    #[test]
    fn a_line_ends_at_a_line_feed_and_keeps_all_else() {
        reads("", &[]);
        reads("\n", &[""]);
        reads("one\ntwo\n", &["one", "two"]);
        reads("one\n\n\ntwo", &["one", "", "", "two"]);
        reads("dos\r\n\r\nmac\rmac\r", &["dos\r", "\r", "mac\rmac\r"]);
        reads("nul\0\n \t\n", &["nul\0", " \t"]);
    }

    #[test]
    fn what_is_no_text_ends_the_input_and_is_named() {
        ends(&b"line1\nb \xff\xfe\nline3\n"[..], 1, "it is not UTF-8: byte 3 is 0xff");
        ends(&b"cut \xe2\x82"[..], 0, "byte 5 is 0xe2");
    }

    #[test]
    fn a_line_at_the_limit_is_read_and_one_past_it_is_not_read_to_its_end() {
        reads("12345678\n12345678", &["12345678", "12345678"]);
        ends(&b"1\n123456789\n3\n"[..], 1, "too_large");
        ends(std::io::repeat(b'x'), 0, "too_large");
        assert!(matches!(read_whole(std::io::repeat(b'x'), LIMIT), Err(InputError::TooLarge)));
    }

    #[test]
    fn the_whole_input_is_one_message_as_it_came() {
        assert_eq!(read_whole(&b"one\r\ntwo\n"[..], 16).unwrap(), "one\r\ntwo\n");
        assert_eq!(read_whole(&b""[..], 16).unwrap(), "");
    }

    #[test]
    fn a_read_that_fails_is_no_end() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("the disk is gone"))
            }
        }
        ends((&b"one\ntw"[..]).chain(Broken), 1, "cannot read it: the disk is gone");
    }
}
