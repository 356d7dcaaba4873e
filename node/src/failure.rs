//! Why a program ends without success, and its exit code.

/// Why a command ends with an exit code other than 0.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// Printed to standard error, unless empty.
    pub message: String,
}

impl Failure {
    /// The command failed, or a node refused.
    pub const FAILED: u8 = 1;
    /// The command line or the configuration is wrong.
    pub const USAGE: u8 = 2;
    /// The cluster is unavailable now; a retry may help.
    pub const UNAVAILABLE: u8 = 3;
    /// A port cannot be listened on.
    pub const PORT: u8 = 3;
    /// The storage failed or is in use.
    pub const STORAGE: u8 = 4;

    /// A failure with this exit code and message.
    pub fn new(code: u8, message: impl ToString) -> Failure {
        Failure { code, message: message.to_string() }
    }

    /// Standard output has no reader any more: the command ends early, with exit code 0 and without a message.
    pub fn unread() -> Failure {
        Failure::new(0, "")
    }

    /// Whether this is [`Failure::unread`].
    pub fn is_unread(&self) -> bool {
        self.code == 0
    }
}
