//! What ends a process: a signal, or the end of its standard input.

use std::io::Read as _;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Turns true at the first SIGINT, SIGTERM or SIGHUP; the second one ends the process at once.
pub fn on_signals() -> std::io::Result<watch::Receiver<bool>> {
    let (tell, stop) = watch::channel(false);
    watch_signals(tell)?;
    Ok(stop)
}

/// Completes when `stop` is true, or when nobody can turn it any more.
pub async fn requested(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// As [`on_signals`], and also when standard input closes: then whoever started this process is gone, or wants it gone.
pub fn on_signals_or_end_of_stdin() -> std::io::Result<watch::Receiver<bool>> {
    let (tell, stop) = watch::channel(false);
    watch_signals(tell.clone())?;
    // A thread, because a read of standard input cannot be cancelled; it ends with the process.
    std::thread::Builder::new().name("stdin".into()).spawn(move || {
        let mut ignored = [0; 64];
        loop {
            match std::io::stdin().read(&mut ignored) {
                Ok(1..) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        tell.send_replace(true);
    })?;
    Ok(stop)
}

fn watch_signals(tell: watch::Sender<bool>) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            if tell.send_replace(true) {
                std::process::exit(1);
            }
        }
    });
    Ok(())
}
