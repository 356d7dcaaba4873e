//! `GET /incident?last=SECONDS`: the recording of this node, as an incident with one host, compressed with gzip.
//!
//! `cubecast incident save` and the dashboard ask every node and put the answers together. Whoever can read the messages
//! can read the recording, which contains them. Pages of the cluster's other nodes can read it, too.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use cubecast_core::recording::incident::Incident;
use cubecast_core::time::Timestamp;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, VARY};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::Mutex;

use super::ServerContext;
use super::static_files::{only_reading, page};
use crate::recording::folder::RecordingFolder;
use crate::runtime::clock;

/// The path of the endpoint.
pub const PATH: &str = "/incident";
/// The time that is returned if the request names none, and the maximum.
const DEFAULT_LAST: Duration = Duration::from_secs(300);
const LONGEST_LAST: Duration = Duration::from_secs(24 * 3_600);

/// This node's recordings. They are read by one request at a time, because each needs memory for all of them.
#[derive(Debug)]
pub struct Incidents {
    folder: RecordingFolder,
    reading: Arc<Mutex<()>>,
}

impl Incidents {
    /// The recordings in this folder.
    pub fn new(folder: RecordingFolder) -> Incidents {
        Incidents { folder, reading: Arc::default() }
    }
}

/// Answers a request for the recording.
pub async fn answer(context: &ServerContext, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return only_reading();
    }
    let Some(last) = parse_last(request.uri().query().unwrap_or_default()) else {
        return page(StatusCode::BAD_REQUEST, "Use /incident?last=SECONDS, with 1 to 86400 seconds.\n");
    };
    let mut answer = recording(context, last).await;
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(origin) = header(ORIGIN)
        && context.origins.check_page(origin, header(HOST)).is_ok()
        && let Ok(origin) = HeaderValue::from_str(origin)
    {
        answer.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Origin"));
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
        compress(&Incident { saved_at, seating, hosts: vec![recording], missing: Vec::new() }).map(Some)
    });
    match read.await {
        Ok(Ok(Some(bytes))) => {
            let mut answer = Response::new(Full::new(Bytes::from(bytes)));
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
            answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            answer
        }
        Ok(Ok(None)) => {
            let text = "This node has no recording. Start it with --record 5m.\n";
            page(StatusCode::NOT_FOUND, text)
        }
        Ok(Err(error)) => page(StatusCode::INTERNAL_SERVER_ERROR, &format!("Cannot read the recording: {error}\n")),
        Err(_) => page(StatusCode::INTERNAL_SERVER_ERROR, "Cannot read the recording.\n"),
    }
}

/// The incident as it is sent and saved.
pub fn compress(incident: &Incident) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&incident.encode())?;
    encoder.finish()
}

fn parse_last(query: &str) -> Option<Duration> {
    let last = match query {
        "" => DEFAULT_LAST,
        query => Duration::from_secs(query.strip_prefix("last=")?.parse().ok()?),
    };
    (Duration::from_secs(1)..=LONGEST_LAST).contains(&last).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_in_seconds_and_has_limits() {
        assert_eq!(parse_last(""), Some(DEFAULT_LAST));
        assert_eq!(parse_last("last=60"), Some(Duration::from_secs(60)));
        for bad in ["last=0", "last=86401", "last=5m", "first=1", "last=-1", "last="] {
            assert_eq!(parse_last(bad), None, "{bad}");
        }
    }
}
