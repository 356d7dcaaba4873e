//! Tests in a real browser of untrusted names and contents, and of large numbers of them.

use cubecast_core::names::{Offset, TopicName};
use cubecast_core::time::Timestamp;
use cubecast_core::wire::answer::Message;
use cubecast_core::wire::event::{Event, WatchEvent};
use cubecast_web::model::feed::{Fact, Feed};
use cubecast_web::model::shared::Shared;
use cubecast_web::model::topics::TopicBook;
use cubecast_web::model::{Action, Moment, State, ViewAction};
use cubecast_web::ui::{
    Dispatch, FeedList, FeedListProps, MessageList, MessageListProps, Page as Whole, PageProps, TopicCard,
    TopicCardProps,
};
use wasm_bindgen::JsCast;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::{Element, HtmlElement};

use crate::harness::{Commands, Page, named, watching};

const STYLE: &str = concat!(
    include_str!("../../style.css"),
    include_str!("../../styles/closer.css"),
    include_str!("../../styles/break.css"),
    include_str!("../../styles/lessons.css"),
    include_str!("../../styles/simulated.css"),
);

#[wasm_bindgen_test]
async fn two_names_that_differ_in_what_cannot_be_seen_look_different() {
    let page = Page::of::<TopicCard>(topic_card(state_with(["invisible", "invis\u{200b}ible"]))).await;
    let names: Vec<_> = page.all(".topic .name").iter().map(text).collect();
    assert_eq!(names, ["invisible", r"invis\u{200b}ible"]);
    assert_eq!(page.all(".topic .escaped").iter().map(text).collect::<Vec<_>>(), [r"\u{200b}"]);
    page.click(".topic[data-row='1']").await;
    let choose = ViewAction::ChooseTopic("invis\u{200b}ible".into());
    assert_eq!(page.commands.views(), [choose], "the name itself");
}

#[wasm_bindgen_test]
async fn a_field_says_what_of_its_text_cannot_be_seen() {
    let page = Page::of::<TopicCard>(topic_card(with_topic("invis\u{200b}ible"))).await;
    assert!(page.text(".field").contains(r"invisible characters: invis\u{200b}ible"), "{}", page.text(".field"));
}

#[wasm_bindgen_test]
async fn a_long_name_does_not_push_the_sentence_away_and_its_title_has_all_of_it() {
    let name = format!("{}z", "n".repeat(254));
    let mut feed = Feed::default();
    feed.add(0, Fact::TopicDeleted { topic: name.parse().unwrap() });
    let page = Page::of::<FeedList>(yew::props!(FeedListProps { feed: Shared::from(feed) })).await;
    let line = page.text("#event-feed li");
    assert!(line.len() < 100 && line.contains("nz is deleted"), "{line}");
    assert_eq!(page.get("#event-feed [title]").get_attribute("title").as_deref(), Some(name.as_str()));
}

/// The words around a name with another direction keep their order.
#[wasm_bindgen_test]
async fn a_name_does_not_reorder_the_words_around_it() {
    let mut feed = Feed::default();
    for name in ["חדשות", "a\u{202e}b", "news"] {
        let topic: TopicName = name.parse().unwrap();
        feed.add(0, Fact::OutboxStored { node: named("100"), topic });
    }
    let page = Page::of::<FeedList>(yew::props!(FeedListProps { feed: Shared::from(feed) })).await;
    let lines = page.all("#event-feed li");
    assert!(text(&lines[1]).contains(r"a message to a\u{202e}b in its outbox"), "{}", text(&lines[1]));
    let bdi = lines[2].query_selector("bdi").unwrap().expect("it stands apart");
    assert_eq!(text(&bdi), "חדשות");
    let style = web_sys::window().unwrap().get_computed_style(&bdi).unwrap().unwrap();
    assert_eq!(style.get_property_value("unicode-bidi").unwrap(), "isolate");
    assert!(lines[0].query_selector("bdi").unwrap().is_none(), "plain names need nothing");
}

#[wasm_bindgen_test]
async fn a_content_of_two_lines_is_not_taken_for_two_and_its_escapes_are_seen() {
    let page = messages(["one\n#7 forged", "\u{1b}[31mred\u{7}", "<b>bold</b>"]).await;
    let texts: Vec<_> = page.all(".content").iter().map(text).collect();
    assert_eq!(texts[2], "one\\n\n#7 forged");
    assert_eq!(texts[1], r"\u{1b}[31mred\u{7}");
    assert_eq!(texts[0], "<b>bold</b>");
    assert_eq!((page.all("li").len(), page.all("b").len()), (3, 0));
}

#[wasm_bindgen_test]
async fn a_message_of_a_mebibyte_hides_no_other_and_all_of_it_can_be_seen() {
    let large = "0123456789abcdef".repeat(1 << 16);
    let page = messages(["before", &large, "after"]).await;
    let _style = Style::apply();
    assert!(text(&page.root).len() < 2_000, "{} bytes on the page", text(&page.root).len());
    let rows = page.all("li");
    assert!(rows[1].client_height() < 300, "{} pixels high", rows[1].client_height());
    assert!(page.text("[data-testid=message-size]").contains("The first 400 of 1\u{202f}048\u{202f}576 bytes"));
    page.click("[data-testid=message-open]").await;
    assert_eq!(page.text("[data-testid=message-part]"), large[..16_384]);
    page.click("[data-testid=message-on]").await;
    assert!(page.text("[data-testid=message-size]").contains("Bytes 16\u{202f}385 to 32\u{202f}768 of"));
    assert!(page.all("*").len() < 60, "{} elements", page.all("*").len());
    page.click("[data-testid=message-close]").await;
    assert!(page.all("[data-testid=message-part]").is_empty());
}

#[wasm_bindgen_test]
async fn of_many_topics_the_page_says_how_many_are_shown_and_finds_the_others() {
    let names: Vec<String> = (0..214).map(|number| format!("topic-{number:03}")).collect();
    let _style = Style::apply();
    let page = Page::of::<TopicCard>(topic_card(state_with(names.iter().map(String::as_str)))).await;
    assert_eq!(page.text("[data-testid=topic-count]"), "1 to 6 of 214 topics");
    page.type_into("[data-testid=topic-filter]", "-21").await;
    assert_eq!(page.text("[data-testid=topic-count]"), "4 of 214 topics");
    assert_eq!(
        page.all(".topic .name").iter().map(text).collect::<Vec<_>>(),
        ["topic-210", "topic-211", "topic-212", "topic-213"]
    );
}

#[wasm_bindgen_test]
async fn the_arrow_keys_go_through_a_list_of_which_few_rows_are_on_the_page() {
    let names: Vec<String> = (0..214).map(|number| format!("topic-{number:03}")).collect();
    let _style = Style::apply();
    let page = Page::of::<TopicCard>(topic_card(state_with(names.iter().map(String::as_str)))).await;
    assert_eq!(page.all(".topic[tabindex='0']").len(), 1, "the tab key stops once");
    let focused = || {
        web_sys::window()
            .unwrap()
            .document()
            .unwrap()
            .active_element()
            .and_then(|row| row.query_selector(".name").unwrap())
            .map(|name| text(&name))
    };
    page.press("#topic-list .topic", "End").await;
    assert_eq!(focused().as_deref(), Some("topic-213"));
    page.press("#topic-list .topic[tabindex='0']", "ArrowUp").await;
    assert_eq!(focused().as_deref(), Some("topic-212"));
    assert_eq!(page.text("[data-testid=topic-count]"), "209 to 214 of 214 topics");
}

/// Compares the number of elements, and the time to process a message, of a page with many topics with those of a page
/// with few.
#[wasm_bindgen_test]
async fn a_page_of_five_thousand_topics_is_as_small_and_nearly_as_quick_as_one_of_fifty() {
    let (few_elements, few_ms) = moments_of(50).await;
    let (many_elements, many_ms) = moments_of(5_000).await;
    let told = format!("{few_elements} elements and {few_ms:.1} ms, {many_elements} elements and {many_ms:.1} ms");
    wasm_bindgen_test::console_log!("50 and 5,000 topics: {told}");
    assert!(many_elements <= few_elements + 40, "{told}");
    assert!(many_ms < 6.0 * few_ms.max(1.0), "{told}");
}

/// The number of elements on the whole page, and the milliseconds to process a message and a typed letter.
async fn moments_of(count: usize) -> (usize, f64) {
    const MOMENTS: u32 = 30;
    let names: Vec<String> = (0..count).map(|number| format!("topic-{number:04}")).collect();
    let mut state = state_with(names.iter().map(String::as_str));
    let dispatch = Commands::default().dispatch();
    let mut page = Page::of::<Whole>(whole(state.clone(), &dispatch)).await;
    let clock = web_sys::window().unwrap().performance().unwrap();
    let began = clock.now();
    for number in 0..MOMENTS {
        let topic: TopicName = names[number as usize].parse().unwrap();
        let event = Event::ReplicaStored { topic, group: named("100"), offset: Offset(u64::from(number)) };
        let told = WatchEvent { node: named("100"), time: Timestamp(1), at_us: 1, trace: None, event };
        let typed = format!("topic-{number}");
        let actions = vec![Action::Event(told), Action::View(ViewAction::ChooseTopic(typed))];
        state = state.after(Moment { now_ms: 1_000 + u64::from(number), actions });
        page.update(whole(state.clone(), &dispatch)).await;
    }
    let took_ms = (clock.now() - began) / f64::from(MOMENTS);
    (page.all("*").len(), took_ms)
}

/// Checks all places that show a name, at the width of a phone and of a large screen.
#[wasm_bindgen_test]
async fn the_longest_name_fits_everywhere() {
    let name = "n".repeat(255);
    let _style = Style::apply();
    for width in [292, 362, 1_376] {
        let mut state = with_topic(&name);
        let owner = "o".repeat(255);
        state.topics.change().topics.values_mut().for_each(|info| info.owner = Some(owner.parse().unwrap()));
        let event = Event::ReplicaStored { topic: name.parse().unwrap(), group: named("100"), offset: Offset(0) };
        let told = WatchEvent { node: named("100"), time: Timestamp(1), at_us: 1, trace: None, event };
        let state = state.after(Moment { now_ms: 1_000, actions: vec![Action::Event(told)] });
        let page = Page::of::<Whole>(whole(state, &Commands::default().dispatch())).await;
        let root: &HtmlElement = page.root.unchecked_ref();
        root.style().set_property("width", &format!("{width}px")).unwrap();
        page.root
            .query_selector(".workspace")
            .unwrap()
            .unwrap()
            .set_attribute("style", "display: block; padding: 0")
            .unwrap();
        for tab in ["tab-messages", "tab-feed"] {
            page.click(&format!("#{tab}")).await;
            let wide: Vec<_> = page.all("*").into_iter().filter(|element| sticks_out(element, &page.root)).collect();
            let told: Vec<_> =
                wide.iter().map(|element| element.outer_html().chars().take(120).collect::<String>()).collect();
            assert!(wide.is_empty(), "{width} px, {tab}: {told:#?}");
        }
    }
}

/// Whether the element extends past the right edge, outside of containers that scroll or clip.
fn sticks_out(element: &Element, root: &Element) -> bool {
    let edge = root.get_bounding_client_rect().right() + 1.0;
    let box_of = element.get_bounding_client_rect();
    let window = web_sys::window().unwrap();
    let mut around = element.parent_element();
    while let Some(parent) = around {
        let overflow = window.get_computed_style(&parent).unwrap().unwrap().get_property_value("overflow-x").unwrap();
        if overflow != "visible" || parent.tag_name() == "svg" {
            return false;
        }
        around = parent.parent_element().filter(|parent| parent != root);
    }
    box_of.width() > 0.0 && box_of.right() > edge
}

/// The page's style sheet; removed when dropped.
struct Style(Element);

impl Style {
    fn apply() -> Style {
        let document = web_sys::window().unwrap().document().unwrap();
        let style = document.create_element("style").unwrap();
        style.set_text_content(Some(STYLE));
        document.head().unwrap().append_child(&style).unwrap();
        Style(style)
    }
}

impl Drop for Style {
    fn drop(&mut self) {
        self.0.remove();
    }
}

async fn messages<'a>(contents: impl IntoIterator<Item = &'a str>) -> Page<MessageList> {
    let messages = contents.into_iter().enumerate().map(|(offset, content)| Message {
        offset: Offset(offset as u64),
        publisher: "writer".parse().unwrap(),
        content: content.into(),
        time: Timestamp(0),
    });
    let messages: Vec<_> = messages.collect::<Vec<_>>().into_iter().rev().collect();
    Page::of::<MessageList>(yew::props!(MessageListProps { id: "message-list", messages, empty: "Nothing" })).await
}

fn state_with<'a>(names: impl IntoIterator<Item = &'a str>) -> State {
    let mut topics = TopicBook::default();
    for name in names {
        topics.learn_created(&name.parse().unwrap(), named("100"));
    }
    State { topics: Shared::from(topics), ..watching("") }
}

fn with_topic(name: &str) -> State {
    State { topic_text: name.into(), ..state_with([name]) }
}

fn topic_card(state: State) -> TopicCardProps {
    yew::props!(TopicCardProps {
        topics: state.topics,
        cluster: state.cluster,
        topic: state.topic_text,
        publisher: "writer",
        report: None,
    })
}

fn whole(state: State, dispatch: &Dispatch) -> PageProps {
    yew::props!(PageProps { state, dispatch: dispatch.clone() })
}

fn text(element: &Element) -> String {
    element.text_content().unwrap_or_default()
}
