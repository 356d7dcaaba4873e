//! Checks three properties of every decoder: it never panics, decoded input round-trips, and its memory stays a small
//! multiple of the input. The inputs are the corpus from fuzzing (`corpus`), random input (`properties`), and the
//! inputs known to need the most memory (`greed`).

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
