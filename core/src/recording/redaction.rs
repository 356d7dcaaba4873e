//! Removes the contents of messages from a recording.
//!
//! The host is replayed twice, in step: as it was recorded, and with masked contents in its saved states and inputs. The
//! first replay is compared with the recording, because the masked one can no longer be. The second one is compared with
//! the first: a node does not decide by contents, so its effects must be those of the original with masked contents. The
//! result is a recording of the second replay, with its own digests. So it can be replayed and compared as any other.
//!
//! Names of topics, publishers and subscribers stay: they decide where a topic lives. So do the ids that clients gave to
//! their requests.

use super::comparison::Redaction;
use super::digest::digest;
use super::incident::HostRecording;
use super::masking;
use super::replay::ReplayError;
use super::segment::{self, Head, Segment};
use crate::identity::HostId;
use crate::io::Input;
use crate::node::Node;

/// The node as it was recorded, and the one with masked contents.
struct Twins {
    original: Node,
    masked: Node,
}

/// The recording with masked contents.
pub fn redact(recording: &HostRecording) -> Result<HostRecording, ReplayError> {
    let host = recording.host;
    let mut redaction = Redaction::default();
    let mut segments = Vec::new();
    let mut before: Option<(Segment, Twins)> = None;
    for segment in recording.read()? {
        if let Some((_, twins)) = before.take_if(|(earlier, _)| segment.continues(earlier)) {
            compare_states(&twins, &segment.head, &mut redaction);
        }
        let mut twins = Twins::of(host, &segment.head)?;
        segments.push(redact_segment(host, &segment, &mut twins, &mut redaction)?.into());
        before = Some((segment, twins));
    }
    Ok(HostRecording { host, segments, redaction: Some(redaction) })
}

impl Twins {
    fn of(host: HostId, head: &Head) -> Result<Twins, ReplayError> {
        let restore = |state: &[u8]| Node::restore(state).map_err(|why| ReplayError::State { host, why });
        let original = restore(&head.state)?;
        let masked = restore(&masking::encode(&original))?;
        Ok(Twins { original, masked })
    }
}

/// Compares the twins with the state with which the next segment begins.
fn compare_states(twins: &Twins, next: &Head, redaction: &mut Redaction) {
    let Twins { original, masked } = twins;
    let at = next.began.wall;
    redaction.original.note_state(at, original.save().is_some_and(|state| state == next.state));
    let is_equal = masked.save().is_some_and(|state| state == masking::encode(original));
    redaction.masked.note_state(at, is_equal);
}

fn redact_segment(
    host: HostId,
    segment: &Segment,
    twins: &mut Twins,
    redaction: &mut Redaction,
) -> Result<Vec<u8>, ReplayError> {
    let Twins { original, masked } = twins;
    let mut bytes = Head { state: masking::encode(masked), ..segment.head.clone() }.encode();
    let tag = segment::tag(segment.head.process, segment.head.number);
    let (mut cursor, mut last) = (segment.begin(), segment.head.began);
    while let Some(turn) = segment.next(&mut cursor).map_err(|why| ReplayError::Segment { host, why })? {
        let inputs: Vec<Input> = masking::mask(&turn.inputs);
        let start = bytes.len();
        segment::begin_turn(&mut bytes, tag, last, turn.now, &inputs);
        let effects = original.handle(turn.now, turn.inputs);
        let masked_effects = masked.handle(turn.now, inputs);
        segment::finish_turn(&mut bytes, start, digest(&masked_effects));
        let at = turn.now.wall;
        redaction.original.note_turn(at, digest(&effects) == turn.digest);
        let encoded = postcard::to_allocvec(&masked_effects).expect("memory takes any effects");
        redaction.masked.note_turn(at, encoded == masking::encode(&effects));
        last = turn.now;
    }
    Ok(bytes)
}
