//! The inputs that are kept: what the encoders make, and what fuzzing found (`tests/fuzz/corpus`).

use std::path::PathBuf;
use std::{fs, panic};

use cubecast_decoders::{DECODERS, Decoder, memory};

#[test]
fn every_example_keeps_the_claims() {
    for decoder in DECODERS {
        (decoder.examples)().iter().for_each(|input| replay(decoder, "an example", input));
    }
}

#[test]
fn every_input_that_fuzzing_found_keeps_the_claims() {
    for decoder in DECODERS {
        let files = corpus(decoder);
        assert!(!files.is_empty(), "{} has no corpus; `scripts/fuzz --keep` makes one", decoder.name);
        for file in files {
            replay(decoder, &file.display().to_string(), &fs::read(&file).unwrap());
        }
    }
}

#[test]
fn every_folder_of_the_corpus_is_a_decoders() {
    for folder in fs::read_dir(corpora()).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(DECODERS.iter().any(|decoder| decoder.name == name), "{name}");
    }
}

#[test]
fn every_decoder_has_a_fuzz_target() {
    for decoder in DECODERS {
        let target = corpora().join("../fuzz_targets").join(decoder.name).with_extension("rs");
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

fn corpora() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

fn corpus(decoder: &Decoder) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(corpora().join(decoder.name)) else { return Vec::new() };
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
