//! The form for publishing a message, with a choice of acknowledgement.

use cubecast_core::wire::client::Ack;
use yew::prelude::*;

use super::dispatch::use_dispatch;
use super::field::{ChoiceField, TextField, setter, use_refused};
use super::report::ReportBox;
use crate::model::report::Report;
use crate::model::tasks;

const ACKS: &[(&str, &str)] = &[
    ("one", "one: the leader has it"),
    ("quorum", "quorum: a majority has it"),
    ("all", "all: every member that is up has it"),
];

/// Properties of [`PublishForm`].
#[derive(Properties, PartialEq)]
pub struct PublishFormProps {
    /// As typed.
    pub topic: String,
    pub publisher: String,
    pub report: Option<Report>,
}

/// The publish form.
#[component]
pub fn PublishForm(props: &PublishFormProps) -> Html {
    let dispatch = use_dispatch();
    let content = use_state(String::new);
    let ack = use_state(|| "quorum".to_owned());
    let refused = use_refused((props.topic.clone(), props.publisher.clone(), (*content).clone()));
    let onsubmit = {
        let task = tasks::publish(&props.publisher, &props.topic, &content, ack_of(&ack));
        let refused = refused.clone();
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            refused.run(task.clone(), &dispatch);
        })
    };
    html! {
        <form id="publish-form" data-testid="publish-form" {onsubmit}>
            <TextField
                id="content-input"
                label="Message"
                value={(*content).clone()}
                set={setter(&content)}
                placeholder="Type a message"
            />
            <ChoiceField
                id="ack-select"
                label="Acknowledged when"
                value={(*ack).clone()}
                options={ACKS}
                set={setter(&ack)}
            />
            <div class="actions">
                <button type="submit" class="primary" id="publish-button" data-testid="publish-button">
                    {"Publish"}
                </button>
            </div>
            <ReportBox id="publish-result" report={props.report.clone()} refused={refused.shown()} />
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
