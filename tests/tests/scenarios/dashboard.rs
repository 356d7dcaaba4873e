//! A complete session with the dashboard, with real nodes and a real browser.

use cubecast_tests::artifacts;
use cubecast_tests::browser::Browser;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::wait::say;

#[tokio::test]
async fn a_person_publishes_sees_a_node_fail_is_served_and_sees_it_recover() {
    let cluster = ProcessCluster::start_as(Plan { web: Some(artifacts::dashboard()), ..Plan::default() }).await;
    let first = cluster.vertices().next().expect("a cube has vertices");
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", cluster.address(first))).await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    for vertex in cluster.vertices() {
        browser.wait_for_state(&format!("node-{vertex}"), "up").await;
    }

    browser.type_into("topic-input", "news").await;
    browser.type_into("publisher-input", "publisher1").await;
    browser.click("create-topic-button").await;
    browser.wait_for_state("topic-result", "good").await;
    browser.wait_for_text("placement", "100").await;
    browser.wait_for_attribute("node-100", "data-leader", "true").await;

    subscribe(&browser).await;
    publish(&browser, "hello from a browser").await;
    browser.click("tab-messages").await;
    browser.wait_for_text("message-list", "hello from a browser").await;
    say(&format!("picture: {}", browser.save_picture("dashboard").await.display()));

    browser.click("node-100").await;
    browser.choose("duration-select", "120000").await;
    browser.click("fail-button").await;
    browser.wait_for_state("node-100", "failed").await;
    browser.wait_for_text("cluster-summary", "7 of 8 nodes up").await;
    say(&format!("picture: {}", browser.save_picture("dashboard-node-failed").await.display()));

    publish(&browser, "and its home is down").await;
    browser.click("tab-messages").await;
    browser.wait_for_text("message-list", "and its home is down").await;

    browser.click("tab-break").await;
    browser.click("recover-button").await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    browser.wait_for_state("node-100", "up").await;
    browser.wait_for_attribute("node-100", "data-leader", "true").await;
    publish(&browser, "and is up again").await;
    browser.click("tab-messages").await;
    browser.wait_for_text("message-list", "and is up again").await;
    browser.wait_for_text("received-count", "3 messages").await;
    browser.close().await;
}

#[tokio::test]
async fn a_page_that_is_opened_while_half_the_nodes_are_away_shows_and_serves_what_is_left() {
    let cluster = ProcessCluster::start_as(Plan { web: Some(artifacts::dashboard()), ..Plan::default() }).await;
    // One face of the cube goes down: each group whose home is on the other face keeps three of its four members.
    let (away, left): (Vec<_>, Vec<_>) = cluster.vertices().partition(|vertex| vertex.to_string().starts_with('1'));
    away.iter().for_each(|vertex| cluster.kill(*vertex));
    for vertex in &away {
        cluster.wait_until_seen(left[0], *vertex, "failed").await;
    }
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", cluster.address(left[0]))).await;
    browser.wait_for_text("cluster-summary", "4 of 8 nodes up").await;
    for vertex in cluster.vertices() {
        let state = if left.contains(&vertex) { "up" } else { "failed" };
        browser.wait_for_state(&format!("node-{vertex}"), state).await;
    }

    let topic = (0..).map(|number| format!("t{number}")).find(|name| left.contains(&cluster.home(name)));
    browser.type_into("topic-input", &topic.expect("some name is at home here")).await;
    browser.type_into("publisher-input", "publisher1").await;
    browser.click("create-topic-button").await;
    browser.wait_for_state("topic-result", "good").await;
    publish(&browser, "half a cube is left").await;
    say(&format!("picture: {}", browser.save_picture("dashboard-half-away").await.display()));

    away.iter().for_each(|vertex| cluster.start_node(*vertex));
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    browser.close().await;
}

#[tokio::test]
async fn a_lesson_is_taken_on_real_nodes_and_again() {
    let cluster = ProcessCluster::start_as(Plan { web: Some(artifacts::dashboard()), ..Plan::default() }).await;
    let first = cluster.vertices().next().expect("a cube has vertices");
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", cluster.address(first))).await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    browser.click("lessons").await;
    browser.click("lesson-failover").await;
    browser.click("lesson-begin").await;
    browser.click("lesson-next").await;
    browser.click("guess-1").await;
    browser.click("lesson-begin").await;
    browser.wait_for_state("node-100", "failed").await;
    browser.click("lesson-next").await;
    browser.wait_for_attribute("lesson", "data-step", "3").await;
    browser.click("guess-1").await;
    say(&format!("picture: {}", browser.save_picture("lesson-live").await.display()));
    browser.click("lesson-begin").await;
    browser.wait_for_text("lesson-done", "The lesson is complete").await;
    browser.wait_for_attribute("node-100", "data-leader", "true").await;

    browser.click("lesson-again").await;
    browser.wait_for_attribute("lesson", "data-step", "1").await;
    browser.wait_for_text("topic-result", "deleted").await;
    browser.click("lesson-begin").await;
    browser.click("lesson-next").await;
    browser.wait_for_attribute("lesson", "data-step", "2").await;
    browser.click("lesson-leave").await;
    browser.click("lessons").await;
    browser.wait_for_text("lessons-lack", "delete the existing one first").await;
    browser.close().await;
}

#[tokio::test]
async fn a_preset_breaks_several_things_at_once_and_a_key_undoes_it() {
    let cluster = ProcessCluster::start_as(Plan { web: Some(artifacts::dashboard()), ..Plan::default() }).await;
    let first = cluster.vertices().next().expect("a cube has vertices");
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", cluster.address(first))).await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    browser.type_into("topic-input", "news").await;
    browser.click("tab-break").await;

    browser.click("preset-isolate").await;
    browser.wait_for_text("broken-bar", "You broke 3 things").await;
    for peer in ["000", "101", "110"] {
        let (low, high) = if peer < "100" { (peer, "100") } else { ("100", peer) };
        browser.wait_for_state(&format!("edge-{low}-{high}"), "cut").await;
    }
    browser.wait_for_attribute("node-100", "data-leader", "false").await;
    say(&format!("picture: {}", browser.save_picture("dashboard-isolated").await.display()));
    browser.press('z').await;
    browser.wait_for_state("broken-bar", "whole").await;
    browser.wait_for_attribute("node-100", "data-leader", "true").await;

    browser.click("preset-slow").await;
    browser.wait_for_text("broken-bar", "You broke 1 thing").await;
    browser.click("preset-leader").await;
    browser.wait_for_state("node-100", "failed").await;
    browser.press('Z').await;
    browser.wait_for_state("broken-bar", "whole").await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    browser.close().await;
}

async fn subscribe(browser: &Browser) {
    browser.click("tab-messages").await;
    browser.click("subscribe-button").await;
    browser.wait_for_state("subscribe-result", "good").await;
}

async fn publish(browser: &Browser, content: &str) {
    browser.click("tab-messages").await;
    browser.type_into("content-input", content).await;
    browser.click("publish-button").await;
    browser.wait_for_state("publish-result", "good").await;
}

#[tokio::test]
async fn the_first_minute_shows_that_the_crash_of_a_leader_loses_nothing() {
    let cluster = ProcessCluster::start_as(Plan { web: Some(artifacts::dashboard()), ..Plan::default() }).await;
    let first = cluster.vertices().next().expect("a cube has vertices");
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", cluster.address(first))).await;
    browser.wait_for_text("first-minute", "8 real processes").await;
    browser.click("first-minute-start").await;
    browser.wait_for_text("message-list", "message 3").await;
    browser.click("first-minute-crash").await;
    browser.wait_for_text("first-minute", "took over in").await;
    browser.wait_for_text("first-minute", ". 0 of ").await;
    say(&format!("picture: {}", browser.save_picture("first-minute").await.display()));

    // The failover can be watched again, while the cluster keeps running.
    browser.click("replay").await;
    browser.click("replay-toggle").await;
    let crashed = browser.attribute("replay-controls", "data-before").await;
    let elected = browser.attribute("replay-controls", "data-leader").await;
    browser.wait_for_text("replay-step", &format!("{crashed} leads")).await;
    browser.wait_for_attribute(&format!("node-{crashed}"), "data-leader", "true").await;
    browser.click("replay-on").await;
    browser.wait_for_text("replay-step", &format!("{crashed} crashes")).await;
    browser.wait_for_state(&format!("node-{crashed}"), "failed").await;
    while !browser.text("replay-step").await.contains(&format!("{elected} has a majority of the votes")) {
        browser.click("replay-on").await;
    }
    browser.wait_for_attribute(&format!("node-{elected}"), "data-leader", "true").await;
    browser.click("replay-back").await;
    browser.wait_for_attribute(&format!("node-{elected}"), "data-leader", "false").await;
    say(&format!("picture: {}", browser.save_picture("replay").await.display()));
    browser.click("replay-close").await;
    browser.wait_for_text("replay-offer", &format!("{elected} took over from {crashed}")).await;
    browser.click("first-minute-stop").await;
    browser.close().await;
}
