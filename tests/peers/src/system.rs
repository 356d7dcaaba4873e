//! What is compared.

use std::future::Future;
use std::pin::Pin;

use cubecast_node::bench::{Client, Done};

pub type Asked = Pin<Box<dyn Future<Output = Result<Done, String>> + Send>>;
pub type Started<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Somebody who asks a system: every call begins one request.
pub struct Asker(Box<dyn FnMut() -> Asked + Send>);

impl Asker {
    pub fn new<F>(mut ask: impl FnMut() -> F + Send + 'static) -> Asker
    where
        F: Future<Output = Result<Done, String>> + Send + 'static,
    {
        Asker(Box::new(move || Box::pin(ask())))
    }
}

impl Client for Asker {
    fn request(&mut self) -> impl Future<Output = Result<Done, String>> + Send + 'static {
        (self.0)()
    }
}

/// A system that runs.
pub trait System: Send + Sync {
    fn name(&self) -> String;
    /// What an acknowledgement of it means here, and how it was configured.
    fn promises(&self) -> String;
    fn processes(&self) -> Vec<u32>;
    /// So many clients, with a connection each, that publish messages of that size and wait for the acknowledgement.
    fn publishers(&self, count: usize, size: usize) -> Started<'_, Vec<Asker>>;
}

pub fn content(size: usize) -> String {
    let mut random = fastrand::Rng::with_seed(1);
    (0..size).map(|_| random.alphanumeric()).collect()
}
