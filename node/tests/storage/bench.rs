//! The speed of commits, compared with a bare append with fdatasync on the same disk in the same run.
//!
//! To print the figures: `cargo test --release -p cubecast-node --test storage -- --ignored --nocapture figures`.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use cubecast_core::names::TopicId;
use cubecast_core::records::{LogEntry, StoredMessage};
use cubecast_core::store::*;
use cubecast_node::storage::*;

use crate::support::*;

/// The content of one entry or message.
const CONTENT_BYTES: usize = 256;

#[test]
fn the_benchmark_runs() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [SyncMode::Always, SyncMode::Never] {
        assert_eq!(measure_store(&folder.path().join(mode.to_string()), mode, 4, 3).writes, 12);
    }
    assert_eq!(measure_append(folder.path(), 4, 3).writes, 12);
}

#[test]
#[ignore = "takes some seconds and asserts nothing: it prints figures"]
fn figures() {
    // In the target folder instead of /tmp, which may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    println!("entries per second, {CONTENT_BYTES} bytes each with its message; append: the same bytes with fdatasync");
    for batch in [1, 16, 256] {
        let rounds = 6400 / (batch + 15);
        let name = |mode: SyncMode| folder.path().join(format!("{mode}-{batch}"));
        let append = measure_append(folder.path(), batch, rounds);
        let always = measure_store(&name(SyncMode::Always), SyncMode::Always, batch, rounds);
        let never = measure_store(&name(SyncMode::Never), SyncMode::Never, batch, rounds);
        let ratio = always.per_second() / append.per_second();
        println!(
            "batch {batch:>3}: append {:>8.0}, redb {:>8.0} (ratio {ratio:.2}), never synced {:>8.0}",
            append.per_second(),
            always.per_second(),
            never.per_second()
        );
    }
    measure_open(&folder.path().join("large"));
}

struct Measured {
    writes: u64,
    took: Duration,
}

impl Measured {
    fn per_second(&self) -> f64 {
        self.writes as f64 / self.took.as_secs_f64()
    }
}

/// `rounds` commits of `size` batches. Each batch has a log entry and its message, as in publishing.
fn measure_store(folder: &Path, mode: SyncMode, size: u64, rounds: u64) -> Measured {
    let (mut store, ..) = RedbStore::open(folder, &identity(), mode).unwrap();
    let begun = Instant::now();
    for round in 0..rounds {
        let batches: Vec<_> = (round * size + 1..=round * size + size).map(publish).collect();
        store.write(batches).unwrap();
    }
    Measured { writes: size * rounds, took: begun.elapsed() }
}

fn publish(number: u64) -> WriteBatch {
    let entry = LogEntry { data: vec![b'x'; CONTENT_BYTES].into(), ..entry(number) };
    let message = StoredMessage { content: "x".repeat(CONTENT_BYTES).into(), ..message(number - 1) };
    let writes = [
        Write::Append { group: group("010"), entries: vec![entry] },
        Write::Messages { group: group("010"), topic: TopicId(1), messages: vec![message] },
    ];
    batch(number, writes)
}

fn measure_append(folder: &Path, size: u64, rounds: u64) -> Measured {
    let mut file = File::create(folder.join("append")).unwrap();
    let bytes = vec![b'x'; size as usize * CONTENT_BYTES * 2];
    let begun = Instant::now();
    for _ in 0..rounds {
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
    }
    Measured { writes: size * rounds, took: begun.elapsed() }
}

/// The time to open a store with a million messages, after a close and after a kill.
fn measure_open(folder: &Path) {
    let (mut store, ..) = RedbStore::open(folder, &identity(), SyncMode::Never).unwrap();
    for round in 0..1000 {
        let messages = (round * 1000..round * 1000 + 1000)
            .map(|offset| StoredMessage { content: "x".repeat(CONTENT_BYTES).into(), ..message(offset) })
            .collect();
        store
            .write(vec![batch(round, [Write::Messages { group: group("010"), topic: TopicId(1), messages }])])
            .unwrap();
    }
    let killed = folder.with_extension("killed");
    copy_folder(folder, &killed);
    store.close().unwrap();
    drop(store);
    for (what, folder) in [("closed", folder), ("killed", &killed)] {
        let (store, _, report) = open(folder);
        println!("{what}: {report}; memory {}", resident());
        drop(store);
    }
}

/// The process's resident memory as reported by Linux.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("unknown").to_owned()
}
