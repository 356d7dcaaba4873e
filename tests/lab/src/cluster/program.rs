//! The `cubecast` program that serves the nodes.

use std::path::{Path, PathBuf};

use cubecast_node::failure::Failure;

/// Where the `cubecast` program is, as typed.
#[derive(Clone, Debug, clap::Args)]
pub struct Program {
    /// The `cubecast` program that serves the nodes. [default: the one beside this program]
    #[arg(long = "cubecast", env = "CUBECAST_BIN", value_name = "FILE")]
    named: Option<PathBuf>,
}

impl Program {
    /// The absolute path of the program, which exists.
    pub fn find(&self) -> Result<PathBuf, Failure> {
        let path = match &self.named {
            Some(named) => std::path::absolute(named),
            None => std::env::current_exe().map(|own| own.with_file_name("cubecast")),
        };
        let path = path.map_err(|error| Failure::new(Failure::FAILED, format!("cannot find cubecast: {error}")))?;
        if path.is_file() { Ok(path) } else { Err(missing(&path)) }
    }
}

fn missing(path: &Path) -> Failure {
    let message = format!(
        "there is no program {}; build it with `make build`, or name another one with --cubecast or CUBECAST_BIN",
        path.display()
    );
    Failure::new(Failure::USAGE, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_is_named_with_the_way_to_build_it() {
        let failure = Program { named: Some("/nowhere/cubecast".into()) }.find().unwrap_err();
        assert_eq!(failure.code, Failure::USAGE);
        assert!(failure.message.contains("/nowhere/cubecast") && failure.message.contains("make build"), "{failure}");
    }

    #[test]
    fn a_program_that_exists_is_found_by_its_absolute_path() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(Program { named: Some(own.clone()) }.find(), Ok(own));
    }
}
