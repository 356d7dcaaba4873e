//! Random input derived from the examples: changed, cut, spliced, and with wrong counts.

use cubecast_decoders::{DECODERS, Decoder};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_keep_the_claims(decoder in decoder(), bytes in vec(any::<u8>(), 0..300)) {
        (decoder.check)(&bytes);
    }

    #[test]
    fn the_beginning_of_an_example_and_then_anything(
        decoder in decoder(),
        example: Index,
        cut: Index,
        bytes in vec(any::<u8>(), 0..100)
    ) {
        let example = pick(decoder, example);
        (decoder.check)(&[&example[..cut.index(example.len() + 1)], &bytes].concat());
    }

    #[test]
    fn an_example_with_changed_bytes(
        decoder in decoder(),
        example: Index,
        changes in vec((any::<Index>(), any::<u8>()), 1..4)
    ) {
        let mut example = pick(decoder, example);
        for (at, byte) in changes {
            let at = at.index(example.len().max(1));
            example.iter_mut().skip(at).take(1).for_each(|place| *place = byte);
        }
        (decoder.check)(&example);
    }

    #[test]
    fn two_examples_spliced(decoder in decoder(), first: Index, second: Index, end: Index, begin: Index) {
        let (first, second) = (pick(decoder, first), pick(decoder, second));
        (decoder.check)(&[&first[..end.index(first.len() + 1)], &second[begin.index(second.len() + 1)..]].concat());
    }

    #[test]
    fn an_example_with_a_count_that_lies(
        decoder in decoder(),
        example: Index,
        at: Index,
        count: u64,
        bits in 0..64u32
    ) {
        let example = pick(decoder, example);
        let (before, after) = example.split_at(at.index(example.len() + 1));
        let count = postcard::to_allocvec(&(count >> bits)).unwrap();
        (decoder.check)(&[before, &count, after].concat());
        (decoder.check)(&[before, &count, after.get(1..).unwrap_or_default()].concat());
    }
}

fn decoder() -> impl Strategy<Value = Decoder> {
    select(DECODERS)
}

fn pick(decoder: Decoder, example: Index) -> Vec<u8> {
    let mut examples = (decoder.examples)();
    examples.swap_remove(example.index(examples.len()))
}
