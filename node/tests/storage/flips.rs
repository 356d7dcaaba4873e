//! Random damage to the files is refused, reported or harmless. The test fails if content differs without an error.

use std::fs;
use std::path::Path;

use cubecast_node::storage::*;

use crate::support::*;

/// The number of damaged copies for each kind of damage, and of damaged histories, unless `CUBECAST_DAMAGE_TRIES` is
/// set.
const TRIES: u64 = 20;

/// The outcomes of damaged folders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Seen {
    refused: u32,
    /// Opened with `tail_cut`, or a read failed: the loss is known.
    said: u32,
    harmless: u32,
}

/// Damages the bytes of a file.
type Hurt = fn(&mut Vec<u8>, &mut fastrand::Rng);

const HURTS: [(&str, Hurt); 5] = [
    ("one bit", |bytes, random| flip(bytes, random, 1)),
    ("eight bits", |bytes, random| flip(bytes, random, 8)),
    ("a bit in the header", |bytes, random| {
        let at = random.usize(..bytes.len().min(320));
        bytes[at] ^= 1 << random.u8(..8);
    }),
    ("a sector of zeros", |bytes, random| {
        let at = random.usize(..bytes.len() / 512) * 512;
        bytes[at..at + 512].fill(0);
    }),
    ("a lost end", |bytes, random| bytes.truncate(random.usize(..bytes.len()))),
];

fn flip(bytes: &mut [u8], random: &mut fastrand::Rng, bits: usize) {
    for _ in 0..bits {
        let at = random.usize(..bytes.len());
        bytes[at] ^= 1 << random.u8(..8);
    }
}

#[test]
fn damage_to_a_closed_store_is_refused_said_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    fill(&mut store);
    store.close().unwrap();
    drop(store);
    try_all("closed", folder.path(), "store.redb", &filled());
}

#[test]
fn damage_to_a_killed_store_is_refused_said_or_harmless() {
    let (folder, left_behind) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut store, ..) = open(folder.path());
    fill(&mut store);
    copy_folder(folder.path(), left_behind.path());
    try_all("killed", left_behind.path(), "store.redb", &filled_and_killed());
    try_all("killed", left_behind.path(), "journal", &filled_and_killed());
}

#[test]
fn damage_to_the_commit_marker_never_changes_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    fill(&mut store);
    store.close().unwrap();
    drop(store);
    try_all("commit-marker", folder.path(), "commit-marker", &filled());
}

/// The number of damaged copies for each kind of damage.
pub fn tries() -> u64 {
    std::env::var("CUBECAST_DAMAGE_TRIES").map_or(TRIES, |tries| tries.parse().expect("a number of tries"))
}

fn try_all(what: &str, folder: &Path, file: &str, whole: &Everything) {
    let good = fs::read(folder.join(file)).unwrap();
    for (name, hurt) in HURTS {
        let mut seen = Seen::default();
        for seed in 0..tries() {
            let mut bytes = good.clone();
            hurt(&mut bytes, &mut fastrand::Rng::with_seed(seed));
            let damaged = tempfile::tempdir().unwrap();
            copy_folder(folder, damaged.path());
            fs::write(damaged.path().join(file), bytes).unwrap();
            judge(damaged.path(), whole, &mut seen).unwrap_or_else(|why| panic!("{what}, {name}, seed {seed}: {why}"));
        }
        println!("{what}, {name}: {seen:?}");
    }
}

fn judge(folder: &Path, whole: &Everything, seen: &mut Seen) -> Result<(), String> {
    let (store, recovered, report) = match try_open(folder) {
        Err(StorageError::Damaged { .. }) => {
            seen.refused += 1;
            return Ok(());
        }
        Err(other) => return Err(format!("refused as what it is not: {other}")),
        Ok(opened) => opened,
    };
    let cut = recovered.groups.iter().any(|group| group.tail_cut);
    // Its node asks the others for its identity.
    let is_empty = recovered.record.is_none() && recovered.groups.is_empty();
    match everything(&store, recovered) {
        Err(StorageError::Damaged { .. } | StorageError::Unreadable { .. }) => seen.said += 1,
        Err(other) => return Err(format!("a read failed as what it is not: {other}")),
        Ok(_) if (cut || is_empty) && report.lost_something() => seen.said += 1,
        Ok(found) if found == *whole => seen.harmless += 1,
        Ok(found) => return Err(format!("content changed in silence ({report}): {found:?}")),
    }
    Ok(())
}
