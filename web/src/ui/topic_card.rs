//! The topic that everything else on the page is about: chosen from the list, or typed and created.

use cubecast_core::names::TopicName;
use yew::prelude::*;

use super::field::TextField;
use super::report::ReportBox;
use crate::model::cluster::Cluster;
use crate::model::describe::plural;
use crate::model::shared::Shared;
use crate::model::task::{Report, Task};
use crate::model::topics::{TopicBook, TopicInfo};
use crate::model::{Action, wish};

const SUGGESTIONS: &str = "known-topics";

#[derive(Properties, PartialEq)]
pub struct TopicCardProps {
    pub topics: Shared<TopicBook>,
    pub cluster: Shared<Cluster>,
    /// As typed.
    pub topic: String,
    pub publisher: String,
    pub report: Option<Report>,
    pub on_publisher: Callback<String>,
    pub act: Callback<Action>,
    pub run: Callback<Task>,
}

#[component]
pub fn TopicCard(props: &TopicCardProps) -> Html {
    let refused = use_state(|| None::<String>);
    let wished = |make: fn(&str, &str) -> Result<Task, wish::Refusal>| {
        let (run, refused) = (props.run.clone(), refused.clone());
        let (publisher, topic) = (props.publisher.clone(), props.topic.clone());
        Callback::from(move |()| match make(&publisher, &topic) {
            Ok(task) => {
                refused.set(None);
                run.emit(task);
            }
            Err(refusal) => refused.set(Some(refusal)),
        })
    };
    let onsubmit = wished(wish::create_topic).reform(|event: SubmitEvent| event.prevent_default());
    let doomed = use_state(|| None::<String>);
    let ask_delete = super::field::setter(&doomed).reform({
        let topic = props.topic.clone();
        move |_: MouseEvent| Some(topic.clone())
    });
    let keep = super::field::setter(&doomed).reform(|_: MouseEvent| None);
    let on_delete = {
        let (delete, doomed) = (wished(wish::delete_topic), doomed.clone());
        Callback::from(move |_: MouseEvent| {
            doomed.set(None);
            delete.emit(());
        })
    };
    let choose = props.act.reform(Action::ChooseTopic);
    let exists = TopicName::new(props.topic.trim()).is_ok_and(|topic| props.topics.topics.contains_key(&topic));
    html! {
        <div class="card">
            <form id="topic-form" data-testid="topic-form" {onsubmit}>
                <div class="row">
                    <TextField id="topic-input" label="Topic" value={props.topic.clone()} set={choose.clone()} placeholder="news" list={SUGGESTIONS} />
                    <TextField id="publisher-input" label="Publisher" value={props.publisher.clone()} set={props.on_publisher.clone()} />
                </div>
                <datalist id={SUGGESTIONS}>
                    { for props.topics.topics.keys().map(|topic| html! { <option value={topic.as_str().to_owned()} /> }) }
                </datalist>
                <div class="actions">
                    if !exists {
                        <button type="submit" class="primary" data-testid="create-topic-button">{"Create topic"}</button>
                    } else if doomed.as_ref() == Some(&props.topic) {
                        <button type="button" class="danger" data-testid="delete-for-good-button" onclick={on_delete}>
                            {"Delete it and its messages"}
                        </button>
                        <button type="button" class="quiet" data-testid="keep-topic-button" onclick={keep}>{"Keep it"}</button>
                    } else {
                        <button type="button" class="quiet" data-testid="delete-topic-button" onclick={ask_delete}>
                            {"Delete topic"}
                        </button>
                    }
                </div>
                <ReportBox id="topic-result" report={props.report.clone()} refused={(*refused).clone()} />
            </form>
            { topic_list(props, &choose) }
        </div>
    }
}

fn topic_list(props: &TopicCardProps, choose: &Callback<String>) -> Html {
    if props.topics.topics.is_empty() {
        return html! { <p class="empty" data-testid="topic-list-empty">{empty_text(props)}</p> };
    }
    html! {
        <ul class="topics" id="topic-list" data-testid="topic-list" aria-label="Topics">
            { for props.topics.topics.iter().map(|(topic, info)| topic_row(props, topic, info, choose)) }
        </ul>
    }
}

fn empty_text(props: &TopicCardProps) -> Html {
    if props.cluster.dimension.is_none() {
        return html! { {"Topics appear here once a node answers."} };
    }
    let home = props.cluster.dimension.map(|dimension| cubecast_core::placement::home("news", dimension).to_string());
    let suggest = props.act.reform(|_: MouseEvent| Action::ChooseTopic("news".to_owned()));
    html! {
        <>
            {"No topics yet. Create one, for example "}
            <button type="button" class="link" data-testid="suggest-topic" onclick={suggest}>{"news"}</button>
            {": its home will be "}<code>{home.unwrap_or_default()}</code>{", because its hash ends in these bits."}
        </>
    }
}

fn topic_row(props: &TopicCardProps, topic: &TopicName, info: &TopicInfo, choose: &Callback<String>) -> Html {
    let name = topic.as_str().to_owned();
    let is_chosen = props.topic.trim() == name;
    let onclick = {
        let (choose, name) = (choose.clone(), name.clone());
        Callback::from(move |_: MouseEvent| choose.emit(name.clone()))
    };
    let leader = props.cluster.acting_leader(info.home);
    let led = match leader {
        Some(leader) if leader == info.home => String::new(),
        Some(leader) => format!("led by {leader}"),
        None => "no leader".to_owned(),
    };
    html! {
        <li key={name.clone()}>
            <button
                type="button"
                class={classes!("topic", is_chosen.then_some("is-chosen"))}
                aria-pressed={is_chosen.to_string()}
                data-testid={format!("topic-row-{name}")}
                {onclick}
            >
                <span class="name">{topic.to_string()}</span>
                <span class="led">{led}</span>
                <code title="its home">{info.home.to_string()}</code>
                <span class="count">{plural(info.messages, "message")}</span>
            </button>
        </li>
    }
}
