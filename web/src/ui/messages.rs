//! Messages, newest first.

use cubecast_core::wire::answer::Message;
use yew::prelude::*;

use crate::model::describe::time_of_day;

#[derive(Properties, PartialEq)]
pub struct MessageListProps {
    pub id: &'static str,
    pub messages: Vec<Message>,
    /// What the list says when it is empty.
    pub empty: String,
}

#[component]
pub fn MessageList(props: &MessageListProps) -> Html {
    if props.messages.is_empty() {
        return html! { <p class="empty" data-testid={format!("{}-empty", props.id)}>{props.empty.clone()}</p> };
    }
    html! {
        <ol class="messages" id={props.id} data-testid={props.id}>
            { for props.messages.iter().map(|message| html! {
                <li key={message.offset.0} data-offset={message.offset.to_string()}>
                    <span class="offset">{format!("#{}", message.offset)}</span>
                    <span class="content">{message.content.as_str()}</span>
                    <span class="from">{format!("{} · {}", message.publisher, time_of_day(message.time.0 / 1_000))}</span>
                </li>
            }) }
        </ol>
    }
}
