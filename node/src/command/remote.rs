//! Shared parts of the commands that use a running cluster: its addresses, the time limit and error handling.

use std::time::Duration;

use cubecast_core::address::parse_authority;
use cubecast_core::client::{ClientError, Notice};
use cubecast_core::visible::visible_line;
use tokio::sync::broadcast;

use crate::client::CubecastClient;
use crate::executor::block_on;
use crate::failure::Failure;
use crate::output::{Format, remark};
use crate::shutdown::Shutdown;

/// The cluster to use, the output format and the time limit of a request.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub struct Remote {
    /// Some nodes of the cluster, separated by commas. One reachable node is enough; it reports the others.
    #[arg(
        long,
        env = "CUBECAST",
        value_name = "ADDRESS,...",
        value_delimiter = ',',
        default_value = "127.0.0.1:8000",
        value_parser = parse_node
    )]
    pub cluster: Vec<String>,
    /// `table` for people, `json` for programs.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
    /// The time limit, for example 500ms, 10s or 2m.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub timeout: Duration,
}

impl Remote {
    /// Runs a command with a client of the cluster, and reports on standard error when a home is unavailable and
    /// another node is used. A signal ends the command.
    pub fn run<F: Future<Output = Result<(), Failure>>>(
        &self,
        command: impl FnOnce(CubecastClient) -> F,
    ) -> Result<(), Failure> {
        self.run_with_signals(|client, mut shutdown| async move { shutdown.or(command(client)).await })
    }

    /// Like [`Remote::run`], for a command that handles signals itself.
    pub fn run_with_signals<F: Future<Output = Result<(), Failure>>>(
        &self,
        command: impl FnOnce(CubecastClient, Shutdown) -> F,
    ) -> Result<(), Failure> {
        block_on(async {
            let shutdown = Shutdown::on_signals()?;
            let client = CubecastClient::connect(&self.cluster).within(self.timeout);
            tokio::spawn(tell(client.notices()));
            let result = command(client.clone(), shutdown).await;
            client.close().await;
            result
        })
    }
}

async fn tell(mut notices: broadcast::Receiver<Notice>) {
    loop {
        match notices.recv().await {
            Ok(Notice::FellOver(fell)) => remark(&visible_line(&format!(
                "node {} is unavailable ({}); retrying on {}",
                fell.from, fell.why, fell.to
            ))),
            Ok(Notice::BackHome { home }) => remark(&format!("node {home} is available again")),
            Ok(
                Notice::Learned { .. } | Notice::Connected { .. } | Notice::Lost { .. } | Notice::Reconnected { .. },
            ) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let code = if error.is_transient() { Failure::UNAVAILABLE } else { Failure::FAILED };
        Failure::new(code, visible_line(&error.to_string()))
    }
}

/// Parses `HOST:PORT`, `HOST` or a WebSocket URL.
fn parse_node(text: &str) -> Result<String, String> {
    let text = text.trim();
    let authority = match text.split_once("://") {
        Some(("ws", rest)) => rest.split('/').next().unwrap_or_default(),
        Some(_) => return Err("invalid node address; use HOST:PORT or ws://HOST:PORT".into()),
        None => text,
    };
    match parse_authority(authority) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Parses a time like `500ms`, `10s` or `2m`. A number without a unit means seconds.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| format!("invalid duration `{text}`; examples: 500ms, 10s, 2m"))?;
    let seconds = match &text[digits.len()..] {
        "ms" => number / 1_000.0,
        "" | "s" => number,
        "m" | "min" => number * 60.0,
        unit => return Err(format!("invalid unit `{unit}`; use ms, s or m")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("invalid duration `{text}`; it is too long or negative"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_by_an_address_or_a_url() {
        for good in ["127.0.0.1:8000", "[::1]:8000", "localhost", "ws://[::1]:8000/ws", "ws://a.example/ws"] {
            assert_eq!(parse_node(good), Ok(good.to_owned()));
        }
        for bad in ["", "::1:8000", "a:0", "a:99999", "http://a:1", "a b:1"] {
            assert!(parse_node(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(parse_time("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_time("3"), Ok(Duration::from_secs(3)));
        for bad in ["", "s", "-1s", "1h30", "5 parsecs", "1e400s"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }
}
