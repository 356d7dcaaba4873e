//! The form for pulling messages, with a choice of read level.

use cubecast_core::wire::client::ReadLevel;
use yew::prelude::*;

use super::dispatch::use_dispatch;
use super::field::{ChoiceField, TextField, setter, use_refused};
use super::messages::MessageList;
use super::report::ReportBox;
use crate::model::report::Report;
use crate::model::{ViewAction, tasks};

const READS: &[(&str, &str)] =
    &[("leader", "leader: returns everything acknowledged"), ("any", "any: reads a replica, which may be behind")];
const COMMITS: &[(&str, &str)] = &[("yes", "yes: the cursor advances"), ("no", "no: the next pull returns them again")];

/// Properties of [`PullForm`].
#[derive(Properties, PartialEq)]
pub struct PullFormProps {
    /// As typed.
    pub topic: String,
    pub subscriber: String,
    pub report: Option<Report>,
}

/// The pull form.
#[component]
pub fn PullForm(props: &PullFormProps) -> Html {
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
                <button type="submit" class="primary" id="pull-button" data-testid="pull-button">{"Pull"}</button>
            </div>
            <ReportBox id="pull-result" report={props.report.clone()} refused={refused.shown()} />
            if let Some(messages) = props.report.as_ref().filter(|report| report.succeeded()).and_then(Report::pulled) {
                <MessageList
                    id="pulled-list"
                    messages={messages.iter().rev().cloned().collect::<Vec<_>>()}
                    empty={"No new messages for this subscriber."}
                />
            }
        </form>
    }
}
