//! Waiting for conditions.

use std::time::{Duration, Instant};

/// Deadline of every condition; much longer than anything takes on a slow, busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Interval at which a condition is evaluated.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Evaluates `look` repeatedly until it succeeds; panics with its last error at the deadline.
#[track_caller]
pub fn eventually<T, F>(what: &str, look: impl FnMut() -> F) -> impl Future<Output = T>
where
    F: Future<Output = Result<T, String>>,
{
    let caller = std::panic::Location::caller();
    let what = what.to_owned();
    async move { keep_looking(&what, caller, look).await }
}

async fn keep_looking<T, F>(what: &str, caller: &std::panic::Location<'_>, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let began = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(why) if began.elapsed() > PATIENCE => {
                panic!("{caller}: after {PATIENCE:?} it is not so that {what}: {why}")
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Prints a figure, whether the test passes or not: it bypasses the output capture of the test harness.
pub fn say(text: &str) {
    use std::io::Write as _;
    // Standard error may be closed.
    let _ = writeln!(std::io::stderr(), "    {text}");
}
