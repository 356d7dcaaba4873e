//! The dashboard shows only known facts: with a partitioned cube, a topic without a majority, a proxy that reaches
//! only one node, and a node that refuses the page.

use cubecast_tests::artifacts;
use cubecast_tests::browser::Browser;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::proxy::{PREFIX, Proxy};
use cubecast_tests::wait::say;

/// A name that the browser resolves to the proxy, whatever the port.
const ELSEWHERE: &str = "cube.test";

#[tokio::test]
async fn after_a_reload_the_x_ray_of_a_cube_cut_in_two_counts_what_a_replica_has_and_the_head_names_both_sides() {
    let (cluster, browser) = watched_cluster(Plan::default()).await;
    publish(&browser, "one").await;
    publish(&browser, "two").await;
    browser.click("tab-break").await;
    browser.click("preset-split").await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up · cut in two").await;
    browser.wait_for_text("cluster-cut", "000, 001, 010, 011 and 100, 101, 110, 111").await;
    browser.wait_for_text("placement", "100 leads").await;
    publish(&browser, "three").await;

    open(&browser, &cluster).await;
    browser.wait_for_text("cluster-summary", "cut in two").await;
    browser.type_into("topic-input", "news").await;
    browser.click("tab-xray").await;
    browser.wait_for_attribute("xray-000", "data-readable", "2").await;
    browser.wait_for_attribute("xray-000", "data-lag", "1").await;
    browser.wait_for_text("xray-summary", "000 lacks 1 message.").await;
    browser.bring_into_view("xray").await;
    say(&format!("picture: {}", browser.save_picture("truth-xray-split").await.display()));
    browser.press('Z').await;
    browser.wait_for_attribute("xray-000", "data-lag", "0").await;
    browser.close().await;
}

#[tokio::test]
async fn with_two_of_four_replicas_down_the_page_says_so_at_once_and_what_heals_it() {
    let (cluster, browser) = watched_cluster(Plan::default()).await;
    browser.click("tab-messages").await;
    browser.click("subscribe-button").await;
    browser.wait_for_state("subscribe-result", "good").await;
    publish(&browser, "before").await;
    let down: Vec<_> = cluster.replicas("news").into_iter().skip(1).take(2).collect();
    down.iter().for_each(|vertex| cluster.kill(*vertex));

    browser.wait_for_text("obstacle", "news cannot be written: 2 of 4 replicas up, 3 needed.").await;
    browser.wait_for_text("obstacle", "Bring back 1 of 101, 110, or wait for it.").await;
    browser.wait_for_text("obstacle", "Reads with “any” still work at 100, 000.").await;
    browser.wait_for_text("placement", "No leader possible").await;
    browser.wait_for_text("topic-row-news", "cannot be written").await;
    browser.wait_for_attribute("node-100", "data-leader", "false").await;
    browser.wait_for_text("cluster-summary", "groups cannot be written").await;

    browser.click("tab-messages").await;
    browser.type_into("content-input", "meanwhile").await;
    browser.click("publish-button").await;
    browser.wait_for_text("publish-result", "Not sent: news cannot be written").await;
    say(&format!("picture: {}", browser.save_picture("truth-no-quorum").await.display()));

    browser.click("tab-browse").await;
    browser.click("pull-open").await;
    browser.type_into("pull-subscriber-input", "reader1").await;
    browser.choose("read-select", "any").await;
    browser.choose("commit-select", "no").await;
    browser.click("pull-button").await;
    browser.wait_for_state("pull-result", "good").await;

    browser.click("tab-messages").await;
    browser.type_into("content-input", "meanwhile").await;
    browser.click("publish-button").await;
    browser.click("publish-result-insist").await;
    browser.wait_for_text("publish-result", "The request is retried for up to 10 s").await;
    cluster.start_node(down[0]);
    browser.wait_for_text("placement", " leads").await;
    publish(&browser, "afterwards").await;
    browser.close().await;
}

#[tokio::test]
async fn through_a_proxy_that_lets_one_node_through_below_a_prefix_everything_works_and_both_facts_are_said() {
    let origin = format!("http://{ELSEWHERE}");
    let cluster = start(Plan { allow_origin: vec![origin.clone()], ..Plan::default() }).await;
    let proxy = Proxy::to(cluster.address("011".parse().expect("a vertex"))).await;
    let browser = Browser::start_behind(ELSEWHERE, proxy.port).await;
    browser.open(&format!("{origin}{PREFIX}/")).await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    browser.wait_for_text("cluster-reach", "This page is connected to only 011").await;
    create_topic(&browser).await;
    browser.wait_for_text("placement", "100 leads, term").await;
    browser.click("tab-messages").await;
    browser.click("subscribe-button").await;
    browser.wait_for_text("subscribe-result", "Subscribed to news").await;
    publish(&browser, "through a proxy").await;
    browser.click("tab-messages").await;
    browser.wait_for_text("message-list", "through a proxy").await;
    browser.click("tab-xray").await;
    browser.wait_for_attribute("xray-000", "data-readable", "1").await;

    browser.click("node-100").await;
    browser.wait_for_text("node-reach", "no connection to it").await;
    browser.wait_for_text("node-card", "At 127.0.0.1").await;
    browser.choose("duration-select", "5000").await;
    browser.click("fail-button").await;
    browser.wait_for_state("node-100", "failed").await;
    browser.click("recover-button").await;
    browser.wait_for_text("node-result", "must be sent to 100 itself").await;
    browser.bring_into_view("cluster-summary").await;
    say(&format!("picture: {}", browser.save_picture("truth-one-node").await.display()));
    browser.wait_for_state("node-100", "up").await;

    browser.click("mode-simulated").await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    assert!(browser.address().await.starts_with(&format!("{origin}{PREFIX}/simulated/")));
    browser.click("mode-live").await;
    browser.wait_for_text("cluster-reach", "011").await;
    browser.close().await;
}

#[tokio::test]
async fn a_page_that_the_nodes_refuse_says_why_and_which_option_cures_it() {
    let cluster = start(Plan::default()).await;
    let proxy = Proxy::to(cluster.address("000".parse().expect("a vertex"))).await;
    let browser = Browser::start_behind(ELSEWHERE, proxy.port).await;
    browser.open(&format!("http://{ELSEWHERE}{PREFIX}/")).await;
    browser.wait_for_text("cube-empty", "The node answered: ").await;
    browser.wait_for_text("cube-empty", &format!("--allow-origin http://{ELSEWHERE}")).await;
    say(&format!("picture: {}", browser.save_picture("truth-refused").await.display()));
    browser.close().await;
}

/// A cluster, and a browser that shows its first node, with the topic `news`.
async fn watched_cluster(plan: Plan) -> (ProcessCluster, Browser) {
    let cluster = start(plan).await;
    let browser = Browser::start().await;
    open(&browser, &cluster).await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    create_topic(&browser).await;
    (cluster, browser)
}

async fn start(plan: Plan) -> ProcessCluster {
    ProcessCluster::start_as(Plan { web: Some(artifacts::dashboard()), ..plan }).await
}

async fn open(browser: &Browser, cluster: &ProcessCluster) {
    let first = cluster.vertices().next().expect("a cube has vertices");
    browser.open(&format!("http://{}/", cluster.address(first))).await;
}

async fn create_topic(browser: &Browser) {
    browser.type_into("topic-input", "news").await;
    browser.click("create-topic-button").await;
    browser.wait_for_state("topic-result", "good").await;
}

async fn publish(browser: &Browser, content: &str) {
    browser.click("tab-messages").await;
    browser.type_into("content-input", content).await;
    browser.click("publish-button").await;
    browser.wait_for_state("publish-result", "good").await;
}
