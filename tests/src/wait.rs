//! Waiting for conditions.

use std::time::{Duration, Instant};

/// How long anything may take before a test calls it stuck: far more than it takes on a slow, busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks again and again until `look` gives something; panics with what it said last when patience ends.
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

/// Tells people a figure, whether the test passes or not: the test harness keeps what is printed in the usual way to itself.
pub fn say(text: &str) {
    use std::io::Write as _;
    // Nobody may be listening.
    let _ = writeln!(std::io::stderr(), "    {text}");
}
