//! One measurement of clients, with the resource usage of the servers and of this process.

use super::drive::{Client, Pace, Timing, drive};
use super::figures::Figures;
use super::usage::{self, Usage};

/// Sends requests with all clients at this pace. `servers` are the processes whose CPU time and memory are counted;
/// the usage of this process is that of the clients.
pub async fn measure<C: Client>(clients: Vec<C>, pace: Pace, timing: Timing, servers: &[u32]) -> Figures {
    let (mut before, mut after) = (Used::default(), Used::default());
    let sample = drive(clients, pace, timing, |begins| match begins {
        true => before = Used::now(servers),
        false => after = Used::now(servers),
    });
    let sample = sample.await;
    let (servers, load) = (after.servers.since(before.servers), after.own.since(before.own));
    Figures::of(&sample, servers, load, after.servers)
}

#[derive(Clone, Copy, Default)]
struct Used {
    servers: Usage,
    own: Usage,
}

impl Used {
    fn now(servers: &[u32]) -> Used {
        Used { servers: usage::of(servers), own: usage::own() }
    }
}
