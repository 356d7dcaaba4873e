//! The interface of a compared system.

use std::future::Future;
use std::pin::Pin;

use cubecast_lab::measure::{Client, Done};

/// A request in flight.
pub type Asked = Pin<Box<dyn Future<Output = Result<Done, String>> + Send>>;
/// Clients being started.
pub type Started<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// A client of a system: every call starts one request.
pub struct Requester(Box<dyn FnMut() -> Asked + Send>);

impl Requester {
    /// Wraps a function that starts one request per call.
    pub fn new<F>(mut ask: impl FnMut() -> F + Send + 'static) -> Requester
    where
        F: Future<Output = Result<Done, String>> + Send + 'static,
    {
        Requester(Box::new(move || Box::pin(ask())))
    }
}

impl Client for Requester {
    fn request(&mut self) -> impl Future<Output = Result<Done, String>> + Send + 'static {
        (self.0)()
    }
}

/// A running system.
pub trait System: Send + Sync {
    /// For tables and results.
    fn name(&self) -> String;
    /// The guarantee of its acknowledgement, and its configuration.
    fn promises(&self) -> String;
    /// Process ids, for measuring resource usage.
    fn processes(&self) -> Vec<u32>;
    /// Starts `count` clients with one connection each; each request publishes a message of `size` bytes and waits for
    /// its acknowledgement.
    fn publishers(&self, count: usize, size: usize) -> Started<'_, Vec<Requester>>;
}

/// Random letters and digits; the same ones every time.
pub fn content(size: usize) -> String {
    let mut random = fastrand::Rng::with_seed(1);
    (0..size).map(|_| random.alphanumeric()).collect()
}
