//! Engines for tests of the storage thread: one that waits at a gate, one without space, and one that fails.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use cubecast_core::records::StoredMessage;
use cubecast_core::store::*;
use cubecast_node::storage::*;

pub fn start(store: impl LogStore + 'static, mode: SyncMode) -> (StorageThread, Receiver<StorageEvent>) {
    start_counted(store, mode, Arc::default())
}

pub fn start_counted(
    store: impl LogStore + 'static,
    mode: SyncMode,
    metrics: Arc<StorageMetrics>,
) -> (StorageThread, Receiver<StorageEvent>) {
    let (tell, events) = mpsc::channel();
    let on_event = move |event| {
        // Free space depends on this machine. A test that has seen enough drops its end.
        if !matches!(event, StorageEvent::Measured { .. }) {
            drop(tell.send(event));
        }
    };
    let thread = StorageThread::spawn(store, mode, metrics, on_event);
    (thread.unwrap(), events)
}

/// Blocks a store's writes until it is opened, and records the calls of the store.
pub struct Gate {
    arrivals: Receiver<&'static str>,
    permits: Sender<()>,
    always: Arc<Mutex<bool>>,
    /// The number of calls of `tidy`.
    pub tidied: Arc<AtomicU32>,
}

impl Gate {
    pub fn at_a_write(&self) {
        self.wait_for("write");
    }

    pub fn at_a_sync(&self) {
        self.wait_for("sync");
    }

    fn wait_for(&self, what: &str) {
        while self.arrivals.recv().unwrap() != what {}
    }

    pub fn open_for_good(&self) {
        *self.always.lock().unwrap() = true;
        self.permits.send(()).unwrap();
    }
}

struct Gated<S> {
    store: S,
    arrive: Sender<&'static str>,
    permits: Receiver<()>,
    always: Arc<Mutex<bool>>,
    calls: Arc<Mutex<Vec<String>>>,
    tidied: Arc<AtomicU32>,
}

impl<S> Gated<S> {
    fn pass(&self, what: &'static str, call: String) {
        self.calls.lock().unwrap().push(call);
        // A test that has seen enough has dropped its end.
        self.arrive.send(what).ok();
        let open = *self.always.lock().unwrap();
        if !open && what == "write" {
            self.permits.recv().unwrap();
        }
    }
}

pub type Calls = Arc<Mutex<Vec<String>>>;

pub fn gated(store: impl LogStore + 'static) -> (StorageThread, Receiver<StorageEvent>, Gate, Calls) {
    gated_with(store, SyncMode::Always)
}

pub fn gated_with(
    store: impl LogStore + 'static,
    mode: SyncMode,
) -> (StorageThread, Receiver<StorageEvent>, Gate, Calls) {
    let (arrive, arrivals) = mpsc::channel();
    let (permits, permitted) = mpsc::channel();
    let (always, calls, tidied) = (Arc::new(Mutex::new(false)), Calls::default(), Arc::<AtomicU32>::default());
    let store = Gated {
        store,
        arrive,
        permits: permitted,
        always: always.clone(),
        calls: calls.clone(),
        tidied: tidied.clone(),
    };
    let (thread, events) = start(store, mode);
    (thread, events, Gate { arrivals, permits, always, tidied }, calls)
}

impl<S: LogStore> LogStore for Gated<S> {
    fn write(&mut self, batches: Vec<WriteBatch>) -> Result<(), StorageError> {
        self.pass("write", format!("write {}", batches.len()));
        self.store.write(batches)
    }

    fn retry(&mut self) -> Result<(), StorageError> {
        self.store.retry()
    }

    fn space(&self) -> Space {
        self.store.space()
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.store.has_room(bytes)
    }

    fn read_messages(&self, read: &ReadMessages) -> Result<Vec<StoredMessage>, StorageError> {
        self.pass("read", "read".to_owned());
        self.store.read_messages(read)
    }

    fn read_from_memory(&self, read: &ReadMessages) -> Option<Vec<StoredMessage>> {
        self.store.read_from_memory(read)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.pass("sync", "sync".to_owned());
        self.store.sync()
    }

    fn tidy(&mut self) -> Result<bool, StorageError> {
        self.tidied.fetch_add(1, Relaxed);
        self.store.tidy()
    }

    fn reopen(&mut self, wipe: bool) -> Result<(Recovered, OpenReport), StorageError> {
        self.store.reopen(wipe)
    }

    fn close(&mut self) -> Result<(), StorageError> {
        self.store.close()
    }
}

/// A store without space until it is given some.
pub struct Cramped {
    pub store: MemoryStore,
    pub has_room: Arc<AtomicBool>,
}

impl Cramped {
    fn look(&self) -> Result<(), StorageError> {
        let full = || StorageError::WaitsForRoom { folder: "data".into() };
        self.has_room.load(Relaxed).then_some(()).ok_or_else(full)
    }
}

impl LogStore for Cramped {
    fn write(&mut self, batches: Vec<WriteBatch>) -> Result<(), StorageError> {
        self.store.write(batches)?;
        self.look()
    }

    fn retry(&mut self) -> Result<(), StorageError> {
        self.look()
    }

    fn space(&self) -> Space {
        Space { stuck: self.look().is_err(), reserve: 100, ..Space::default() }
    }

    fn has_room(&self, _: u64) -> bool {
        true
    }

    fn read_messages(&self, read: &ReadMessages) -> Result<Vec<StoredMessage>, StorageError> {
        self.store.read_messages(read)
    }

    fn read_from_memory(&self, _: &ReadMessages) -> Option<Vec<StoredMessage>> {
        None
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        Ok(())
    }

    fn tidy(&mut self) -> Result<bool, StorageError> {
        Ok(false)
    }

    fn reopen(&mut self, wipe: bool) -> Result<(Recovered, OpenReport), StorageError> {
        self.store.reopen(wipe)
    }

    fn close(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// A store whose disk is full, and which reports it as a final failure.
pub struct Broken;

impl LogStore for Broken {
    fn write(&mut self, _: Vec<WriteBatch>) -> Result<(), StorageError> {
        Err(StorageError::Full { folder: "data".into() })
    }

    fn retry(&mut self) -> Result<(), StorageError> {
        Err(StorageError::Stopped)
    }

    fn space(&self) -> Space {
        Space::default()
    }

    fn has_room(&self, _: u64) -> bool {
        false
    }

    fn read_messages(&self, _: &ReadMessages) -> Result<Vec<StoredMessage>, StorageError> {
        Ok(Vec::new())
    }

    fn read_from_memory(&self, _: &ReadMessages) -> Option<Vec<StoredMessage>> {
        None
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        Ok(())
    }

    fn tidy(&mut self) -> Result<bool, StorageError> {
        Ok(false)
    }

    fn reopen(&mut self, _: bool) -> Result<(Recovered, OpenReport), StorageError> {
        Err(StorageError::Stopped)
    }

    fn close(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}
