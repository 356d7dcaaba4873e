//! The card that selects the topic for the rest of the page, from the list or by name, and creates and deletes topics.

use std::ops::Bound;

use cubecast_core::names::{PublisherId, TopicName};
use yew::prelude::*;

use super::dispatch::{Dispatch, use_dispatch};
use super::field::{TextField, deliberate, use_refused};
use super::report::ReportBox;
use super::topic_list::TopicList;
use super::topic_row::Facts;
use super::words::words;
use crate::model::cluster::Cluster;
use crate::model::inbox::Inboxes;
use crate::model::rates::RateHistory;
use crate::model::report::Report;
use crate::model::shared::Shared;
use crate::model::task::Task;
use crate::model::topics::TopicBook;
use crate::model::{ViewAction, tasks};

const SUGGESTIONS: &str = "known-topics";
/// Browsers show about this many suggestions, and are slow with thousands.
const MOST_SUGGESTED: usize = 20;

/// Properties of [`TopicCard`].
#[derive(Properties, PartialEq)]
pub struct TopicCardProps {
    pub topics: Shared<TopicBook>,
    pub cluster: Shared<Cluster>,
    #[prop_or_default]
    pub rates: Shared<RateHistory>,
    #[prop_or_default]
    pub inboxes: Shared<Inboxes>,
    /// As typed.
    pub topic: String,
    pub publisher: String,
    pub report: Option<Report>,
}

/// The topic card.
#[component]
pub fn TopicCard(props: &TopicCardProps) -> Html {
    let dispatch = use_dispatch();
    let refused = use_refused((props.topic.clone(), props.publisher.clone()));
    let task = |make: fn(&str, &str) -> Result<Task, tasks::Refusal>| {
        let (dispatch, refused) = (dispatch.clone(), refused.clone());
        let (publisher, topic) = (props.publisher.clone(), props.topic.clone());
        Callback::from(move |()| refused.run(make(&publisher, &topic), &dispatch))
    };
    let topic = TopicName::new(props.topic.trim()).ok();
    let info = topic.as_ref().and_then(|topic| props.topics.topics.get(topic));
    let exists = info.is_some();
    let onsubmit = task(tasks::create_topic).reform(|event: SubmitEvent| event.prevent_default());
    let doomed = use_state(|| None::<String>);
    // Closes the confirmation when the topic no longer exists.
    use_effect_with(exists, {
        let doomed = doomed.clone();
        move |exists| {
            if !exists && doomed.is_some() {
                doomed.set(None);
            }
        }
    });
    let ask = |answer: Option<String>| deliberate(super::field::setter(&doomed).reform(move |()| answer.clone()));
    let on_delete = {
        let (delete, doomed) = (task(tasks::delete_topic), doomed.clone());
        deliberate(Callback::from(move |()| {
            doomed.set(None);
            delete.emit(());
        }))
    };
    let other_owner =
        info.and_then(|info| info.owner.as_ref()).filter(|owner| owner.as_str() != props.publisher.trim());
    html! {
        <div class="card">
            <form id="topic-form" data-testid="topic-form" {onsubmit}>
                <div class="row">
                    <TextField
                        id="topic-input"
                        label="Topic"
                        value={props.topic.clone()}
                        set={dispatch.on(ViewAction::ChooseTopic)}
                        placeholder="Type a name"
                        list={SUGGESTIONS}
                    />
                    <TextField
                        id="publisher-input"
                        label="Publisher"
                        value={props.publisher.clone()}
                        set={dispatch.on(ViewAction::NamePublisher)}
                    />
                </div>
                <datalist id={SUGGESTIONS}>
                    { for suggestions(props).map(|topic| html! { <option value={topic.as_str().to_owned()} /> }) }
                </datalist>
                // Each button has its own position, so that a second click cannot hit another button.
                <div class="actions">
                    <button
                        type="submit"
                        class="primary"
                        key="create"
                        data-testid="create-topic-button"
                        disabled={exists}
                    >
                        {"Create topic"}
                    </button>
                    { match (exists, other_owner) {
                        (false, _) => Html::default(),
                        (true, Some(owner)) => owned(owner),
                        (true, None) if doomed.as_ref() == Some(&props.topic) => html! {
                            <>
                                <button
                                    type="button"
                                    class="quiet"
                                    key="keep"
                                    data-testid="keep-topic-button"
                                    onclick={ask(None)}
                                >
                                    {"Keep it"}
                                </button>
                                <button
                                    type="button"
                                    class="danger"
                                    key="doom"
                                    data-testid="delete-for-good-button"
                                    onclick={on_delete}
                                >
                                    {"Delete it and its messages"}
                                </button>
                            </>
                        },
                        (true, None) => html! {
                            <button
                                type="button"
                                class="quiet"
                                key="ask"
                                data-testid="delete-topic-button"
                                onclick={ask(Some(props.topic.clone()))}
                            >
                                {"Delete topic"}
                            </button>
                        },
                    } }
                </div>
                <ReportBox id="topic-result" report={props.report.clone()} refused={refused.shown()} />
            </form>
            if props.topics.topics.is_empty() {
                <p class="empty" data-testid="topic-list-empty">{empty_text(props, &dispatch)}</p>
            } else {
                <TopicList
                    topics={props.topics.clone()}
                    facts={Facts {
                        cluster: props.cluster.clone(),
                        rates: props.rates.clone(),
                        inboxes: props.inboxes.clone(),
                    }}
                    chosen={topic}
                />
            }
        </div>
    }
}

fn owned(owner: &PublisherId) -> Html {
    html! {
        <p class="aside" key="owned" data-testid="topic-owner">
            {words(&format!("Only {owner} can delete it, because {owner} created it."))}
        </p>
    }
}

/// Topics that begin with the typed text.
fn suggestions(props: &TopicCardProps) -> impl Iterator<Item = &TopicName> {
    let typed = props.topic.trim();
    let from = TopicName::new(typed).map_or(Bound::Unbounded, Bound::Included);
    let behind = props.topics.topics.range((from, Bound::Unbounded)).map(|(topic, _)| topic);
    behind.take_while(move |topic| topic.as_str().starts_with(typed)).take(MOST_SUGGESTED)
}

fn empty_text(props: &TopicCardProps, dispatch: &Dispatch) -> Html {
    if props.cluster.dimension.is_none() || !props.topics.listed {
        return html! { {"Topics appear here once a node answers."} };
    }
    let home = props.cluster.dimension.map(|dimension| cubecast_core::placement::home("news", dimension).to_string());
    let suggest = dispatch.on(|_: MouseEvent| ViewAction::ChooseTopic("news".to_owned()));
    html! {
        <>
            {"No topics yet. Create one, for example "}
            <button type="button" class="link" data-testid="suggest-topic" onclick={suggest}>{"news"}</button>
            {": its home will be "}<code>{home.unwrap_or_default()}</code>{", because its hash ends in these bits."}
        </>
    }
}
