//! `cubecast node`: one node process.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Logging, Web};
use crate::config::{Typed, TypedLimits, TypedRecording, TypedStorage};
use crate::executor::block_on_one_thread;
use crate::failure::Failure;
use crate::output;
use crate::{log, process};

/// Flags correspond to settings in the configuration file, and override them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A node needs: --node, --dimension, --cluster, --secret-file, --data and an --address for each node \
    of the cube. Each can come from the file or from a flag.\n\n\
    SIGINT and SIGTERM stop the node cleanly, with exit code 0: all accepted data is written first. SIGHUP (the \
    terminal was closed) also stops it cleanly, but with exit code 129; under nohup it is ignored. A second signal \
    stops the node at once."
)]
pub struct Args {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The node that this node serves, for example 100.
    #[arg(long, value_name = "BITS")]
    node: Option<String>,
    /// The dimension of the cube, 1 to 6.
    #[arg(long, value_name = "D")]
    dimension: Option<u8>,
    /// The cluster's name.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// The file with the cluster's secret.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The folder for this node's state.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address of a node of the cube. Give one for each node.
    #[arg(long = "address", value_name = "BITS=HOST:PORT", value_parser = parse_address)]
    addresses: Vec<(String, String)>,
    /// The address to listen on. Default: the node's own address.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The address at which others reach this node. Default: the node's own address.
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// When writes are synced to disk: always, interval=MS or never.
    #[arg(long, value_name = "MODE")]
    sync: Option<String>,
    /// Free disk space below which publishes are refused, for example 64MiB (default: an eighth of the disk, at most
    /// 256MiB).
    #[arg(long, value_name = "SIZE")]
    storage_reserve: Option<String>,
    /// Record what this node is told, for `cubecast incident`: the time that the recording covers, for example 5m, or
    /// off (default).
    #[arg(long, value_name = "TIME|off")]
    record: Option<String>,
    /// Let clients make this node fail, and cut or slow its links.
    #[arg(long)]
    allow_faults: bool,
    #[command(flatten)]
    web: Web,
    /// The origin of a web page that may connect, in addition to those of this machine and of the node's own address.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// A host name that clients may use for this node, for example a load balancer's, in addition to those of this
    /// machine and of the addresses; `*` accepts all.
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Exit when standard input closes, so that the node does not outlive its parent process.
    #[arg(long, hide = true)]
    exit_with_stdin: bool,
    /// Write the log to this file instead of standard error. It is rotated at 16 MiB, and the newest four files are
    /// kept.
    #[arg(long, value_name = "FILE", help_heading = "Logging")]
    log_file: Option<PathBuf>,
    #[command(flatten)]
    logging: Logging,
}

/// Runs the node until it is stopped.
pub fn run(args: Args) -> Result<(), Failure> {
    let has_parent = args.exit_with_stdin;
    let ended = serve(args);
    if let Err(failure) = &ended
        && has_parent
    {
        // The reason also goes to standard output, which the parent reads, because the log may be on a full disk. The
        // parent may be gone.
        let _ = output::raw(&failure.message);
    }
    ended
}

fn serve(args: Args) -> Result<(), Failure> {
    let usage = |error: &dyn ToString| Failure::new(Failure::USAGE, error.to_string());
    log::init(&args.logging.filter, args.logging.format, args.log_file.as_deref()).map_err(|error| usage(&error))?;
    let exit_with_stdin = args.exit_with_stdin;
    let file = args.config.as_deref().map(Typed::read).transpose().map_err(|error| usage(&error))?;
    let typed = args.typed().map_err(|error| usage(&error))?;
    let config = typed.or(file.unwrap_or_default()).check().map_err(|error| usage(&error))?;
    log::keep_free(config.room.reserve);
    let ended = block_on_one_thread(process::run(config, exit_with_stdin));
    log::finish();
    ended
}

impl Args {
    fn typed(self) -> Result<Typed, String> {
        let mut addresses = BTreeMap::new();
        for (node, address) in self.addresses {
            if let Some(other) = addresses.insert(node.clone(), address.clone()) {
                return Err(format!("--address gives node {node} two addresses, {other} and {address}"));
            }
        }
        Ok(Typed {
            node: self.node,
            dimension: self.dimension,
            cluster: self.cluster,
            secret: None,
            secret_file: self.secret_file,
            data: self.data,
            listen: self.listen,
            advertise: self.advertise,
            sync: self.sync,
            allow_faults: self.allow_faults.then_some(true),
            web: self.web.typed(),
            allow_origin: (!self.allow_origin.is_empty()).then_some(self.allow_origin),
            allow_host: (!self.allow_host.is_empty()).then_some(self.allow_host),
            addresses,
            limits: TypedLimits::default(),
            storage: TypedStorage { reserve: self.storage_reserve, shared_by: None },
            recording: TypedRecording { last: self.record, bytes: None },
        })
    }
}

fn parse_address(text: &str) -> Result<(String, String), String> {
    let (node, address) = text.split_once('=').ok_or("use BITS=HOST:PORT, for example 100=127.0.0.1:8004")?;
    Ok((node.to_owned(), address.to_owned()))
}
