//! `GET /incident?last=SECONDS`: the recording of this node, as an incident with one host, compressed with gzip. With
//! `&nodes=all`, the recordings of all nodes, which this node collects from the others. With `&redact=contents`, without
//! the contents of messages.
//!
//! Recordings contain messages. Every client can read both.

use std::io;
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
use crate::recording::collect::{self, Selection};
use crate::recording::folder::RecordingFolder;
use crate::recording::replaying;
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
    selection: Selection,
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
        Some(Wanted { selection, of_all: false }) => recording(context, selection).await,
        Some(Wanted { selection, of_all: true }) => recordings_of_all(context, selection).await,
        None => page(
            StatusCode::BAD_REQUEST,
            "Use /incident?last=SECONDS[&nodes=all][&redact=contents], with 1 to 86400 seconds.\n",
        ),
    }
}

async fn recordings_of_all(context: &ServerContext, selection: Selection) -> Response<Full<Bytes>> {
    let incident = collect::collect(context.seating().clone(), &context.incidents.nodes, selection).await;
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

async fn recording(context: &ServerContext, selection: Selection) -> Response<Full<Bytes>> {
    let Ok(reading) = context.incidents.reading.clone().try_lock_owned() else {
        return page(StatusCode::SERVICE_UNAVAILABLE, "Another request reads the recording. Try again.\n");
    };
    let (folder, host, seating) = (context.incidents.folder.clone(), context.node(), context.seating().clone());
    let read = tokio::task::spawn_blocking(move || {
        let _reading = reading;
        let saved_at = clock::wall();
        let since = Timestamp(saved_at.0.saturating_sub(selection.last.as_micros() as u64));
        let mut recording = folder.read(host, since)?;
        if recording.segments.is_empty() {
            return Ok(None);
        }
        if selection.is_redacted {
            recording = replaying::redact(&recording).map_err(io::Error::other)?;
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
    let selection = Selection { last: DEFAULT_LAST, is_redacted: false };
    let mut wanted = Wanted { selection, of_all: false };
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=')? {
            ("last", seconds) => wanted.selection.last = Duration::from_secs(seconds.parse().ok()?),
            ("nodes", "all") => wanted.of_all = true,
            ("redact", "contents") => wanted.selection.is_redacted = true,
            _ => return None,
        }
    }
    (Duration::from_secs(1)..=LONGEST_LAST).contains(&wanted.selection.last).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_in_seconds_and_has_limits() {
        let wanted = |last, is_redacted, of_all| {
            Some(Wanted { selection: Selection { last: Duration::from_secs(last), is_redacted }, of_all })
        };
        assert_eq!(parse(""), wanted(300, false, false));
        assert_eq!(parse("last=60"), wanted(60, false, false));
        assert_eq!(parse("last=60&nodes=all"), wanted(60, false, true));
        assert_eq!(parse("redact=contents&last=60"), wanted(60, true, false));
        let bad = ["last=0", "last=86401", "last=5m", "first=1", "last=-1", "last=", "nodes=1", "all", "redact=names"];
        for bad in bad {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
