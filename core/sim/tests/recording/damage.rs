//! A damaged or forged incident ends with an error, and never hangs.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use cubecast_core::recording::incident::{Incident, IncidentError};
use cubecast_core::recording::replay::{Replay, ReplayError};
use cubecast_core::wire::client::{Action, Write};

use super::support::*;

/// The result of a replay.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum End {
    /// It is refused.
    Refused,
    /// It is replayed, and differs.
    Different,
    /// It is replayed as if nothing had happened.
    Unnoticed,
    /// An assertion fails. A program that replays files of others needs a boundary for that.
    Panicked,
}

/// Two nodes, one of which was killed, with a topic.
fn incident() -> Incident {
    let mut cluster = recorded_cluster_of(1);
    let publisher = || "publisher1".parse().unwrap();
    cluster.must(host("0"), Action::Write(Write::CreatePublisher { publisher: publisher() })).unwrap();
    let create = Write::CreateTopic { publisher: publisher(), topic: "news".parse().unwrap() };
    cluster.must(host("1"), Action::Write(create)).unwrap();
    cluster.kill(host("1"));
    cluster.run_for(Duration::from_secs(1));
    cluster.start(host("1"));
    cluster.run_for(Duration::from_secs(1));
    cluster.incident(ALL)
}

/// Replays an encoded incident.
fn end_of(encoded: &[u8]) -> End {
    let replayed = catch_unwind(AssertUnwindSafe(|| {
        let Ok(incident) = Incident::decode(encoded) else { return End::Refused };
        let Ok(mut replay) = Replay::open(&incident) else { return End::Refused };
        loop {
            match replay.step() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return End::Refused,
            }
        }
        let is_equal = replay.comparisons().all(|(_, comparison)| comparison.is_equal());
        if is_equal { End::Unnoticed } else { End::Different }
    }));
    replayed.unwrap_or(End::Panicked)
}

/// Flips one bit of each of many bytes of the encoding, which is what a forger of a correctly compressed file can do.
/// (In a file that is damaged by accident, the checksum of gzip notices it.)
#[test]
fn flipped_bits_are_refused_or_noticed_and_never_hang() {
    let encoded = incident().encode();
    let mut ends = BTreeMap::<End, Vec<usize>>::new();
    let mut random = fastrand::Rng::with_seed(1);
    // The first bytes are the heads and saved states, in which most can be forged.
    let dense = (0..encoded.len().min(6_000)).step_by(5);
    let sparse: Vec<usize> = (0..600).map(|_| random.usize(..encoded.len())).collect();
    for at in dense.chain(sparse) {
        let mut flipped = encoded.clone();
        flipped[at] ^= 1 << random.u32(..8);
        ends.entry(end_of(&flipped)).or_default().push(at);
    }
    let count = |end: End| ends.get(&end).map_or(0, Vec::len);
    assert!(count(End::Refused) > 100 && count(End::Different) > 100, "the flipped bits are in the recordings");
    let all: usize = ends.values().map(Vec::len).sum();
    assert!(count(End::Panicked) * 200 < all, "of {all} flips, these panicked: {:?}", ends.get(&End::Panicked));
}

#[test]
fn cut_files_are_refused_or_end_early() {
    let encoded = incident().encode();
    for at in (0..encoded.len()).step_by(encoded.len() / 97) {
        assert_eq!(end_of(&encoded[..at]), End::Refused, "cut at {at}");
    }
}

#[test]
fn what_cannot_be_an_incident_is_refused_with_a_reason() {
    let whole = incident();
    let opened = |change: &dyn Fn(&mut Incident)| {
        let mut changed = whole.clone();
        change(&mut changed);
        match Incident::decode(&changed.encode()) {
            Ok(incident) => Replay::open(&incident).err(),
            Err(error) => Some(ReplayError::Incident(error)),
        }
    };
    assert_eq!(opened(&|_| {}), None);
    let twice = opened(&|incident| incident.hosts.push(incident.hosts[0].clone()));
    assert_eq!(twice, Some(ReplayError::Incident(IncidentError::Host(host("0")))));
    let foreign = opened(&|incident| incident.hosts[0].host = host("000"));
    assert_eq!(foreign, Some(ReplayError::Incident(IncidentError::Host(host("000")))));
    let exchanged = opened(&|incident| {
        let [one, other] = &mut incident.hosts[..] else { panic!("there are two") };
        std::mem::swap(&mut one.segments, &mut other.segments);
    });
    assert!(exchanged.is_some_and(|error| error.to_string().contains("the recording is one of node 1")));
    let larger = opened(&|incident| incident.seating = recorded_cluster_of(2).seating().clone());
    assert!(larger.is_some_and(|error| error.to_string().contains("does not belong to the incident's cluster")));
}

#[test]
fn an_incident_of_years_is_refused() {
    let mut whole = incident();
    let mut segment = whole.hosts[0].segments[0].to_vec();
    // The time that has passed before the first turn, in the first byte after length and tag, becomes very long.
    let head = u32::from_le_bytes(*segment[8..].first_chunk().unwrap()) as usize;
    let turn = 8 + 4 + head;
    let length = u32::from_le_bytes(*segment[turn..].first_chunk().unwrap());
    let passed: Vec<u8> = postcard::to_allocvec(&(u64::MAX / 2)).unwrap();
    let (old, rest): (u64, &[u8]) = postcard::take_from_bytes(&segment[turn + 8..]).unwrap();
    let old = postcard::to_allocvec(&old).unwrap().len();
    let rest = rest.to_vec();
    segment.truncate(turn + 8);
    segment.extend(&passed);
    segment.extend(rest);
    segment[turn..turn + 4].copy_from_slice(&(length + (passed.len() - old) as u32).to_le_bytes());
    whole.hosts[0].segments[0] = Bytes::from(segment);
    assert_eq!(Replay::open(&whole).err(), Some(ReplayError::Length));
}
