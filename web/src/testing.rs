//! A helper for tests.

use std::fmt::Debug;
use std::str::FromStr;

/// The node or the vertex with this name: both are named by bits.
pub fn named<T: FromStr<Err: Debug>>(name: &str) -> T {
    name.parse().unwrap()
}
