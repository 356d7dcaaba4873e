//! The output of `up`: a live table on a terminal, plain lines otherwise, JSON lines for programs.

use std::io::{IsTerminal, Write as _};
use std::time::Duration;

use cubecast_core::identity::HostId;
use cubecast_core::visible::visible_line;
use serde_json::json;

use super::child::News;
use super::{Plan, Row};
use crate::config::check_web;
use crate::output::{Table, known, visible_json, visible_lines};

/// The width of the column with the groups that a node leads.
const LEADS: u16 = 22;

/// Standard output in one of three forms.
#[derive(Debug)]
pub struct Screen {
    form: Form,
    /// The number of lines of the displayed table.
    drawn: usize,
    last: String,
    /// Why there is no dashboard. `None`: there is one.
    no_dashboard: Option<String>,
    logs: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Table,
    Lines,
    Json,
}

impl Screen {
    /// The screen with the form that suits standard output and the settings.
    pub fn new(plan: &Plan) -> Screen {
        let form = match plan.json {
            true => Form::Json,
            false if std::io::stdout().is_terminal() && !plan.verbose => Form::Table,
            false => Form::Lines,
        };
        let dashboard = check_web(plan.web.clone());
        Screen {
            form,
            drawn: 0,
            last: String::new(),
            no_dashboard: (!dashboard.exists()).then(|| dashboard.to_string()),
            logs: plan.data.join("logs").display().to_string(),
        }
    }

    /// Redraws the table in place if it changed.
    pub fn draw(&mut self, rows: &[Row]) {
        if self.form != Form::Table {
            return;
        }
        let table = visible_lines(&self.table(rows));
        if table != self.last {
            self.erase();
            self.print(&table);
            (self.drawn, self.last) = (table.lines().count(), table);
        }
    }

    /// Shows a warning.
    pub fn say_remark(&mut self, remark: &str) {
        match self.form {
            Form::Json => self.print_json(&json!({"event": "remark", "message": remark})),
            Form::Table | Form::Lines => self.line(remark),
        }
    }

    /// Shows an event of a child. `row`: the child's node.
    pub fn say(&mut self, news: &News, row: Option<&Row>) {
        if self.form == Form::Json {
            return self.print_json(&self.json_news(news, row));
        }
        let node = news.node();
        match news {
            News::Started { pid, restarts: 0, .. } if self.form == Form::Lines => {
                self.line(&format!("Node {node}: started (process {pid})"))
            }
            News::Started { restarts: 0, .. } => {}
            News::Started { pid, restarts, .. } => {
                self.line(&format!("Node {node}: restarted (process {pid}, restart {restarts})"))
            }
            News::Ended { asked: true, .. } => {}
            News::Ended { how, reason, again_in, .. } => {
                let why = reason.as_ref().map_or(String::new(), |reason| format!(": {}", visible_line(reason)));
                let next = match again_in {
                    Some(pause) => format!("restarting in {}", seconds(*pause)),
                    None => "not restarted (--no-restart)".into(),
                };
                self.line(&format!("Node {node}: {how}{why}; {next} (log: {})", self.log_file(node)));
            }
            News::Log { line, .. } => self.line(&format!("[Node {node}] {}", visible_line(line))),
        }
    }

    /// Shows a changed state or readiness of a node.
    pub fn say_state(&mut self, row: &Row) {
        let state = row.health.as_ref().map_or("silent", |health| &health.state);
        let ready = row.health.as_ref().is_some_and(|health| health.ready);
        match self.form {
            Form::Table => {}
            Form::Lines if state == "up" && !ready => self.line(&format!("Node {}: up, not ready yet", row.node)),
            Form::Lines => self.line(&format!("Node {}: {}", row.node, visible_line(state))),
            Form::Json => {
                self.print_json(&json!({"event": "state", "node": row.node, "state": state, "ready": ready}));
            }
        }
    }

    /// Shows why the cluster is not ready after a long time.
    pub fn say_unready(&mut self, reasons: &[String]) {
        match self.form {
            Form::Json => self.print_json(&json!({"event": "unready", "reasons": reasons})),
            Form::Table | Form::Lines => {
                let reasons: Vec<_> = reasons.iter().map(|reason| visible_line(reason)).collect();
                self.line(&format!("Not ready yet:\n  {}", reasons.join("\n  ")));
            }
        }
    }

    /// Announces that every replica group accepts publishes for the first time.
    pub fn announce(&mut self, rows: &[Row]) {
        match self.form {
            Form::Table => {}
            Form::Lines => {
                let text = self.how_to(rows);
                self.line(text.trim_end());
            }
            Form::Json => {
                let nodes: Vec<_> =
                    rows.iter().map(|row| json!({"node": row.node, "address": row.address, "pid": row.pid})).collect();
                self.print_json(&json!({"event": "ready", "dashboard": dashboard(rows), "nodes": nodes}));
            }
        }
    }

    /// Shows that the nodes are being ended.
    pub fn say_stopping(&mut self, nodes: usize) {
        match self.form {
            Form::Json => self.print_json(&json!({"event": "stopping"})),
            Form::Table | Form::Lines => {
                self.drawn = 0;
                self.line(&format!("Stopping {nodes} nodes; press Ctrl-C again to stop at once."));
            }
        }
    }

    /// Shows that all nodes have ended.
    pub fn say_end(&mut self) {
        match self.form {
            Form::Json => self.print_json(&json!({"event": "ended"})),
            Form::Table | Form::Lines => self.line("All nodes ended; their data is kept."),
        }
    }

    fn table(&self, rows: &[Row]) -> String {
        let headings = ["NODE", "STATE", "PORT", "PID", "RESTARTS", "LEADS", "TOPICS", "MESSAGES"];
        let mut table = Table::new(headings).numbers([4, 6, 7]).at_least(1, 10).at_least(3, 7).at_least(5, LEADS);
        for row in rows {
            let health = row.health.as_ref();
            let leads = health.map_or(String::new(), |health| shorten(&health.leads.join(" "), LEADS.into()));
            let (topics, messages) = health.map_or((0, 0), |health| (health.topics_led, health.messages_led));
            table.row([
                row.node.to_string(),
                state(row),
                row.port.to_string(),
                known(row.pid),
                row.restarts.to_string(),
                leads,
                topics.to_string(),
                messages.to_string(),
            ]);
        }
        format!("{}\n\n{}", table.render(), self.how_to(rows))
    }

    fn how_to(&self, rows: &[Row]) -> String {
        let first = rows.first().map_or("", |row| row.address.as_str());
        let dashboard = match &self.no_dashboard {
            None => format!("Dashboard: {}", dashboard(rows)),
            Some(reason) => format!("No dashboard: {reason}"),
        };
        format!(
            "{dashboard}\n\
             Send JSON to any node over a WebSocket: ws://{first}/ws  {{\"id\": 1, \"action\": \"cluster\"}}\n\
             Kill a node (see its PID above) and watch its neighbours take over. Ctrl-C stops all nodes.\n"
        )
    }

    /// Prints a line above the table.
    fn line(&mut self, text: &str) {
        self.erase();
        self.last.clear();
        self.print(&format!("{}\n", visible_lines(text)));
    }

    fn erase(&mut self) {
        if self.drawn > 0 {
            self.print(&format!("\x1b[{}A\x1b[J", self.drawn));
            self.drawn = 0;
        }
    }

    fn json_news(&self, news: &News, row: Option<&Row>) -> serde_json::Value {
        match news {
            News::Started { node, pid, restarts } => {
                json!({
                    "event": "started", "node": node, "pid": pid, "restarts": restarts,
                    "address": row.map(|row| &row.address),
                })
            }
            News::Ended { node, how, reason, again_in, asked } => {
                let restarts_in_ms = again_in.map(|pause| pause.as_millis() as u64);
                json!({
                    "event": "ended", "node": node, "how": how, "reason": reason, "log": self.log_file(*node),
                    "restarts_in_ms": restarts_in_ms, "asked": asked,
                })
            }
            News::Log { node, line } => json!({"event": "log", "node": node, "line": line}),
        }
    }

    fn log_file(&self, node: HostId) -> String {
        format!("{}/{node}.log", self.logs)
    }

    fn print_json(&self, value: &serde_json::Value) {
        self.print(&format!("{}\n", visible_json(&value.to_string())));
    }

    fn print(&self, text: &str) {
        // The cluster continues to run if standard output has no reader.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

fn dashboard(rows: &[Row]) -> String {
    rows.first().map(|row| format!("http://{}/", row.address)).unwrap_or_default()
}

fn state(row: &Row) -> String {
    match (&row.health, row.pid) {
        (Some(health), Some(_)) if health.state == "up" && !health.ready => "not ready".into(),
        (Some(health), Some(_)) => health.state.clone(),
        (None, Some(_)) => "starting".into(),
        (_, None) => "down".into(),
    }
}

fn shorten(text: &str, width: usize) -> String {
    if text.len() <= width { text.into() } else { format!("{}…", text.chars().take(width - 1).collect::<String>()) }
}

fn seconds(pause: Duration) -> String {
    format!("{} s", pause.as_secs_f64())
}
