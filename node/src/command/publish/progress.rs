//! The state of the messages: which are published, and where and why publishing ended.

use cubecast_core::client::ClientError;
use cubecast_core::wire::answer::ErrorCode;

use super::input::Source;
use crate::failure::Failure;
use crate::shutdown::EndSignal;

/// How the messages are counted in texts: as arguments, as lines or as whole files.
#[derive(Clone, Debug)]
pub enum Counted {
    /// From the command line, this many times.
    Typed {
        count: u64,
    },
    Lines(Source),
    Whole(Source),
}

impl Counted {
    /// The name of the message with this number, counted from 1.
    fn name(&self, number: u64) -> String {
        match self {
            Counted::Typed { count } => format!("message {number} of {count}"),
            Counted::Lines(source) => format!("line {number} of {source}"),
            Counted::Whole(source) => source.to_string(),
        }
    }

    /// A range in words: `lines 1 to 4`, `line 7`.
    fn range(&self, (first, last): (u64, u64)) -> String {
        let what = if matches!(self, Counted::Lines(_)) { "line" } else { "message" };
        if first == last { format!("{what} {first}") } else { format!("{what}s {first} to {last}") }
    }
}

/// The progress of messages. They are numbered from 1, and their results arrive in order.
#[derive(Debug)]
pub struct Progress {
    counted: Counted,
    /// Published messages as ranges: one that begins at 1, and others after a failure, which were in progress at the
    /// same time.
    published: Vec<(u64, u64)>,
    /// The last message whose result is known.
    known: u64,
    failed: Option<Failed>,
}

/// The failure that ended publishing.
#[derive(Debug)]
struct Failed {
    number: u64,
    failure: Failure,
    /// Whether the message may have been published anyway.
    in_doubt: bool,
}

impl Progress {
    /// No message is published yet.
    pub fn new(counted: Counted) -> Progress {
        Progress { counted, published: Vec::new(), known: 0, failed: None }
    }

    /// Records that a message is published.
    pub fn note_published(&mut self, number: u64) {
        self.known = number;
        match self.published.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => self.published.push((number, number)),
        }
    }

    /// Records that a message's request was sent and not answered with success.
    pub fn note_error(&mut self, number: u64, error: &ClientError, failure: Failure) {
        self.known = number;
        let in_doubt = matches!(error, ClientError::InDoubt { .. }) || error.code() == Some(ErrorCode::Timeout);
        self.fail(Failed { number, failure, in_doubt });
    }

    /// Records that no request was sent for a message.
    pub fn note_failure(&mut self, number: u64, failure: Failure) {
        self.fail(Failed { number, failure, in_doubt: false });
    }

    /// Keeps the failure of the first message that failed.
    fn fail(&mut self, failed: Failed) {
        if self.failed.as_ref().is_none_or(|earlier| failed.number < earlier.number) {
            self.failed = Some(failed);
        }
    }

    /// Whether a message failed.
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// The result of the command.
    pub fn conclude(self) -> Result<(), Failure> {
        let Some(Failed { number, failure, in_doubt }) = &self.failed else { return Ok(()) };
        let message = match self.counted {
            Counted::Typed { count: 1 } => return Err(failure.clone()),
            Counted::Whole(_) => format!("{}: {failure}", self.counted.name(*number)),
            Counted::Typed { .. } | Counted::Lines(_) => {
                let account = self.account(in_doubt.then_some((*number, *number)));
                format!("{}: {failure}\n  {account}", self.counted.name(*number))
            }
        };
        Err(Failure::new(failure.code, message))
    }

    /// The failure of a command that a signal ended after requests up to the number `begun` had been sent.
    pub fn interrupted(&self, signal: EndSignal, begun: u64) -> Failure {
        let account = self.account((begun > self.known).then_some((self.known + 1, begun)));
        Failure::new(signal.exit_code(), format!("ended by {}\n  {account}", signal.name()))
    }

    fn account(&self, perhaps: Option<(u64, u64)>) -> String {
        let certain = self.published.iter().map(|range| self.counted.range(*range));
        let perhaps = perhaps.map(|range| format!("perhaps {}", self.counted.range(range)));
        match certain.chain(perhaps).collect::<Vec<_>>() {
            none if none.is_empty() => "published: none".into(),
            some => format!("published: {}; no others", some.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(published: &[u64]) -> Progress {
        let mut progress = Progress::new(Counted::Lines(Source::Stdin));
        published.iter().for_each(|number| progress.note_published(*number));
        progress
    }

    fn failed(mut progress: Progress, number: u64) -> String {
        progress.note_failure(number, Failure::new(1, "no"));
        progress.conclude().unwrap_err().message
    }

    #[test]
    fn a_failure_says_its_line_and_what_is_published() {
        assert_eq!(failed(progress(&[]), 1), "line 1 of standard input: no\n  published: none");
        assert_eq!(failed(progress(&[1]), 2), "line 2 of standard input: no\n  published: line 1; no others");
        assert_eq!(
            failed(progress(&[1, 2, 3, 5, 6, 8]), 4),
            "line 4 of standard input: no\n  published: lines 1 to 3, lines 5 to 6, line 8; no others"
        );
    }

    #[test]
    fn of_several_failures_the_first_line_is_told() {
        let mut progress = progress(&[1]);
        let refused = ClientError::Unavailable { why: "away".into() };
        progress.note_failure(5, Failure::new(1, "not UTF-8"));
        progress.note_error(2, &refused, Failure::new(3, "unavailable"));
        progress.note_error(3, &refused, Failure::new(3, "unavailable too"));
        let failure = progress.conclude().unwrap_err();
        assert_eq!(failure.code, 3);
        assert_eq!(failure.message, "line 2 of standard input: unavailable\n  published: line 1; no others");
    }

    #[test]
    fn one_typed_message_fails_with_its_reason_alone() {
        let mut progress = Progress::new(Counted::Typed { count: 1 });
        progress.note_failure(1, Failure::new(1, "no"));
        assert_eq!(progress.conclude(), Err(Failure::new(1, "no")));
    }

    #[test]
    fn what_may_have_been_published_is_said() {
        let mut doubtful = progress(&[1, 2]);
        doubtful.note_error(3, &ClientError::InDoubt { why: "late".into() }, Failure::new(3, "late"));
        assert!(
            doubtful.conclude().unwrap_err().message.ends_with("published: lines 1 to 2, perhaps line 3; no others")
        );
        let interrupted = progress(&[1, 2]).interrupted(EndSignal::Interrupt, 6);
        assert_eq!(interrupted.code, 130);
        assert_eq!(interrupted.message, "ended by SIGINT\n  published: lines 1 to 2, perhaps lines 3 to 6; no others");
    }
}
