//! The handshake by which two neighbours prove that they belong to the same cluster.
//!
//! ```text
//! dialer -> acceptor   Hello { protocol, cluster, dimension, from, to, instance, nonce }
//! acceptor -> dialer   Hello
//! dialer -> acceptor   Proof    HMAC-SHA256(secret, "dialer" | both hellos)
//! acceptor -> dialer   Welcome  HMAC-SHA256(secret, "acceptor" | both hellos)
//! ```
//!
//! Either side may send a [`Refusal`] instead, as the close frame's code and reason. The secret itself is never sent.
//! Both nonces are fresh, so an old proof is useless. The acceptor computes nothing from the secret before the dialer
//! has proven it, so a stranger who connects gets nothing to test guesses of the secret against. A stranger at the
//! address of a neighbour, whom the node dials, does get the dialer's proof; therefore the secret must be long and
//! random. Later traffic is not encrypted: the network between nodes must be trusted or tunnelled.

use std::fmt;
use std::time::Duration;

use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use futures_util::{SinkExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::HANDSHAKE_MESSAGE;
use super::farewell::{self, Goodbye};

/// The WebSocket subprotocol that distinguishes neighbours from clients.
pub const SUBPROTOCOL: &str = "cubecast-peer.1";
/// The version of the protocol between neighbours. Both must use the same.
pub const PROTOCOL: u16 = 5;
/// The time limit of a handshake.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// The delay before a wrong proof is answered. The connection stays open meanwhile, which limits the rate of guesses.
pub const WRONG_PROOF: Duration = Duration::from_secs(1);
/// The time for a refused neighbour to answer the close frame.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);
/// The minimum length of a secret in bytes.
pub const MIN_SECRET: usize = 16;

/// The secret shared by the processes of one cluster.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// `None` if it is shorter than [`MIN_SECRET`] bytes.
    pub fn new(bytes: &[u8]) -> Option<Secret> {
        (bytes.len() >= MIN_SECRET).then(|| Secret(bytes.to_vec()))
    }

    fn mac(&self, role: &str, transcript: [&str; 2]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for part in [role, transcript[0], transcript[1]] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }

    fn proof(&self, role: &str, transcript: [&str; 2]) -> Vec<u8> {
        self.mac(role, transcript).finalize().into_bytes().to_vec()
    }

    fn verify(&self, role: &str, transcript: [&str; 2], proof: &[u8]) -> Result<(), Refusal> {
        self.mac(role, transcript)
            .verify_slice(proof)
            .map_err(|_| Refusal::new(RefusalCode::WrongSecret, "wrong proof of the cluster's secret"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// This process's identity for its neighbours.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The cluster's name.
    pub cluster: String,
    /// This node.
    pub node: HostId,
    /// All nodes of the cluster.
    pub seating: Seating,
    /// A random number that distinguishes this process from others that run as the same node.
    pub instance: u64,
    /// The cluster's secret.
    pub secret: Secret,
}

/// Why a neighbour was refused. The numbers are the close codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum RefusalCode {
    /// The proof does not match this cluster's secret.
    WrongSecret = 4001,
    OtherCluster = 4002,
    OtherDimension = 4003,
    OtherProtocol = 4004,
    /// The two nodes do not share an edge.
    NotANeighbour = 4005,
    /// The acceptor is another node than the dialed one.
    NotMe = 4006,
    /// Another process that runs as the same node is connected and alive.
    Taken = 4007,
    /// The node is stopped by a requested fault and accepts no neighbours now.
    NotNow = 4008,
    Malformed = 4009,
}

/// The refusal of a neighbour, by this side or by the other.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// The close code.
    pub code: RefusalCode,
    /// The reason, for people.
    pub reason: String,
}

impl Refusal {
    /// A code with its reason.
    pub fn new(code: RefusalCode, reason: impl Into<String>) -> Refusal {
        Refusal { code, reason: reason.into() }
    }
}

/// Why a handshake failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HandshakeError {
    /// This side refused the other.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// The other side refused this one.
    #[error("it refused the connection (close code {code}): {reason}")]
    RefusedBy { code: u16, reason: String },
    #[error("the connection broke during the handshake: {0}")]
    Broken(String),
    #[error("the handshake took longer than {} s", PATIENCE.as_secs())]
    TooSlow,
}

/// A neighbour with proven identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proven {
    /// The node.
    pub node: HostId,
    /// The random number of its process.
    pub instance: u64,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Hello {
    protocol: u16,
    cluster: String,
    dimension: Dimension,
    from: HostId,
    to: HostId,
    instance: u64,
    nonce: [u8; 32],
}

/// A neighbour with proven identity, and the proof to send to it.
#[derive(Debug)]
pub struct Accepted {
    /// The neighbour.
    pub proven: Proven,
    proof: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
enum Step {
    Hello { hello: String },
    Proof { proof: Vec<u8> },
    Welcome { proof: Vec<u8> },
}

/// The dialer's side. Success means that the acceptor has proven its identity and admitted this node.
pub async fn dial<S>(socket: &mut WebSocketStream<S>, me: &Credentials, to: HostId) -> Result<Proven, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mine = encode(&me.hello(to));
    in_time(async {
        send(socket, &Step::Hello { hello: mine.clone() }).await?;
        let Step::Hello { hello: theirs } = receive(socket).await? else { return Err(out_of_turn()) };
        let transcript = [mine.as_str(), theirs.as_str()];
        let them = me.check_hello(&theirs)?;
        if them.node != to {
            return Err(Refusal::new(
                RefusalCode::NotMe,
                format!("connected to node {to}, but node {} answered", them.node),
            )
            .into());
        }
        send(socket, &Step::Proof { proof: me.secret.proof("dialer", transcript) }).await?;
        let Step::Welcome { proof } = receive(socket).await? else { return Err(out_of_turn()) };
        me.secret.verify("acceptor", transcript, &proof)?;
        Ok(them)
    })
    .await
}

/// The acceptor's side, up to the dialer's proof. [`welcome`] completes the handshake after the neighbour is
/// admitted.
pub async fn accept<S>(socket: &mut WebSocketStream<S>, me: &Credentials) -> Result<Accepted, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    in_time(async {
        let Step::Hello { hello: theirs } = receive(socket).await? else { return Err(out_of_turn()) };
        let proven = me.check_hello(&theirs)?;
        let mine = encode(&me.hello(proven.node));
        let transcript = [theirs.as_str(), mine.as_str()];
        send(socket, &Step::Hello { hello: mine.clone() }).await?;
        let Step::Proof { proof } = receive(socket).await? else { return Err(out_of_turn()) };
        me.secret.verify("dialer", transcript, &proof)?;
        Ok(Accepted { proven, proof: me.secret.proof("acceptor", transcript) })
    })
    .await
}

/// Tells the dialer that it is admitted, with the acceptor's proof.
pub async fn welcome<S>(socket: &mut WebSocketStream<S>, accepted: Accepted) -> Result<Proven, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    in_time(send(socket, &Step::Welcome { proof: accepted.proof })).await?;
    Ok(accepted.proven)
}

/// Sends the refusal and closes the connection.
pub async fn refuse<S>(socket: WebSocketStream<S>, refusal: &Refusal)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if refusal.code == RefusalCode::WrongSecret {
        sleep(WRONG_PROOF).await;
    }
    let goodbye = Goodbye::new(CloseCode::from(refusal.code as u16), refusal.reason.as_str());
    farewell::close(socket, Some(&goodbye), REFUSED_WITHIN).await;
}

impl Credentials {
    fn hello(&self, to: HostId) -> Hello {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
        Hello {
            protocol: PROTOCOL,
            cluster: self.cluster.clone(),
            dimension: self.seating.dimension(),
            from: self.node,
            to,
            instance: self.instance,
            nonce,
        }
    }

    /// Checks everything about a neighbour except its secret.
    fn check_hello(&self, text: &str) -> Result<Proven, Refusal> {
        let refuse = |code, reason: String| Err(Refusal::new(code, reason));
        let me = self.node;
        let theirs: Hello =
            serde_json::from_str(text).map_err(|_| Refusal::new(RefusalCode::Malformed, "the hello is malformed"))?;
        if theirs.protocol != PROTOCOL {
            return refuse(
                RefusalCode::OtherProtocol,
                format!("node {me} uses protocol {PROTOCOL}, not {}", theirs.protocol),
            );
        }
        if theirs.cluster != self.cluster {
            return refuse(RefusalCode::OtherCluster, format!("node {me} belongs to another cluster"));
        }
        let dimension = self.seating.dimension();
        if theirs.dimension != dimension || !self.seating.has(theirs.from) {
            return refuse(
                RefusalCode::OtherDimension,
                format!("the cube of node {me} has dimension {}", dimension.bits()),
            );
        }
        if theirs.from == me {
            return refuse(RefusalCode::Taken, format!("node {me} is this process: two processes use the same id"));
        }
        if self.seating.edge(theirs.from, me).is_none() {
            return refuse(RefusalCode::NotANeighbour, format!("node {} is not a neighbour of node {me}", theirs.from));
        }
        if theirs.to != me {
            return refuse(RefusalCode::NotMe, format!("this is node {me}, not node {}", theirs.to));
        }
        Ok(Proven { node: theirs.from, instance: theirs.instance })
    }
}

fn out_of_turn() -> HandshakeError {
    Refusal::new(RefusalCode::Malformed, "unexpected handshake message").into()
}

async fn in_time<T>(steps: impl Future<Output = Result<T, HandshakeError>>) -> Result<T, HandshakeError> {
    timeout(PATIENCE, steps).await.unwrap_or(Err(HandshakeError::TooSlow))
}

fn encode<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("handshake types are plain data")
}

async fn send<S>(socket: &mut WebSocketStream<S>, step: &Step) -> Result<(), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.send(Message::text(encode(step))).await.map_err(|error| HandshakeError::Broken(error.to_string()))
}

async fn receive<S>(socket: &mut WebSocketStream<S>) -> Result<Step, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(read_step(&text)?),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(Some(frame)))) => {
                return Err(HandshakeError::RefusedBy { code: frame.code.into(), reason: frame.reason.to_string() });
            }
            Some(Ok(Message::Binary(_) | Message::Frame(_))) => return Err(out_of_turn()),
            Some(Ok(Message::Close(None))) | None => return Err(HandshakeError::Broken("it was closed".into())),
            Some(Err(error)) => return Err(HandshakeError::Broken(error.to_string())),
        }
    }
}

fn read_step(text: &str) -> Result<Step, Refusal> {
    let malformed = |what: &str| Refusal::new(RefusalCode::Malformed, format!("a handshake message is {what}"));
    if text.len() > HANDSHAKE_MESSAGE {
        return Err(malformed("too long"));
    }
    serde_json::from_str(text).map_err(|_| malformed("malformed"))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{DuplexStream, duplex};
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    type Side = WebSocketStream<DuplexStream>;

    async fn pair() -> (Side, Side) {
        let (dialer, acceptor) = duplex(64 << 10);
        (
            WebSocketStream::from_raw_socket(dialer, Role::Client, None).await,
            WebSocketStream::from_raw_socket(acceptor, Role::Server, None).await,
        )
    }

    fn node(name: &str, secret: &str) -> Credentials {
        let secret = Secret::new(secret.as_bytes()).expect("long enough");
        let node: HostId = name.parse().expect("a node");
        Credentials { cluster: "test".into(), node, seating: Seating::founded_by(node), instance: 7, secret }
    }

    async fn accept_and_welcome(socket: &mut Side, me: &Credentials) -> Result<Proven, HandshakeError> {
        let accepted = accept(socket, me).await?;
        welcome(socket, accepted).await
    }

    #[tokio::test]
    async fn two_that_share_the_secret_prove_it_to_each_other() {
        let (mut dialer, mut acceptor) = pair().await;
        let (lower, higher) = (node("00", "the same for both of us"), node("01", "the same for both of us"));
        let (dialed, accepted) =
            tokio::join!(dial(&mut dialer, &lower, higher.node), accept_and_welcome(&mut acceptor, &higher));
        assert_eq!(dialed.map(|proven| proven.node), Ok(higher.node));
        assert_eq!(accepted.map(|proven| proven.node), Ok(lower.node));
    }

    /// Everything that an acceptor with this secret sends to a dialer with a wrong proof, without the acceptor's
    /// nonce.
    async fn told_to_a_stranger(secret: &str) -> Vec<String> {
        let (mut dialer, mut acceptor) = pair().await;
        let me = node("01", secret);
        let stranger = async {
            let hello = encode(&node("00", "guessed, and guessed wrongly").hello(me.node));
            send(&mut dialer, &Step::Hello { hello }).await.expect("it is taken");
            let mut told = Vec::new();
            while let Some(Ok(message)) = dialer.next().await {
                told.push(without_nonce(&message));
                if told.len() == 1 {
                    send(&mut dialer, &Step::Proof { proof: vec![0; 32] }).await.expect("it is taken");
                }
            }
            told
        };
        let node = async {
            let error = accept(&mut acceptor, &me).await.expect_err("a wrong proof");
            let HandshakeError::Refused(refusal) = error else { panic!("{error}") };
            assert_eq!(refusal.code, RefusalCode::WrongSecret);
            refuse(acceptor, &refusal).await;
        };
        tokio::join!(stranger, node).0
    }

    fn without_nonce(message: &Message) -> String {
        let Message::Text(text) = message else { return format!("{message:?}") };
        let Ok(Step::Hello { hello }) = read_step(text) else { return text.to_string() };
        let hello: Hello = serde_json::from_str(&hello).expect("a hello");
        format!("{:?}", Hello { nonce: [0; 32], ..hello })
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_is_told_nothing_that_depends_on_the_secret() {
        let told = told_to_a_stranger("one secret of this cluster").await;
        assert_eq!(told.len(), 2, "a hello and a close frame: {told:?}");
        assert_eq!(told, told_to_a_stranger("quite another secret").await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_proof_is_answered_late() {
        let (_dialer, acceptor) = pair().await;
        let began = tokio::time::Instant::now();
        refuse(acceptor, &Refusal::new(RefusalCode::WrongSecret, "wrong")).await;
        assert!(began.elapsed() >= WRONG_PROOF);
    }

    #[tokio::test]
    async fn a_dialer_that_is_welcomed_without_a_proof_says_nothing_more() {
        let (mut dialer, mut acceptor) = pair().await;
        let (me, to) = (node("00", "the secret of the dialer"), node("01", "some other secret of a liar"));
        let liar = async {
            let Ok(Step::Hello { .. }) = receive(&mut acceptor).await else { panic!("no hello") };
            send(&mut acceptor, &Step::Hello { hello: encode(&to.hello(me.node)) }).await.expect("it is taken");
            let Ok(Step::Proof { proof }) = receive(&mut acceptor).await else { panic!("no proof") };
            // The dialer's own proof, sent back, proves nothing.
            send(&mut acceptor, &Step::Welcome { proof }).await.expect("it is taken");
        };
        let (dialed, ()) = tokio::join!(dial(&mut dialer, &me, to.node), liar);
        let error = dialed.expect_err("a wrong proof");
        assert!(
            matches!(&error, HandshakeError::Refused(refusal) if refusal.code == RefusalCode::WrongSecret),
            "{error}"
        );
        assert!(acceptor.next().now_or_never().is_none(), "nothing more was sent");
    }
}
