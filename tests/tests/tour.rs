//! Takes the README's pictures from real runs: `make tour`.
//!
//! Not part of `make test`: it writes to `docs/`.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::time::Duration;

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

#[tokio::test]
#[ignore = "writes docs/dashboard.png; `make tour` runs it"]
async fn a_failover_in_slow_motion() {
    let cluster = ProcessCluster::start_as(Plan { web: Some(artifacts::dashboard()), ..Plan::default() }).await;
    let first = cluster.vertices().next().expect("a cube has vertices");
    let browser = Browser::start_low().await;
    let (mut film, mut times) = (Film::default(), Vec::new());

    browser.open(&format!("http://{}/", cluster.address(first))).await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    browser.click("first-minute-start").await;
    browser.wait_for_text("message-list", "message 4").await;
    for _ in 0..8 {
        film.add(picture(&browser).await);
        times.push(Duration::from_millis(120));
    }
    browser.click("first-minute-crash").await;
    browser.wait_for_text("first-minute", "took over in").await;
    film.add(picture(&browser).await);
    times.push(Duration::from_millis(1_500));
    browser.click("replay").await;
    browser.click("replay-toggle").await;
    let last: i64 = 24;
    for step in 0..=last {
        browser.evaluate(&seek(step * 4_000 - 12_000)).await;
        film.add(picture(&browser).await);
        times.push(Duration::from_millis(if step == last { 2_500 } else { 160 }));
    }
    browser.close().await;

    let file = artifacts::root().join("docs/dashboard.png");
    let to = BufWriter::new(File::create(&file).expect("docs/ can be written"));
    film.write_animated(to, &times).expect("the pictures are written");
    cubecast_tests::wait::say(&format!("{}", file.display()));
}

/// Moves the replay to a time relative to its first step, microseconds.
fn seek(from_first_step_us: i64) -> String {
    format!(
        "const slider = document.querySelector('[data-testid=\"replay-slider\"]');
         const first = Number(document.querySelector('#replay-steps option').value);
         slider.value = first + {from_first_step_us};
         slider.dispatchEvent(new InputEvent('input', {{ bubbles: true }}));
         requestAnimationFrame(() => requestAnimationFrame(() => arguments[0](null)))"
    )
}

async fn take(browser: &Browser) -> Picture {
    picture(browser).await.halved()
}

async fn picture(browser: &Browser) -> Picture {
    read(&browser.save_picture("tour").await)
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
