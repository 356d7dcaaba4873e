//! What all commands share that talk to a running cluster: where it is, how long to try, what went wrong.

use std::time::Duration;

use cubecast_core::client::{ClientError, Notice};
use cubecast_core::visible::visible_line;
use tokio::sync::broadcast;

use super::output::{Format, remark};
use super::{Failure, block_on};
use crate::client::CubecastClient;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub struct Remote {
    /// Some nodes of the cluster, separated by commas. One that answers is enough: it tells where the others are.
    #[arg(long, env = "CUBECAST", value_name = "ADDRESS,...", value_delimiter = ',', default_value = "127.0.0.1:8000")]
    pub cluster: Vec<String>,
    /// `table` for people, `json` for programs.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
    /// How long to try, such as 500ms, 10s or 2m.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub timeout: Duration,
}

impl Remote {
    /// Runs a command against the cluster, telling on standard error when a home is passed over.
    pub fn run<F: Future<Output = Result<(), Failure>>>(
        &self,
        command: impl FnOnce(CubecastClient) -> F,
    ) -> Result<(), Failure> {
        block_on(async {
            let client = CubecastClient::connect(&self.cluster).within(self.timeout);
            tokio::spawn(tell(client.notices()));
            command(client).await
        })
    }
}

async fn tell(mut notices: broadcast::Receiver<Notice>) {
    loop {
        match notices.recv().await {
            Ok(Notice::FellOver(fell)) => {
                remark(&visible_line(&format!("node {} is passed over ({}); asking {}", fell.from, fell.why, fell.to)))
            }
            Ok(Notice::BackHome { home }) => remark(&format!("node {home} answers again")),
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

/// `500ms`, `10s`, `2m`; a number alone means seconds.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| format!("`{text}` is no time: write 500ms, 10s or 2m"))?;
    let seconds = match &text[digits.len()..] {
        "ms" => number / 1_000.0,
        "" | "s" => number,
        "m" | "min" => number * 60.0,
        unit => return Err(format!("`{unit}` is no unit of time: write ms, s or m")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("`{text}` is no time that can be waited for"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
