//! The live page with untrusted names and contents, fast clicks, and more topics than fit.

use cubecast_tests::artifacts;
use cubecast_tests::browser::Browser;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::wait::say;
use serde_json::json;

use super::phone::fits_in;

const HIDDEN: &str = "invis\u{200b}ible";
/// The maximum length of a name.
const LONGEST: usize = 255;

#[tokio::test]
async fn a_double_click_does_what_one_click_does() {
    let (_cluster, browser) = live(Browser::start().await).await;
    browser.type_into("topic-input", "news").await;
    browser.double_click("create-topic-button").await;
    browser.wait_for_state("topic-result", "good").await;
    browser.wait_for_text("topic-result", "news is created").await;

    browser.click("tab-messages").await;
    browser.double_click("subscribe-button").await;
    browser.wait_for_state("subscribe-result", "good").await;
    browser.wait_for_text("unsubscribe-button", "Unsubscribe").await;

    browser.click("tab-messages").await;
    browser.type_into("content-input", "once").await;
    browser.double_click("publish-button").await;
    browser.wait_for_text("publish-result", "Stored as news #0").await;
    browser.type_into("content-input", "and another").await;
    browser.click("publish-button").await;
    browser.wait_for_text("publish-result", "Stored as news #1").await;

    browser.double_click("delete-topic-button").await;
    browser.wait_for_text("keep-topic-button", "Keep it").await;
    browser.double_click("delete-for-good-button").await;
    browser.wait_for_state("topic-result", "good").await;
    browser.wait_for_text("topic-result", "news is deleted").await;
    browser.close().await;
}

#[tokio::test]
async fn what_was_said_of_a_topic_goes_with_it_and_nothing_typed_is_nothing_sent() {
    let (_cluster, browser) = live(Browser::start().await).await;
    browser.click("publish-button").await;
    browser.wait_for_text("publish-result", "Choose a topic").await;
    browser.type_into("topic-input", "nope").await;
    browser.wait_for_state("publish-result", "empty").await;
    browser.click("publish-button").await;
    browser.wait_for_text("publish-result", "Type a message").await;
    browser.type_into("content-input", "to nobody").await;
    browser.click("publish-button").await;
    browser.wait_for_text("publish-result", "unknown_topic").await;
    browser.click("create-topic-button").await;
    browser.wait_for_state("topic-result", "good").await;
    browser.wait_for_state("publish-result", "empty").await;

    browser.type_into("topic-input", "not-there").await;
    browser.click("tab-messages").await;
    browser.click("subscribe-button").await;
    browser.wait_for_text("subscribe-result", "unknown_topic").await;
    let offered = "arguments[0](document.querySelectorAll('[data-testid=\"unsubscribe-button\"]').length)";
    assert_eq!(browser.evaluate(offered).await, 0, "there is nothing to unsubscribe from");
    browser.type_into("topic-input", "nope").await;
    browser.wait_for_state("subscribe-result", "empty").await;
    browser.close().await;
}

#[tokio::test]
async fn names_and_contents_of_strangers_fit_and_are_seen_for_what_they_are() {
    let (cluster, browser) = live(Browser::start().await).await;
    let longest = "n".repeat(LONGEST);
    let rtl = "חדשות-של-היום";
    let first = cluster.vertices().next().expect("a cube has vertices");
    let mut client = cluster.client(first).await;
    client.must(json!({"action": "create_publisher", "publisher_id": "publisher1"})).await;
    for topic in ["invisible", HIDDEN, rtl, &longest, &"é".repeat(LONGEST / 2)] {
        client.must(json!({"action": "create_topic", "publisher_id": "publisher1", "topic": topic})).await;
    }
    let large = "0123456789abcdef".repeat(1 << 15);
    for content in ["one\n#7 forged", "\u{1b}[31mred\u{7}", &large, "the last one"] {
        let publish = json!({"action": "publish", "publisher_id": "publisher1", "topic": longest, "content": content});
        client.must(publish).await;
    }
    browser.wait_for_text("topic-list", r"invis\u{200b}ible").await;
    for (scheme, browser) in [("light", browser), ("dark", Browser::start_dark().await)] {
        open(&cluster, &browser).await;
        show_all(&browser, &longest, 1_440).await;
        browser.click(&format!("topic-row-{rtl}")).await;
        browser.wait_for_text("placement", "Home").await;
        say(&format!("picture: {}", browser.save_picture(&format!("strangers-{scheme}")).await.display()));
        super::accessibility::check(&browser, scheme, "names of strangers").await;
        browser.close().await;
    }
    for width in [390, 320] {
        let browser = Browser::start_as_wide_as(width).await;
        open(&cluster, &browser).await;
        show_all(&browser, &longest, width.into()).await;
        browser.close().await;
    }
}

/// Opens each place that shows a name or a content, including a large message.
async fn show_all(browser: &Browser, topic: &str, width: u64) {
    browser.click(&format!("topic-row-{topic}")).await;
    browser.wait_for_text("placement", "messages").await;
    fits_in(browser, "topic-count", width).await;
    browser.click("tab-browse").await;
    browser.click("pull-open").await;
    browser.choose("commit-select", "no").await;
    browser.click("pull-button").await;
    browser.wait_for_text("pulled-list", "the last one").await;
    browser.wait_for_text("pulled-list", r"\u{1b}[31mred\u{7}").await;
    browser.click("message-open").await;
    browser.wait_for_text("message-size", "Bytes 1 to").await;
    fits_in(browser, "pulled-list", width).await;
    browser.click("tab-messages").await;
    browser.type_into("content-input", "hello").await;
    browser.click("publish-button").await;
    browser.wait_for_state("publish-result", "good").await;
    for tab in ["tab-messages", "tab-feed", "tab-xray", "tab-invariants", "tab-charts"] {
        browser.click(tab).await;
        fits_in(browser, tab, width).await;
    }
    browser.click("tab-spacetime").await;
    browser.click("trace-publish").await;
    browser.wait_for_state("story-title", "told").await;
    fits_in(browser, "tab-spacetime", width).await;
}

async fn live(browser: Browser) -> (ProcessCluster, Browser) {
    let cluster = ProcessCluster::start_as(Plan { web: Some(artifacts::dashboard()), ..Plan::default() }).await;
    open(&cluster, &browser).await;
    (cluster, browser)
}

async fn open(cluster: &ProcessCluster, browser: &Browser) {
    let first = cluster.vertices().next().expect("a cube has vertices");
    browser.open(&format!("http://{}/", cluster.address(first))).await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
}
