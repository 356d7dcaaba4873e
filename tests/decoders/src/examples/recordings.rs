//! Recordings: every input once, and incidents of several hosts.

use cubecast_core::io::{ConnectionId, Input};
use cubecast_core::recording::comparison::{Comparison, Redaction};
use cubecast_core::recording::incident::{HostRecording, Incident, MAGIC};
use cubecast_core::recording::segment::{Head, begin_turn, finish_turn, tag};
use cubecast_core::store::{ReadFailed, ReadId, Recovered, Space};
use cubecast_core::time::{Instant, Now};

use super::wire::{TIME, named};
use super::{peer_frames_once, requests};
use crate::seating;

/// Segments with one turn each, and one with all turns.
pub fn segments() -> Vec<Vec<u8>> {
    let turns = turns();
    let each = turns.iter().map(|inputs| segment(std::slice::from_ref(inputs)));
    each.chain([segment(&[]), segment(&turns)]).collect()
}

/// Incidents after their first line.
pub fn incidents() -> Vec<Vec<u8>> {
    let comparison =
        Comparison { turns: 7, different_turns: 1, states: 2, different_states: 0, first_difference: Some(TIME) };
    let redaction = Redaction { original: comparison.clone(), masked: comparison };
    let recording = |name, redaction| HostRecording {
        host: named(name),
        segments: vec![segment(&[vec![Input::DeadlineReached]]).into()],
        redaction,
    };
    let hosts = vec![recording("000", None), recording("101", Some(redaction))];
    let missing = vec![(named("111"), "it is gone".to_owned())];
    let incident = Incident { saved_at: TIME, seating: seating(), hosts, missing };
    let nothing = Incident { hosts: Vec::new(), missing: Vec::new(), ..incident.clone() };
    [incident, nothing].map(|incident| incident.encode()[MAGIC.len()..].to_vec()).into()
}

fn segment(turns: &[Vec<Input>]) -> Vec<u8> {
    let began = Now { monotonic: Instant(5), wall: TIME };
    let (process, number) = (3, 1);
    let head = Head { host: named("000"), process, number, version: "1".into(), began, state: vec![1, 2, 3] };
    let mut bytes = head.encode();
    for inputs in turns {
        let start = bytes.len();
        begin_turn(&mut bytes, tag(process, number), began, began, inputs);
        finish_turn(&mut bytes, start, 9);
    }
    bytes
}

fn turns() -> Vec<Vec<Input>> {
    let (peer, connection) = (named("001"), ConnectionId(1));
    let request = |request| Input::ClientRequest { connection, request };
    let inputs = vec![
        Input::DeadlineReached,
        Input::PeerConnected { peer },
        Input::PeerDisconnected { peer },
        Input::PeerAltered { from: peer },
        Input::ClientConnected { connection },
        Input::ClientDrained { connection, bytes: 300 },
        Input::ClientDisconnected { connection },
        Input::Written { number: 4 },
        Input::MessagesRead { read: ReadId(1), result: Err(ReadFailed::because("it is damaged")) },
        Input::StorageReopened { recovered: Recovered::default() },
        Input::StorageMeasured { space: Space::default() },
    ];
    let frames = peer_frames_once().into_iter().map(|frame| vec![Input::PeerFrame { from: peer, frame }]);
    let requests = requests().into_iter().map(|one| vec![request(one)]);
    [inputs].into_iter().chain(frames).chain(requests).collect()
}
