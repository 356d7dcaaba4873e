//! The dashboard on a phone: nothing is cut off or requires horizontal scrolling, whatever is open.

use cubecast_tests::artifacts;
use cubecast_tests::browser::Browser;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::static_site::StaticSite;
use cubecast_tests::wait::say;

#[tokio::test]
async fn the_live_page_fits_a_phone_whatever_is_open() {
    let cluster = ProcessCluster::start_as(Plan { web: Some(artifacts::dashboard()), ..Plan::default() }).await;
    let first = cluster.vertices().next().expect("a cube has vertices");
    let browser = Browser::start_phone().await;
    browser.open(&format!("http://{}/", cluster.address(first))).await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    fits(&browser, "cluster-summary").await;
    browser.type_into("topic-input", "news").await;
    browser.click("create-topic-button").await;
    browser.wait_for_state("topic-result", "good").await;
    browser.type_into("content-input", "hello from a small page").await;
    browser.click("publish-button").await;
    browser.wait_for_state("publish-result", "good").await;
    for tab in ["tab-messages", "tab-browse", "tab-break", "tab-xray", "tab-invariants", "tab-charts"] {
        browser.click(tab).await;
        fits(&browser, tab).await;
    }
    browser.click("tab-spacetime").await;
    browser.click("trace-publish").await;
    browser.wait_for_state("story-title", "told").await;
    fits(&browser, "tab-spacetime").await;
    browser.click("node-100").await;
    browser.click("fail-button").await;
    browser.wait_for_state("node-100", "failed").await;
    fits(&browser, "broken-bar").await;
    browser.close().await;
}

#[tokio::test]
async fn the_simulated_page_fits_a_phone_too() {
    let site = StaticSite::serve(artifacts::dashboard()).await;
    let browser = Browser::start_phone().await;
    browser.open(&site.url("/simulated/index.html#simulated&lesson=failover&topic=news")).await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    fits(&browser, "lesson").await;
    browser.click("lesson-leave").await;
    browser.click("lessons").await;
    fits(&browser, "lessons").await;
    browser.close().await;
}

/// Asserts that no visible element extends past the page's edge on a phone; saves a picture starting at this element.
async fn fits(browser: &Browser, id: &str) {
    fits_in(browser, id, 390).await;
}

/// The same for a page of this width, in CSS pixels.
pub async fn fits_in(browser: &Browser, id: &str, width: u64) {
    const LOOK: &str = "
        const width = document.documentElement.clientWidth;
        const scrolls = (element) => element && (['auto', 'scroll', 'hidden'].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
        const wide = [...document.querySelectorAll('body *')].filter((element) => {
            const box = element.getBoundingClientRect();
            return box.width > 0 && box.right > width + 1 && !element.closest('svg') && !scrolls(element);
        });
        arguments[arguments.length - 1]({
            width,
            page: document.documentElement.scrollWidth,
            wide: wide.slice(0, 5).map((element) => element.outerHTML.slice(0, 160)),
        });";
    browser.bring_into_view(id).await;
    let seen = browser.evaluate(LOOK).await;
    say(&format!("picture: {}", browser.save_picture(&format!("{width}-{id}")).await.display()));
    assert!(seen["width"].as_u64() <= Some(width), "{seen}");
    assert!(seen["page"].as_u64() <= seen["width"].as_u64() && seen["wide"] == serde_json::json!([]), "{id}: {seen:#}");
}
