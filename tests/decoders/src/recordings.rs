//! Checks of recordings: of a node's own folder, and of incidents that others have saved. A saved state inside is only
//! bytes here; the tests of `core/sim` replay damaged ones.

use cubecast_core::io::Input;
use cubecast_core::recording::incident::{HostRecording, Incident, MAGIC};
use cubecast_core::recording::segment::{self, Segment};

use crate::frames;
use crate::memory::{Allowance, within};

/// A list may claim as many items as bytes are left.
const INCIDENT: Allowance = Allowance { per_byte: size_of::<HostRecording>() + 16, beside: 4 << 10 };
/// The same; a turn contains inputs, and these contain frames.
const SEGMENT: Allowance = Allowance { per_byte: per_byte_of_turn(), beside: 4 << 10 };

const fn per_byte_of_turn() -> usize {
    let (own, frames) = (size_of::<Input>() + 16, frames::FRAMES.per_byte);
    if own > frames { own } else { frames }
}

/// Checks an incident. Its first line is added; otherwise nothing would be read.
pub fn check_incident(input: &[u8]) {
    let _ = within(INCIDENT, input.len(), || Incident::decode(input));
    let file = [MAGIC, input].concat();
    let Ok(incident) = within(INCIDENT, file.len(), || Incident::decode(&file)) else { return };
    assert_eq!(Incident::decode(&incident.encode()).as_ref(), Ok(&incident));
    for host in &incident.hosts {
        let _ = host.read();
    }
}

/// Checks a segment and its turns.
pub fn check_segment(input: &[u8]) {
    let bytes = input.to_vec().into();
    let Ok(segment) = within(SEGMENT, input.len(), || Segment::read(bytes)) else { return };
    let mut again = segment.head.encode();
    let tag = segment::tag(segment.head.process, segment.head.number);
    let (mut cursor, mut last) = (segment.begin(), segment.head.began);
    let mut turns = 0;
    while let Ok(Some(turn)) = within(SEGMENT, input.len(), || segment.next(&mut cursor)) {
        let start = again.len();
        segment::begin_turn(&mut again, tag, last, turn.now, &turn.inputs);
        segment::finish_turn(&mut again, start, turn.digest);
        (turns, last) = (turns + 1, turn.now);
    }
    let decoded = Segment::read(again.clone().into()).expect("what was encoded decodes");
    assert_eq!(decoded.head, segment.head);
    assert_eq!(decoded.trimmed().as_deref(), Ok(&again[..]), "{turns} turns");
}
