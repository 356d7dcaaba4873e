//! A node's one port: accepts connections, speaks HTTP, and upgrades `/ws` to WebSockets.
//!
//! | path | what |
//! |---|---|
//! | `/ws` | a client; with the subprotocol `cubecast-peer.1`, a neighbour |
//! | `/healthz`, `/readyz`, `/metrics` | see [`probes`] |
//! | all else | files of the dashboard |

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cubecast_core::identity::HostId;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    UPGRADE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role as SocketRole;
use tracing::{debug, info, warn};

use super::accepting::{self, Accepting};
use super::handshake::{self, Accepted, HandshakeError, Refusal, RefusalCode, SUBPROTOCOL};
use super::origin::OriginRefused;
use super::places::Place;
use super::static_files::page;
use super::{
    HANDSHAKE_MESSAGE, PEER_MESSAGE, ServerContext, Socket, client_connection, incidents, incoming, peer_connection,
    probes, shield, static_files, tune, upgrade, websocket_config,
};

/// The time for a connection to send the headers of its request.
const HEADERS: Duration = Duration::from_secs(10);
/// The time for open connections to end when the node stops.
const CLOSING: Duration = Duration::from_secs(3);
/// The time limit of the answer to an HTTP request in progress at that time.
const LAST_ANSWER: Duration = Duration::from_secs(1);
/// The maximum write buffer of a client or an unproven neighbour, in bytes. Answers to pings do not exceed it.
const MOST_UNSENT: usize = 256 << 10;

type Answer = Response<Full<Bytes>>;

/// The use of a connection after its HTTP part.
enum Upgraded {
    Client(OnUpgrade, Place),
    Peer(OnUpgrade),
}

/// Serves the port until the node stops, then ends all connections.
pub async fn run(listener: TcpListener, context: Arc<ServerContext>) {
    let mut connections = JoinSet::new();
    let mut accepting = Accepting::default();
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            accepted = accept_after(pause, &listener) => {
                let taken = take(accepted, &mut connections, &context);
                pause = match taken {
                    Ok(()) => accepting.succeeded(),
                    Err(why) => {
                        if let Some(line) = why.and_then(|why| accepting.failed(why)) {
                            warn!(node = %context.node(), "{line}");
                        }
                        accepting.next_pause()
                    }
                };
            }
            line = accepting.calm() => info!(node = %context.node(), "{line}"),
            // A connection ended, so accepting may succeed again if descriptors were missing.
            Some(_) = connections.join_next() => pause = Duration::ZERO,
            () = context.stopped() => break,
        }
    }
    drop(listener);
    // Connections receive the same signal. Those that do not end in time are cut.
    let _ = timeout(CLOSING, async { while connections.join_next().await.is_some() {} }).await;
}

async fn accept_after(pause: Duration, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    if !pause.is_zero() {
        sleep(pause).await;
    }
    listener.accept().await
}

/// Serves an accepted connection. An error is a message for the log; it is `None` if the connection broke before it
/// was accepted.
fn take(
    accepted: io::Result<(TcpStream, SocketAddr)>,
    connections: &mut JoinSet<()>,
    context: &Arc<ServerContext>,
) -> Result<(), Option<String>> {
    let (stream, from) = accepted.map_err(|error| accepting::reason(&error))?;
    let number = context.numbers.next_connection().0;
    let serving = connections.spawn(serve(stream, from.ip(), number, context.clone()));
    context.undecided.add(number, serving);
    Ok(())
}

async fn serve(stream: TcpStream, from: IpAddr, number: u64, context: Arc<ServerContext>) {
    // If this fails, the socket is broken and later operations report it.
    let _ = tune(&stream, context.limits.silence);
    let upgraded = Arc::new(Mutex::new(None));
    let service = service_fn(|request| {
        let (context, upgraded) = (context.clone(), upgraded.clone());
        async move { Ok::<_, Infallible>(answer(request, from, &context, &upgraded).await) }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(http);
    tokio::select! {
        // The error of a broken HTTP connection can be sent nowhere.
        _ = &mut http => {}
        () = context.stopped() => {
            http.as_mut().graceful_shutdown();
            let _ = timeout(LAST_ANSWER, http.as_mut()).await;
        }
    }
    let upgraded = upgraded.lock().expect("no thread panics while it holds this lock").take();
    context.undecided.remove(number);
    match upgraded {
        Some(Upgraded::Client(upgrade, place)) => {
            if let Some((stream, came)) = socket_of(upgrade).await {
                let (holding, limit) = (context.budget.hold(), context.limits.client_message);
                let stream = incoming::Incoming::new(stream, &came, limit as u64, holding.clone());
                let config = Some(websocket_config(limit).max_write_buffer_size(MOST_UNSENT));
                let socket = WebSocketStream::from_raw_socket(stream, SocketRole::Server, config).await;
                client_connection::serve(socket, holding, context).await;
                drop(place);
            }
        }
        Some(Upgraded::Peer(upgrade)) => {
            if let Some((stream, came)) = socket_of(upgrade).await {
                let config = Some(websocket_config(HANDSHAKE_MESSAGE).max_write_buffer_size(MOST_UNSENT));
                let role = SocketRole::Server;
                let socket = WebSocketStream::from_partially_read(stream, came, role, config).await;
                take_peer(socket, from, &context).await;
            }
        }
        None => {}
    }
}

/// The stream after the HTTP part, and the bytes already received.
async fn socket_of(upgrade: OnUpgrade) -> Option<(TcpStream, Vec<u8>)> {
    let parts = upgrade.await.ok()?.downcast::<TokioIo<TcpStream>>().ok()?;
    Some((parts.io.into_inner(), parts.read_buf.to_vec()))
}

async fn answer(
    request: Request<Incoming>,
    from: IpAddr,
    context: &ServerContext,
    upgraded: &Mutex<Option<Upgraded>>,
) -> Answer {
    let mut answer = answer_to(request, from, context, upgraded).await;
    shield::cover(answer.headers_mut());
    answer
}

async fn answer_to(
    request: Request<Incoming>,
    from: IpAddr,
    context: &ServerContext,
    upgraded: &Mutex<Option<Upgraded>>,
) -> Answer {
    if !upgrade::names_its_host(&request) {
        return page(StatusCode::BAD_REQUEST, "An HTTP/1.1 request must have exactly one `Host` header.\n");
    }
    // This check comes first, so that a refused page can read the reason: a browser hides a failed handshake from the
    // page, but shows it the answer to a POST.
    if let Err(refused) = check_caller(&request, context) {
        context.metrics.refused_handshakes.inc();
        warn!(node = %context.node(), "Request refused: {refused}");
        return page(StatusCode::FORBIDDEN, &format!("{refused}\n"));
    }
    let path = request.uri().path();
    if path == "/ws" {
        return open_socket(request, from, context, upgraded);
    }
    if request.headers().contains_key(SEC_WEBSOCKET_KEY) {
        return page(StatusCode::NOT_FOUND, "The WebSocket of this node is at /ws.\n");
    }
    if path == incidents::PATH {
        return incidents::answer(context, &request).await;
    }
    match probes::answer(context, request.method(), path).await {
        Some(answer) => answer,
        None => static_files::serve(&context.dashboard, request.method(), path, request.headers()).await,
    }
}

fn open_socket(
    mut request: Request<Incoming>,
    from: IpAddr,
    context: &ServerContext,
    upgraded: &Mutex<Option<Upgraded>>,
) -> Answer {
    let headers = request.headers();
    let key = match upgrade::check(&request) {
        Ok(key) => key,
        Err(refused) => return refused.answer(),
    };
    let is_peer = upgrade::offers(headers, SUBPROTOCOL);
    let place = match is_peer {
        true => None,
        false => match context.places.take(from) {
            Ok(place) => Some(place),
            Err(full) => return page(StatusCode::SERVICE_UNAVAILABLE, &format!("{full}\n")),
        },
    };
    let mut answer = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()));
    if is_peer {
        answer = answer.header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    }
    let coming = hyper::upgrade::on(&mut request);
    let wanted = match place {
        Some(place) => Upgraded::Client(coming, place),
        None => Upgraded::Peer(coming),
    };
    *upgraded.lock().expect("no thread panics while it holds this lock") = Some(wanted);
    answer.body(Full::default()).expect("the headers are valid")
}

/// Checks that the request comes from a page that may use this node, or from no page.
fn check_caller(request: &Request<Incoming>, context: &ServerContext) -> Result<(), OriginRefused> {
    let (origin, host) = (text(request.headers(), ORIGIN), text(request.headers(), HOST));
    match (request.uri().path(), origin) {
        // Browsers send the origin of every page that opens a WebSocket, so this is not a browser.
        ("/ws", None) => Ok(()),
        ("/ws", Some(origin)) => context.origins.check_page(origin, host),
        // A browser does not let foreign pages read these answers. Behind a proxy, the node's own page looks foreign
        // too, and it must load to report that.
        _ => context.origins.check_host(host),
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("(not text)"))
}

/// Performs the handshake with a neighbour and serves it.
async fn take_peer(mut socket: Socket, from: IpAddr, context: &Arc<ServerContext>) {
    let node = context.node();
    let gate = *context.gate.borrow();
    let accepted = if gate.allowed {
        tokio::select! {
            accepted = handshake::accept(&mut socket, &context.credentials) => accepted,
            () = context.stopped() => {
                Err(Refusal::new(RefusalCode::NotNow, format!("node {node} is shutting down")).into())
            }
        }
    } else {
        Err(Refusal::new(RefusalCode::NotNow, format!("node {node} is not accepting peer connections")).into())
    };
    let admitted = match accepted {
        Ok(accepted) => {
            let slot = context.peers.admit(accepted.proven).await;
            slot.map(|slot| (accepted, slot)).map_err(HandshakeError::Refused)
        }
        Err(error) => Err(error),
    };
    match admitted {
        Ok((accepted, slot)) => match welcome(socket, accepted).await {
            Ok((socket, peer)) => peer_connection::serve(socket, peer, slot, gate, context).await,
            Err(error) => debug!(%node, "A peer disconnected during the handshake: {error}"),
        },
        Err(error) => {
            if gate.allowed && !*context.stop.borrow() {
                context.metrics.refused_handshakes.inc();
                warn!(%node, "Peer connection from {from} refused: {error}");
            }
            if let HandshakeError::Refused(refusal) = error {
                handshake::refuse(socket, &refusal).await;
            }
        }
    }
}

/// Tells a proven neighbour that it is admitted. From now on it may send large messages. It sends none before, so
/// changing the settings here splits no message.
async fn welcome(socket: Socket, accepted: Accepted) -> Result<(Socket, HostId), HandshakeError> {
    let config = Some(websocket_config(PEER_MESSAGE));
    let mut socket = WebSocketStream::from_raw_socket(socket.into_inner(), SocketRole::Server, config).await;
    let proven = handshake::welcome(&mut socket, accepted).await?;
    Ok((socket, proven.node))
}
