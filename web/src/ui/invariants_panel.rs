//! The invariants: each invariant, the number of facts checked, and the violation if there is one.

use cubecast_core::identity::HostId;
use cubecast_core::visible::{visible, visible_line};
use yew::prelude::*;

use super::dispatch::{Dispatch, use_dispatch};
use super::report::ReportBox;
use super::words::{shortened, words};
use crate::format::{grouped, time_of_day};
use crate::model::invariants::{Invariants, RULES, Rule, Violation};
use crate::model::report::Report;
use crate::model::shared::Shared;
use crate::model::tasks;

/// Properties of [`InvariantsPanel`].
#[derive(Properties, PartialEq)]
pub struct InvariantsPanelProps {
    pub invariants: Shared<Invariants>,
    /// As typed.
    pub topic: String,
    /// The running replicas of the chosen topic. `end`: the offset after its last message.
    pub replicas: Vec<HostId>,
    pub end: u64,
    pub report: Option<Report>,
}

/// The invariants tab.
#[component]
pub fn InvariantsPanel(props: &InvariantsPanelProps) -> Html {
    let dispatch = use_dispatch();
    let invariants = &props.invariants;
    let broken = invariants.violation.as_ref().map(|violation| violation.rule);
    html! {
        <div class="invariants" data-testid="invariants" data-state={if invariants.is_good() { "good" } else { "bad" }}>
            <p class="closer-lead">{lead(invariants)}</p>
            <ul class="rules">
                { for RULES.iter().map(|rule| rule_line(*rule, invariants.checked(*rule), broken == Some(*rule))) }
            </ul>
            {compare(props, dispatch)}
            if let Some(violation) = &invariants.violation {
                {evidence(violation)}
            }
        </div>
    }
}

/// The content of replicas is checked only when they are read.
fn compare(props: &InvariantsPanelProps, dispatch: Dispatch) -> Html {
    if props.replicas.is_empty() {
        return Html::default();
    }
    let onclick = {
        let (topic, replicas, end) = (props.topic.clone(), props.replicas.clone(), props.end);
        Callback::from(move |_: MouseEvent| {
            // The name is valid because there are replicas, so nothing is refused.
            for task in tasks::compare_replicas(&topic, &replicas, end).into_iter().flatten() {
                dispatch.send(task);
            }
        })
    };
    html! {
        <div class="compare">
            <button type="button" class="chip" data-testid="compare-replicas" {onclick}>
                {words(&format!("Read all replicas of {} and compare", shortened(&visible(props.topic.trim()))))}
            </button>
            <span>{"The newest 500 messages of each, as subscriber auditor."}</span>
            <ReportBox id="compare-result" report={props.report.clone().filter(|report| !report.succeeded())} />
        </div>
    }
}

fn lead(invariants: &Invariants) -> String {
    match (&invariants.violation, invariants.found) {
        (Some(_), _) => "The cluster violated an invariant. Please report it with the evidence below.".to_owned(),
        (None, 0) => "Checked continuously on all data that this page receives.".to_owned(),
        (None, found) => {
            format!("{found} violations dismissed since the page was opened; none since.")
        }
    }
}

fn rule_line(rule: Rule, checked: u64, is_broken: bool) -> Html {
    let state = match (is_broken, checked) {
        (true, _) => "bad",
        (false, 0) => "waiting",
        (false, _) => "good",
    };
    let sign = match state {
        "bad" => "M7 7 L17 17 M17 7 L7 17",
        "waiting" => "M7 12 h0.01 M12 12 h0.01 M17 12 h0.01",
        _ => "M6.5 12.5 L10.5 16.5 L17.5 8",
    };
    html! {
        <li
            class="rule"
            data-state={state}
            data-testid={format!("rule-{}", rule.name())}
            data-checked={checked.to_string()}
        >
            <svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="11" /><path d={sign} /></svg>
            <p class="invariant">{rule.statement()}</p>
            <p class="count">
                <strong>{grouped(checked)}</strong>
                <span class="aside">{if checked == 0 { rule.wants() } else { rule.facts() }}</span>
            </p>
        </li>
    }
}

fn evidence(violation: &Violation) -> Html {
    html! {
        <div class="violation" data-testid="violation">
            <h3>{format!("At {} UTC", time_of_day(violation.at_ms))}</h3>
            <p class="bad">{words(&violation.what)}</p>
            <details>
                <summary>
                    {format!("The {} events before it, as the nodes reported them", violation.events.len())}
                </summary>
                <pre tabindex="0" aria-label="Events">{evidence_text(violation)}</pre>
            </details>
        </div>
    }
}

/// One event per line, whatever its content.
fn evidence_text(violation: &Violation) -> String {
    violation.events.iter().map(|event| visible_line(event)).collect::<Vec<_>>().join("\n")
}
