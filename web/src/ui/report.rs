//! The result of the user's last task.

use cubecast_core::visible::visible;
use cubecast_core::wire::client::Action;
use yew::prelude::*;

use super::dispatch::{Command, use_dispatch};
use super::text::report;
use super::words::words;
use crate::format::time_of_day;
use crate::model::as_command;
use crate::model::report::Report;

/// Properties of [`ReportBox`].
#[derive(Properties, PartialEq)]
pub struct ReportBoxProps {
    pub id: &'static str,
    pub report: Option<Report>,
    /// Why the task could not even be sent.
    #[prop_or_default]
    pub refused: Option<String>,
}

/// The report of a task. It stays in the page when empty, so that screen readers announce new content.
#[component]
pub fn ReportBox(props: &ReportBoxProps) -> Html {
    let dispatch = use_dispatch();
    let held = props.report.as_ref().filter(|_| props.refused.is_none()).and_then(|report| report.held.clone());
    html! {
        <div
            class="report"
            id={props.id}
            data-testid={props.id}
            data-state={state_name(props)}
            role="status"
            aria-live="polite"
        >
            { match (&props.refused, &props.report) {
                (Some(refused), _) => html! { <p class="bad">{words(refused)}</p> },
                (None, Some(report)) => lines(report),
                (None, None) => Html::default(),
            } }
            if let Some(held) = held {
                <button
                    type="button"
                    class="link"
                    data-testid={format!("{}-insist", props.id)}
                    onclick={dispatch.on(move |_: MouseEvent| Command::Insist(held.clone()))}
                >
                    {"Send anyway (timeout 10 s)"}
                </button>
            }
        </div>
    }
}

fn state_name(props: &ReportBoxProps) -> &'static str {
    match (&props.refused, &props.report) {
        (Some(_), _) => "bad",
        (None, None) => "empty",
        (None, Some(report)) if report.running => "running",
        (None, Some(report)) if report.succeeded() => "good",
        (None, Some(_)) => "bad",
    }
}

/// How another program does the same.
fn as_command(action: &Action) -> Option<Html> {
    let command = as_command::command_line(action)?;
    Some(html! {
        <details class="as-command">
            <summary>{"As a command"}</summary>
            <code data-testid="as-command">{visible(&command).into_owned()}</code>
            if let Some(json) = as_command::json(action) {
                <code>{visible(&json).into_owned()}</code>
            }
        </details>
    })
}

fn lines(report: &Report) -> Html {
    html! {
        <>
            { for report.lines.iter().map(|line| html! {
                <p class={line.tone.name()}>{words(&report::words(&line.remark))}</p>
            }) }
            if report.running {
                <p class="running">{"Waiting for an answer…"}</p>
            }
            { for report.goal.as_ref().and_then(as_command) }
            // The failure may be over, so its time is shown.
            if let Some(at_ms) = report.failed_ms {
                <p class="aside">{format!("At {} UTC.", time_of_day(at_ms))}</p>
            }
        </>
    }
}
