//! One client. It performs the workload's steps one after the other and records the results.
//!
//! Its push sessions run concurrently, each on its own connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, SubscriberId, TopicName};
use cubecast_core::seating::Seating;
use cubecast_core::wire::answer::{Answer, Done, EndReason, ServerFrame};
use cubecast_core::wire::client::{Action, Write};
use cubecast_node::shutdown;
use cubecast_sim::check::history::{ClientId, Operation, Outcome, SessionEnd};
use cubecast_sim::check::workload::{Step, Workload};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::record::{Recorder, SessionNumber};
use crate::cluster::connection::Connection;

/// The pause after a node could not be reached.
const AFTER_NOBODY: Duration = Duration::from_millis(20);

/// One client of the run.
pub struct Client {
    id: ClientId,
    workload: Arc<Mutex<Workload>>,
    recorder: Recorder,
    /// In the order of the seating.
    addresses: Arc<Vec<String>>,
    connection: Option<(HostId, Connection)>,
    sessions: BTreeMap<TopicName, (SessionNumber, AbortHandle)>,
    listeners: JoinSet<()>,
    tell_end: mpsc::UnboundedSender<Ended>,
    ended: mpsc::UnboundedReceiver<Ended>,
}

/// A push session that ended, but not by the client's request.
struct Ended {
    topic: TopicName,
    session: SessionNumber,
    end: SessionEnd,
}

/// The push sessions of a client that sends no more requests. They end when this is dropped.
#[derive(Debug)]
pub struct Listening {
    _listeners: JoinSet<()>,
}

impl Client {
    /// A client without connections.
    pub fn new(
        id: ClientId,
        workload: Arc<Mutex<Workload>>,
        recorder: Recorder,
        addresses: Arc<Vec<String>>,
    ) -> Client {
        let (tell_end, ended) = mpsc::unbounded_channel();
        Client {
            id,
            workload,
            recorder,
            addresses,
            connection: None,
            sessions: BTreeMap::new(),
            listeners: JoinSet::new(),
            tell_end,
            ended,
        }
    }

    /// Works until `stop` turns true, and completes the current step.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Listening {
        while !*stop.borrow() {
            self.hear_of_sessions();
            let step = self.workload().next(self.id);
            tokio::select! {
                () = sleep(Duration::from_micros(step.pause_us)) => {}
                () = shutdown::requested(&mut stop) => break,
            }
            let operation = self.perform(step).await;
            self.workload().handle_outcome(&operation);
        }
        Listening { _listeners: self.listeners }
    }

    fn workload(&self) -> MutexGuard<'_, Workload> {
        self.workload.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn hear_of_sessions(&mut self) {
        while let Ok(Ended { topic, session, end }) = self.ended.try_recv() {
            // Only the end of the current session matters; the client may have left this one meanwhile.
            if self.sessions.get(&topic).is_some_and(|(present, _)| *present == session) {
                self.sessions.remove(&topic);
                self.workload().handle_session_end(self.id, &topic, end);
            }
        }
        while self.listeners.try_join_next().is_some() {}
    }

    async fn perform(&mut self, step: Step) -> Operation {
        if let Some(topic) = &step.leave {
            self.leave(topic);
        }
        if step.opens_session() { self.open_session(step).await } else { self.ask(step).await }
    }

    fn leave(&mut self, topic: &TopicName) {
        if let Some((session, listener)) = self.sessions.remove(topic) {
            self.recorder.end_session(session, SessionEnd::Left);
            listener.abort();
        }
    }

    // On the connection of most steps.

    async fn ask(&mut self, step: Step) -> Operation {
        let stands = self.connection.take().filter(|(node, _)| *node == step.node && !step.new_connection);
        let connection = match stands {
            Some((_, connection)) => Some(connection),
            None => self.open(step.node).await,
        };
        let Some(mut connection) = connection else { return never_sent(self.id, step) };
        let (operation, answer) = self.ask_on(&mut connection, &step).await;
        if answer.is_some() {
            self.connection = Some((step.node, connection));
        }
        operation
    }

    async fn open(&self, node: HostId) -> Option<Connection> {
        let index = Seating::founded_by(node).index_of(node).expect("a node of this cluster");
        let opened = Connection::open(&self.addresses[index]).await.ok();
        if opened.is_none() {
            sleep(AFTER_NOBODY).await;
        }
        opened
    }

    async fn ask_on(&self, connection: &mut Connection, step: &Step) -> (Operation, Option<Answer>) {
        let begun = self.recorder.begin(self.id, step.node, &step.action);
        let answer = connection.ask(step.action.clone()).await.ok();
        (self.recorder.end(begun, answer.clone()), answer)
    }

    // On a connection of its own.

    async fn open_session(&mut self, step: Step) -> Operation {
        let Some(mut connection) = self.open(step.node).await else { return never_sent(self.id, step) };
        let (operation, _) = self.ask_on(&mut connection, &step).await;
        if let (Some((subscriber, topic)), Outcome::Done(Done::Subscribed { cursor, .. })) =
            (subscription(&step.action), operation.outcome())
        {
            self.listen(connection, step.node, topic, subscriber, *cursor);
        }
        operation
    }

    fn listen(
        &mut self,
        connection: Connection,
        node: HostId,
        topic: TopicName,
        subscriber: SubscriberId,
        from: Offset,
    ) {
        let recorder = self.recorder.clone();
        let session = recorder.open_session(self.id, node, topic.clone(), subscriber, from);
        let (tell, told) = (self.tell_end.clone(), topic.clone());
        let listener = self.listeners.spawn(async move {
            let end = listen(connection, &recorder, session).await;
            recorder.end_session(session, end);
            // If the client has ended, it needs no notice.
            let _ = tell.send(Ended { topic: told, session, end });
        });
        self.sessions.insert(topic, (session, listener));
    }
}

/// Records deliveries until the session ends.
async fn listen(mut connection: Connection, recorder: &Recorder, session: SessionNumber) -> SessionEnd {
    loop {
        match connection.next_frame().await {
            Ok(ServerFrame::Message(delivery)) => recorder.deliver(session, delivery.message),
            Ok(ServerFrame::SubscriptionEnded(ended)) => match ended.reason {
                EndReason::TopicDeleted => return SessionEnd::TopicDeleted,
                EndReason::Unsubscribed => return SessionEnd::Left,
                EndReason::Unreadable => return SessionEnd::Closed,
            },
            Ok(ServerFrame::Answer(_) | ServerFrame::Event(_)) => {}
            Err(_) => return SessionEnd::Closed,
        }
    }
}

fn subscription(action: &Action) -> Option<(SubscriberId, TopicName)> {
    match action {
        Action::Write(
            Write::Subscribe { subscriber, topic, .. } | Write::ReplicaSubscribe { subscriber, topic, .. },
        ) => Some((subscriber.clone(), topic.clone())),
        _ => None,
    }
}

/// The operation of a step whose node was not reached. It was never sent and is not recorded. The client treats it
/// like an operation on a broken connection.
fn never_sent(client: ClientId, step: Step) -> Operation {
    Operation { client, node: step.node, action: step.action, invoked: Default::default(), answered: None }
}
