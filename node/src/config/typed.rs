//! The configuration as typed, and how flags override a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The configuration as typed, in a file or in flags. The module documentation explains the fields.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    /// This node, named by the d bits of its vertex.
    pub node: Option<String>,
    /// The dimension d of the cube.
    pub dimension: Option<u8>,
    /// The cluster's name.
    pub cluster: Option<String>,
    /// The cluster's secret. Excludes `secret_file`.
    pub secret: Option<String>,
    /// The file with the cluster's secret. Excludes `secret`.
    pub secret_file: Option<PathBuf>,
    /// The folder with this node's state.
    pub data: Option<PathBuf>,
    /// The address to listen on. Default: the node's own entry in `addresses`.
    pub listen: Option<String>,
    /// The address that other nodes and clients connect to. It replaces the node's own entry in `addresses`.
    pub advertise: Option<String>,
    /// `always`, `interval=MS` or `never`.
    pub sync: Option<String>,
    /// Whether clients may request faults on this node.
    pub allow_faults: Option<bool>,
    /// The source of the dashboard's files. Default: `true`.
    pub web: Option<TypedWeb>,
    /// Origins of web pages that may open connections.
    pub allow_origin: Option<Vec<String>>,
    /// Accepted hosts, in addition to those in `addresses`.
    pub allow_host: Option<Vec<String>>,
    /// One `HOST:PORT` for each node of the cube.
    #[serde(default)]
    pub addresses: BTreeMap<String, String>,
    /// The table `[limits]`.
    #[serde(default)]
    pub limits: TypedLimits,
    /// The table `[storage]`.
    #[serde(default)]
    pub storage: TypedStorage,
    /// The table `[recording]`. Left out if it says nothing, so that earlier versions read the file.
    #[serde(default, skip_serializing_if = "TypedRecording::is_empty")]
    pub recording: TypedRecording,
}

/// The source of the dashboard's files, as typed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "`web` must be a folder, true or false")]
pub enum TypedWeb {
    /// `true`: the files in this program; `false`: no dashboard.
    Switch(bool),
    /// The files in this folder.
    Folder(PathBuf),
}

/// The table `[storage]`, as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypedStorage {
    /// Free space that publishes leave on the disk, for example `64MiB`.
    pub reserve: Option<String>,
    /// Number of nodes with data on this disk.
    pub shared_by: Option<u64>,
}

/// The table `[recording]`, as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypedRecording {
    /// The time that the recording covers, for example `5m`, or `off`.
    pub last: Option<String>,
    /// The maximum size on the disk, for example `64MiB`.
    pub bytes: Option<String>,
}

impl TypedRecording {
    fn is_empty(&self) -> bool {
        self.last.is_none() && self.bytes.is_none()
    }
}

/// The table `[limits]`, as typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypedLimits {
    /// Client connections, at most.
    pub clients: Option<usize>,
    /// Client connections from one address, or one IPv6 network (/64), at most. Default: half of `clients`, rounded
    /// up.
    pub clients_of_one: Option<usize>,
    /// Unanswered requests of one connection, at most.
    pub unanswered: Option<usize>,
    /// Content of one message, at most. Bytes.
    pub content_bytes: Option<usize>,
    /// Silence after which a client connection is closed. Seconds.
    pub silence_s: Option<usize>,
    /// New publishers and subscribers per second.
    pub registrations_per_second: Option<usize>,
    /// Time without use after which publishers and subscribers are deleted, for example `30d`. Default: never.
    pub names_expire_after: Option<String>,
}

impl Typed {
    /// Merges two configurations. A setting in `self` overrides the one in `other`.
    pub fn or(self, other: Typed) -> Typed {
        let own_secret = self.secret.is_some() || self.secret_file.is_some();
        Typed {
            node: self.node.or(other.node),
            dimension: self.dimension.or(other.dimension),
            cluster: self.cluster.or(other.cluster),
            secret: if own_secret { self.secret } else { other.secret },
            secret_file: if own_secret { self.secret_file } else { other.secret_file },
            data: self.data.or(other.data),
            listen: self.listen.or(other.listen),
            advertise: self.advertise.or(other.advertise),
            sync: self.sync.or(other.sync),
            allow_faults: self.allow_faults.or(other.allow_faults),
            web: self.web.or(other.web),
            allow_origin: self.allow_origin.or(other.allow_origin),
            allow_host: self.allow_host.or(other.allow_host),
            addresses: other.addresses.into_iter().chain(self.addresses).collect(),
            limits: TypedLimits {
                clients: self.limits.clients.or(other.limits.clients),
                clients_of_one: self.limits.clients_of_one.or(other.limits.clients_of_one),
                unanswered: self.limits.unanswered.or(other.limits.unanswered),
                content_bytes: self.limits.content_bytes.or(other.limits.content_bytes),
                silence_s: self.limits.silence_s.or(other.limits.silence_s),
                registrations_per_second: self
                    .limits
                    .registrations_per_second
                    .or(other.limits.registrations_per_second),
                names_expire_after: self.limits.names_expire_after.or(other.limits.names_expire_after),
            },
            storage: TypedStorage {
                reserve: self.storage.reserve.or(other.storage.reserve),
                shared_by: self.storage.shared_by.or(other.storage.shared_by),
            },
            recording: TypedRecording {
                last: self.recording.last.or(other.recording.last),
                bytes: self.recording.bytes.or(other.recording.bytes),
            },
        }
    }
}
