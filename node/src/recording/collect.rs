//! Collects the recordings of all nodes of a cluster into one incident.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use cubecast_core::identity::HostId;
use cubecast_core::recording::incident::{HostRecording, Incident};
use cubecast_core::seating::Seating;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use futures_util::future::join_all;

use crate::fetch;
use crate::runtime::clock;

/// The path at which a node returns its recording.
pub const PATH: &str = "/incident";
/// The time limit for one node's recording.
const PATIENCE: Duration = Duration::from_secs(60);
/// The maximum size of an incident in memory.
const MOST_BYTES: u64 = 8 << 30;

/// The part of each recording that is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Selection {
    /// At least this last part.
    pub last: Duration,
    /// Without the contents of messages.
    pub is_redacted: bool,
}

/// Asks the nodes at these addresses for their recordings, all at the same time.
pub async fn collect(seating: Seating, nodes: &[(HostId, String)], selection: Selection) -> Incident {
    let asked = nodes.iter().map(|(_, address)| ask(address, selection));
    let answers = join_all(asked).await;
    let mut incident = Incident { saved_at: clock::wall(), seating, hosts: Vec::new(), missing: Vec::new() };
    for ((host, _), answer) in nodes.iter().zip(answers) {
        match answer {
            Ok(recording) => incident.hosts.push(recording),
            Err(why) => incident.missing.push((*host, why)),
        }
    }
    incident
}

async fn ask(address: &str, selection: Selection) -> Result<HostRecording, String> {
    let redact = if selection.is_redacted { "&redact=contents" } else { "" };
    let path = format!("{PATH}?last={}{redact}", selection.last.as_secs().max(1));
    let fetched = fetch::get(address, &path, PATIENCE).await?;
    if !fetched.status.is_success() {
        return Err(String::from_utf8_lossy(&fetched.body).trim().trim_end_matches('.').to_owned());
    }
    let incident = decode(&fetched.body)?;
    let recording = incident.hosts.into_iter().next().ok_or_else(|| "it sent no recording".to_owned())?;
    if selection.is_redacted && recording.redaction.is_none() {
        return Err("it did not redact its contents".to_owned());
    }
    Ok(recording)
}

/// The incident as it is sent and saved.
pub fn compress(incident: &Incident) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&incident.encode())?;
    encoder.finish()
}

/// Reads a compressed incident. The error is a sentence.
pub fn decode(compressed: &[u8]) -> Result<Incident, String> {
    let mut encoded = Vec::new();
    let read = MultiGzDecoder::new(compressed).take(MOST_BYTES).read_to_end(&mut encoded);
    read.map_err(|_| "this is not an incident of Cubecast: it is not compressed with gzip".to_owned())?;
    Incident::decode(&encoded).map_err(|error| error.to_string())
}
