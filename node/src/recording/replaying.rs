//! Replays recordings that may be damaged or forged.
//!
//! Core checks what it decodes, but a saved state has many invariants, and replaying asserts them as a running node
//! does. This module is the boundary at which a failed assertion becomes an error of the file.

use cubecast_core::recording::incident::{HostRecording, Incident};
use cubecast_core::recording::promises::Promises;
use cubecast_core::recording::redaction;
use cubecast_core::recording::replay::{HostStep, Replay};

use crate::panics;

/// As [`Replay::open`].
pub fn open(incident: &Incident) -> Result<Replay, String> {
    catch(|| Replay::open(incident).map_err(|error| error.to_string()))
}

/// As [`Replay::step`], with a check of the promises. After an error, the replay must not be used.
pub fn step(replay: &mut Replay, promises: &mut Promises) -> Result<Option<HostStep>, String> {
    catch(|| {
        let step = replay.step().map_err(|error| error.to_string())?;
        if let Some(step) = &step {
            promises.observe(step, replay);
        }
        Ok(step)
    })
}

/// As [`redaction::redact`].
pub fn redact(recording: &HostRecording) -> Result<HostRecording, String> {
    catch(|| redaction::redact(recording).map_err(|error| format!("its contents cannot be redacted: {error}")))
}

fn catch<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let caught = panics::catch(work);
    caught.unwrap_or_else(|what| {
        Err(format!("the recording is damaged, or was made by another version: replaying it failed with `{what}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_assertion_is_an_error_of_the_file() {
        let failed: Result<(), String> = catch(|| panic!("entry {} is missing", 7));
        assert!(failed.is_err_and(|why| why.contains("is damaged") && why.ends_with("`entry 7 is missing`")));
        assert_eq!(catch(|| Err::<(), _>("it is empty".to_owned())), Err("it is empty".to_owned()));
    }
}
