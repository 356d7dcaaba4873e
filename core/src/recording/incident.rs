//! The recordings of all hosts of a cluster, in one file.
//!
//! The file is the magic line, then the incident in postcard. Programs that write it to a disk compress it with gzip as
//! a whole; this module sees neither files nor compression.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::comparison::Redaction;
use super::segment::{Segment, SegmentError};
use crate::identity::HostId;
use crate::seating::Seating;
use crate::time::Timestamp;

/// The beginning of the file. The number is the format's version.
pub const MAGIC: &[u8] = b"Cubecast incident 2\n";

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
    /// Set if the contents of messages are masked ([`redaction`](super::redaction)).
    pub redaction: Option<Redaction>,
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
    #[error("node {0} does not belong to the incident's cluster, or is there twice")]
    Host(HostId),
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
        let incident: Incident =
            postcard::from_bytes(body).map_err(|error| IncidentError::Damaged(error.to_string()))?;
        incident.check_hosts()?;
        Ok(incident)
    }

    /// Each host belongs to the cluster, and is there once.
    fn check_hosts(&self) -> Result<(), IncidentError> {
        let mut seen = BTreeSet::new();
        let foreign = |recording: &&HostRecording| !self.seating.has(recording.host) || !seen.insert(recording.host);
        match self.hosts.iter().find(foreign) {
            Some(recording) => Err(IncidentError::Host(recording.host)),
            None => Ok(()),
        }
    }
}

impl HostRecording {
    /// Reads the heads of all segments, each of which must be of this host.
    pub fn read(&self) -> Result<Vec<Segment>, IncidentError> {
        let error = |why| IncidentError::Segment { host: self.host, why };
        let read = |bytes: &Bytes| {
            let segment = Segment::read(bytes.clone()).map_err(error)?;
            let other = segment.head.host;
            if other == self.host { Ok(segment) } else { Err(error(SegmentError::OfAnother(other))) }
        };
        self.segments.iter().map(read).collect()
    }

    /// The newest segments that together cover the time since `since`: the last one that began before it, and all later
    /// ones. Segments that cannot be read are left out.
    pub fn since(host: HostId, segments: Vec<Bytes>, since: Timestamp) -> HostRecording {
        let mut read: Vec<Segment> = segments.into_iter().filter_map(|bytes| Segment::read(bytes).ok()).collect();
        read.retain(|segment| segment.head.host == host);
        read.sort_by_key(|segment| (segment.head.process, segment.head.number));
        let before = read.iter().rposition(|segment| segment.head.began.wall <= since).unwrap_or(0);
        let segments = read.drain(before..).filter_map(|segment| segment.trimmed().ok()).collect();
        HostRecording { host, segments, redaction: None }
    }
}
