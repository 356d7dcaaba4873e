//! Signals from the runtime to all connections. A connection sees the newest value, not each change.

use tokio::sync::watch;

/// Whether connections to neighbours are allowed. Each change starts a new epoch, and connections of earlier epochs
/// are closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerGate {
    /// Whether connections to neighbours are allowed.
    pub allowed: bool,
    /// The number of changes so far.
    pub epoch: u64,
}

impl PeerGate {
    /// Allows connections; the first epoch.
    pub const OPEN: PeerGate = PeerGate { allowed: true, epoch: 0 };
}

/// The runtime's end of the signals.
#[derive(Debug)]
pub struct Signals {
    /// Whether connections to neighbours are allowed.
    pub gate: watch::Sender<PeerGate>,
    /// The disk is behind: connections stop reading from clients until it has caught up.
    pub busy: watch::Sender<bool>,
}

impl Default for Signals {
    fn default() -> Self {
        Signals { gate: watch::Sender::new(PeerGate::OPEN), busy: watch::Sender::new(false) }
    }
}
