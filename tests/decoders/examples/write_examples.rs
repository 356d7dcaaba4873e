//! Writes every decoder's examples as files, for fuzzing to begin with:  write_examples FOLDER

use std::path::PathBuf;
use std::{env, fs, io};

use cubecast_decoders::DECODERS;

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).expect("the folder to write to"));
    for decoder in DECODERS {
        let folder = folder.join(decoder.name);
        fs::create_dir_all(&folder)?;
        for (number, example) in (decoder.examples)().into_iter().enumerate() {
            fs::write(folder.join(format!("example-{number}")), example)?;
        }
    }
    Ok(())
}
