//! The recordings of all hosts of a cluster, in one file.
//!
//! The file is the magic line, then the incident in postcard. Programs that write it to a disk compress it with gzip as
//! a whole; this module sees neither files nor compression.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::segment::{Segment, SegmentError};
use crate::identity::HostId;
use crate::seating::Seating;
use crate::time::Timestamp;

/// The beginning of the file. The number is the format's version.
const MAGIC: &[u8] = b"Cubecast incident 1\n";

/// The recordings of a cluster.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Incident {
    /// When the recordings were collected.
    pub saved_at: Timestamp,
    /// The hosts of the cluster.
    pub seating: Seating,
    /// The recordings that were collected, by host.
    pub hosts: Vec<HostRecording>,
    /// The hosts without a recording here, and why.
    pub missing: Vec<(HostId, String)>,
}

/// The segments of one host, the oldest first. They can be of several processes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HostRecording {
    pub host: HostId,
    pub segments: Vec<Bytes>,
}

/// Why bytes are not an incident.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IncidentError {
    #[error("this is not an incident of Cubecast, or one of a version that this one cannot read")]
    Unknown,
    #[error("the incident is damaged: {0}")]
    Damaged(String),
    #[error("the incident contains no recording")]
    Empty,
    #[error("node {host}: {why}")]
    Segment { host: HostId, why: SegmentError },
}

impl Incident {
    /// Whether bytes are an incident, of any version.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(b"Cubecast incident ")
    }

    /// The content of the file, before it is compressed.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, MAGIC.to_vec()).expect("memory takes any incident")
    }

    /// The inverse of [`Incident::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Incident, IncidentError> {
        let body = bytes.strip_prefix(MAGIC).ok_or(IncidentError::Unknown)?;
        postcard::from_bytes(body).map_err(|error| IncidentError::Damaged(error.to_string()))
    }
}

impl HostRecording {
    /// Reads the heads of all segments.
    pub fn read(&self) -> Result<Vec<Segment>, IncidentError> {
        let segments = self.segments.iter().map(|bytes| Segment::read(bytes.clone()));
        segments.collect::<Result<_, _>>().map_err(|why| IncidentError::Segment { host: self.host, why })
    }

    /// The newest segments that together cover the time since `since`: the last one that began before it, and all later
    /// ones. Segments that cannot be read are left out.
    pub fn since(host: HostId, segments: Vec<Bytes>, since: Timestamp) -> HostRecording {
        let mut read: Vec<Segment> = segments.into_iter().filter_map(|bytes| Segment::read(bytes).ok()).collect();
        read.retain(|segment| segment.head.host == host);
        read.sort_by_key(|segment| (segment.head.process, segment.head.number));
        let before = read.iter().rposition(|segment| segment.head.began.wall <= since).unwrap_or(0);
        HostRecording { host, segments: read.drain(before..).filter_map(|segment| segment.trimmed().ok()).collect() }
    }
}
