//! The space-time diagram of one request, with its exports.

use cubecast_core::identity::TraceId;
use cubecast_core::visible::visible;
use cubecast_core::wire::client::Ack;
use yew::prelude::*;

use super::dispatch::use_dispatch;
use super::download::download;
use super::field::{on_choice, use_refused};
use super::svg::px;
use super::words::{plain_words, shortened, words};
use crate::format::{millis, time_of_day};
use crate::model::shared::Shared;
use crate::model::spacetime::story::MarkKind;
use crate::model::spacetime::{Recorder, Request, Story, export};
use crate::model::{ViewAction, tasks};
use crate::scene::spacetime::{MarkPoint, SpaceTimeScene};
use crate::terms;

/// Properties of [`SpaceTime`].
#[derive(Properties, PartialEq)]
pub struct SpaceTimeProps {
    pub recorder: Shared<Recorder>,
    /// As typed.
    pub topic: String,
    pub publisher: String,
}

/// The diagram with its controls.
#[component]
pub fn SpaceTime(props: &SpaceTimeProps) -> Html {
    let dispatch = use_dispatch();
    let refused = use_refused((props.topic.clone(), props.publisher.clone()));
    let recorder = &props.recorder;
    let publish = {
        let (dispatch, refused) = (dispatch.clone(), refused.clone());
        let task = tasks::publish(&props.publisher, &props.topic, "traced", Ack::Quorum);
        Callback::from(move |_: MouseEvent| {
            if let Some(task) = refused.unless(task.clone()) {
                dispatch.send(ViewAction::TraceNext);
                dispatch.send(task);
            }
        })
    };
    let arm = dispatch.on(|_: MouseEvent| ViewAction::TraceNext);
    let pick = on_choice(Callback::from(move |value: String| {
        if let Ok(trace) = value.parse() {
            dispatch.send(ViewAction::PickRequest(TraceId(trace)));
        }
    }));
    html! {
        <div class="spacetime" data-testid="spacetime">
            <div class="actions spacetime-actions">
                <button type="button" class="primary" data-testid="trace-publish" onclick={publish}>
                    {"Publish a message and trace it"}
                </button>
                <button
                    type="button"
                    class="quiet"
                    data-testid="trace-next"
                    aria-pressed={recorder.armed.to_string()}
                    onclick={arm}
                >
                    { if recorder.armed { "Waiting for a publish…" } else { "Trace the next publish" } }
                </button>
                if !recorder.requests.is_empty() {
                    <select class="pick" data-testid="pick-request" aria-label="Pick a request" onchange={pick}>
                        <option value="" selected=true>{"or pick a request"}</option>
                        { for recorder.requests.iter().rev().map(|request| html! {
                            <option key={request.trace.0.to_string()} value={request.trace.0.to_string()}>
                                {plain_words(&request_words(request))}
                            </option>
                        }) }
                    </select>
                }
            </div>
            if let Some(refused) = refused.shown() {
                <p class="bad" role="status">{words(&refused)}</p>
            }
            { match &recorder.story {
                Some(story) => html! {
                    <Diagram story={Shared::from((**story).clone())} going_on={recorder.is_following()} />
                },
                None => html! {
                    <p class="empty" data-testid="spacetime-empty">
                        {"Shows the path of a message: from the client to the home, \
                            from there to each replica and back, and when it is committed."}
                    </p>
                },
            } }
        </div>
    }
}

fn request_words(request: &Request) -> String {
    let took = request.answered.as_ref().map(|answered| {
        let took = millis(answered.at_us.saturating_sub(request.received_us) as f64 / 1_000.0);
        answered.error.as_ref().map_or(took.clone(), |code| format!("{code} after {took}"))
    });
    format!(
        "{} · {} {} · {}",
        time_of_day(request.received_us / 1_000),
        terms::action(&request.action),
        shortened(&visible(request.subject.as_deref().unwrap_or_default())),
        took.unwrap_or_else(|| "under way".to_owned())
    )
}

const LEGEND: [(MarkKind, &str); 3] = [
    (MarkKind::Committed, "marks it as committed"),
    (MarkKind::Stored, "makes it readable"),
    (MarkKind::Answered, "receives, answers"),
];

#[derive(Properties, PartialEq)]
struct DiagramProps {
    story: Shared<Story>,
    going_on: bool,
}

#[component]
fn Diagram(props: &DiagramProps) -> Html {
    let story = &props.story;
    let scene = SpaceTimeScene::of(story);
    let (w, h) = (px(scene.width), px(scene.height));
    let bottom = scene.height - 20.0;
    html! {
        <>
            <p
                class="closer-lead"
                data-testid="story-title"
                data-state={if props.going_on { "telling" } else { "told" }}
            >
                {words(&story.title())}
            </p>
            <div
                class="scroll spacetime-scroll"
                tabindex="0"
                role="group"
                aria-label="Space-time diagram, scrolls sideways; the same as a list follows"
            >
                <svg
                    class="spacetime-svg"
                    data-testid="spacetime-svg"
                    data-arrows={scene.arrows.len().to_string()}
                    width={w.clone()}
                    height={h.clone()}
                    viewBox={format!("0 0 {w} {h}")}
                    aria-hidden="true"
                >
                    { for scene.ticks.iter().map(|(x, label)| html! {
                        <g class="tick">
                            <path class="grid" d={format!("M{} 30V{}", px(*x), px(bottom))} />
                            <text x={px(*x)} y="20" text-anchor="middle">{label.clone()}</text>
                        </g>
                    }) }
                    { for scene.moments().into_iter().map(|(x, words)| html! {
                        <g class="moment">
                            <path d={format!("M{} 30V{}", px(x), px(bottom))} />
                            <text x={px(x)} y={px(scene.height - 5.0)} text-anchor="middle">{words}</text>
                        </g>
                    }) }
                    { for scene.lanes.iter().map(|lane| html! {
                        <g class={classes!("lane", lane.is_client.then_some("is-client"))}>
                            <path d={format!("M104 {}H{}", px(lane.y), px(scene.width - 12.0))} />
                            <text x="82" y={px(lane.y + 5.0)} text-anchor="end">{lane.name.clone()}</text>
                        </g>
                    }) }
                    { for scene.arrows.iter().map(|arrow| html! {
                        <g class={classes!("arrow", arrow.tone, arrow.lost.then_some("is-lost"))}>
                            <title>{plain_words(&arrow.words)}</title>
                            <path
                                class="shaft"
                                d={format!(
                                    "M{} {}L{} {}",
                                    px(arrow.from.0),
                                    px(arrow.from.1),
                                    px(arrow.to.0),
                                    px(arrow.to.1)
                                )}
                            />
                            <path class="head" d={arrow.head()} />
                        </g>
                    }) }
                    { for scene.marks.iter().map(|mark| html! {
                        <g class={classes!("mark-point", mark_class(mark.what))}>
                            <title>{plain_words(&mark.words)}</title>
                            <path d={mark.shape()} />
                        </g>
                    }) }
                </svg>
            </div>
            <ul class="spacetime-legend">
                <li class="arrow client"><i></i>{"client"}</li>
                <li class="arrow entries"><i></i>{"log entries"}</li>
                <li class="arrow acks"><i></i>{"acknowledgements"}</li>
                <li class="arrow requests"><i></i>{"requests between nodes"}</li>
                { for LEGEND.iter().map(|(what, words)| {
                    let mark = MarkPoint { x: 9.0, y: 9.0, what: *what, words: String::new() };
                    html! {
                        <li class={classes!("mark-point", mark_class(*what))}>
                            <svg viewBox="0 0 18 18" aria-hidden="true"><path d={mark.shape()} /></svg>
                            {*words}
                        </li>
                    }
                }) }
            </ul>
            <details class="reading"><summary>{"Accuracy of the diagram"}</summary><p>{notes(story)}</p></details>
            {exports(story, &scene)}
            {twin(story)}
        </>
    }
}

fn mark_class(what: MarkKind) -> &'static str {
    match what {
        MarkKind::Received | MarkKind::Answered => "client",
        MarkKind::Failed => "failed",
        MarkKind::Committed => "committed",
        MarkKind::Stored => "stored",
        MarkKind::Election => "votes",
    }
}

/// The accuracy of the diagram.
fn notes(story: &Story) -> String {
    let mut notes = "Times are from the nodes' clocks, relative to receipt of the request; the axis is not linear. \
        Arrivals are estimated as half a round trip after sending, but before their effects. raft's frames may carry \
        entries of several requests; all frames of the topic's group in this period are drawn."
        .to_owned();
    for (node, by_us) in &story.shifted {
        notes += &format!(
            " The clock of {node} is off by about {}; its times are corrected.",
            millis(*by_us as f64 / 1_000.0)
        );
    }
    if story.left_out > 0 {
        notes += &format!(" {} more frames are not drawn.", story.left_out);
    }
    notes
}

fn exports(story: &Shared<Story>, scene: &SpaceTimeScene) -> Html {
    // The action's name comes from a node, so it is restricted to safe characters.
    let action: String = story.request.action.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let name = format!("cubecast-{action}-{}", story.request.trace.0);
    let file = |id: &'static str,
                words: &'static str,
                ending: &'static str,
                kind: &'static str,
                text: Box<dyn Fn() -> String>| {
        let name = format!("{name}.{ending}");
        // If the browser refuses the download, it informs the user itself.
        let onclick = Callback::from(move |_: MouseEvent| drop(download(&name, kind, &text())));
        html! { <button type="button" class="chip" data-testid={id} {onclick}>{words}</button> }
    };
    let (for_shiviz, for_chrome, scene, title) =
        (story.clone(), story.clone(), scene.clone(), plain_words(&story.title()));
    html! {
        <div class="links exports" role="group" aria-label="Save as">
            { file(
                "export-shiviz",
                "Save for ShiViz",
                "log",
                "text/plain",
                Box::new(move || export::shiviz(&for_shiviz)),
            ) }
            { file(
                "export-perfetto",
                "Save for Perfetto",
                "json",
                "application/json",
                Box::new(move || export::chrome(&for_chrome)),
            ) }
            { file("export-svg", "Save as SVG", "svg", "image/svg+xml", Box::new(move || scene.to_svg(&title))) }
        </div>
    }
}

/// The diagram as a table, in order of time.
fn twin(story: &Story) -> Html {
    let frames = story.arrows.iter().map(|arrow| {
        let lost = if arrow.dropped.is_some() { ", lost" } else { "" };
        (arrow.sent_us, arrow.from, format!("sends {} to {}{lost}", arrow.what.words(), arrow.to.name()))
    });
    let marks = story.marks.iter().map(|mark| (mark.at_us, mark.lane, mark.words.clone()));
    let mut lines: Vec<_> = frames.chain(marks).collect();
    lines.sort_by_key(|(at_us, ..)| *at_us);
    html! {
        <details class="twin">
            <summary data-testid="spacetime-list">{"The diagram as a list"}</summary>
            <div class="scroll"><table data-testid="spacetime-table">
                <thead>
                    <tr><th scope="col">{"ms"}</th><th scope="col">{"Who"}</th><th scope="col">{"What"}</th></tr>
                </thead>
                <tbody>
                    { for lines.into_iter().map(|(at_us, lane, text)| html! {
                        <tr>
                            <td>{format!("{:.3}", at_us as f64 / 1_000.0)}</td>
                            <td>{lane.name()}</td>
                            <td>{words(&text)}</td>
                        </tr>
                    }) }
                </tbody>
            </table></div>
        </details>
    }
}
