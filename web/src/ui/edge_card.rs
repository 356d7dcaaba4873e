//! The card of one link: the state of each direction, and controls to cut, slow and heal it.

use cubecast_core::faults::LinkConditions;
use cubecast_core::identity::HostId;
use yew::prelude::*;

use super::dispatch::use_dispatch;
use super::field::{ChoiceField, setter};
use super::report::ReportBox;
use crate::model::cluster::{Cluster, Link};
use crate::model::report::Report;
use crate::model::shared::Shared;
use crate::model::tasks;
use crate::terms;

const DELAYS: &[(&str, &str)] = &[("0", "none"), ("50", "50 ms"), ("200", "200 ms"), ("1000", "1 second")];
const JITTERS: &[(&str, &str)] = &[("0", "none"), ("20", "20 ms"), ("100", "100 ms"), ("500", "500 ms")];
const LOSSES: &[(&str, &str)] = &[("0", "none"), ("5", "5 %"), ("20", "20 %"), ("50", "50 %")];
const CUT: LinkConditions = LinkConditions { cut: true, ..LinkConditions::PERFECT };

/// Properties of [`EdgeCard`].
#[derive(Properties, PartialEq)]
pub struct EdgeCardProps {
    pub a: HostId,
    pub b: HostId,
    pub cluster: Shared<Cluster>,
    pub report: Option<Report>,
}

/// The card of the selected link.
#[component]
pub fn EdgeCard(props: &EdgeCardProps) -> Html {
    let dispatch = use_dispatch();
    let delay = use_state(|| "200".to_owned());
    let jitter = use_state(|| "0".to_owned());
    let loss = use_state(|| "0".to_owned());
    let (a, b) = (props.a, props.b);
    let health = props.cluster.edge_health(a, b);
    let set = |directions: Vec<(HostId, HostId)>, conditions: LinkConditions| {
        dispatch.on(move |_: MouseEvent| tasks::set_link(&directions, conditions))
    };
    let both = || vec![(a, b), (b, a)];
    let slow = LinkConditions {
        delay_ms: delay.parse().unwrap_or(0),
        jitter_ms: jitter.parse().unwrap_or(0),
        loss: loss.parse::<f32>().unwrap_or(0.0) / 100.0,
        ..LinkConditions::PERFECT
    };
    html! {
        <div class="inspect" data-testid="edge-card">
            <h3>
                <code>{format!("{a} – {b}")}</code>
                <span class="standing" data-state={health.name()}>{health.name()}</span>
            </h3>
            <ul class="directions">
                { direction(a, b, &props.cluster.link(a, b)) }
                { direction(b, a, &props.cluster.link(b, a)) }
            </ul>
            <div class="actions">
                <button type="button" class="danger" data-testid="cut-button" onclick={set(both(), CUT)}>
                    {"Cut both ways"}
                </button>
                <button
                    type="button"
                    class="quiet"
                    data-testid="heal-button"
                    onclick={set(both(), LinkConditions::PERFECT)}
                >
                    {"Heal"}
                </button>
            </div>
            <div class="actions">
                <button type="button" class="quiet" data-testid="cut-forth-button" onclick={set(vec![(a, b)], CUT)}>
                    {format!("Cut {a} → {b}")}
                </button>
                <button type="button" class="quiet" data-testid="cut-back-button" onclick={set(vec![(b, a)], CUT)}>
                    {format!("Cut {b} → {a}")}
                </button>
            </div>
            <div class="row is-three">
                <ChoiceField
                    id="delay-select"
                    label="Delay"
                    value={(*delay).clone()}
                    options={DELAYS}
                    set={setter(&delay)}
                />
                <ChoiceField
                    id="jitter-select"
                    label="Jitter"
                    value={(*jitter).clone()}
                    options={JITTERS}
                    set={setter(&jitter)}
                />
                <ChoiceField
                    id="loss-select"
                    label="Loss"
                    value={(*loss).clone()}
                    options={LOSSES}
                    set={setter(&loss)}
                />
            </div>
            <div class="actions">
                <button type="button" class="quiet" data-testid="slow-button" onclick={set(both(), slow)}>
                    {"Slow it both ways"}
                </button>
            </div>
            <ReportBox id="edge-result" report={props.report.clone()} />
        </div>
    }
}

fn direction(from: HostId, to: HostId, link: &Link) -> Html {
    let words = match link.arrives() {
        _ if link.conditions != LinkConditions::PERFECT => terms::conditions(&link.conditions),
        Some(true) => "works".to_owned(),
        Some(false) => "carries no frames".to_owned(),
        None => "unknown".to_owned(),
    };
    html! { <li><code>{format!("{from} → {to}")}</code>{" "}{words}</li> }
}
