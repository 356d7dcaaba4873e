//! A client that follows no rules: it writes WebSocket frames by hand, and reads at any time or never.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The role that the upgrade requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum As {
    Client,
    /// With the subprotocol of neighbours.
    Neighbour,
}

/// The opcode of text frames.
pub const TEXT: u8 = 1;
/// The opcode of pings.
pub const PING: u8 = 9;

/// An open WebSocket.
pub struct Stranger(pub TcpStream);

impl Stranger {
    /// Connects and upgrades. Errors: the node refused, or its answer was invalid.
    pub async fn connect(address: &str, as_whom: As) -> Result<Stranger, String> {
        let mut stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let protocol = match as_whom {
            As::Client => "",
            As::Neighbour => "Sec-WebSocket-Protocol: cubecast-peer.1\r\n",
        };
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}\r\n"
        );
        stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        let answer = head_of_answer(&mut stream).await?;
        match answer.starts_with("HTTP/1.1 101") {
            true => Ok(Stranger(stream)),
            false => Err(answer.lines().next().unwrap_or_default().to_owned()),
        }
    }

    /// Writes one complete frame.
    pub async fn send(&mut self, opcode: u8, payload: &[u8]) -> std::io::Result<()> {
        self.0.write_all(&frame(opcode, payload)).await
    }
}

/// Reads the status line and the headers of an HTTP answer.
pub async fn head_of_answer(stream: &mut TcpStream) -> Result<String, String> {
    let mut came = [0; 4096];
    loop {
        // Data after the head stays in the socket.
        let count = stream.peek(&mut came).await.map_err(|error| error.to_string())?;
        let end = came[..count].windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
        if let Some(end) = end {
            stream.read_exact(&mut came[..end]).await.map_err(|error| error.to_string())?;
            return Ok(String::from_utf8_lossy(&came[..end]).into_owned());
        }
        if count == 0 || count == came.len() {
            return Err(format!("no head in {count} bytes of an answer"));
        }
        tokio::task::yield_now().await;
    }
}

/// A client's frame, with a mask of zeros, which changes nothing and is valid.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        medium @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Requests a page; returns status and body.
pub async fn http_get(address: &str, path: &str) -> Result<(u16, String), String> {
    let broken = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(address).await.map_err(broken)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(broken)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("no answer: {answer}"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(|| format!("no status: {head}"))?, body.to_owned()))
}
