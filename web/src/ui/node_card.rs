//! The card of one node: its state, controls to stop and recover it, and its details.

use cubecast_core::faults::StopMode;
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use cubecast_core::states::Role;
use cubecast_core::wire::answer::NodeStatus;
use yew::prelude::*;

use super::dispatch::{Dispatch, use_dispatch};
use super::field::{ChoiceField, setter};
use super::report::ReportBox;
use crate::format::{plural, whole_seconds};
use crate::model::cluster::{Cluster, Health, Node, Socket};
use crate::model::report::Report;
use crate::model::shared::Shared;
use crate::model::{Selection, ViewAction, tasks};

const MODES: &[(&str, &str)] =
    &[("crash", "Crash: keeps its disk"), ("wipe", "Wipe: loses its disk"), ("pause", "Pause: loses nothing")];
const DURATIONS: &[(&str, &str)] =
    &[("5000", "5 seconds"), ("10000", "10 seconds"), ("30000", "30 seconds"), ("120000", "2 minutes")];

/// Properties of [`NodeCard`].
#[derive(Properties, PartialEq)]
pub struct NodeCardProps {
    pub id: HostId,
    pub cluster: Shared<Cluster>,
    pub now_ms: u64,
    pub report: Option<Report>,
}

/// The card of the selected node.
#[component]
pub fn NodeCard(props: &NodeCardProps) -> Html {
    let dispatch = use_dispatch();
    let mode = use_state(|| "crash".to_owned());
    let duration = use_state(|| "10000".to_owned());
    let id = props.id;
    let health = props.cluster.health(id);
    let on_fail = {
        let (mode, duration) = (mode_of(&mode), duration.parse().unwrap_or(10_000));
        dispatch.on(move |_: MouseEvent| tasks::stop_node(id, mode, duration))
    };
    let on_recover = dispatch.on(move |_: MouseEvent| tasks::recover_node(id));
    let node = props.cluster.nodes.get(&id);
    html! {
        <div class="inspect" data-testid="node-card">
            <h3>
                <code>{id.to_string()}</code>
                <span class="standing" data-state={health.name()}>{props.cluster.health_words(id)}</span>
            </h3>
            <p class="aside">{ node.map(|node| state_words(node, health, props.now_ms)).unwrap_or_default() }</p>
            if let Some(reach) = node.and_then(|node| reach(id, node)) {
                <p class="aside" data-testid="node-reach">{reach}</p>
            }
            <div class="row is-uneven">
                <ChoiceField
                    id="mode-select"
                    label="Failure"
                    value={(*mode).clone()}
                    options={MODES}
                    set={setter(&mode)}
                />
                <ChoiceField
                    id="duration-select"
                    label="Duration"
                    value={(*duration).clone()}
                    options={DURATIONS}
                    set={setter(&duration)}
                />
            </div>
            <div class="actions">
                <button
                    type="button"
                    class="danger"
                    id="fail-button"
                    data-testid="fail-button"
                    onclick={on_fail}
                    disabled={health == Health::Failed}
                >
                    { match mode_of(&mode) {
                        StopMode::Crash => "Crash node",
                        StopMode::Wipe => "Wipe node",
                        StopMode::Pause => "Pause node",
                    } }
                </button>
                <button
                    type="button"
                    class="quiet"
                    id="recover-button"
                    data-testid="recover-button"
                    onclick={on_recover}
                    disabled={health == Health::Up}
                >
                    {"Bring back now"}
                </button>
            </div>
            <ReportBox id="node-result" report={props.report.clone()} />
            { links(props, &dispatch) }
            { node
                .filter(|_| health.is_running())
                .and_then(|node| node.status.as_ref())
                .map(|status| details(status))
                .unwrap_or_default() }
        </div>
    }
}

fn state_words(node: &Node, health: Health, now_ms: u64) -> String {
    let address = &node.address;
    match health {
        Health::Failed => match node.returns_at_ms.filter(|at| *at > now_ms) {
            Some(at) => {
                format!("It is stopped by a requested fault and returns by itself in {}.", whole_seconds(at - now_ms))
            }
            None if node.says_that_it_fails() => {
                format!("It is stopped by a requested fault. Its address is {address}.")
            }
            None => format!(
                "No node that this page reaches receives its frames: it is down or cut off. Its address is {address}."
            ),
        },
        Health::Unknown => format!("Its state is unknown. Its address is {address}."),
        Health::Recovering => "It is back and catching up; until then it cannot lead.".to_owned(),
        Health::Up => match &node.status {
            Some(status) => format!("At {address}, version {}, disk sync {}.", status.version, status.sync),
            None => format!("At {address}."),
        },
    }
}

/// The consequences of a missing connection from this page.
fn reach(id: HostId, node: &Node) -> Option<String> {
    match node.socket {
        Socket::Open => None,
        Socket::Connecting => Some("This page is connecting to it.".to_owned()),
        Socket::Closed => Some(format!(
            "This page has no connection to it and keeps trying. Requests go through the other nodes; \
             only “Bring back now” must reach {id} directly."
        )),
    }
}

/// The node's links as buttons, for users who do not click on lines.
fn links(props: &NodeCardProps, dispatch: &Dispatch) -> Html {
    let select = |peer: HostId| {
        let selection = Selection::edge(props.id, peer);
        dispatch.on(move |_: MouseEvent| ViewAction::Select(Some(selection)))
    };
    html! {
        <div class="links" role="group" aria-label="Its links">
            { for Seating::founded_by(props.id).neighbours(props.id).map(|peer| {
                let health = props.cluster.edge_health(props.id, peer);
                html! {
                    <button
                        type="button"
                        class="chip"
                        data-testid={format!("link-to-{peer}")}
                        data-state={health.name()}
                        onclick={select(peer)}
                    >
                        {format!("link to {peer}")}
                        <span class="standing" data-state={health.name()}>{health.name()}</span>
                    </button>
                }
            }) }
        </div>
    }
}

fn details(status: &NodeStatus) -> Html {
    let counters = &status.counters;
    html! {
        <>
            if !status.groups.is_empty() {
            <table class="groups">
                <caption>{"Its replica groups"}</caption>
                <thead>
                    <tr><th>{"Group"}</th><th>{"Role"}</th><th>{"Term"}</th><th>{"Applied"}</th><th>{"Topics"}</th></tr>
                </thead>
                <tbody>
                    { for status.groups.iter().map(|group| html! {
                        <tr key={group.home.to_string()}>
                            <td><code>{group.home.to_string()}</code></td>
                            <td>{role_word(group.role)}</td>
                            <td>{group.term}</td>
                            <td>{format!("{} of {}", group.applied_index, group.last_index)}</td>
                            <td>{group.topics}</td>
                        </tr>
                    }) }
                </tbody>
            </table>
            }
            <p class="aside">
                {format!(
                    "Incarnation {}. {} and {}; {} sent, {} forwarded, {} dropped.",
                    status.incarnation,
                    plural(counters.requests, "request"),
                    plural(counters.publishes, "publish").replace("publishs", "publishes"),
                    plural(counters.frames_sent, "frame"),
                    counters.frames_forwarded,
                    counters.frames_dropped,
                )}
            </p>
        </>
    }
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Leader => "★ leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
    }
}

fn mode_of(value: &str) -> StopMode {
    match value {
        "wipe" => StopMode::Wipe,
        "pause" => StopMode::Pause,
        _ => StopMode::Crash,
    }
}
