//! Takes the pictures of the README's tour from a real run: `make tour`.
//!
//! Not part of `make test`: it writes to `docs/`.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use cubecast_tests::artifacts;
use cubecast_tests::browser::Browser;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::film::{Film, Picture};

#[tokio::test]
#[ignore = "writes docs/tour.png; `make tour` runs it"]
async fn half_a_minute_with_eight_nodes() {
    let cluster = ProcessCluster::start_as(Plan { web: Some(artifacts::dashboard()), ..Plan::default() }).await;
    let first = cluster.vertices().next().expect("a cube has vertices");
    let browser = Browser::start().await;
    let mut film = Film::default();

    browser.open(&format!("http://{}/", cluster.address(first))).await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    browser.type_into("topic-input", "news").await;
    browser.click("create-topic-button").await;
    browser.wait_for_state("topic-result", "good").await;
    publish(&browser, "hello, cube").await;
    film.add(take(&browser).await);

    browser.click("node-100").await;
    browser.choose("duration-select", "120000").await;
    browser.click("fail-button").await;
    browser.wait_for_state("node-100", "failed").await;
    publish(&browser, "and its home is down").await;
    film.add(take(&browser).await);

    browser.press('z').await;
    browser.wait_for_attribute("node-100", "data-leader", "true").await;
    browser.click("tab-break").await;
    browser.click("preset-isolate").await;
    browser.wait_for_text("broken-bar", "You broke 3 things").await;
    browser.wait_for_attribute("node-100", "data-leader", "false").await;
    browser.bring_into_view("cluster-summary").await;
    film.add(take(&browser).await);
    browser.press('Z').await;
    browser.wait_for_state("broken-bar", "whole").await;
    browser.wait_for_attribute("node-100", "data-leader", "true").await;

    for tab in ["tab-xray", "tab-spacetime"] {
        browser.click(tab).await;
        if tab == "tab-spacetime" {
            browser.click("trace-publish").await;
            browser.wait_for_state("story-title", "told").await;
        }
        browser.bring_into_view(tab).await;
        film.add(take(&browser).await);
    }

    browser
        .open(&format!("http://{}/simulated/index.html#simulated&lesson=failover&topic=news", cluster.address(first)))
        .await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    browser.click("lesson-begin").await;
    browser.click("lesson-next").await;
    browser.wait_for_attribute("lesson", "data-step", "2").await;
    browser.click("guess-1").await;
    browser.click("lesson-begin").await;
    browser.wait_for_state("node-100", "failed").await;
    film.add(take(&browser).await);
    browser.close().await;

    let file = artifacts::root().join("docs/tour.png");
    film.write(BufWriter::new(File::create(&file).expect("docs/ can be written"))).expect("the pictures are written");
    cubecast_tests::wait::say(&format!("{}", file.display()));
}

async fn take(browser: &Browser) -> Picture {
    let file = browser.save_picture("tour").await;
    read(&file).halved()
}

fn read(file: &Path) -> Picture {
    Picture::read(BufReader::new(File::open(file).expect("the picture was saved"))).expect("it is a PNG")
}

async fn publish(browser: &Browser, content: &str) {
    browser.click("tab-messages").await;
    browser.type_into("content-input", content).await;
    browser.click("publish-button").await;
    browser.wait_for_state("publish-result", "good").await;
}
