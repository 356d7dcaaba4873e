//! The simulated clients. Each executes the workload's steps on the cluster one after another, and all record the
//! history.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cubecast_core::identity::HostId;
use cubecast_core::io::ConnectionId;
use cubecast_core::names::TopicName;
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::{Answer, Delivery, Done, EndReason, ErrorCode, Failure, ServerFrame};
use cubecast_core::wire::client::{Action, Read, RequestId, Write};

use crate::check::history::{Answered, ClientId, History, Operation, Session, SessionEnd};
use crate::check::workload::{Step, Workload};
use crate::cluster::Cluster;

/// How long a client waits for an answer before it disconnects. Nodes answer within 5 s unless they hang.
const PATIENCE_MS: std::ops::Range<u64> = 500..9_000;
/// Number of requests that a reader occasionally sends at once, without waiting. It uses only the first answer.
const BURST: u32 = 20;

pub(super) struct Clients {
    pub workload: Workload,
    pub history: History,
    random: fastrand::Rng,
    drivers: Vec<Driver>,
    /// The client of each connection, and the session on it.
    connections: BTreeMap<ConnectionId, Use>,
    /// The workload is over: nothing new starts.
    resting: bool,
}

struct Driver {
    id: ClientId,
    connection: Option<(HostId, ConnectionId)>,
    doing: Doing,
}

enum Doing {
    Pausing { until: Instant, step: Box<Step> },
    Waiting { connection: ConnectionId, request: u64, operation: usize, gives_up: Instant },
    Resting,
}

#[derive(Clone, Copy)]
struct Use {
    client: ClientId,
    /// The index of the session in the history.
    session: Option<usize>,
}

impl Clients {
    /// One idle client for each client of the workload. The seed determines all random choices.
    pub fn new(workload: Workload, seed: u64) -> Clients {
        let drivers = workload.clients().map(|id| Driver { id, connection: None, doing: Doing::Resting }).collect();
        Clients {
            workload,
            history: History::default(),
            random: fastrand::Rng::with_seed(seed),
            drivers,
            connections: BTreeMap::new(),
            resting: false,
        }
    }

    /// Plans the first step of every client.
    pub fn begin(&mut self, now: Instant) {
        for index in 0..self.drivers.len() {
            self.plan_next(index, now);
        }
    }

    /// Abandons all operations under way. Sessions remain and receive further deliveries.
    pub fn rest(&mut self, cluster: &mut Cluster) {
        self.resting = true;
        for index in 0..self.drivers.len() {
            if let Doing::Waiting { connection, .. } = self.drivers[index].doing {
                self.lose(cluster, connection);
            }
            self.drivers[index].doing = Doing::Resting;
        }
    }

    /// When the next client has an action due.
    pub fn due(&self) -> Option<Instant> {
        let due = |driver: &Driver| match driver.doing {
            Doing::Pausing { until, .. } => Some(until),
            Doing::Waiting { gives_up, .. } => Some(gives_up),
            Doing::Resting => None,
        };
        self.drivers.iter().filter_map(due).min()
    }

    /// Runs the next action of every client that is due.
    pub fn act(&mut self, cluster: &mut Cluster) {
        let now = cluster.now();
        for index in 0..self.drivers.len() {
            match &self.drivers[index].doing {
                Doing::Pausing { until, .. } if *until <= now => {
                    let Doing::Pausing { step, .. } = std::mem::replace(&mut self.drivers[index].doing, Doing::Resting)
                    else {
                        continue;
                    };
                    self.take_step(cluster, index, *step);
                }
                Doing::Waiting { gives_up, connection, .. } if *gives_up <= now => {
                    let connection = *connection;
                    self.lose(cluster, connection);
                }
                _ => {}
            }
        }
    }

    fn take_step(&mut self, cluster: &mut Cluster, index: usize, step: Step) {
        let (now, client) = (cluster.now(), self.drivers[index].id);
        let opens_session = step.opens_session();
        if let Some(topic) = &step.leave {
            self.leave_session(cluster, client, topic);
        }
        let Step { node, new_connection, action, .. } = step;
        let operation = Operation { client, node, action: action.clone(), invoked: now, answered: None };
        if cluster.node(node).is_none() {
            // No process listens, so the connection is refused at once.
            let failure = ErrorCode::NodeFailed.because("connection refused");
            let answered = Some(Answered { at: now, served_by: node, hops: Vec::new(), result: Err(failure) });
            self.workload.handle_outcome(&Operation { answered, ..operation });
            return self.plan_next(index, now);
        }
        let connection = if opens_session {
            cluster.connect_client(node)
        } else {
            self.connection_to(cluster, index, node, new_connection)
        };
        self.connections.insert(connection, Use { client, session: None });
        let gives_up = now + Duration::from_millis(self.random.u64(PATIENCE_MS));
        let request = cluster.send(connection, action.clone());
        if asks_for_more(&action) && self.random.u8(..12) == 0 {
            for _ in 0..BURST {
                cluster.send(connection, action.clone());
            }
        }
        self.drivers[index].doing =
            Doing::Waiting { connection, request, operation: self.history.operations.len(), gives_up };
        self.history.operations.push(operation);
    }

    fn connection_to(&mut self, cluster: &mut Cluster, index: usize, node: HostId, anew: bool) -> ConnectionId {
        let kept = self.drivers[index].connection;
        match kept.filter(|(at, connection)| *at == node && !anew && cluster.is_connected(*connection)) {
            Some((_, connection)) => connection,
            None => {
                if let Some((_, old)) = kept {
                    self.connections.remove(&old);
                    cluster.disconnect_client(old);
                }
                let connection = cluster.connect_client(node);
                self.drivers[index].connection = Some((node, connection));
                connection
            }
        }
    }

    /// Processes the frames that arrived for clients. Returns the touched connections that belong to others.
    pub fn hear(&mut self, cluster: &mut Cluster) -> BTreeSet<ConnectionId> {
        let (own, others) =
            cluster.take_touched().into_iter().partition(|touched| self.connections.contains_key(touched));
        self.hear_own(cluster, own);
        others
    }

    fn hear_own(&mut self, cluster: &mut Cluster, touched: BTreeSet<ConnectionId>) {
        for connection in touched {
            for frame in cluster.frames(connection) {
                self.handle_frame(cluster, connection, frame);
            }
            if !cluster.is_connected(connection) {
                self.lose(cluster, connection);
            }
        }
    }

    fn handle_frame(&mut self, cluster: &mut Cluster, connection: ConnectionId, frame: ServerFrame) {
        match frame {
            ServerFrame::Answer(answer) => self.handle_answer(cluster, connection, answer),
            ServerFrame::Message(delivery) => self.handle_delivery(cluster.now(), connection, delivery),
            ServerFrame::SubscriptionEnded(ended) => self.handle_end(cluster, connection, ended.reason),
            ServerFrame::Event(_) => {}
        }
    }

    fn handle_answer(&mut self, cluster: &mut Cluster, connection: ConnectionId, answer: Answer) {
        let Some(index) = self.waiting_on(connection) else { return };
        let Doing::Waiting { request, operation, .. } = self.drivers[index].doing else { return };
        if answer.id != Some(RequestId::Unsigned(request)) {
            return;
        }
        let Answer { served_by, hops, result, .. } = answer;
        let answered = Answered { at: cluster.now(), served_by, hops: hops.unwrap_or_default(), result };
        self.open_session(cluster, connection, operation, &answered.result);
        self.history.operations[operation].answered = Some(answered);
        self.finish(index, operation, cluster.now());
    }

    fn open_session(
        &mut self,
        cluster: &mut Cluster,
        connection: ConnectionId,
        operation: usize,
        result: &Result<Done, Failure>,
    ) {
        let Operation { client, node, action, .. } = self.history.operations[operation].clone();
        let Action::Write(
            Write::Subscribe { subscriber, topic, push: true, .. }
            | Write::ReplicaSubscribe { subscriber, topic, push: true, .. },
        ) = action
        else {
            return;
        };
        let Ok(Done::Subscribed { cursor, .. }) = result else {
            self.connections.remove(&connection);
            return cluster.disconnect_client(connection);
        };
        self.connections.insert(connection, Use { client, session: Some(self.history.sessions.len()) });
        self.history.sessions.push(Session {
            client,
            node,
            topic,
            subscriber,
            opened: cluster.now(),
            from: *cursor,
            deliveries: Vec::new(),
            ended: None,
        });
    }

    fn handle_delivery(&mut self, now: Instant, connection: ConnectionId, delivery: Delivery) {
        let session = self.connections.get(&connection).and_then(|connection| connection.session);
        if let Some(session) = session {
            self.history.sessions[session].deliveries.push((now, delivery.message));
        }
    }

    /// Handles a lost or abandoned connection. Its missing answer will never arrive.
    fn lose(&mut self, cluster: &mut Cluster, connection: ConnectionId) {
        cluster.disconnect_client(connection);
        let Some(Use { session, .. }) = self.connections.remove(&connection) else { return };
        if let Some(session) = session {
            self.end_session(session, cluster.now(), SessionEnd::Closed);
        }
        if let Some(index) = self.waiting_on(connection)
            && let Doing::Waiting { operation, .. } = self.drivers[index].doing
        {
            self.finish(index, operation, cluster.now());
        }
    }

    fn leave_session(&mut self, cluster: &mut Cluster, client: ClientId, topic: &TopicName) {
        let sessions = &self.history.sessions;
        let left = self.connections.iter().find_map(|(connection, used)| {
            let session = used.session.filter(|session| used.client == client && sessions[*session].topic == *topic)?;
            Some((*connection, session))
        });
        if let Some((connection, session)) = left {
            self.connections.remove(&connection);
            cluster.disconnect_client(connection);
            self.end_session(session, cluster.now(), SessionEnd::Left);
        }
    }

    fn end_session(&mut self, session: usize, at: Instant, end: SessionEnd) {
        let session = &mut self.history.sessions[session];
        session.ended = Some((at, end));
        let (client, topic) = (session.client, session.topic.clone());
        self.workload.handle_session_end(client, &topic, end);
    }

    /// Handles the node's notice that the session has ended.
    fn handle_end(&mut self, cluster: &mut Cluster, connection: ConnectionId, reason: EndReason) {
        let Some(Use { session: Some(session), .. }) = self.connections.remove(&connection) else { return };
        cluster.disconnect_client(connection);
        let end = match reason {
            EndReason::TopicDeleted => SessionEnd::TopicDeleted,
            EndReason::Unsubscribed => SessionEnd::Left,
            // The client subscribes again, as after a broken connection.
            EndReason::Unreadable => SessionEnd::Closed,
        };
        self.end_session(session, cluster.now(), end);
    }

    fn waiting_on(&self, connection: ConnectionId) -> Option<usize> {
        self.drivers
            .iter()
            .position(|driver| matches!(driver.doing, Doing::Waiting { connection: at, .. } if at == connection))
    }

    fn finish(&mut self, index: usize, operation: usize, now: Instant) {
        self.drivers[index].doing = Doing::Resting;
        self.workload.handle_outcome(&self.history.operations[operation]);
        self.plan_next(index, now);
    }

    fn plan_next(&mut self, index: usize, now: Instant) {
        if self.resting {
            return;
        }
        let step = self.workload.next(self.drivers[index].id);
        let until = now + Duration::from_micros(step.pause_us.max(1));
        self.drivers[index].doing = Doing::Pausing { until, step: Box::new(step) };
    }
}

/// Whether this is a read without effects.
fn asks_for_more(action: &Action) -> bool {
    matches!(action, Action::Read(Read::Pull { commit: false, .. }))
}
