//! The stored messages of the chosen topic: "Go to" an offset or a time, page by page, or a pull as a subscriber.

use cubecast_core::names::Offset;
use cubecast_core::wire::client::ReadLevel;
use yew::prelude::*;

use super::dispatch::use_dispatch;
use super::field::{ChoiceField, TextField, setter, use_refused};
use super::messages::MessageList;
use super::report::ReportBox;
use crate::model::report::Report;
use crate::model::seek::{PAGE, Position};
use crate::model::shared::Shared;
use crate::model::stored::{Range, StoredPage};
use crate::model::{Act, ViewAction, tasks};

const READS: &[(&str, &str)] =
    &[("leader", "leader: returns everything acknowledged"), ("any", "any: reads a replica, which may be behind")];
const COMMITS: &[(&str, &str)] = &[("yes", "yes: the cursor advances"), ("no", "no: the next pull returns them again")];

/// Properties of [`Browse`].
#[derive(Properties, PartialEq)]
pub struct BrowseProps {
    /// As typed.
    pub topic: String,
    pub subscriber: String,
    /// The messages to show.
    #[prop_or_default]
    pub stored: Shared<Option<StoredPage>>,
    /// The number of messages of the topic, as known now.
    #[prop_or_default]
    pub known: u64,
    /// Milliseconds since 1970.
    #[prop_or_default]
    pub now_ms: u64,
    pub report: Option<Report>,
}

/// The browser of stored messages.
#[component]
pub fn Browse(props: &BrowseProps) -> Html {
    let dispatch = use_dispatch();
    let position = use_state(String::new);
    let refused = use_refused((props.topic.clone(), (*position).clone()));
    let seek =
        |position: Position, max: u32| tasks::topic_name(&props.topic).map(|topic| Act::Seek { topic, position, max });
    let onsubmit = {
        let act = Position::parse(&position, props.now_ms).and_then(|position| seek(position, PAGE));
        let (dispatch, refused) = (dispatch.clone(), refused.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            if let Some(act) = refused.unless(act.clone()) {
                dispatch.send(act);
            }
        })
    };
    let turn = |id: &'static str, words: &'static str, range: Option<Range>| {
        let act = range.and_then(|(from, max)| seek(Position::Offset(Offset(from)), max).ok());
        let dispatch = dispatch.clone();
        html! {
            <button
                type="button"
                class="chip"
                data-testid={id}
                disabled={act.is_none()}
                onclick={Callback::from(move |_: MouseEvent| act.iter().for_each(|act| dispatch.send(act.clone())))}
            >
                {words}
            </button>
        }
    };
    let list = props.stored.as_ref().map(|page| {
        html! {
            <>
                if let Some(words) = page.words(props.known) {
                    <div class="stored-head">
                        <p role="status" data-testid="stored-range">{words}</p>
                        <div class="links">
                            {turn("older", "Older", page.older())}
                            {turn("newer", "Newer", page.newer(props.known))}
                        </div>
                    </div>
                }
                <MessageList
                    id="pulled-list"
                    messages={page.messages.clone()}
                    empty={"No new messages for this subscriber."}
                />
            </>
        }
    });
    html! {
        <>
            <form id="goto-form" data-testid="goto-form" {onsubmit}>
                <div class="row is-send">
                    <TextField
                        id="goto-input"
                        label="Go to an offset or a time (UTC)"
                        value={(*position).clone()}
                        set={setter(&position)}
                        placeholder="#120, -100, 14:03, 10m ago"
                    />
                    <div class="actions">
                        <button type="submit" class="primary" data-testid="goto-button">{"Go"}</button>
                    </div>
                </div>
            </form>
            <PullForm topic={props.topic.clone()} subscriber={props.subscriber.clone()} />
            <ReportBox id="pull-result" report={props.report.clone()} refused={refused.shown()} />
            {list}
        </>
    }
}

/// Properties of [`PullForm`].
#[derive(Properties, PartialEq)]
struct PullFormProps {
    /// As typed.
    topic: String,
    subscriber: String,
}

/// The form for a pull from a subscriber's cursor on. It is seldom needed, so it opens on demand.
#[component]
fn PullForm(props: &PullFormProps) -> Html {
    let dispatch = use_dispatch();
    let read = use_state(|| "leader".to_owned());
    let commit = use_state(|| "yes".to_owned());
    let refused = use_refused((props.topic.clone(), props.subscriber.clone()));
    let on_subscriber = dispatch.on(ViewAction::NameSubscriber);
    let onsubmit = {
        let level = if *read == "any" { ReadLevel::Any } else { ReadLevel::Leader };
        let task = tasks::pull(&props.subscriber, &props.topic, level, *commit == "yes");
        let refused = refused.clone();
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            refused.run(task.clone(), &dispatch);
        })
    };
    html! {
        <details class="pull">
            <summary data-testid="pull-open">{"Pull as a subscriber"}</summary>
            <form id="pull-form" data-testid="pull-form" {onsubmit}>
                <TextField
                    id="pull-subscriber-input"
                    label="Subscriber"
                    value={props.subscriber.clone()}
                    set={on_subscriber}
                />
                <ChoiceField
                    id="read-select"
                    label="Read from"
                    value={(*read).clone()}
                    options={READS}
                    set={setter(&read)}
                />
                <ChoiceField
                    id="commit-select"
                    label="Commit"
                    value={(*commit).clone()}
                    options={COMMITS}
                    set={setter(&commit)}
                />
                <div class="actions">
                    <button type="submit" class="quiet" id="pull-button" data-testid="pull-button">{"Pull"}</button>
                </div>
                if let Some(refused) = refused.shown() {
                    <p class="bad" role="status">{super::words::words(&refused)}</p>
                }
            </form>
        </details>
    }
}
