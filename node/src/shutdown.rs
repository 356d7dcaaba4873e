//! Requests to end the process: a signal, or the end of standard input.

use std::io::Read as _;
use std::sync::{Arc, OnceLock};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;

/// A signal that asks a process to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndSignal {
    Interrupt,
    Terminate,
    Hangup,
}

impl EndSignal {
    /// The signal's name, for example `SIGINT`.
    pub fn name(self) -> &'static str {
        match self {
            EndSignal::Interrupt => "SIGINT",
            EndSignal::Terminate => "SIGTERM",
            EndSignal::Hangup => "SIGHUP",
        }
    }

    /// The exit code of a process that this signal ended before its work was done: 128 plus the signal's number, as
    /// in shells.
    pub fn exit_code(self) -> u8 {
        match self {
            EndSignal::Interrupt => 130,
            EndSignal::Terminate => 143,
            EndSignal::Hangup => 129,
        }
    }
}

/// The request to end this process. The first signal makes the request; the second one ends the process at once.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// Turns true when the end is requested.
    pub requested: watch::Receiver<bool>,
    signal: Arc<OnceLock<EndSignal>>,
}

impl Shutdown {
    /// Handles SIGINT, SIGTERM and SIGHUP from now on. SIGHUP stays ignored if the process was started with it
    /// ignored, as under `nohup`.
    pub fn on_signals() -> Result<Shutdown, Failure> {
        let (tell, requested) = watch::channel(false);
        let shutdown = Shutdown { requested, signal: Arc::default() };
        shutdown.watch_signals(tell).map_err(|error| failed("cannot handle signals", &error))?;
        Ok(shutdown)
    }

    /// Like [`Shutdown::on_signals`], and also ends the process when standard input closes: the parent process has
    /// ended, or closed the pipe to stop this one.
    pub fn on_signals_or_end_of_stdin() -> Result<Shutdown, Failure> {
        let (tell, requested) = watch::channel(false);
        let shutdown = Shutdown { requested, signal: Arc::default() };
        shutdown.watch_signals(tell.clone()).map_err(|error| failed("cannot handle signals", &error))?;
        watch_stdin(tell).map_err(|error| failed("cannot watch standard input", &error))?;
        Ok(shutdown)
    }

    /// Completes when the end is requested.
    pub async fn wait(&mut self) {
        requested(&mut self.requested).await;
    }

    /// Runs `work` until it is done or a signal arrives. A signal is an error.
    pub async fn or<T>(&mut self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            result = work => result,
            () = self.wait() => Err(match self.signal() {
                Some(signal) => Failure::new(signal.exit_code(), format!("ended by {}", signal.name())),
                None => Failure::new(Failure::FAILED, "ended"),
            }),
        }
    }

    /// The signal that made the request, if one did.
    pub fn signal(&self) -> Option<EndSignal> {
        self.signal.get().copied()
    }

    /// The outcome of a service after an orderly stop. SIGINT and SIGTERM request such a stop, so they are a success.
    /// SIGHUP reports a lost terminal, possibly by accident, so it is an error.
    pub fn outcome_of_service(&self) -> Result<(), Failure> {
        match self.signal() {
            None | Some(EndSignal::Interrupt | EndSignal::Terminate) => Ok(()),
            Some(hangup @ EndSignal::Hangup) => Err(Failure::new(
                hangup.exit_code(),
                "ended by SIGHUP: its terminal was closed; use nohup or a service to keep it running",
            )),
        }
    }

    fn watch_signals(&self, tell: watch::Sender<bool>) -> std::io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = if is_ignored(SignalKind::hangup()) { None } else { Some(signal(SignalKind::hangup())?) };
        let first = self.signal.clone();
        tokio::spawn(async move {
            loop {
                let signal = tokio::select! {
                    _ = interrupt.recv() => EndSignal::Interrupt,
                    _ = terminate.recv() => EndSignal::Terminate,
                    () = received(hangup.as_mut()) => EndSignal::Hangup,
                };
                if first.set(signal).is_err() {
                    std::process::exit(signal.exit_code().into());
                }
                tell.send_replace(true);
            }
        });
        Ok(())
    }
}

/// Completes when `stop` is true, or when its sender is gone.
pub async fn requested(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn received(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether this process was started with a signal ignored. `false` if the system does not report it.
fn is_ignored(signal: SignalKind) -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| is_ignored_in(&status, signal))
}

fn is_ignored_in(status: &str, signal: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw_value() - 1) & 1 == 1)
}

/// Reads standard input on its own thread, because such a read cannot be cancelled. The thread ends with the process.
fn watch_stdin(tell: watch::Sender<bool>) -> std::io::Result<()> {
    let watching = std::thread::Builder::new().name("stdin".into()).spawn(move || {
        let mut ignored = [0; 64];
        loop {
            match std::io::stdin().read(&mut ignored) {
                Ok(1..) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        tell.send_replace(true);
    });
    watching.map(drop)
}

fn failed(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(Failure::FAILED, format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_was_ignored_from_the_start_is_read_from_the_status() {
        let status = |mask: &str| format!("Name:\tcubecast\nSigBlk:\tffffffffffffffff\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        assert!(is_ignored_in(&status("0000000000000001"), SignalKind::hangup()));
        assert!(is_ignored_in(&status("0000000000001007"), SignalKind::interrupt()));
        assert!(!is_ignored_in(&status("0000000000001006"), SignalKind::hangup()));
        assert!(!is_ignored_in("Name:\tcubecast\n", SignalKind::hangup()));
    }
}
