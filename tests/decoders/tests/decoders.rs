//! Every decoder, held to its three claims: it never panics, what decodes round-trips, and memory stays a small multiple of the
//! input. Over what fuzzing found (`corpus`), over random input (`properties`), and over the greediest input we know (`greed`).

use cubecast_decoders::memory::Counting;

#[global_allocator]
static MEMORY: Counting = Counting;

#[path = "decoders/corpus.rs"]
mod corpus;
#[path = "decoders/greed.rs"]
mod greed;
#[path = "decoders/properties.rs"]
mod properties;
#[path = "decoders/values.rs"]
mod values;
