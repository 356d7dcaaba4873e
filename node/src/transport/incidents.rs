//! `GET /incident?last=SECONDS`: the recording of this node, as an incident with one host, compressed with gzip. With
//! `&nodes=all`, the recordings of all nodes, which this node collects from the others.
//!
//! Recordings contain messages. Every client can read both.

use std::sync::Arc;
use std::time::Duration;

use cubecast_core::identity::HostId;
use cubecast_core::recording::incident::Incident;
use cubecast_core::time::Timestamp;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::Mutex;

use super::ServerContext;
use super::static_files::{only_reading, page};
use crate::recording::collect;
use crate::recording::folder::RecordingFolder;
use crate::runtime::clock;

pub use crate::recording::collect::PATH;
/// The time that is returned if the request names none, and the maximum.
const DEFAULT_LAST: Duration = Duration::from_secs(300);
const LONGEST_LAST: Duration = Duration::from_secs(24 * 3_600);

/// This node's recordings. They are read by one request at a time, because each needs memory for all of them.
#[derive(Debug)]
pub struct Incidents {
    folder: RecordingFolder,
    /// All nodes and their addresses.
    nodes: Vec<(HostId, String)>,
    reading: Arc<Mutex<()>>,
}

/// A valid request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Wanted {
    last: Duration,
    of_all: bool,
}

impl Incidents {
    /// The recordings in this folder, and those of these nodes.
    pub fn new(folder: RecordingFolder, nodes: Vec<(HostId, String)>) -> Incidents {
        Incidents { folder, nodes, reading: Arc::default() }
    }
}

/// Answers a request for the recording.
pub async fn answer(context: &ServerContext, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return only_reading();
    }
    match parse(request.uri().query().unwrap_or_default()) {
        Some(Wanted { last, of_all: false }) => recording(context, last).await,
        Some(Wanted { last, of_all: true }) => recordings_of_all(context, last).await,
        None => page(StatusCode::BAD_REQUEST, "Use /incident?last=SECONDS[&nodes=all], with 1 to 86400 seconds.\n"),
    }
}

async fn recordings_of_all(context: &ServerContext, last: Duration) -> Response<Full<Bytes>> {
    let incident = collect::collect(context.seating().clone(), &context.incidents.nodes, last).await;
    if incident.hosts.is_empty() {
        return no_recording();
    }
    let compressed = tokio::task::spawn_blocking(move || collect::compress(&incident)).await;
    match compressed {
        Ok(Ok(bytes)) => download(bytes),
        Ok(Err(_)) | Err(_) => page(StatusCode::INTERNAL_SERVER_ERROR, "Cannot compress the recordings.\n"),
    }
}

fn no_recording() -> Response<Full<Bytes>> {
    page(StatusCode::NOT_FOUND, "This node has no recording. Start it with --record 5m.\n")
}

fn download(bytes: Vec<u8>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(bytes)));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=cubecast.incident"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

async fn recording(context: &ServerContext, last: Duration) -> Response<Full<Bytes>> {
    let Ok(reading) = context.incidents.reading.clone().try_lock_owned() else {
        return page(StatusCode::SERVICE_UNAVAILABLE, "Another request reads the recording. Try again.\n");
    };
    let (folder, host, seating) = (context.incidents.folder.clone(), context.node(), context.seating().clone());
    let read = tokio::task::spawn_blocking(move || {
        let _reading = reading;
        let saved_at = clock::wall();
        let since = Timestamp(saved_at.0.saturating_sub(last.as_micros() as u64));
        let recording = folder.read(host, since)?;
        if recording.segments.is_empty() {
            return Ok(None);
        }
        collect::compress(&Incident { saved_at, seating, hosts: vec![recording], missing: Vec::new() }).map(Some)
    });
    match read.await {
        Ok(Ok(Some(bytes))) => download(bytes),
        Ok(Ok(None)) => no_recording(),
        Ok(Err(error)) => page(StatusCode::INTERNAL_SERVER_ERROR, &format!("Cannot read the recording: {error}\n")),
        Err(_) => page(StatusCode::INTERNAL_SERVER_ERROR, "Cannot read the recording.\n"),
    }
}

fn parse(query: &str) -> Option<Wanted> {
    let mut wanted = Wanted { last: DEFAULT_LAST, of_all: false };
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=')? {
            ("last", seconds) => wanted.last = Duration::from_secs(seconds.parse().ok()?),
            ("nodes", "all") => wanted.of_all = true,
            _ => return None,
        }
    }
    (Duration::from_secs(1)..=LONGEST_LAST).contains(&wanted.last).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_in_seconds_and_has_limits() {
        let wanted = |last, of_all| Some(Wanted { last: Duration::from_secs(last), of_all });
        assert_eq!(parse(""), wanted(300, false));
        assert_eq!(parse("last=60"), wanted(60, false));
        assert_eq!(parse("last=60&nodes=all"), wanted(60, true));
        for bad in ["last=0", "last=86401", "last=5m", "first=1", "last=-1", "last=", "nodes=1", "all"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
