//! A list of messages. Long messages are abbreviated, so that they do not hide the others.

use std::ops::Range;

use cubecast_core::content::Content;
use cubecast_core::names::Offset;
use cubecast_core::visible::visible;
use cubecast_core::wire::answer::Message;
use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::download::download;
use super::field::{on_text, setter};
use super::words::{message_words, words};
use crate::format::{date_and_time, grouped, millis, time_of_day};
use crate::model::sent::{Sent, Stage};
use crate::net::browser;

/// From this number of messages on, they can be searched.
const SEARCHED_FROM: usize = 5;
/// Limits of the text that is shown of a long message before it is opened.
const SHOWN_CHARS: usize = 400;
const SHOWN_LINES: usize = 8;
/// A long message is displayed in parts of this many bytes; each part is a single text node.
const PART_BYTES: usize = 16 * 1024;

/// Properties of [`MessageList`].
#[derive(Properties, PartialEq)]
pub struct MessageListProps {
    pub id: &'static str,
    pub messages: Vec<Message>,
    /// Shown when the list is empty.
    pub empty: String,
}

/// A list of messages.
#[component]
pub fn MessageList(props: &MessageListProps) -> Html {
    let query = use_state(String::new);
    if props.messages.is_empty() {
        return html! { <p class="empty" data-testid={format!("{}-empty", props.id)}>{props.empty.clone()}</p> };
    }
    let found: Vec<&Message> = props.messages.iter().filter(|message| contains(message, &query)).collect();
    html! {
        <>
            if props.messages.len() >= SEARCHED_FROM {
                <input
                    type="search"
                    class="search"
                    placeholder="Search these messages"
                    aria-label="Search these messages"
                    data-testid={format!("{}-search", props.id)}
                    value={(*query).clone()}
                    oninput={on_text(setter(&query))}
                />
            }
            if found.is_empty() {
                <p class="empty">{"None of these messages contains this text."}</p>
            }
            <ol class="messages" id={props.id} data-testid={props.id}>
                { for found.into_iter().map(|message| {
                    let at_ms = message.time.0 / 1_000;
                    let from = format!("{} · {}", message.publisher, time_of_day(at_ms));
                    row(message.offset.0, Some(message.offset), &message.content, &from, at_ms, None)
                }) }
            </ol>
        </>
    }
}

/// Whether a message's content, publisher or offset contains a text, in letters of any size.
fn contains(message: &Message, text: &str) -> bool {
    let text = text.trim().to_lowercase();
    text.is_empty()
        || message.content.as_str().to_lowercase().contains(&text)
        || message.publisher.as_str().to_lowercase().contains(&text)
        || message.offset.to_string() == text.trim_start_matches('#')
}

/// Properties of [`SentList`].
#[derive(Properties, PartialEq)]
pub struct SentListProps {
    /// Newest first.
    pub sent: Vec<Sent>,
}

/// Messages that this page sent, with what became of each.
#[component]
pub fn SentList(props: &SentListProps) -> Html {
    html! {
        <ol class="messages" data-testid="sent-list">
            { for props.sent.iter().map(|sent| {
                let (stage, said) = match sent.stage {
                    Stage::Sending => ("sending", "sending".to_owned()),
                    Stage::Stored { took_ms, .. } => ("stored", format!("stored after {}", millis(took_ms))),
                    Stage::Failed => ("failed", "not confirmed".to_owned()),
                };
                let from = format!("{} · {} · {said}", sent.publisher, time_of_day(sent.at_ms));
                row(sent.task, sent.offset(), &sent.content, &from, sent.at_ms, Some(stage))
            }) }
        </ol>
    }
}

/// A message. `stage`: how far it has come, if this page sent it.
fn row(
    key: u64,
    offset: Option<Offset>,
    content: &Content,
    from: &str,
    at_ms: u64,
    stage: Option<&'static str>,
) -> Html {
    let title = format!("{} UTC", date_and_time(at_ms));
    html! {
        <li {key} data-offset={offset.map(|offset| offset.to_string())} data-stage={stage}>
            <span class="offset">{offset.map_or_else(|| "…".to_owned(), |offset| format!("#{offset}"))}</span>
            <MessageText content={content.clone()} {offset} />
            <span class="from" title={title}>{words(from)}</span>
        </li>
    }
}

#[derive(Properties, PartialEq)]
struct MessageTextProps {
    content: Content,
    offset: Option<Offset>,
}

#[component]
fn MessageText(props: &MessageTextProps) -> Html {
    // The open part of a long message.
    let open = use_state(|| None::<usize>);
    let (copy, by_hand) = use_copy(&props.content, props.offset);
    let text = props.content.as_str();
    let beginning = beginning(text);
    if beginning.len() == text.len() {
        let formatted = (*open).and_then(|_| formatted_json(text));
        return html! {
            <>
            <span class="content">
                { match formatted {
                    Some(json) => html! { <pre class="message-part" data-testid="message-json">{visible_lines(&json)}</pre> },
                    None => message_words(text),
                } }
                if looks_like_json(text) {
                    <button
                        type="button"
                        class="link"
                        data-testid="message-format"
                        onclick={super::field::setter(&open).reform({
                            let is_open = open.is_some();
                            move |_: MouseEvent| if is_open { None } else { Some(0) }
                        })}
                    >
                        {if open.is_some() { "as sent" } else { "as JSON" }}
                    </button>
                }
                {by_hand}
            </span>
            {copy}
            </>
        };
    }
    let set_open = |part: Option<usize>| super::field::setter(&open).reform(move |_: MouseEvent| part);
    let on_save = {
        let name = format!("cubecast-message-{}.txt", props.offset.unwrap_or_default());
        let content = props.content.clone();
        // If the browser refuses the download, it informs the user itself.
        Callback::from(move |_: MouseEvent| drop(download(&name, "text/plain", content.as_str())))
    };
    html! {
        <div class="content is-long">
            { match *open {
                None => html! { <p>{message_words(beginning)}{"…"}</p> },
                Some(number) => part(text, number),
            } }
            <div class="message-tools">
                <span class="aside" data-testid="message-size">{size_words(text, beginning, *open)}</span>
                { match *open {
                    None => html! {
                        <button type="button" class="link" data-testid="message-open" onclick={set_open(Some(0))}>
                            {"Show all"}
                        </button>
                    },
                    Some(number) => html! {
                        <>
                            if number > 0 {
                                <button
                                    type="button"
                                    class="link"
                                    data-testid="message-back"
                                    onclick={set_open(Some(number - 1))}
                                >
                                    {"Previous part"}
                                </button>
                            }
                            if number + 1 < parts(text) {
                                <button
                                    type="button"
                                    class="link"
                                    data-testid="message-on"
                                    onclick={set_open(Some(number + 1))}
                                >
                                    {"Next part"}
                                </button>
                            }
                            <button type="button" class="link" data-testid="message-close" onclick={set_open(None)}>
                                {"Show less"}
                            </button>
                        </>
                    },
                } }
                {copy}
                <button type="button" class="link" data-testid="message-save" onclick={on_save}>{"Save"}</button>
            </div>
            {by_hand}
        </div>
    }
}

/// A button that copies a message to the clipboard; and, if the browser refuses, a field with the selected text.
/// Browsers refuse it to pages that were loaded over plain HTTP from another machine.
#[hook]
fn use_copy(content: &Content, offset: Option<Offset>) -> (Html, Html) {
    let copied = use_state(|| None::<bool>);
    let field = use_node_ref();
    use_effect_with(*copied, {
        let field = field.clone();
        move |copied| {
            if let (Some(false), Some(field)) = (copied, field.cast::<HtmlInputElement>()) {
                // If the browser refuses this, too, the text can be selected by hand.
                let _ = field.focus();
                field.select();
            }
        }
    });
    let onclick = {
        let (content, copied) = (content.clone(), copied.clone());
        Callback::from(move |_: MouseEvent| {
            let copied = copied.clone();
            browser::copy(content.as_str().to_owned(), move |done| copied.set(Some(done)));
        })
    };
    let label = offset.map(|offset| format!("Copy message {offset}"));
    let button = html! {
        <button type="button" class="link copy" data-testid="message-copy" aria-label={label} {onclick}>
            {if *copied == Some(true) { "Copied" } else { "Copy" }}
        </button>
    };
    let by_hand = (*copied == Some(false)).then(|| {
        html! {
            <>
                <p class="aside" role="status">{"The browser refused. The text is selected: press Ctrl+C."}</p>
                <textarea
                    ref={field}
                    data-testid="message-by-hand"
                    aria-label="The message"
                    rows="2"
                    readonly=true
                    value={content.as_str().to_owned()}
                />
            </>
        }
    });
    (button, by_hand.unwrap_or_default())
}

fn looks_like_json(text: &str) -> bool {
    let text = text.trim();
    text.len() > 2 && (text.starts_with('{') && text.ends_with('}') || text.starts_with('[') && text.ends_with(']'))
}

/// The text with line breaks and indentation; `None` if its brackets do not match. Nothing is converted, so numbers
/// keep all of their digits.
fn formatted_json(text: &str) -> Option<String> {
    let (mut formatted, mut open, mut is_text, mut is_escaped) = (String::new(), Vec::new(), false, false);
    let break_line = |formatted: &mut String, depth: usize| {
        formatted.push('\n');
        formatted.push_str(&"  ".repeat(depth));
    };
    for c in text.trim().chars() {
        if is_text {
            formatted.push(c);
            is_text = c != '"' || is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            continue;
        }
        match c {
            '{' | '[' => {
                formatted.push(c);
                open.push(if c == '{' { '}' } else { ']' });
                break_line(&mut formatted, open.len());
            }
            '}' | ']' => {
                if open.pop() != Some(c) {
                    return None;
                }
                break_line(&mut formatted, open.len());
                formatted.push(c);
            }
            ',' => {
                formatted.push(c);
                break_line(&mut formatted, open.len());
            }
            ':' => formatted.push_str(": "),
            c if c.is_whitespace() => {}
            c => {
                is_text = c == '"';
                formatted.push(c);
            }
        }
    }
    (open.is_empty() && !is_text).then_some(formatted)
}

fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// One part of a long message, in a scrolling box.
fn part(text: &str, number: usize) -> Html {
    let lines = visible_lines(&text[range(text, number)]);
    html! {
        <pre class="message-part" data-testid="message-part" tabindex="0" role="group" aria-label="The message">
            {lines}
        </pre>
    }
}

fn size_words(text: &str, beginning: &str, open: Option<usize>) -> String {
    let bytes = grouped(text.len() as u64);
    match open {
        None => format!("The first {} of {bytes} bytes.", grouped(beginning.len() as u64)),
        Some(number) => {
            let Range { start, end } = range(text, number);
            format!("Bytes {} to {} of {bytes}.", grouped(start as u64 + 1), grouped(end as u64))
        }
    }
}

fn parts(text: &str) -> usize {
    text.len().div_ceil(PART_BYTES)
}

fn range(text: &str, number: usize) -> Range<usize> {
    text.floor_char_boundary(number * PART_BYTES)..text.floor_char_boundary((number + 1) * PART_BYTES)
}

/// The text that is shown before a long message is opened.
fn beginning(text: &str) -> &str {
    let by_chars = text.char_indices().nth(SHOWN_CHARS).map_or(text.len(), |(at, _)| at);
    let by_lines = text[..by_chars].match_indices('\n').nth(SHOWN_LINES - 1).map_or(by_chars, |(at, _)| at);
    &text[..by_lines]
}

#[cfg(test)]
mod tests {
    use cubecast_core::time::Timestamp;

    use super::*;

    #[test]
    fn messages_are_found_by_content_publisher_and_offset() {
        let message = Message {
            offset: Offset(7),
            publisher: crate::testing::named("publisher1"),
            time: Timestamp(0),
            content: "Hello, Cube".into(),
        };
        for found in ["", " cube ", "HELLO", "7", "#7", message.publisher.as_str()] {
            assert!(contains(&message, found), "{found}");
        }
        assert!(!contains(&message, "square") && !contains(&message, "#8"));
    }

    #[test]
    fn only_json_is_formatted() {
        assert!(looks_like_json(" {\"a\": 1} ") && !looks_like_json("{}") && !looks_like_json("(a)"));
        let text = r#"{"a\"}": [12345678901234567890, "x, y"]}"#;
        let formatted = "{\n  \"a\\\"}\": [\n    12345678901234567890,\n    \"x, y\"\n  ]\n}";
        assert_eq!(formatted_json(text).as_deref(), Some(formatted));
        assert_eq!(formatted_json("{]"), None);
    }

    #[test]
    fn a_long_message_begins_with_a_few_lines_and_short_ones_are_whole() {
        assert_eq!(beginning("hello\ncube"), "hello\ncube");
        assert_eq!(beginning(&"é".repeat(1_000)).chars().count(), SHOWN_CHARS);
        assert_eq!(beginning(&"a\n".repeat(100)).lines().count(), SHOWN_LINES);
        assert_eq!(beginning(""), "");
    }

    #[test]
    fn the_parts_of_a_message_are_all_of_it() {
        let text = "x€".repeat(20_000);
        let joined: String = (0..parts(&text)).map(|number| &text[range(&text, number)]).collect();
        assert_eq!(joined, text);
        assert!((0..parts(&text)).all(|number| range(&text, number).len() <= PART_BYTES + 3));
    }
}
