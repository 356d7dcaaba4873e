//! How an operator finds things on the live page, with real nodes and a real browser.

use std::time::{SystemTime, UNIX_EPOCH};

use cubecast_node::recording::collect;
use cubecast_tests::artifacts;
use cubecast_tests::browser::Browser;
use cubecast_tests::client::Client;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::wait::{eventually, say};
use serde_json::{Value, json};

#[tokio::test]
async fn things_are_found_by_typing_by_address_and_by_going_back_and_an_incident_is_saved() {
    let plan = Plan { web: Some(artifacts::dashboard()), record: true, ..Plan::default() };
    let cluster = ProcessCluster::start_as(plan).await;
    cluster.far_client("news").await.set_up("publisher1", "subscriber1", "news").await;
    let first = cluster.vertices().next().expect("a cube has vertices");
    let page = format!("http://{}/", cluster.address(first));
    let browser = Browser::start().await;
    browser.open(&page).await;
    browser.wait_for_text("topic-list", "news").await;

    // The palette finds a topic, and the address follows.
    browser.click("palette-open").await;
    browser.type_into("palette-input", "new").await;
    say(&format!("picture: {}", browser.save_picture("palette").await.display()));
    browser.click("palette-entry").await;
    browser.wait_for_text("placement", "100").await;
    browser.click("tab-break").await;
    browser.click("tab-charts").await;
    assert!(browser.address().await.ends_with("#topic=news&tab=break&view=charts"), "{}", browser.address().await);

    // Back returns to the earlier tabs, and the address restores everything.
    browser.evaluate("history.back(); arguments[0](null)").await;
    browser.wait_for_attribute("tab-feed", "aria-selected", "true").await;
    browser.wait_for_attribute("tab-break", "aria-selected", "true").await;
    browser.open("about:blank").await;
    browser.open(&format!("{page}#topic=news&tab=browse&view=xray&select=000-001")).await;
    browser.wait_for_attribute("tab-xray", "aria-selected", "true").await;
    browser.wait_for_attribute("tab-browse", "aria-selected", "true").await;
    browser.wait_for_text("placement", "100").await;

    // So does the layout, and a page without a place of its own shows the last one.
    browser.click("layout-grid").await;
    browser.wait_for_attribute("layout-grid", "aria-pressed", "true").await;
    assert!(browser.address().await.ends_with("&layout=grid"), "{}", browser.address().await);
    say(&format!("picture: {}", browser.save_picture("grid").await.display()));
    browser.open("about:blank").await;
    browser.open(&page).await;
    browser.wait_for_attribute("layout-grid", "aria-pressed", "true").await;
    browser.click("layout-cube").await;
    browser.wait_for_attribute("layout-cube", "aria-pressed", "true").await;
    browser.evaluate("history.back(); arguments[0](null)").await;
    browser.wait_for_attribute("layout-grid", "aria-pressed", "true").await;
    browser.type_into("topic-input", "news").await;

    // An action is shown as a command.
    browser.click("tab-messages").await;
    browser.type_into("content-input", r#"{"kind": "order", "number": 12345678901234567890}"#).await;
    browser.click("publish-button").await;
    browser.wait_for_state("publish-result", "good").await;
    let command =
        browser.evaluate("arguments[0](document.querySelector('[data-testid=as-command]').textContent)").await;
    assert!(command.as_str().is_some_and(|command| command.starts_with("cubecast pub news '{\"kind\"")), "{command}");

    // The link to the incident returns what all nodes recorded.
    let fetched = browser
        .evaluate(
            "const tell = arguments[0];
             const link = document.querySelector('[data-testid=save-incident]').href;
             fetch(link).then(answer => answer.arrayBuffer())
                 .then(buffer => tell(Array.from(new Uint8Array(buffer))))",
        )
        .await;
    let bytes: Vec<u8> = serde_json::from_value::<Vec<u8>>(fetched).expect("bytes");
    let incident = collect::decode(&bytes).expect("an incident");
    assert_eq!((incident.hosts.len(), incident.missing.len()), (8, 0));
    browser.close().await;
}

#[tokio::test]
async fn stored_messages_are_found_by_offset_and_by_time_and_the_busiest_topic_is_sorted_to_the_top() {
    let cluster = ProcessCluster::start_as(Plan { web: Some(artifacts::dashboard()), ..Plan::default() }).await;
    let mut client = cluster.far_client("news").await;
    client.set_up("publisher1", "subscriber1", "news").await;
    client.must(json!({"action": "create_topic", "publisher_id": "publisher1", "topic": "zeta"})).await;
    publish(&mut client, "news", 0..120).await;
    // The next messages have another second.
    let second = now_s();
    eventually("a second passes", || async { if now_s() > second { Ok(()) } else { Err("not yet".into()) } }).await;
    publish(&mut client, "news", 120..230).await;

    let first = cluster.vertices().next().expect("a cube has vertices");
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/#topic=news&tab=browse", cluster.address(first))).await;
    browser.wait_for_text("placement", "230 messages").await;
    go_to(&browser, "#120").await;
    browser.wait_for_text("stored-range", "#120 to #219 of 230").await;
    say(&format!("picture: {}", browser.save_picture("stored-messages").await.display()));
    browser.click("newer").await;
    browser.wait_for_text("stored-range", "#220 to #229 of 230").await;
    browser.click("older").await;
    browser.wait_for_text("stored-range", "#120 to #219 of 230").await;
    let time = browser
        .evaluate("arguments[0](document.querySelector('#pulled-list [data-offset=\"120\"] .from').title)")
        .await;
    let time = time.as_str().and_then(|time| time.split(' ').nth(1)).expect("a date, a time and UTC").to_owned();

    // The time of a message leads to the first message of that second, and times outside of the topic say so.
    go_to(&browser, "-10").await;
    browser.wait_for_text("stored-range", "#220 to #229 of 230").await;
    go_to(&browser, &time).await;
    browser.wait_for_text("stored-range", "#120 to #219 of 230").await;
    browser.wait_for_text("pull-result", "news #120 is the first message at or after").await;
    go_to(&browser, "2d ago").await;
    browser.wait_for_text("pull-result", "news begins after that: its first message is #0").await;
    go_to(&browser, "230").await;
    browser.wait_for_text("pull-result", "news ends before that: its last message is #229").await;
    browser.wait_for_text("stored-range", "#120 to #219 of 230").await;

    // A topic that stores messages while the page is open is the first by its rate.
    browser.click("topics-by-rate").await;
    browser.wait_for_attribute("topics-by-rate", "aria-sort", "descending").await;
    let client = tokio::sync::Mutex::new(client);
    eventually("the busiest topic is the first", || async {
        publish(&mut *client.lock().await, "zeta", 0..5).await;
        const FIRST: &str = "
            const row = document.querySelector('#topic-list [data-row=\"0\"]');
            arguments[0](row.dataset.testid + ' ' + row.querySelector('.col-rate').textContent)";
        let first = browser.evaluate(FIRST).await.as_str().expect("a text").to_owned();
        let is_moving = first.starts_with("topic-row-zeta ") && first.ends_with("/s") && !first.ends_with(" 0/s");
        if is_moving { Ok(()) } else { Err(first) }
    })
    .await;
    say(&format!("picture: {}", browser.save_picture("topics-by-rate").await.display()));
    browser.close().await;
}

async fn go_to(browser: &Browser, position: &str) {
    browser.type_into("goto-input", position).await;
    browser.click("goto-button").await;
}

/// Publishes messages one after the other, so that their numbers are their offsets in a new topic.
async fn publish(client: &mut Client, topic: &str, numbers: std::ops::Range<u64>) {
    let request = |number: u64| -> Value {
        let content = format!("message {number}");
        json!({"action": "publish", "publisher_id": "publisher1", "topic": topic, "content": content})
    };
    for answer in client.pipeline(numbers.map(request)).await.expect("they are answered") {
        assert_eq!(answer["ok"], true, "{answer}");
    }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs()
}
