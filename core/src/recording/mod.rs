//! The flight recorder: what a node was told, so that what it did can be seen again.
//!
//! A node is a pure function of its inputs and their times ([`Node::handle`](crate::node::Node::handle)). A recording
//! therefore consists of one saved state and the inputs of every turn after it; replaying it repeats all that the node
//! decided, including everything that nobody logged. For each turn the recording also has a digest of the effects. A
//! replay compares it with its own effects, so a difference, for example of another version, is found and not hidden.
//!
//! | file | content |
//! |---|---|
//! | [`recorder`] | encodes the turns of a running node, in segments that each begin with a saved state |
//! | [`segment`] | the format of a segment, read and checked |
//! | [`incident`] | the recordings of all hosts of a cluster, in one file |
//! | [`replay`] | one host replayed, turn by turn; all hosts, in the order of their clocks |

pub mod incident;
pub mod recorder;
pub mod replay;
pub mod segment;

use crate::io::Effect;

/// Appends the digest of a turn's effects to nothing but the returned value; `buffer` is reused.
///
/// Frequent events do not count: whether a node creates them depends on who watches, and a replay watches all.
fn digest(effects: &[Effect], buffer: &mut Vec<u8>) -> u32 {
    buffer.clear();
    for effect in effects.iter().filter(|effect| !is_frequent_event(effect)) {
        let encoded = postcard::to_extend(effect, std::mem::take(buffer));
        *buffer = encoded.expect("memory takes any effect");
    }
    crc32fast::hash(buffer)
}

fn is_frequent_event(effect: &Effect) -> bool {
    matches!(effect, Effect::Observe(event) if event.event.is_frequent())
}
