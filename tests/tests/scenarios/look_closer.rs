//! "Look closer" with real nodes: a message on each of its replicas, the invariant checks, and the story of a request.

use cubecast_tests::artifacts;
use cubecast_tests::browser::Browser;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::wait::say;

const HOLDERS: [&str; 4] = ["100", "101", "110", "000"];

#[tokio::test]
async fn a_person_sees_which_replica_has_what_that_promises_are_checked_and_how_a_request_went() {
    let cluster = ProcessCluster::start_as(Plan { web: Some(artifacts::dashboard()), ..Plan::default() }).await;
    let first = cluster.vertices().next().expect("a cube has vertices");
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", cluster.address(first))).await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    browser.type_into("topic-input", "news").await;
    browser.type_into("publisher-input", "publisher1").await;
    browser.click("create-topic-button").await;
    browser.wait_for_state("topic-result", "good").await;

    x_ray(&browser).await;
    invariants(&browser).await;
    space_time(&browser).await;
    charts(&browser).await;
    browser.close().await;
}

/// Three messages are on all replicas. While one replica is down it misses the fourth message, until it is back.
async fn x_ray(browser: &Browser) {
    browser.click("tab-xray").await;
    for content in ["one", "two", "three"] {
        publish(browser, content).await;
    }
    for replica in HOLDERS {
        browser.wait_for_attribute(&format!("xray-{replica}"), "data-readable", "3").await;
    }
    browser.click("node-101").await;
    browser.choose("duration-select", "120000").await;
    browser.click("fail-button").await;
    browser.wait_for_state("xray-101", "failed").await;
    publish(browser, "four").await;
    browser.wait_for_attribute("xray-101", "data-lag", "1").await;
    browser.wait_for_text("xray-summary", "101 lacks 1 message").await;
    say(&format!("picture: {}", browser.save_picture("dashboard-x-ray").await.display()));
    browser.click("tab-break").await;
    browser.click("recover-button").await;
    browser.wait_for_attribute("xray-101", "data-lag", "0").await;
    browser.wait_for_text("xray-summary", "All 4 replicas have all committed messages").await;
}

/// Each rule has checked something and none is broken, including the content of replicas once it is read.
async fn invariants(browser: &Browser) {
    browser.click("tab-invariants").await;
    browser.wait_for_state("invariants", "good").await;
    for rule in ["rule-leaders", "rule-acknowledged", "rule-offsets"] {
        browser.wait_for_state(rule, "good").await;
    }
    browser.click("compare-replicas").await;
    browser.wait_for_state("rule-prefixes", "good").await;
    browser.wait_for_state("invariants", "good").await;
    say(&format!("picture: {}", browser.save_picture("dashboard-invariants").await.display()));
}

async fn space_time(browser: &Browser) {
    browser.click("tab-spacetime").await;
    browser.click("trace-publish").await;
    browser.wait_for_text("story-title", "Publish news #4, sent to 100: answered after").await;
    browser.wait_for_state("story-title", "told").await;
    browser.click("spacetime-list").await;
    for words in ["sends log entries to 101", "sends acknowledgement to 100", "as committed", "makes news #4 readable"]
    {
        browser.wait_for_text("spacetime-table", words).await;
    }
    say(&format!("picture: {}", browser.save_picture("dashboard-space-time").await.display()));
}

/// Under load the figures of each second and the lag of this page's subscription appear; after it, nothing is sent. The
/// mark of a fault leads to the second in which the node crashed, for all charts.
async fn charts(browser: &Browser) {
    browser.click("tab-messages").await;
    browser.click("subscribe-button").await;
    browser.wait_for_state("subscribe-result", "good").await;
    browser.click("tab-charts").await;
    browser.click("load-button").await;
    browser.wait_for_state("load", "running").await;
    browser.wait_for_text("chart-latency", "p99").await;
    browser.wait_for_text("charts", "seconds good").await;
    browser.wait_for_text("chart-lag", "reader1").await;
    browser.click("load-button").await;
    browser.wait_for_state("load", "still").await;
    browser.wait_for_text("load-report", "acknowledged").await;
    browser.click("period-600").await;
    browser.evaluate("document.querySelector('.fault-mark').focus(); arguments[0](null)").await;
    browser.wait_for_text("charts-readout", "101 crashes").await;
    say(&format!("picture: {}", browser.save_picture("dashboard-charts").await.display()));
    const ESCAPE: &str = "document.querySelector('[data-testid=chart-latency] .timed')
        .dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true })); arguments[0](null)";
    browser.evaluate(ESCAPE).await;
    browser.wait_for_text("charts-readout", "Point at a chart").await;
}

async fn publish(browser: &Browser, content: &str) {
    browser.click("tab-messages").await;
    browser.type_into("content-input", content).await;
    browser.click("publish-button").await;
    browser.wait_for_state("publish-result", "good").await;
    browser.wait_for_text("publish-result", "Stored as").await;
}
