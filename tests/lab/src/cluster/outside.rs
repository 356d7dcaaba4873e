//! Nodes in separate network environments, between which an external program like `scripts/partition` can cut the
//! network.
//!
//! | called as | does |
//! |---|---|
//! | `PROGRAM places D` | prints a line for each node of a cube of dimension D: `NODE LISTEN FOR_PEERS FOR_CLIENTS` |
//! | `PROGRAM in NODE COMMAND...` | replaces itself with the command, in the node's environment |
//! | `PROGRAM split NODE...` | drops all packets between these nodes and the others |
//! | `PROGRAM join` | lets all packets pass again |
//!
//! LISTEN, FOR_PEERS and FOR_CLIENTS are addresses.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use tokio::process::Command;

/// The external program.
#[derive(Clone, Debug)]
pub struct Outside {
    program: PathBuf,
}

/// The addresses of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The node.
    pub node: HostId,
    /// The address on which it listens.
    pub listen: String,
    /// The address for its neighbours.
    pub for_peers: String,
    /// The address for clients.
    pub for_clients: String,
}

impl Outside {
    /// Uses this program.
    pub fn new(program: PathBuf) -> Outside {
        Outside { program }
    }

    /// The addresses of all nodes, in the order of the nodes. The error is a message for the user.
    pub async fn places(&self, seating: &Seating) -> Result<Vec<Place>, String> {
        let text = self.call(&["places".into(), seating.dimension().bits().to_string()]).await?;
        let places = parse(seating, &text)?;
        let are_all = places.iter().map(|place| place.node).eq(seating.hosts());
        if are_all { Ok(places) } else { Err(format!("{} did not list all nodes in order", self.program.display())) }
    }

    /// The command that starts `program` in a node's environment.
    pub fn command_in(&self, node: HostId, program: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("in").arg(node.to_string()).arg(program);
        command
    }

    /// Cuts the network between these nodes and the others. The error is a message for the user.
    pub async fn split(&self, side: &[HostId]) -> Result<(), String> {
        let nodes = side.iter().map(ToString::to_string);
        self.call(&std::iter::once("split".to_owned()).chain(nodes).collect::<Vec<_>>()).await.map(drop)
    }

    /// Restores the network. The error is a message for the user.
    pub async fn join(&self) -> Result<(), String> {
        self.call(&["join".into()]).await.map(drop)
    }

    async fn call(&self, arguments: &[String]) -> Result<String, String> {
        let what = || format!("{} {}", self.program.display(), arguments.join(" "));
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null());
        let output = command.output().await.map_err(|error| format!("{}: {error}", what()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}: {}: {}", what(), output.status, said.trim()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn parse(seating: &Seating, text: &str) -> Result<Vec<Place>, String> {
    let place = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [node, listen, for_peers, for_clients] = fields[..] else {
            return Err(format!("invalid line `{line}`; expected NODE LISTEN FOR_PEERS FOR_CLIENTS"));
        };
        let node = seating.parse_host(node).map_err(|error| error.to_string())?;
        Ok(Place { node, listen: listen.into(), for_peers: for_peers.into(), for_clients: for_clients.into() })
    };
    text.lines().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cubecast_core::cube::Dimension;

    #[test]
    fn a_place_has_four_fields() {
        let cube = Seating::founding(Dimension::new(1).unwrap());
        let places = parse(&cube, "0 0.0.0.0:8000 10.0.1.1:8000 10.0.2.1:8000\n1 c:3 c:1 c:2\n").unwrap();
        assert_eq!(places[0].for_peers, "10.0.1.1:8000");
        assert_eq!(places[1].for_clients, "c:2");
        assert!(parse(&cube, "0 a:1 b:2").unwrap_err().contains("FOR_CLIENTS"));
        assert!(parse(&cube, "00 a:1 b:2 c:3").unwrap_err().contains("not a node of this cube"));
    }
}
