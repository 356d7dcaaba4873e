//! Plain HTTP requests to nodes.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A node's answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub status: StatusCode,
    pub body: Bytes,
}

/// Requests a path from the node at `HOST:PORT`. The error is a sentence without the address.
pub async fn get(address: &str, path: &str, within: Duration) -> Result<Fetched, String> {
    let answered = timeout(within, get_whenever(address, path)).await;
    answered.unwrap_or_else(|_| Err(format!("it did not answer within {} s", within.as_secs_f64())))
}

async fn get_whenever(address: &str, path: &str) -> Result<Fetched, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let request = Request::get(path).header(HOST, address).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let answered = async {
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Fetched { status, body })
    };
    tokio::select! {
        answer = answered => answer,
        // The connection ends before the answer only if it breaks.
        _ = connection => Err("the connection broke".into()),
    }
}
