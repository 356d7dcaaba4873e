//! `cubecast locate`: the location of a topic and the state of its replicas.

use cubecast_core::client::Target;
use cubecast_core::names::TopicName;
use cubecast_core::wire::answer::Done;
use cubecast_core::wire::client::{Action, Query};

use super::remote::Remote;
use crate::failure::Failure;
use crate::output;
use crate::output::{Format, Table, known, line};

/// Show a topic's home, its replicas, its leader, and replicas that are behind.
///
/// The topic need not exist: every name has a home, home = SHA-256(name) modulo 2^d.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    cubecast locate cricket\n    cubecast locate cricket --format json")]
pub struct Args {
    topic: TopicName,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    args.remote.run(|client| async move {
        let reply = client.ask(Target::Home, Action::Query(Query::Locate { topic: args.topic.clone() })).await?;
        output::reply(args.remote.format, &reply)?;
        let Ok(Done::Located(location)) = &reply.answer.result else { return Ok(()) };
        if args.remote.format == Format::Json {
            return Ok(());
        }
        let mut table = Table::new(["node", "part", "alive", "last offset", "lag", "votes"]).numbers([3, 4]);
        for (index, replica) in location.members.iter().enumerate() {
            let is_leader = location.leader == Some(replica.node);
            let part = if index == 0 { "home" } else { "replica" };
            let part = if is_leader { format!("{part}, leads") } else { part.into() };
            let yes = |yes: bool| String::from(if yes { "yes" } else { "no" });
            let (node, alive, votes) = (replica.node.to_string(), yes(replica.alive), yes(replica.voter));
            table.row([node, part, alive, known(replica.last_offset), known(replica.lag), votes]);
        }
        line(&table.render())
    })
}
