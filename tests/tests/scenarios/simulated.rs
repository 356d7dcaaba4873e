//! The simulated mode: only the dashboard's files on a static server, with a real browser.

use cubecast_sim::{Reduction, Scenario, trace};
use cubecast_tests::artifacts;
use cubecast_tests::browser::Browser;
use cubecast_tests::static_site::StaticSite;
use cubecast_tests::wait::say;

#[tokio::test]
async fn without_any_node_a_person_publishes_breaks_goes_back_and_shares_the_very_picture() {
    let site = StaticSite::serve(artifacts::dashboard()).await;
    let browser = Browser::start().await;
    browser.open(&site.url("/")).await;
    // The page opens in action.
    browser.click("mode-simulated").await;
    browser.wait_for_state("transport", "playing").await;
    browser.wait_for_text("exhibit-anything", "Anything goes").await;
    browser.click("exhibit-split-brain").await;
    browser.wait_for_text("cluster-summary", "cut in two").await;
    browser.open(&site.url("/simulated/index.html#simulated&d=3")).await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    browser.wait_for_state("transport", "playing").await;

    browser.type_into("topic-input", "news").await;
    browser.click("create-topic-button").await;
    browser.wait_for_state("topic-result", "good").await;
    browser.click("tab-messages").await;
    browser.click("subscribe-button").await;
    browser.wait_for_state("subscribe-result", "good").await;
    publish(&browser, "before").await;
    let before_ms: u64 = browser.attribute("clock", "data-ms").await.parse().expect("a number");
    browser.click("node-100").await;
    browser.choose("duration-select", "120000").await;
    browser.click("fail-button").await;
    browser.wait_for_state("node-100", "failed").await;
    publish(&browser, "and its home is down").await;
    browser.click("tab-messages").await;
    browser.wait_for_text("message-list", "and its home is down").await;

    browser.click("play").await;
    browser.wait_for_state("transport", "paused").await;
    let link = browser.address().await;
    let (drawing, _) = browser.portrait("cube").await;
    say(&format!("picture: {}", browser.save_picture("simulated").await.display()));

    // Back to a time at which the node was up: later events are gone, and happen again when time advances.
    browser.click("to-begin").await;
    browser.wait_for_state("transport", "paused").await;
    browser.wait_for_state("node-100", "up").await;
    browser.click("play").await;
    browser.wait_for_state("node-100", "failed").await;
    let failed_ms: u64 = browser.attribute("clock", "data-ms").await.parse().expect("a number");
    assert!(failed_ms >= before_ms, "what happened at {before_ms} ms is not seen at {failed_ms} ms");

    // Opens the link twice: the drawing is equal to the earlier one in every number, and both pictures are equal in
    // every pixel. (The first picture was taken on a scrolled page, which shifts pixels.)
    let mut opened = Vec::new();
    for _ in 0..2 {
        browser.open(&site.url("/index.html")).await;
        browser.wait_for_attribute("mode-live", "aria-current", "page").await;
        browser.open(&link).await;
        browser.wait_for_state("transport", "paused").await;
        let (again, seen) = browser.portrait("cube").await;
        assert_eq!(again, drawing);
        opened.push(seen);
    }
    assert!(opened[0] == opened[1], "the pictures differ: {} bytes and {}", opened[0].len(), opened[1].len());
    browser.close().await;
}

#[tokio::test]
async fn a_lesson_is_taken_and_a_trace_is_opened_where_there_is_no_node() {
    let site = StaticSite::serve(artifacts::dashboard()).await;
    let browser = Browser::start().await;
    browser.open(&site.url("/simulated/index.html#simulated&lesson=failover&topic=news")).await;
    browser.click("lesson-begin").await;
    browser.click("lesson-next").await;
    for step in ["2", "3"] {
        browser.wait_for_attribute("lesson", "data-step", step).await;
        browser.click("guess-1").await;
        browser.click("lesson-begin").await;
        if step == "2" {
            browser.click("lesson-next").await;
        }
    }
    browser.wait_for_text("lesson-done", "The lesson is complete").await;
    say(&format!("picture: {}", browser.save_picture("lesson").await.display()));

    let scenario = Scenario { name: "mine".into(), seconds: 5, dimensions: vec![2], ..Scenario::default() };
    let recorded = trace::record(&scenario, 5, &Reduction::default());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("run.json");
    std::fs::write(&file, serde_json::to_vec(&recorded).expect("a trace is JSON")).expect("a file is written");
    browser.hand_over("trace-file", &file).await;
    browser.wait_for_text("remark", "seed 5 of mine").await;
    browser.wait_for_text("cluster-summary", "of 4 nodes up").await;
    std::fs::write(&file, "{}").expect("a file is written");
    browser.hand_over("trace-file", &file).await;
    browser.wait_for_text("remarks", "cannot be shown").await;

    browser.open(&site.url("/#simulated&d=99")).await;
    browser.wait_for_text("remark", "a cube of dimension 99").await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    browser.close().await;
}

async fn publish(browser: &Browser, content: &str) {
    browser.click("tab-messages").await;
    browser.type_into("content-input", content).await;
    browser.click("publish-button").await;
    browser.wait_for_state("publish-result", "good").await;
}
