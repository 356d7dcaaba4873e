//! Replays the kept inputs: the examples from the encoders, and the corpus from fuzzing (`tests/fuzz/corpus`).

use std::{fs, panic};

use cubecast_decoders::{DECODERS, Decoder, corpus, memory};

#[test]
fn every_example_keeps_the_claims() {
    for decoder in DECODERS {
        (decoder.examples)().iter().for_each(|input| replay(decoder, "an example", input));
    }
}

#[test]
fn every_input_that_fuzzing_found_keeps_the_claims() {
    for decoder in DECODERS {
        let inputs = corpus::load(decoder.name).unwrap();
        assert!(!inputs.is_empty(), "{} has no corpus; `scripts/fuzz --keep` makes one", decoder.name);
        inputs.iter().for_each(|input| replay(decoder, "a kept input", input));
    }
}

#[test]
fn every_file_of_the_corpus_is_a_decoders() {
    for file in fs::read_dir(corpus::folder()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        assert!(DECODERS.iter().any(|decoder| decoder.name == name), "{}", path.display());
    }
}

#[test]
fn every_decoder_has_a_fuzz_target() {
    for decoder in DECODERS {
        let target = corpus::folder().join("../fuzz_targets").join(decoder.name).with_extension("rs");
        assert!(target.exists(), "{}", target.display());
    }
}

#[test]
fn memory_is_counted_here() {
    assert!(memory::counts());
}

fn replay(decoder: &Decoder, what: &str, input: &[u8]) {
    if let Err(why) = panic::catch_unwind(|| (decoder.check)(input)) {
        eprintln!("{}: {what}: {}", decoder.name, input.escape_ascii());
        panic::resume_unwind(why);
    }
}
