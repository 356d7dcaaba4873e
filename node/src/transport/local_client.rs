//! A client inside the process. The probes and `/metrics` use it to request the node's status with the client
//! protocol.

use std::sync::Arc;
use std::time::Duration;

use cubecast_core::io::Input;
use cubecast_core::wire::answer::{Answer, Done, Failure, NodeStatus, ServerFrame};
use cubecast_core::wire::client::{Action, Admin, Request};
use tokio::time::timeout;

use super::Numbers;
use crate::queues::admission::Admitted;
use crate::queues::inbox::{Arrival, InboxSender};
use crate::queues::mailbox::{Outbound, client_mailbox};

/// A node that does not answer its own request within this time is unhealthy.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the node's status is missing.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum NoStatus {
    #[error("{0}")]
    Refused(Failure),
    #[error("the node did not answer within {} s", PATIENCE.as_secs())]
    Silent,
}

/// Requests this node's status.
pub async fn status(inbox: &InboxSender, numbers: &Numbers) -> Result<NodeStatus, NoStatus> {
    let answer = timeout(PATIENCE, ask(inbox, numbers, Action::Admin(Admin::Status { node: None }))).await;
    match answer.ok().flatten().ok_or(NoStatus::Silent)?.result {
        Ok(Done::Status(status)) => Ok(*status),
        Ok(_) => Err(NoStatus::Silent),
        Err(failure) => Err(NoStatus::Refused(failure)),
    }
}

async fn ask(inbox: &InboxSender, numbers: &Numbers, action: Action) -> Option<Answer> {
    let connection = numbers.next_connection();
    let (mailbox, mut queue, _closing) = client_mailbox(Admitted::new(Arc::default()));
    inbox.send(Arrival::ClientOpened { connection, mailbox }, 0).await.ok()?;
    let _close = CloseOnDrop { inbox, connection };
    let request = Request { id: None, trace: false, action };
    inbox.send_input(Input::ClientRequest { connection, request }).await.ok()?;
    loop {
        if let Outbound::Frame(ServerFrame::Answer(answer)) = queue.next(None).await? {
            return Some(answer);
        }
    }
}

/// Closes the client also when the caller stops waiting.
struct CloseOnDrop<'a> {
    inbox: &'a InboxSender,
    connection: cubecast_core::io::ConnectionId,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        let (inbox, connection) = (self.inbox.clone(), self.connection);
        tokio::spawn(async move { inbox.send(Arrival::ClientClosed { connection }, 0).await });
    }
}
