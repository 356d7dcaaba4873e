//! Endpoints for monitoring: liveness, readiness and metrics.
//!
//! | path | 200 | 503 |
//! |---|---|---|
//! | `/healthz` | the process serves | it is stopped by a requested fault, or does not answer itself: restart it |
//! | `/readyz` | all its groups accept publishes | it is joining, or a group accepts none: use other nodes, wait |
//! | `/metrics` | Prometheus text | never |
//!
//! Both probes answer with the same JSON document and differ only in their status.

use cubecast_core::states::{NodeState, Role};
use cubecast_core::wire::answer::{ErrorCode, NodeStatus};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::ServerContext;
use super::local_client::{self, NoStatus};
use super::static_files::{only_reading, page};
use crate::metrics;

/// The answer for one of these paths. `None` for any other path.
pub async fn answer(context: &ServerContext, method: &Method, path: &str) -> Option<Response<Full<Bytes>>> {
    if !matches!(path, "/healthz" | "/readyz" | "/metrics") {
        return None;
    }
    if method != Method::GET && method != Method::HEAD {
        return Some(only_reading());
    }
    let status = local_client::status(&context.inbox, &context.numbers).await;
    Some(match path {
        "/metrics" => typed(StatusCode::OK, &context.metrics.render(status.as_ref().ok()), metrics::CONTENT_TYPE),
        path => {
            let report = Report::new(context, status);
            let well = if path == "/readyz" { report.ready } else { report.healthy };
            let code = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            typed(code, &format!("{}\n", report.body), "application/json")
        }
    })
}

fn typed(status: StatusCode, body: &str, content_type: &'static str) -> Response<Full<Bytes>> {
    let mut answer = page(status, body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The node's report for a probe.
struct Report {
    healthy: bool,
    ready: bool,
    body: Value,
}

impl Report {
    fn new(context: &ServerContext, status: Result<NodeStatus, NoStatus>) -> Report {
        match status {
            Ok(status) => {
                let unready = status.unready();
                let body = summary(&status, unready.is_empty(), &json!(unready));
                Report { healthy: status.state != NodeState::Failed, ready: unready.is_empty(), body }
            }
            Err(no_status) => Report { healthy: false, ready: false, body: without_status(context, &no_status) },
        }
    }
}

fn summary(status: &NodeStatus, ready: bool, reasons: &Value) -> Value {
    let led: Vec<_> = status.groups.iter().filter(|group| group.role == Role::Leader).collect();
    json!({
        "node": status.node,
        "state": status.state,
        "ready": ready,
        "reasons": reasons,
        "version": status.version,
        "incarnation": status.incarnation,
        "uptime_ms": status.uptime_ms,
        "leads": led.iter().map(|group| group.home).collect::<Vec<_>>(),
        "topics_led": led.iter().map(|group| group.topics).sum::<u64>(),
        "messages_led": led.iter().map(|group| group.messages).sum::<u64>(),
        "neighbours_heard": status.links.iter().filter(|link| link.hears).count(),
        "clients": status.counters.clients,
    })
}

fn without_status(context: &ServerContext, why: &NoStatus) -> Value {
    let failed = matches!(why, NoStatus::Refused(failure) if failure.code == ErrorCode::NodeFailed);
    let (state, reason) = if failed { ("failed", "node_failed") } else { ("silent", "silent") };
    let message = why.to_string();
    json!({
        "node": context.node(),
        "state": state,
        "ready": false,
        "reasons": [{"reason": reason, "message": message}],
        "message": message,
    })
}
