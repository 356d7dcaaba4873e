//! Requests that this node answers without asking others.

use super::super::out::{Out, PartEffect};
use super::super::view::View;
use super::super::vocabulary::AnswerTo;
use super::Coordinator;
use super::pending::Pending;
use crate::identity::{GroupId, HostId};
use crate::io::ConnectionId;
use crate::wire::answer::{Done, ErrorCode, Failure};
use crate::wire::client::{Action, Admin, Local, Read, Write};

/// How a request is handled at the node that receives it.
pub(super) enum Here {
    Answer(Result<Done, Failure>),
    /// The request concerns this process or its links: the node itself carries it out.
    Administer(Admin),
    /// Other nodes are needed.
    AskOthers,
}

impl Coordinator {
    pub(super) fn answer_here(&mut self, connection: ConnectionId, action: &Action, view: &View) -> Here {
        match action {
            Action::Local(Local::Watch { kinds, sample }) => {
                self.clients.watch(connection, kinds.clone(), *sample);
                Here::Answer(Ok(Done::Watching))
            }
            Action::Admin(admin @ (Admin::RecoverNode { .. } | Admin::Status { .. })) if is_for(view.me, admin) => {
                Here::Administer(admin.clone())
            }
            _ if view.lifecycle.is_silent() => Here::Answer(Err(view.node_failed())),
            Action::Admin(admin) if is_for(view.me, admin) => Here::Administer(admin.clone()),
            Action::Local(Local::Cluster) => Here::Answer(Ok(Done::Cluster(view.cluster_view()))),
            Action::Write(Write::ReplicaSubscribe { topic, .. }) | Action::Read(Read::ReplicaPull { topic, .. }) => {
                not_replica(view, topic.as_str()).map_or(Here::AskOthers, |failure| Here::Answer(Err(failure)))
            }
            Action::Write(_) | Action::Read(_) | Action::Query(_) | Action::Admin(_) => Here::AskOthers,
        }
    }

    /// Has the node carry out the request, and answers with its result.
    pub(super) fn administer(&mut self, pending: Pending, admin: Admin, out: &mut Out) {
        let number = pending.key.number;
        self.requests.insert(number, pending);
        out.push(PartEffect::Administer { admin, to: AnswerTo::Client(number) });
    }
}

/// Whether node `me` carries it out if it received it.
pub(super) fn is_for(me: HostId, admin: &Admin) -> bool {
    admin.node().is_none_or(|node| node == me)
}

fn not_replica(view: &View, topic: &str) -> Option<Failure> {
    let home = view.home_of(topic);
    let members: Vec<HostId> = view.members(GroupId::of(home)).collect();
    (!members.contains(&view.me)).then(|| {
        let replicas: Vec<String> = members[1..].iter().map(HostId::to_string).collect();
        ErrorCode::NotReplica.because(format!(
            "node {} holds no replica of `{topic}`: its home is {home}, its replicas are on {}",
            view.me,
            replicas.join(", ")
        ))
    })
}
