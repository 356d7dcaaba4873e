//! The program `cubecast-bundle`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match cubecast_bundle::bundle(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("cubecast-bundle: {why}");
            ExitCode::FAILURE
        }
    }
}
