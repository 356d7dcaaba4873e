//! Accessibility of the dashboard: axe reports no serious violation on any of its pages, light or dark.

use cubecast_tests::artifacts;
use cubecast_tests::browser::Browser;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::static_site::StaticSite;
use cubecast_tests::wait::say;

#[tokio::test]
async fn axe_finds_nothing_serious_on_the_live_page() {
    let cluster = ProcessCluster::start_as(Plan { web: Some(artifacts::dashboard()), ..Plan::default() }).await;
    let first = cluster.vertices().next().expect("a cube has vertices");
    let address = format!("http://{}/", cluster.address(first));
    for (scheme, browser) in [("light", Browser::start().await), ("dark", Browser::start_dark().await)] {
        let dark = browser.evaluate("arguments[0](matchMedia('(prefers-color-scheme: dark)').matches)").await;
        assert_eq!(dark, scheme == "dark");
        browser.open(&address).await;
        browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
        browser.type_into("topic-input", "news").await;
        if scheme == "light" {
            browser.click("create-topic-button").await;
            browser.wait_for_state("topic-result", "good").await;
        }
        browser.type_into("content-input", "hello").await;
        browser.click("publish-button").await;
        browser.wait_for_state("publish-result", "good").await;
        check(&browser, scheme, "publish").await;
        for tab in
            ["tab-messages", "tab-browse", "tab-break", "tab-xray", "tab-invariants", "tab-spacetime", "tab-charts"]
        {
            browser.click(tab).await;
            check(&browser, scheme, tab).await;
        }
        browser.click("node-100").await;
        browser.click("fail-button").await;
        browser.wait_for_state("node-100", "failed").await;
        check(&browser, scheme, "a failed node").await;
        browser.click("edge-010-011").await;
        check(&browser, scheme, "a link").await;
        browser.press('Z').await;
        browser.wait_for_state("broken-bar", "whole").await;
        browser.close().await;
    }
}

#[tokio::test]
async fn axe_finds_nothing_serious_on_the_simulated_page() {
    let site = StaticSite::serve(artifacts::dashboard()).await;
    for (scheme, browser) in [("light", Browser::start().await), ("dark", Browser::start_dark().await)] {
        browser.open(&site.url("/simulated/index.html#simulated&lesson=failover&topic=news")).await;
        browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
        browser.click("play").await;
        check(&browser, scheme, "a lesson").await;
        browser.close().await;
    }
}

/// Runs axe on the page; fails with the violations and their elements.
pub async fn check(browser: &Browser, scheme: &str, what: &str) {
    const RUN: &str = "
        const done = arguments[arguments.length - 1];
        axe.run(document, { resultTypes: ['violations'] }).then(found => done({
            passes: found.passes.length,
            violations: found.violations.map(rule => ({
                impact: rule.impact, id: rule.id, help: rule.help, nodes: rule.nodes.slice(0, 5).map(node => node.html.slice(0, 200) + ' ' + (node.any[0]?.message ?? ''))
            })),
        }), error => done({ error: String(error) }));";
    let found = browser.evaluate(&format!("{};{RUN}", artifacts::axe())).await;
    let passes = found["passes"].as_u64().unwrap_or_else(|| panic!("{found}"));
    assert!(passes > 10, "axe looked at almost nothing: {found}");
    let violations = found["violations"].as_array().expect("a list");
    let is_serious = |rule: &&serde_json::Value| matches!(rule["impact"].as_str(), Some("serious" | "critical"));
    let serious: Vec<String> = violations.iter().filter(is_serious).map(|rule| format!("{rule:#}")).collect();
    say(&format!("{what}, {scheme}: {passes} rules kept, {} not, {} of them serious", violations.len(), serious.len()));
    for rule in violations.iter().filter(|rule| !is_serious(rule)) {
        say(&format!(
            "    {}: {}",
            rule["impact"].as_str().unwrap_or_default(),
            rule["help"].as_str().unwrap_or_default()
        ));
    }
    assert!(serious.is_empty(), "{what}, {scheme}: {}", serious.join("\n"));
}
