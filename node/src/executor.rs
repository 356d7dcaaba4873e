//! Runs the asynchronous work of a command on tokio.

use tokio::runtime::Builder;

use crate::failure::Failure;

/// Runs `work` on the multi-threaded runtime of the commands that use the network.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    block_in(&mut Builder::new_multi_thread(), work)
}

/// The same on a single thread, so that messages between tasks need not wake another thread.
pub fn block_on_one_thread<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    block_in(&mut Builder::new_current_thread(), work)
}

fn block_in<T>(runtime: &mut Builder, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime.enable_all().build();
    runtime.map_err(|error| Failure::new(Failure::FAILED, format!("cannot start the runtime: {error}")))?.block_on(work)
}
