//! A relay between two nodes that alters the data it forwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Forwards connections until dropped.
pub struct Relay {
    address: String,
    altered: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Starts a relay to `target`. In data coming back from there, `from` is replaced by `to`, which must have the same
    /// length.
    pub async fn begin(target: String, from: &'static [u8], to: &'static [u8]) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let altered = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(pass_all(listener, target, Altering { from, to, count: altered.clone() }));
        Relay { address, altered, task }
    }

    /// The relay's `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The number of replacements so far.
    pub fn altered(&self) -> usize {
        self.altered.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Altering {
    from: &'static [u8],
    to: &'static [u8],
    count: Arc<AtomicUsize>,
}

async fn pass_all(listener: TcpListener, target: String, altering: Altering) {
    while let Ok((near, _)) = listener.accept().await {
        // If the target is down, the relay closes the connection.
        let Ok(far) = TcpStream::connect(&target).await else { continue };
        let (near_in, near_out) = near.into_split();
        let (far_in, far_out) = far.into_split();
        tokio::spawn(pass(near_in, far_out, None));
        tokio::spawn(pass(far_in, near_out, Some(altering.clone())));
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, altering: Option<Altering>) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if let Some(altering) = &altering {
            altering.alter(&mut bytes[..count]);
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

impl Altering {
    fn alter(&self, bytes: &mut [u8]) {
        let mut at = 0;
        while at + self.from.len() <= bytes.len() {
            if bytes[at..].starts_with(self.from) {
                bytes[at..at + self.to.len()].copy_from_slice(self.to);
                self.count.fetch_add(1, Ordering::SeqCst);
            }
            at += 1;
        }
    }
}
