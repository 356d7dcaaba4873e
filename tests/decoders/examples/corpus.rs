//! Converts the corpus to and from the layout that the fuzzer needs, one file per input:
//!
//! ```text
//! corpus unpack FOLDER        writes every decoder's examples and kept inputs to FOLDER/DECODER
//! corpus pack DECODER FOLDER  replaces the kept inputs of DECODER with the files in FOLDER
//! ```

use std::path::Path;
use std::{env, fs, io};

use cubecast_decoders::{DECODERS, corpus};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["unpack", folder] => unpack(Path::new(folder)),
        ["pack", decoder, folder] => pack(decoder, Path::new(folder)),
        _ => Err(io::Error::other("corpus unpack FOLDER | corpus pack DECODER FOLDER")),
    }
}

fn unpack(folder: &Path) -> io::Result<()> {
    for decoder in DECODERS {
        let folder = folder.join(decoder.name);
        fs::create_dir_all(&folder)?;
        let examples = (decoder.examples)().into_iter().map(|input| ("example", input));
        let kept = corpus::load(decoder.name)?.into_iter().map(|input| ("kept", input));
        for (number, (kind, input)) in examples.chain(kept).enumerate() {
            fs::write(folder.join(format!("{kind}-{number}")), input)?;
        }
    }
    Ok(())
}

fn pack(decoder: &str, folder: &Path) -> io::Result<()> {
    let inputs = fs::read_dir(folder)?.map(|entry| fs::read(entry?.path()));
    corpus::store(decoder, inputs.collect::<io::Result<_>>()?)
}
