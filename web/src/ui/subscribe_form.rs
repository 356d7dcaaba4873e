//! The form for subscribing, and the messages that were delivered or sent here.

use cubecast_core::names::{StartAt, SubscriberId, TopicName};
use yew::prelude::*;

use super::dispatch::use_dispatch;
use super::field::{ChoiceField, TextField, deliberate, setter, use_refused};
use super::messages::{MessageList, SentList};
use super::report::ReportBox;
use super::words::words;
use crate::format::plural;
use crate::model::inbox::{Inbox, Inboxes};
use crate::model::report::Report;
use crate::model::sent::{Sent, SentMessages};
use crate::model::shared::Shared;
use crate::model::{Act, ViewAction, tasks};

const STARTS: &[(&str, &str)] =
    &[("stopped", "where it stopped"), ("beginning", "the beginning"), ("latest", "new messages only")];

/// Sent messages that are shown.
const MOST_SENT: usize = 5;

/// Properties of [`SubscribeForm`].
#[derive(Properties, PartialEq)]
pub struct SubscribeFormProps {
    /// As typed.
    pub topic: String,
    pub subscriber: String,
    pub inboxes: Shared<Inboxes>,
    #[prop_or_default]
    pub sent: Shared<SentMessages>,
    pub report: Option<Report>,
}

/// The subscribe form.
#[component]
pub fn SubscribeForm(props: &SubscribeFormProps) -> Html {
    let dispatch = use_dispatch();
    let start = use_state(|| "stopped".to_owned());
    let refused = use_refused((props.topic.clone(), props.subscriber.clone()));
    let names = names(props);
    let inbox = names.as_ref().and_then(|(subscriber, topic)| props.inboxes.get(subscriber, topic));
    let is_live = inbox.is_some_and(Inbox::is_live);

    let onsubmit = {
        let (dispatch, refused, names) = (dispatch.clone(), refused.clone(), names.clone());
        let task = tasks::subscribe(&props.subscriber, &props.topic, from(&start));
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            if is_live {
                return;
            }
            if let (Some(task), Some((subscriber, topic))) = (refused.unless(task.clone()), names.clone()) {
                dispatch.send(Act::OpenInbox { subscriber, topic });
                dispatch.send(task);
            }
        })
    };
    let on_stop = {
        let dispatch = dispatch.clone();
        let task = tasks::unsubscribe(&props.subscriber, &props.topic);
        deliberate(Callback::from(move |()| {
            if let (Ok(task), Some((subscriber, topic))) = (task.clone(), names.clone()) {
                dispatch.send(Act::StopDeliveries { subscriber: subscriber.clone(), topic: topic.clone() });
                dispatch.send(Act::CloseInbox { subscriber, topic });
                dispatch.send(task);
            }
        }))
    };
    html! {
        <form id="subscribe-form" data-testid="subscribe-form" {onsubmit}>
            <div class="row">
                <TextField
                    id="subscriber-input"
                    label="Subscriber"
                    value={props.subscriber.clone()}
                    set={dispatch.on(ViewAction::NameSubscriber)}
                />
                <ChoiceField
                    id="start-select"
                    label="Starting from"
                    value={(*start).clone()}
                    options={STARTS}
                    set={setter(&start)}
                />
            </div>
            <div class="actions">
                // The button keeps its position, so that a second click cannot end the new subscription.
                <button
                    type="submit"
                    class="primary"
                    id="subscribe-button"
                    data-testid="subscribe-button"
                    disabled={is_live}
                >
                    {"Subscribe"}
                </button>
                if is_live {
                    <button type="button" class="quiet" data-testid="unsubscribe-button" onclick={on_stop}>
                        {"Unsubscribe"}
                    </button>
                }
            </div>
            <ReportBox id="subscribe-result" report={props.report.clone()} refused={refused.shown()} />
            { sent_elsewhere(props, inbox) }
            if let Some(inbox) = inbox.filter(|inbox| inbox.is_worth_showing()) {
                <h3>
                    {"Delivered"}
                    <span class="count" data-testid="received-count">{plural(inbox.received, "message")}</span>
                </h3>
                if inbox.received > inbox.messages.len() as u64 {
                    <p class="aside">{format!("The newest {} are shown.", inbox.messages.len())}</p>
                }
                if let Some(why) = &inbox.ended {
                    <p class="warning" role="status" data-testid="subscription-ended">
                        {words(&format!("The subscription has ended: {why}. Subscribe to begin again."))}
                    </p>
                }
                <MessageList
                    id="message-list"
                    messages={inbox.messages.iter().cloned().collect::<Vec<_>>()}
                    empty={"No messages yet. Publish one: it appears here automatically."}
                />
            }
        </form>
    }
}

/// The messages that this page sent and that were not delivered here.
fn sent_elsewhere(props: &SubscribeFormProps, inbox: Option<&Inbox>) -> Html {
    let Ok(topic) = TopicName::new(props.topic.trim()) else { return Html::default() };
    let delivered = |sent: &&Sent| {
        let offset = sent.offset();
        offset.is_some()
            && inbox.is_some_and(|inbox| inbox.messages.iter().any(|message| Some(message.offset) == offset))
    };
    let sent: Vec<Sent> = props.sent.of(&topic).filter(|sent| !delivered(sent)).take(MOST_SENT).cloned().collect();
    if sent.is_empty() {
        return Html::default();
    }
    html! { <><h3>{"Sent from here"}</h3><SentList {sent} /></> }
}

fn names(props: &SubscribeFormProps) -> Option<(SubscriberId, TopicName)> {
    Some((SubscriberId::new(props.subscriber.trim()).ok()?, TopicName::new(props.topic.trim()).ok()?))
}

fn from(value: &str) -> Option<StartAt> {
    match value {
        "beginning" => Some(StartAt::Beginning),
        "latest" => Some(StartAt::Latest),
        _ => None,
    }
}
