//! Allocates a node's sockets: a total for clients, a maximum for each address, a part kept for clients on this
//! machine, and a part for connections that are not WebSockets yet.
//!
//! The total depends on the number of file descriptors that the process may open.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::AbortHandle;

/// Descriptors for other purposes: files, neighbours, the runtime itself.
const OTHER_DESCRIPTORS: u64 = 192;
/// The maximum number of connections that are not WebSockets yet, or never will be. With one more, the oldest is
/// closed.
pub const UNDECIDED: usize = 256;
/// The minimum number of clients of a process, however few descriptors it has.
const FEWEST_CLIENTS: usize = 16;
/// Client places kept for clients on this machine, so that an operator can always connect.
const KEPT_FOR_OPERATORS: usize = 16;

/// Raises this process's limit of open files to its maximum, and returns the limit.
pub fn raise_descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    // `None` means that there is no limit.
    now.unwrap_or(u64::MAX)
}

/// The number of clients for a process with this configured number and this many descriptors.
pub fn clients_for(wanted: usize, descriptors: u64) -> usize {
    let left = descriptors.saturating_sub(OTHER_DESCRIPTORS + UNDECIDED as u64);
    wanted.min(usize::try_from(left).unwrap_or(usize::MAX)).max(FEWEST_CLIENTS.min(wanted))
}

/// The client places in use.
#[derive(Debug)]
pub struct Places {
    most: usize,
    most_of_one: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One client's place, free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

/// Why there is no place for a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoPlace {
    #[error("This node has reached its limit of {0} clients. Connect to another node, or retry later.")]
    Full(usize),
    #[error(
        "This node has reached its limit of {0} clients from one address. Close some connections, or connect to \
         another node."
    )]
    TooManyOfOne(usize),
}

impl Places {
    /// Places for `most` clients, and for `most_of_one` of one address.
    pub fn new(most: usize, most_of_one: usize) -> Arc<Places> {
        Arc::new(Places { most, most_of_one, taken: Mutex::default() })
    }

    /// Takes a place for a client from this address.
    pub fn take(self: &Arc<Places>, address: IpAddr) -> Result<Place, NoPlace> {
        let address = network_of(address);
        let mut taken = self.taken();
        let kept = if address.is_loopback() { 0 } else { KEPT_FOR_OPERATORS.min(self.most / 2) };
        if taken.values().sum::<usize>() + kept >= self.most {
            return Err(NoPlace::Full(self.most));
        }
        let own = taken.entry(address).or_default();
        if *own >= self.most_of_one {
            return Err(NoPlace::TooManyOfOne(self.most_of_one));
        }
        *own += 1;
        Ok(Place { places: self.clone(), address })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().expect("no thread panics while it holds this lock")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(own) = taken.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

/// The part of an address that identifies one machine: the IPv4 address, or the IPv6 network (/64).
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            [a, b, c, d, 0, 0, 0, 0].into()
        }
        address => address,
    }
}

/// Connections that are not WebSockets yet, the oldest first.
#[derive(Debug, Default)]
pub struct Undecided(Mutex<BTreeMap<u64, AbortHandle>>);

impl Undecided {
    /// Adds a connection. If there are too many, closes the oldest.
    pub fn add(&self, number: u64, connection: AbortHandle) {
        let mut undecided = self.undecided();
        undecided.insert(number, connection);
        if undecided.len() > UNDECIDED
            && let Some((_, oldest)) = undecided.pop_first()
        {
            oldest.abort();
        }
    }

    /// Removes a connection that became a WebSocket or ended.
    pub fn remove(&self, number: u64) {
        self.undecided().remove(&number);
    }

    fn undecided(&self) -> MutexGuard<'_, BTreeMap<u64, AbortHandle>> {
        self.0.lock().expect("no thread panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_number_of_clients_follows_from_the_descriptors() {
        assert_eq!(clients_for(4096, 1 << 20), 4096);
        assert_eq!(clients_for(4096, 1024), 1024 - 192 - 256);
        assert_eq!(clients_for(4096, 64), FEWEST_CLIENTS);
        assert_eq!(clients_for(1, 64), 1);
    }

    #[test]
    fn an_address_and_an_ipv6_network_have_so_many_places() {
        let places = Places::new(100, 2);
        let first = places.take(address("10.0.0.1")).unwrap();
        let _second = places.take(address("::ffff:10.0.0.1")).unwrap();
        assert_eq!(places.take(address("10.0.0.1")).unwrap_err(), NoPlace::TooManyOfOne(2));
        drop(first);
        let _third = places.take(address("10.0.0.1")).unwrap();
        let _one = places.take(address("2001:db8::1")).unwrap();
        let _two = places.take(address("2001:db8::2")).unwrap();
        assert_eq!(places.take(address("2001:db8::3")).unwrap_err(), NoPlace::TooManyOfOne(2));
        let _other = places.take(address("2001:db8:0:1::1")).unwrap();
    }

    #[test]
    fn the_last_places_are_for_clients_on_this_machine() {
        let places = Places::new(40, 40);
        let strangers: Vec<Place> = (0..24).map(|_| places.take(address("10.0.0.1")).unwrap()).collect();
        assert_eq!(places.take(address("10.0.0.1")).unwrap_err(), NoPlace::Full(40));
        let operators: Vec<Place> = (0..16).map(|_| places.take(address("127.0.0.1")).unwrap()).collect();
        assert_eq!(places.take(address("127.0.0.1")).unwrap_err(), NoPlace::Full(40));
        drop((strangers, operators));
        assert!(places.taken().is_empty());
    }

    #[tokio::test]
    async fn the_oldest_connection_that_says_nothing_makes_room() {
        let undecided = Undecided::default();
        let tasks: Vec<_> = (0..=UNDECIDED as u64)
            .map(|number| {
                let task = tokio::spawn(std::future::pending::<()>());
                undecided.add(number, task.abort_handle());
                task
            })
            .collect();
        let mut tasks = tasks.into_iter();
        assert!(tasks.next().unwrap().await.unwrap_err().is_cancelled());
        assert!(tasks.all(|task| !task.is_finished()));
    }
}
