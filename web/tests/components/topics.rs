//! Tests in a real browser of the table of topics and of the browser of stored messages.

use cubecast_core::names::Offset;
use cubecast_core::time::Timestamp;
use cubecast_core::wire::answer::Message;
use cubecast_core::wire::event::{Event, WatchEvent};
use cubecast_web::model::seek::Position;
use cubecast_web::model::shared::Shared;
use cubecast_web::model::stored::StoredPage;
use cubecast_web::model::{Act, Action, Moment, State, ViewAction};
use cubecast_web::ui::{Browse, BrowseProps, MessageList, MessageListProps, TopicCard, TopicCardProps};
use wasm_bindgen::JsCast;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::{Element, HtmlElement, HtmlInputElement};

use crate::harness::{Page, named, watching};

/// 2026-11-22 14:05:00 UTC.
const NOW_MS: u64 = 1_795_356_300_000;

#[wasm_bindgen_test]
async fn each_column_sorts_both_ways_and_says_so_and_the_choice_is_remembered() {
    let _forget = Forget;
    let page = Page::of::<TopicCard>(topic_card(busy())).await;
    assert_eq!(names(&page), ["busy", "large", "quiet"]);
    assert_eq!(sorts(&page), ["none", "ascending", "none", "none", "none"]);
    page.click("[data-testid=topics-by-rate] button").await;
    assert_eq!(sorts(&page), ["none", "none", "descending", "none", "none"]);
    assert_eq!(names(&page), ["busy", "large", "quiet"]);
    page.click("[data-testid=topics-by-rate] button").await;
    assert_eq!(sorts(&page)[2], "ascending");
    assert_eq!(names(&page), ["large", "quiet", "busy"]);
    page.click("[data-testid=topics-by-messages] button").await;
    assert_eq!(names(&page), ["large", "busy", "quiet"]);
    drop(page);
    let page = Page::of::<TopicCard>(topic_card(busy())).await;
    assert_eq!(sorts(&page), ["none", "none", "none", "descending", "none"]);
}

#[wasm_bindgen_test]
async fn a_rate_is_shown_only_while_the_page_hears_the_topic() {
    let page = Page::of::<TopicCard>(topic_card(busy())).await;
    let rate = |page: &Page<TopicCard>, topic| page.text(&format!("[data-testid=topic-row-{topic}] .col-rate"));
    assert_eq!((rate(&page, "busy").as_str(), rate(&page, "quiet").as_str()), ("1.0/s", "0/s"));
    assert!(page.get("[data-testid=topic-row-busy] .spark path").get_attribute("d").unwrap().contains('L'));
    drop(page);
    let page = Page::of::<TopicCard>(topic_card(unheard())).await;
    assert_eq!((rate(&page, "busy").as_str(), rate(&page, "quiet").as_str()), ("–", "–"));
    assert!(page.all(".topic .spark").is_empty());
}

#[wasm_bindgen_test]
async fn a_row_is_chosen_with_enter_and_the_keys_go_on_from_a_clicked_row() {
    let page = Page::of::<TopicCard>(topic_card(busy())).await;
    assert_eq!(page.all("#topic-list [tabindex='0']").len(), 1, "the tab key stops once in the rows");
    page.press(".topic[data-row='0']", "ArrowDown").await;
    assert_eq!(focused_row().as_deref(), Some("1"));
    page.press(".topic[data-row='1']", "Enter").await;
    page.click(".topic[data-row='0']").await;
    page.press(".topic[data-row='0']", "End").await;
    assert_eq!(focused_row().as_deref(), Some("2"));
    page.press(".topic[data-row='2']", " ").await;
    let chosen = |name: &str| ViewAction::ChooseTopic(name.into());
    assert_eq!(page.commands.views(), [chosen("large"), chosen("busy"), chosen("quiet")]);
}

#[wasm_bindgen_test]
async fn a_position_is_sent_as_typed_and_what_is_none_is_refused_with_examples() {
    let page = Page::of::<Browse>(browse(None)).await;
    page.type_into("#goto-input", "yesterday").await;
    page.submit("#goto-form").await;
    assert!(page.text("#pull-result").contains("10m ago"), "{}", page.text("#pull-result"));
    assert!(page.commands.acts().is_empty());
    page.type_into("#goto-input", "14:03").await;
    assert_eq!(page.text("#pull-result"), "");
    page.submit("#goto-form").await;
    let position = Position::Time(Timestamp((NOW_MS - 120_000) * 1_000));
    assert_eq!(page.commands.acts(), [Act::Seek { topic: "news".parse().unwrap(), position, max: 100 }]);
}

#[wasm_bindgen_test]
async fn a_page_of_stored_messages_says_which_they_are_and_leads_to_the_next_ones() {
    let page = Page::of::<Browse>(browse(Some(20..120))).await;
    assert_eq!(page.text("[data-testid=stored-range]"), "#20 to #119 of 4\u{202f}031");
    assert_eq!(page.get("#pulled-list li").get_attribute("data-offset").as_deref(), Some("20"), "in their order");
    page.click("[data-testid=older]").await;
    page.click("[data-testid=newer]").await;
    let seek =
        |offset, max| Act::Seek { topic: "news".parse().unwrap(), position: Position::Offset(Offset(offset)), max };
    assert_eq!(page.commands.acts(), [seek(0, 20), seek(120, 100)]);
    drop(page);
    let page = Page::of::<Browse>(browse(Some(0..50))).await;
    assert!(page.get("[data-testid=older]").has_attribute("disabled"));
    assert!(!page.get("[data-testid=newer]").has_attribute("disabled"));
}

#[wasm_bindgen_test]
async fn where_the_clipboard_is_refused_the_text_is_selected_to_be_copied_by_hand() {
    let large = "0123456789abcdef".repeat(1 << 16);
    let page = Page::of::<MessageList>(yew::props!(MessageListProps {
        id: "message-list",
        messages: vec![message(7, "short"), message(8, &large)],
        empty: "Nothing",
    }))
    .await;
    // A page that was loaded over plain HTTP has no clipboard.
    let clipboard = |script: &str| drop(web_sys::js_sys::eval(script).unwrap());
    clipboard("Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true })");
    for (offset, content) in [(7, "short"), (8, large.as_str())] {
        page.click(&format!("[data-offset='{offset}'] [data-testid=message-copy]")).await;
        let field: HtmlInputElement =
            page.get(&format!("[data-offset='{offset}'] [data-testid=message-by-hand]")).unchecked_into();
        assert_eq!(field.value(), content);
        let selected = (field.selection_start().unwrap(), field.selection_end().unwrap());
        assert_eq!(selected, (Some(0), Some(content.len() as u32)));
    }
    clipboard("delete navigator.clipboard");
}

/// Three topics, heard for some seconds: `busy` stores a message per second, `large` has most messages.
fn busy() -> State {
    let mut state = watching("");
    let cluster = state.cluster.clone();
    state.rates.change().listen(NOW_MS, &cluster);
    for (topic, offset) in [("busy", 0), ("large", 99), ("quiet", 0)] {
        state = state.after(Moment { now_ms: NOW_MS, actions: vec![stored(topic, offset)] });
    }
    for second in 1..=5 {
        state = state.after(Moment { now_ms: NOW_MS + second * 1_000, actions: vec![stored("busy", second)] });
    }
    state.after(Moment { now_ms: NOW_MS + 6_000, actions: Vec::new() })
}

/// The same, after the connections to two of the four replicas were lost.
fn unheard() -> State {
    let mut state = busy();
    let cluster = state.cluster.change();
    for node in ["100", "101"] {
        cluster.learn_socket(named(node), cubecast_web::model::cluster::Socket::Closed);
    }
    let cluster = state.cluster.clone();
    state.rates.change().listen(state.now_ms, &cluster);
    state
}

fn stored(topic: &str, offset: u64) -> Action {
    let event = Event::ReplicaStored { topic: topic.parse().unwrap(), group: named("100"), offset: Offset(offset) };
    Action::Event(WatchEvent { node: named("100"), time: Timestamp(1), at_us: 1, trace: None, event })
}

fn topic_card(state: State) -> TopicCardProps {
    yew::props!(TopicCardProps {
        topics: state.topics,
        cluster: state.cluster,
        rates: state.rates.history.clone(),
        inboxes: state.inboxes,
        topic: "",
        publisher: "writer",
        report: None,
    })
}

fn browse(offsets: Option<std::ops::Range<u64>>) -> BrowseProps {
    let stored = offsets.map(|offsets| StoredPage {
        topic: "news".parse().unwrap(),
        messages: offsets.map(|offset| message(offset, "hello")).collect(),
        end: 4_031,
    });
    yew::props!(BrowseProps {
        topic: "news",
        subscriber: "reader",
        stored: Shared::from(stored),
        now_ms: NOW_MS,
        report: None,
    })
}

fn message(offset: u64, content: &str) -> Message {
    Message {
        offset: Offset(offset),
        publisher: "writer".parse().unwrap(),
        content: content.into(),
        time: Timestamp(NOW_MS * 1_000),
    }
}

fn names(page: &Page<TopicCard>) -> Vec<String> {
    page.all(".topic .name").iter().map(|name| name.text_content().unwrap()).collect()
}

fn sorts(page: &Page<TopicCard>) -> Vec<String> {
    page.all("[role=columnheader]").iter().map(|header| header.get_attribute("aria-sort").unwrap()).collect()
}

fn focused_row() -> Option<String> {
    let focused: Option<Element> = web_sys::window().unwrap().document().unwrap().active_element();
    focused.filter(|row| row.has_type::<HtmlElement>()).and_then(|row| row.get_attribute("data-row"))
}

/// Forgets the remembered order, so that other tests see the usual one.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        cubecast_web::net::browser::remember("cubecast-topic-order", "");
    }
}
