//! The form for publishing a message, with a choice of acknowledgement. Ctrl+Enter sends it.

use cubecast_core::content::Content;
use cubecast_core::wire::client::{Ack, Action, Write};
use yew::prelude::*;

use super::dispatch::use_dispatch;
use super::field::{ChoiceField, TextArea, not_twice, setter, use_refused};
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
    let send = {
        let task = tasks::publish(&props.publisher, &props.topic, &content, ack_of(&ack));
        let refused = refused.clone();
        Callback::from(move |()| refused.run(task.clone(), &dispatch))
    };
    let onsubmit = send.reform(|event: SubmitEvent| event.prevent_default());
    // A stored message leaves the field, unless another one was typed meanwhile.
    use_effect_with(stored(props.report.as_ref()), {
        let content = content.clone();
        move |stored| {
            if stored.as_ref().is_some_and(|(_, stored)| stored.as_str() == *content) {
                content.set(String::new());
            }
        }
    });
    html! {
        <form id="publish-form" data-testid="publish-form" {onsubmit}>
            <TextArea
                id="content-input"
                label="Message"
                value={(*content).clone()}
                set={setter(&content)}
                placeholder="Type a message"
                send={send}
            />
            <div class="row is-send">
                <ChoiceField
                    id="ack-select"
                    label="Acknowledged when"
                    value={(*ack).clone()}
                    options={ACKS}
                    set={setter(&ack)}
                />
                <div class="actions">
                    <button
                        type="submit"
                        class="primary"
                        id="publish-button"
                        data-testid="publish-button"
                        title="Ctrl+Enter"
                        onclick={not_twice()}
                    >
                        {"Publish"}
                    </button>
                </div>
            </div>
            <ReportBox id="publish-result" report={props.report.clone()} refused={refused.shown()} />
        </form>
    }
}

/// The message that the report's task stored, with the number of the task.
fn stored(report: Option<&Report>) -> Option<(u64, Content)> {
    let report = report.filter(|report| report.succeeded())?;
    match &report.goal {
        Some(Action::Write(Write::Publish { content, .. })) => Some((report.task, content.clone())),
        Some(_) | None => None,
    }
}

fn ack_of(value: &str) -> Ack {
    match value {
        "one" => Ack::One,
        "all" => Ack::All,
        _ => Ack::Quorum,
    }
}
