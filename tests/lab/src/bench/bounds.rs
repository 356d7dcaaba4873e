//! The limits of this machine for work similar to a publish, measured in the same run for comparison.

use cubecast_core::wire::binary;
use cubecast_core::wire::client::{Request, RequestId};
use cubecast_node::failure::Failure;

use super::Bench;
use super::ask::Publishing;
use super::results::Bound;
use crate::measure::echo::Echo;
use crate::measure::{Pace, drive, floor};

/// Measures a bare WebSocket server that sends back the frames of these publishes at this pace.
pub async fn echo(bench: &Bench, publishing: &[Publishing], pace: Pace) -> Result<Bound, Failure> {
    let action = publishing[0].action();
    let frame = binary::encode_requests(&[Request { id: Some(RequestId::Unsigned(1)), trace: false, action }]);
    let failed = |error| Failure::new(Failure::FAILED, error);
    let server = Echo::start().map_err(failed)?;
    let clients = server.clients(publishing.len(), &frame).await.map_err(failed)?;
    let sample = drive(clients, pace, bench.timing, |_| {}).await;
    Ok(Bound::of("WebSocket echo of the same frames", &sample, 1))
}

/// Measures appends to one file, each of `at_a_time` contents of `bytes` bytes, and each synced.
pub fn append(bench: &Bench, bytes: usize, at_a_time: usize) -> Result<Bound, Failure> {
    let sample = floor::appends(bench.folder(), bytes * at_a_time, bench.timing.length);
    let sample = sample.map_err(|error| Failure::new(Failure::STORAGE, error))?;
    Ok(Bound::of(format!("append and fdatasync, {at_a_time} at a time"), &sample, at_a_time))
}
