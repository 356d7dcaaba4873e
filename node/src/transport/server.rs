//! The one port of a node: accepts, speaks HTTP, and turns `/ws` into WebSockets.
//!
//! | path | what |
//! |---|---|
//! | `/ws` | a client; with the subprotocol `cubecast-peer.1`, a neighbour |
//! | `/healthz` | 200 while the node serves, 503 while it fails; a small JSON either way |
//! | `/metrics` | Prometheus text |
//! | all else | files of the dashboard |

use std::convert::Infallible;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cubecast_core::wire::answer::{ErrorCode, NodeState, NodeStatus, Role};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role as SocketRole;
use tracing::{debug, warn};

use super::handshake::{self, HandshakeError, Refusal, RefusalCode, SUBPROTOCOL};
use super::static_files::page;
use super::{
    Door, HANDSHAKE_MESSAGE, PEER_MESSAGE, Socket, client_connection, peer_connection, static_files, tune,
    websocket_config,
};
use crate::runtime::local_client::{self, NoStatus};

/// How long a connection may take to say what it wants.
const HEADERS: Duration = Duration::from_secs(10);
/// How long open connections get to end when the node ends.
const CLOSING: Duration = Duration::from_secs(2);
/// After an accept that failed (no file descriptors left, say), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Sockets beside those of clients: neighbours, browsers that load files, whoever asks for metrics.
const OTHER_SOCKETS: usize = 256;

type Answer = Response<Full<Bytes>>;

/// What a connection is to become when its HTTP part is over.
enum Wish {
    Client(OnUpgrade),
    Peer(OnUpgrade),
}

/// Serves the port until the node ends, then ends all connections.
pub async fn run(listener: TcpListener, door: Arc<Door>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < door.limits.clients + OTHER_SOCKETS => {
                    connections.spawn(serve(stream, door.clone()));
                }
                Ok((stream, _)) => drop(stream),
                Err(error) => {
                    warn!(node = %door.vertex(), "A connection could not be accepted: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = door.stopped() => break,
        }
    }
    drop(listener);
    // Connections see the same signal. Whoever does not end in time is cut.
    let _ = timeout(CLOSING, async { while connections.join_next().await.is_some() {} }).await;
}

async fn serve(stream: TcpStream, door: Arc<Door>) {
    // A socket that refuses this is broken and will show it.
    let _ = tune(&stream);
    let wish = Arc::new(Mutex::new(None));
    let service = service_fn(|request| {
        let (door, wish) = (door.clone(), wish.clone());
        async move { Ok::<_, Infallible>(answer(request, &door, &wish).await) }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        // An HTTP connection that breaks has nobody left to be told.
        _ = http => {}
        () = door.stopped() => return,
    }
    let wish = wish.lock().expect("no holder of this lock panics").take();
    match wish {
        Some(Wish::Client(upgrade)) => {
            if let Some(socket) = upgraded(upgrade, door.limits.client_message).await {
                client_connection::serve(socket, door).await;
            }
        }
        Some(Wish::Peer(upgrade)) => {
            if let Some(socket) = upgraded(upgrade, HANDSHAKE_MESSAGE).await {
                take_peer(socket, &door).await;
            }
        }
        None => {}
    }
}

async fn upgraded(upgrade: OnUpgrade, max_message: usize) -> Option<Socket> {
    let parts = upgrade.await.ok()?.downcast::<TokioIo<TcpStream>>().ok()?;
    let config = Some(websocket_config(max_message));
    let stream = parts.io.into_inner();
    Some(WebSocketStream::from_partially_read(stream, parts.read_buf.to_vec(), SocketRole::Server, config).await)
}

async fn answer(request: Request<Incoming>, door: &Door, wish: &Mutex<Option<Wish>>) -> Answer {
    match request.uri().path() {
        "/ws" => upgrade(request, door, wish),
        "/healthz" => health(door).await,
        "/metrics" => metrics(door).await,
        path => static_files::serve(door.web.as_deref(), request.method(), path, request.headers()).await,
    }
}

fn upgrade(mut request: Request<Incoming>, door: &Door, wish: &Mutex<Option<Wish>>) -> Answer {
    let headers = request.headers();
    if let Err(refused) = door.origins.check(text(headers, ORIGIN), text(headers, HOST)) {
        door.metrics.refused_handshakes.fetch_add(1, Relaxed);
        warn!(node = %door.vertex(), "A page was refused: {refused}");
        return page(StatusCode::FORBIDDEN, &format!("{refused}\n"));
    }
    let Some(key) = websocket_key(request.method(), headers) else {
        let mut answer = page(
            StatusCode::UPGRADE_REQUIRED,
            "This is Cubecast's WebSocket. Connect with a WebSocket client, version 13.\n",
        );
        answer.headers_mut().insert(UPGRADE, "websocket".parse().expect("a valid header"));
        return answer;
    };
    let is_peer = text(headers, SEC_WEBSOCKET_PROTOCOL)
        .is_some_and(|offered| offered.split(',').any(|name| name.trim() == SUBPROTOCOL));
    if !is_peer && door.metrics.client_connections.load(Relaxed) >= door.limits.clients as i64 {
        return page(
            StatusCode::SERVICE_UNAVAILABLE,
            "This node has as many clients as it takes. Connect to another node.\n",
        );
    }
    let mut answer = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()));
    if is_peer {
        answer = answer.header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    }
    let coming = hyper::upgrade::on(&mut request);
    let wanted = if is_peer { Wish::Peer(coming) } else { Wish::Client(coming) };
    *wish.lock().expect("no holder of this lock panics") = Some(wanted);
    answer.body(Full::default()).expect("the headers are valid")
}

fn websocket_key(method: &Method, headers: &HeaderMap) -> Option<String> {
    let wants = text(headers, UPGRADE).is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
    let version = text(headers, SEC_WEBSOCKET_VERSION) == Some("13");
    (method == Method::GET && wants && version).then(|| text(headers, SEC_WEBSOCKET_KEY).map(str::to_owned))?
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("(not text)"))
}

/// A neighbour knocks.
async fn take_peer(mut socket: Socket, door: &Arc<Door>) {
    let node = door.vertex();
    let gate = *door.gate.borrow();
    let proven = if gate.allowed {
        handshake::accept(&mut socket, &door.credentials).await
    } else {
        Err(Refusal::new(RefusalCode::NotNow, format!("node {node} takes no neighbours now")).into())
    };
    let admitted = match proven {
        Ok(proven) => door.peers.admit(proven).await.map(|slot| (proven, slot)).map_err(HandshakeError::Refused),
        Err(error) => Err(error),
    };
    match admitted {
        Ok((proven, slot)) => match welcome(socket).await {
            Ok(socket) => peer_connection::serve(socket, proven.vertex, slot, gate, door).await,
            Err(error) => debug!(%node, "A neighbour left during the handshake: {error}"),
        },
        Err(error) => {
            if gate.allowed {
                door.metrics.refused_handshakes.fetch_add(1, Relaxed);
                warn!(%node, "A process that wanted to be a neighbour was not taken: {error}");
            }
            if let HandshakeError::Refused(refusal) = error {
                handshake::refuse(&mut socket, &refusal).await;
            }
        }
    }
}

/// Tells a proven neighbour so. From here on it may send large messages; before, it sends none, so none is cut in two.
async fn welcome(socket: Socket) -> Result<Socket, HandshakeError> {
    let config = Some(websocket_config(PEER_MESSAGE));
    let mut socket = WebSocketStream::from_raw_socket(socket.into_inner(), SocketRole::Server, config).await;
    handshake::welcome(&mut socket).await?;
    Ok(socket)
}

async fn health(door: &Door) -> Answer {
    let (status, body) = match local_client::status(&door.inbox, &door.numbers).await {
        Ok(status) if status.state == NodeState::Failed => (StatusCode::SERVICE_UNAVAILABLE, summary(&status)),
        Ok(status) => (StatusCode::OK, summary(&status)),
        Err(no_status) => {
            let failed = matches!(&no_status, NoStatus::Refused(failure) if failure.code == ErrorCode::NodeFailed);
            let state = if failed { "failed" } else { "silent" };
            (
                StatusCode::SERVICE_UNAVAILABLE,
                json!({"node": door.vertex(), "state": state, "message": no_status.to_string()}),
            )
        }
    };
    let mut answer = page(status, &format!("{body}\n"));
    answer.headers_mut().insert(CONTENT_TYPE, "application/json".parse().expect("a valid header"));
    answer
}

fn summary(status: &NodeStatus) -> serde_json::Value {
    let led: Vec<_> = status.groups.iter().filter(|group| group.role == Role::Leader).collect();
    json!({
        "node": status.node,
        "state": status.state,
        "version": status.version,
        "incarnation": status.incarnation,
        "uptime_ms": status.uptime_ms,
        "leads": led.iter().map(|group| group.home).collect::<Vec<_>>(),
        "topics_led": led.iter().map(|group| group.topics).sum::<u64>(),
        "messages_led": led.iter().map(|group| group.messages).sum::<u64>(),
        "neighbours_heard": status.links.iter().filter(|link| link.hears).count(),
        "clients": status.counters.clients,
    })
}

async fn metrics(door: &Door) -> Answer {
    let status = local_client::status(&door.inbox, &door.numbers).await.ok();
    let mut answer = page(StatusCode::OK, &door.metrics.render(status.as_ref()));
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8".parse().expect("a valid header"));
    answer
}
