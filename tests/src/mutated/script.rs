//! The input of one connection, determined by the seed and the connection's number.

use cubecast_core::cube::Vertex;
use cubecast_decoders::examples;
use cubecast_node::transport::handshake::{PROTOCOL, SUBPROTOCOL};
use fastrand::Rng;
use serde_json::json;

use super::bytes::{changed, flip_a_bit};
use super::frames::{self, BINARY, TEXT};
use crate::cluster::CLUSTER;

/// Maximum number of messages of a client's connection; an unauthenticated peer may send fewer steps.
const MESSAGES: usize = 32;
const STEPS: usize = 4;

/// How far the connection follows the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It sends HTTP, or something similar.
    Http,
    /// It has opened a WebSocket.
    Client,
    /// It has opened a WebSocket with the neighbours' subprotocol.
    Stranger,
}

/// How the connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaves {
    /// As soon as everything is sent; answers are not read completely.
    AtOnce,
    /// When no more answers arrive.
    WhenQuiet,
    /// It closes its direction of TCP, and continues reading.
    HalfClosed,
}

/// The input of one connection, and its end.
#[derive(Clone, Debug)]
pub struct Script {
    pub role: Role,
    /// Bytes in the order in which they are sent.
    pub writes: Vec<Vec<u8>>,
    /// Number of WebSocket frames in `writes`.
    pub frames: u64,
    pub leaves: Leaves,
}

/// Valid input to be mutated.
#[derive(Debug)]
pub struct Examples {
    http: Vec<Vec<u8>>,
    json: Vec<Vec<u8>>,
    binary: Vec<Vec<u8>>,
    steps: Vec<Vec<u8>>,
}

impl Examples {
    /// Examples for an attack on `attacked`. Handshakes claim to come from `neighbour`.
    pub fn of(address: &str, attacked: Vertex, neighbour: Vertex) -> Examples {
        Examples {
            http: http(address),
            json: examples::json_requests(),
            binary: examples::binary_requests(),
            steps: steps(attacked, neighbour),
        }
    }
}

impl Script {
    /// The script of this connection number.
    pub fn of(examples: &Examples, seed: u64, number: u64) -> Script {
        let rng = &mut Rng::with_seed(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let role = match rng.u8(..8) {
            0 => Role::Http,
            1 | 2 => Role::Stranger,
            _ => Role::Client,
        };
        let leaves = match rng.u8(..4) {
            0 => Leaves::AtOnce,
            1 => Leaves::HalfClosed,
            _ => Leaves::WhenQuiet,
        };
        let mut script = Script { role, writes: Vec::new(), frames: 0, leaves };
        match role {
            Role::Http => script.add_http(rng, examples),
            Role::Client => script.add_messages(rng, &[(TEXT, &examples.json), (BINARY, &examples.binary)], MESSAGES),
            Role::Stranger => script.add_messages(rng, &[(TEXT, &examples.steps)], STEPS),
        }
        script.cut_somewhere(rng);
        script
    }

    fn add_http(&mut self, rng: &mut Rng, examples: &Examples) {
        let (request, other) = (pick(rng, &examples.http), pick(rng, &examples.http));
        self.writes.push(match rng.u8(..8) {
            0 | 1 => request.to_vec(),
            _ => changed(rng, request, other),
        });
        // The request may have opened a WebSocket.
        self.add_messages(rng, &[(TEXT, &examples.json)], 2);
    }

    /// In some connections all frames are valid, so that the messages are read; in the others frames are invalid too.
    fn add_messages(&mut self, rng: &mut Rng, kinds: &[(u8, &Vec<Vec<u8>>)], most: usize) {
        let spoils = rng.bool();
        for _ in 0..rng.usize(1..=most) {
            let ((opcode, pool), (_, other_pool)) = (*pick(rng, kinds), *pick(rng, kinds));
            let (example, other) = (pick(rng, pool), pick(rng, other_pool));
            let payload = match rng.u8(..8) {
                0 | 1 => example.to_vec(),
                2 => changed(rng, example, other),
                // Invalid UTF-8 would end the connection before the text is parsed.
                _ if opcode == TEXT => String::from_utf8_lossy(&changed(rng, example, other)).into_owned().into_bytes(),
                _ => changed(rng, example, other),
            };
            let mut sent = frames::message(rng, opcode, &payload);
            if spoils && rng.u8(..4) == 0 {
                frames::spoil(rng, &mut sent);
            }
            let mut bytes = frames::bytes_of(&sent);
            if spoils && rng.u8(..16) == 0 {
                flip_a_bit(rng, &mut bytes);
            }
            self.frames += sent.len() as u64;
            self.writes.push(bytes);
        }
    }

    /// Some connections end after a random byte, and some pause there.
    fn cut_somewhere(&mut self, rng: &mut Rng) {
        let Some(last) = self.writes.last_mut() else { return };
        let at = rng.usize(..=last.len());
        match rng.u8(..4) {
            0 => last.truncate(at),
            1 => {
                let rest = last.split_off(at);
                self.writes.push(rest);
            }
            _ => {}
        }
    }

    /// The number of bytes.
    pub fn bytes(&self) -> u64 {
        self.writes.iter().map(|bytes| bytes.len() as u64).sum()
    }
}

fn pick<'a, T>(rng: &mut Rng, pool: &'a [T]) -> &'a T {
    rng.choice(pool).expect("there are examples")
}

/// HTTP requests, and first messages of other protocols that reach open ports.
fn http(address: &str) -> Vec<Vec<u8>> {
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let texts = [
        format!("{upgrade}\r\n"),
        format!("{upgrade}Origin: http://{address}\r\n\r\n"),
        format!("{upgrade}Origin: http://elsewhere.example\r\n\r\n"),
        format!("{upgrade}Sec-WebSocket-Protocol: chat, {SUBPROTOCOL}\r\n\r\n"),
        format!("{upgrade}Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"),
        get("/"),
        get("/index.html") + &get("/healthz"),
        get("/metrics"),
        get("/readyz?verbose=1"),
        get("/%2e%2e/%2e%2e/etc/passwd"),
        get("http://elsewhere.example/ws"),
        format!("HEAD / HTTP/1.1\r\nHost: {address}\r\nRange: bytes=0-10\r\nIf-None-Match: \"x\"\r\n\r\n"),
        format!("POST /ws HTTP/1.1\r\nHost: {address}\r\nContent-Length: 5\r\n\r\nhello"),
        format!(
            "POST / HTTP/1.1\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n\
             5\r\nhello\r\n0\r\n\r\n"
        ),
        format!("OPTIONS * HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\n\r\n", "a=b; ".repeat(200)),
        "GET / HTTP/1.0\r\n\r\n".into(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".into(),
    ];
    let hello_of_tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    texts.map(String::into_bytes).into_iter().chain([hello_of_tls]).collect()
}

/// Steps of a handshake; the first one is a valid start.
fn steps(attacked: Vertex, neighbour: Vertex) -> Vec<Vec<u8>> {
    const SEVENS: [u8; 32] = [7; 32];
    let hello = |from: Vertex, to: Vertex| {
        let hello = json!({
            "protocol": PROTOCOL, "cluster": CLUSTER, "dimension": attacked.dimension().bits(), "from": from, "to": to,
            "instance": 7, "nonce": SEVENS,
        });
        json!({"step": "hello", "hello": hello.to_string()})
    };
    let steps = [
        hello(neighbour, attacked),
        hello(neighbour, attacked),
        hello(neighbour, attacked),
        hello(attacked, neighbour),
        json!({"step": "proof", "proof": SEVENS}),
        json!({"step": "welcome", "proof": SEVENS}),
    ];
    steps.map(|step| step.to_string().into_bytes()).into()
}
