//! How an operator finds things on the live page, with real nodes and a real browser.

use cubecast_node::recording::collect;
use cubecast_tests::artifacts;
use cubecast_tests::browser::Browser;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::wait::say;

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
    browser.open(&format!("{page}#topic=news&tab=pull&view=xray&select=000-001")).await;
    browser.wait_for_attribute("tab-xray", "aria-selected", "true").await;
    browser.wait_for_attribute("tab-pull", "aria-selected", "true").await;
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
