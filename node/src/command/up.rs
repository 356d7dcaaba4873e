//! `cubecast up`: a cluster on this machine.

use std::path::PathBuf;

use clap::ValueEnum as _;
use cubecast_core::address::Host;

use super::{Logging, Web};
use crate::cluster::ports::{self, BasePort};
use crate::cluster::{self, Plan};
use crate::config::{UNLIMITED_REGISTRATIONS, check_dimension, parse_expiry, parse_recording, parse_size};
use crate::executor::block_on;
use crate::failure::Failure;
use crate::log;
use crate::shutdown::Shutdown;
use crate::storage::SyncMode;

/// The data stays in the data folder, and the next start uses it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast up                               eight nodes on ports 8000 to 8007, and the dashboard\n    \
    cubecast up --dimension 2 --faults off    four nodes, without requested faults\n    \
    cubecast up --base-port auto --format json    for scripts: one JSON line per event; \
    `ready` once all groups accept publishes\n\n\
    SIGINT (Ctrl-C) and SIGTERM stop all nodes cleanly, with exit code 0. SIGHUP (the terminal was closed) also does, \
    but with exit code 129; under nohup it is ignored. A second signal stops all nodes at once.")]
pub struct Args {
    /// The cube's dimension: 2^D nodes, D from 1 to 6.
    #[arg(long, value_name = "D", default_value_t = 3)]
    dimension: u8,
    /// The folder for the cluster's data, logs and secret.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// The first node's port; the other nodes use the following ones. `auto` chooses free ports.
    #[arg(long, value_name = "PORT|auto", default_value = "8000", conflicts_with = "ports")]
    base_port: BasePort,
    /// A port for each node, separated by commas.
    #[arg(long, value_name = "PORT,...", value_delimiter = ',')]
    ports: Vec<u16>,
    /// The address to listen on: IPv4, IPv6, or a host name. 0.0.0.0 or :: opens the cluster to the network, where
    /// clients need no password. Faults are then off unless --faults on is given.
    #[arg(long, default_value = "127.0.0.1")]
    host: Host,
    #[command(flatten)]
    web: Web,
    /// When writes are synced to disk: always, interval=MS or never.
    #[arg(long, value_name = "MODE", default_value_t)]
    sync: SyncMode,
    /// Free disk space below which nodes refuse publishes, for example 64MiB (default: an eighth of the disk, at most
    /// 256MiB).
    #[arg(long, value_name = "SIZE")]
    storage_reserve: Option<String>,
    /// New publishers and subscribers that a node accepts from its clients per second; bursts may be ten times as
    /// large.
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(1..=UNLIMITED_REGISTRATIONS as i64)
    )]
    registrations_per_second: Option<u32>,
    /// Delete publishers and subscribers that are unused for this long, for example 30d or 12h (default: never).
    #[arg(long, value_name = "TIME")]
    names_expire_after: Option<String>,
    /// Record what the nodes are told, for `cubecast incident`: the time that the recordings cover, or off. Each node
    /// uses up to 80 MiB of disk for it.
    #[arg(long, value_name = "TIME|off", default_value = "5m")]
    record: String,
    /// Whether clients can make nodes fail, and cut or slow links (default: on if only this machine can connect, off
    /// if --host opens the cluster to the network).
    #[arg(long, value_enum, value_name = "on|off", conflicts_with = "no_faults")]
    faults: Option<Switch>,
    /// The same as --faults off.
    #[arg(long)]
    no_faults: bool,
    /// The origin of a web page that may connect, in addition to those of this machine and of the nodes' own
    /// addresses.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// A host name that clients may use for the nodes, in addition to those of this machine and of --host; `*`
    /// accepts all.
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Restart nodes that exit (default).
    #[arg(long, overrides_with = "no_restart")]
    restart: bool,
    /// Do not restart nodes that exit.
    #[arg(long)]
    no_restart: bool,
    /// Show the nodes' logs, with the node's name on each line.
    #[arg(long, short)]
    verbose: bool,
    /// `json`: one line for each event, with addresses and process ids.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    logging: Logging,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
}

/// Runs the cluster until a signal stops it.
pub fn run(args: Args) -> Result<(), Failure> {
    let plan = args.plan()?;
    block_on(async {
        let shutdown = Shutdown::on_signals()?;
        cluster::run(plan, shutdown.requested.clone()).await?;
        shutdown.outcome_of_service()
    })
}

impl Args {
    fn plan(self) -> Result<Plan, Failure> {
        log::check_filter(&self.logging.filter).map_err(|error| Failure::new(Failure::USAGE, error))?;
        let dimension = check_dimension(self.dimension).map_err(|error| Failure::new(Failure::USAGE, error))?;
        let reserve = self.storage_reserve.as_deref().map(|size| parse_size("storage.reserve", size)).transpose();
        reserve.map_err(|error| Failure::new(Failure::USAGE, error))?;
        let expiry = self.names_expire_after.as_deref().map(parse_expiry).transpose();
        expiry.map_err(|error| Failure::new(Failure::USAGE, error))?;
        parse_recording(&self.record).map_err(|error| Failure::new(Failure::USAGE, error))?;
        let ports = ports::choose(&self.host, self.base_port, &self.ports, dimension.size());
        let faults = if self.no_faults { Some(Switch::Off) } else { self.faults };
        let allow_faults = faults.map_or(self.host.is_loopback(), |faults| faults == Switch::On);
        Ok(Plan {
            dimension,
            data: self.data,
            host: self.host,
            ports: ports.map_err(|error| Failure::new(Failure::PORT, error))?,
            web: self.web.typed(),
            sync: self.sync.to_string(),
            storage_reserve: self.storage_reserve,
            registrations_per_second: self.registrations_per_second,
            names_expire_after: self.names_expire_after,
            record: self.record,
            allow_faults,
            faults_were_asked_for: faults.is_some(),
            allow_origin: self.allow_origin,
            allow_host: self.allow_host,
            restart: !self.no_restart,
            verbose: self.verbose,
            json: self.format == Format::Json,
            log: self.logging.filter,
            log_format: self
                .logging
                .format
                .to_possible_value()
                .map(|value| value.get_name().to_owned())
                .unwrap_or_default(),
        })
    }
}
