//! The replica X-ray: messages × replicas of the chosen topic, as a picture and as a table.

use yew::prelude::*;

use super::svg::px;
use crate::model::State;
use crate::model::xray::{Lag, MessageState};
use crate::scene::xray::{CELL_HEIGHT, CELL_WIDTH, Cell, Row, Tick, XrayScene, column_x};

/// Properties of [`XrayView`].
#[derive(Properties, PartialEq)]
pub struct XrayViewProps {
    pub state: State,
}

/// The meaning of each kind of cell, in the order of a message's life.
const LEGEND: [(MessageState, &str); 7] = [
    (MessageState::Readable, "stored and committed: a read here returns it"),
    (MessageState::Stored, "stored, not committed here yet"),
    (MessageState::Fetching, "being fetched"),
    (MessageState::Missing, "missing"),
    (MessageState::Asleep, "on the disk of a node that is down"),
    (MessageState::Away, "missing, and the node is down"),
    (MessageState::Unknown, "not known: no node that this page reaches can query it"),
];

/// The X-ray of the chosen topic.
#[component]
pub fn XrayView(props: &XrayViewProps) -> Html {
    let Some(scene) = XrayScene::of(&props.state) else {
        return html! {
            <p class="empty" data-testid="xray-empty">
                {"Choose a topic to see which replica has which message."}
            </p>
        };
    };
    html! {
        <div
            class="xray"
            data-testid="xray"
            data-messages={word(scene.rows.iter().filter_map(|row| row.readable).max())}
        >
            <p class="closer-lead" data-testid="xray-summary">
                {scene.summary()}
                if scene.sample > 1 {
                    <span class="aside" data-testid="xray-sampled">
                        {format!(
                            " Under this load the nodes report only 1 in {} of their events; \
                             the ends of the rows come from queries and are at most about a second old.",
                            scene.sample
                        )}
                    </span>
                }
            </p>
            <div class="xray-grid">
                <div class="xray-name" aria-hidden="true"></div>
                <div class="xray-strip" aria-hidden="true">{ticks(&scene)}</div>
                <div class="xray-words" aria-hidden="true"></div>
                { for scene.rows.iter().map(|row| html! {
                    <XrayRow key={row.node.to_string()} row={row.clone()} width={scene.width} empty={scene.empty} />
                }) }
            </div>
            <ul class="xray-legend" aria-label="What the cells mean">
                { for LEGEND.iter().map(|(state, words)| html! {
                    <li><svg viewBox={format!("0 0 14 {CELL_HEIGHT}")} aria-hidden="true">
                        { cell_shape(&Cell { offset: 0, x: 0.0, width: 14.0, state: *state }) }
                    </svg>{*words}</li>
                }) }
            </ul>
            {twin(&scene)}
        </div>
    }
}

fn ticks(scene: &XrayScene) -> Html {
    let tick = |tick: &Tick| {
        let middle = tick.x + (CELL_WIDTH - 3.0) / 2.0;
        let is_last = tick.x + 1.5 * CELL_WIDTH > scene.width;
        let (label_x, anchor) = if is_last { (tick.x + CELL_WIDTH - 3.0, "end") } else { (middle, "middle") };
        html! {
            <g key={tick.offset} class={classes!("tick", tick.committed.then_some("is-committed"))}>
                if let Some(label) = &tick.label {
                    <text x={px(label_x)} y="12" text-anchor={anchor}>{label.clone()}</text>
                }
                if tick.committed {
                    <path d={format!("M{} 20 l2.6 2.8 l4.6 -5.6", px(middle - 3.6))} />
                } else {
                    <circle cx={px(middle)} cy="20" r="2" />
                }
            </g>
        }
    };
    html! {
        <svg width={px(scene.width)} height="28" viewBox={format!("0 0 {} 28", px(scene.width))}>
            { for scene.ticks.iter().map(tick) }
        </svg>
    }
}

#[derive(Properties, PartialEq)]
struct XrayRowProps {
    row: Row,
    width: f64,
    empty: usize,
}

#[component]
fn XrayRow(props: &XrayRowProps) -> Html {
    let row = &props.row;
    let id = format!("xray-{}", row.node);
    let role = match (row.is_home, row.leads) {
        (true, true) => "home, leads",
        (true, false) => "home",
        (false, true) => "replica, leads",
        (false, false) => "replica",
    };
    html! {
        <>
            <div class={classes!("xray-name", row.is_home.then_some("is-home"))}>
                <code>{row.node.to_string()}</code><span>{role}</span>
            </div>
            <div
                class="xray-strip"
                data-testid={id}
                data-readable={word(row.readable)}
                data-state={row.health.name()}
                data-lag={lag(row.lag)}
                aria-hidden="true"
            >
                <svg
                    width={px(props.width)}
                    height={px(CELL_HEIGHT)}
                    viewBox={format!("0 0 {} {}", px(props.width), px(CELL_HEIGHT))}
                >
                    <path class="xempty" d={empty_columns(props.empty)} />
                    { for row.cells.iter().map(|cell| html! { <g key={cell.offset}>{cell_shape(cell)}</g> }) }
                </svg>
                if let Some(share) = row.arriving {
                    <div class="xray-arriving" style={format!("--share: {:.3}", share)}>
                        {format!("snapshot {:.0} %", share * 100.0)}
                    </div>
                }
            </div>
            <div
                class={classes!("xray-words", matches!(row.lag, Lag::Messages { .. }).then_some("is-behind"))}
                aria-hidden="true"
            >
                <span>{row.lag_words.clone()}</span>
                <span class="aside"><code>{"any"}</code>{format!(" {}", row.any_words)}</span>
            </div>
        </>
    }
}

/// A number, or `not known`.
fn word(number: Option<u64>) -> String {
    number.map_or_else(|| "not known".to_owned(), |number| number.to_string())
}

/// An attribute for tests.
fn lag(lag: Lag) -> String {
    match lag {
        Lag::Unknown => "unknown".to_owned(),
        Lag::None => "0".to_owned(),
        Lag::Messages { count, .. } => count.to_string(),
    }
}

/// A dot in each unused column.
fn empty_columns(count: usize) -> String {
    let middle = (CELL_WIDTH - 3.0) / 2.0;
    (0..count).map(|at| format!("M{} {}h0.01", px(column_x(at) + middle), px(CELL_HEIGHT / 2.0))).collect()
}

/// Each state has its own shape, so that it can be recognised without colours: full, half, striped, hollow with a
/// dot, barred, a dot alone, a question mark in a dotted frame.
fn cell_shape(cell: &Cell) -> Html {
    let (x, w, h) = (cell.x, cell.width, CELL_HEIGHT);
    let class = classes!("xcell", cell.state.name());
    let frame = html! { <rect x={px(x + 0.75)} y="0.75" width={px(w - 1.5)} height={px(h - 1.5)} rx="3" /> };
    let middle = html! { <circle cx={px(x + w / 2.0)} cy={px(h / 2.0)} r="1.8" /> };
    let inside = match cell.state {
        MessageState::Readable => frame,
        MessageState::Stored => html! {
            <>
                {frame}
                <path
                    class="fill"
                    d={format!(
                        "M{} {} h{} v{} h-{} z",
                        px(x + 0.75),
                        px(h / 2.0),
                        px(w - 1.5),
                        px(h / 2.0 - 0.75),
                        px(w - 1.5)
                    )}
                />
            </>
        },
        MessageState::Fetching => {
            let stripe = |y: f64| format!("M{} {} L{} {}", px(x + 2.0), px(y + 6.0), px(x + w - 2.0), px(y));
            html! { <>{frame}<path class="stripes" d={[4.0, 11.0, 18.0].map(stripe).join(" ")} /></> }
        }
        MessageState::Missing => html! { <>{frame}{middle}</> },
        MessageState::Asleep => html! {
            <>{frame}<path d={format!("M{} {} h{}", px(x + 3.5), px(h / 2.0), px(w - 7.0))} /></>
        },
        MessageState::Away => middle,
        MessageState::Unknown => html! {
            <>
                {frame}
                <text x={px(x + w / 2.0)} y={px(h / 2.0)} text-anchor="middle" dominant-baseline="central">{"?"}</text>
            </>
        },
    };
    html! { <g {class}>{inside}</g> }
}

/// The same content as a table.
fn twin(scene: &XrayScene) -> Html {
    html! {
        <details class="twin">
            <summary>{"The X-ray as a table"}</summary>
            <div class="scroll">
                <table data-testid="xray-table">
                    <thead><tr>
                        <th scope="col">{"Replica"}</th>
                        <th scope="col">{"State"}</th>
                        <th scope="col">{"Readable messages"}</th>
                        <th scope="col">{"Lag"}</th><th scope="col">{"A read with any"}</th>
                    </tr></thead>
                    <tbody>
                        { for scene.rows.iter().map(|row| html! {
                            <tr>
                                <th scope="row">
                                    <code>{row.node.to_string()}</code>
                                    {if row.is_home { " (home)" } else { "" }}
                                </th>
                                <td>{row.health_words}</td>
                                <td>{word(row.readable)}</td>
                                <td>{row.lag_words.clone()}</td>
                                <td>{row.any_words.clone()}</td>
                            </tr>
                        }) }
                    </tbody>
                </table>
            </div>
        </details>
    }
}
