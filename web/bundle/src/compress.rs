//! Compression for browsers that accept it.

/// More iterations than 5 save less than one part in a thousand.
const ITERATIONS: u64 = 5;

/// 4 % smaller than with gzip's best compression.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let options =
        zopfli::Options { iteration_count: ITERATIONS.try_into().expect("not zero"), ..zopfli::Options::default() };
    let mut compressed = Vec::new();
    zopfli::compress(options, zopfli::Format::Gzip, content, &mut compressed).expect("memory");
    compressed
}
