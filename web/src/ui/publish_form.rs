//! Publishing a message, as safely as the person chooses.

use cubecast_core::wire::client::Ack;
use yew::prelude::*;

use super::field::{ChoiceField, TextField, setter};
use super::report::ReportBox;
use crate::model::task::{Report, Task};
use crate::model::wish;

const ACKS: &[(&str, &str)] = &[
    ("one", "one: the leader has it"),
    ("quorum", "quorum: a majority has it"),
    ("all", "all: every member that is up has it"),
];

#[derive(Properties, PartialEq)]
pub struct PublishFormProps {
    /// As typed.
    pub topic: String,
    pub publisher: String,
    pub report: Option<Report>,
    pub run: Callback<Task>,
}

#[component]
pub fn PublishForm(props: &PublishFormProps) -> Html {
    let content = use_state(String::new);
    let ack = use_state(|| "quorum".to_owned());
    let refused = use_state(|| None::<String>);
    let onsubmit = {
        let (topic, publisher, run) = (props.topic.clone(), props.publisher.clone(), props.run.clone());
        let (content, ack, refused) = (content.clone(), ack.clone(), refused.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            match wish::publish(&publisher, &topic, &content, ack_of(&ack)) {
                Ok(task) => {
                    refused.set(None);
                    run.emit(task);
                }
                Err(refusal) => refused.set(Some(refusal)),
            }
        })
    };
    html! {
        <form id="publish-form" data-testid="publish-form" {onsubmit}>
            <TextField id="content-input" label="Message" value={(*content).clone()} set={setter(&content)} placeholder="Hello, cube" />
            <ChoiceField id="ack-select" label="Acknowledged when" value={(*ack).clone()} options={ACKS} set={setter(&ack)} />
            <div class="actions">
                <button type="submit" class="primary" id="publish-button" data-testid="publish-button">{"Publish"}</button>
            </div>
            <ReportBox id="publish-result" report={props.report.clone()} refused={(*refused).clone()} />
        </form>
    }
}

fn ack_of(value: &str) -> Ack {
    match value {
        "one" => Ack::One,
        "all" => Ack::All,
        _ => Ack::Quorum,
    }
}
