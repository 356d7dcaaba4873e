//! Measures the frame rate and the memory of the dashboard while a live cluster reports thousands of events a second:
//! `make frames`.
//!
//! Not part of `make test`: it takes minutes, and its figures depend on the machine.

use std::time::{Duration, Instant};

use cubecast_tests::artifacts;
use cubecast_tests::browser::Browser;
use cubecast_tests::client::Client;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::wait::say;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Publishes per second of a client at each node; more than 2,000 events per second. `CUBECAST_RATE` overrides it.
const RATE: u32 = 240;
/// Duration in minutes. `CUBECAST_MINUTES` overrides it.
const MINUTES: u32 = 5;
/// Interval of lines in the table.
const LINE: Duration = Duration::from_secs(30);

/// From its start, counts drawn frames, the longest time between two frames, and the messages from nodes (mostly one
/// event each, and a few answers).
const WATCH: &str = r#"
    const told = arguments[arguments.length - 1];
    const seen = window.seen = { frames: 0, longest: 0, slow: 0, messages: 0 };
    let last = performance.now();
    const draw = (now) => {
        const gap = now - last;
        last = now;
        seen.frames += 1;
        seen.longest = Math.max(seen.longest, gap);
        seen.slow += gap > 34 ? 1 : 0;
        requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
    const data = Object.getOwnPropertyDescriptor(MessageEvent.prototype, 'data');
    Object.defineProperty(MessageEvent.prototype, 'data', {
        get() {
            seen.messages += 1;
            return data.get.call(this);
        },
    });
    told(null);
"#;

/// The counts since the last call, with the page's current memory.
const TELL: &str = r#"
    const told = arguments[arguments.length - 1];
    const counted = { ...window.seen };
    Object.assign(window.seen, { frames: 0, longest: 0, slow: 0, messages: 0 });
    told({ ...counted, elements: document.getElementsByTagName('*').length, heap: performance.memory.usedJSHeapSize });
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; `make frames` runs it"]
async fn five_minutes_of_load_before_a_live_page() {
    let cluster = ProcessCluster::start_as(Plan { web: Some(artifacts::dashboard()), ..Plan::default() }).await;
    let first = cluster.vertices().next().expect("a cube has vertices");
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", cluster.address(first))).await;
    browser.wait_for_text("cluster-summary", "8 of 8 nodes up").await;
    let mut client = Client::connect(cluster.address(first)).await.expect("a node takes a client");
    client.must(json!({"action": "create_publisher", "publisher_id": "steady"})).await;
    client.must(json!({"action": "create_topic", "publisher_id": "steady", "topic": "news"})).await;
    let mut load = JoinSet::new();
    for vertex in cluster.vertices() {
        let client = Client::connect(cluster.address(vertex)).await.expect("a node takes a client");
        load.spawn(publish(client, setting("CUBECAST_RATE", RATE) / cluster.vertices().count() as u32));
    }
    sleep(Duration::from_secs(5)).await;

    browser.evaluate(WATCH).await;
    say("  at s  frames/s  longest ms  over 34 ms  told/s  elements  heap MiB  renderer MiB");
    let began = Instant::now();
    let until = began + Duration::from_secs(60) * setting("CUBECAST_MINUTES", MINUTES);
    let mut since = began;
    while Instant::now() < until {
        sleep(LINE).await;
        let counted = browser.evaluate(TELL).await;
        let seconds = since.elapsed().as_secs_f64();
        since = Instant::now();
        say(&line(began.elapsed(), seconds, &counted, browser.renderer_bytes()));
    }
    let picture = browser.save_picture("frames").await;
    load.abort_all();
    say(&format!("{}", picture.display()));
    browser.close().await;
}

/// Publishes at a constant rate, acknowledged by a majority; answers are read as they arrive.
async fn publish(mut client: Client, rate: u32) {
    let mut due = interval(Duration::from_secs(1) / rate);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0u64.. {
        due.tick().await;
        client
            .must(json!({
                "action": "publish", "publisher_id": "steady", "topic": "news", "content": format!("m{number}"),
            }))
            .await;
    }
}

fn line(at: Duration, seconds: f64, counted: &Value, renderer: u64) -> String {
    let number = |name: &str| counted[name].as_f64().unwrap_or(f64::NAN);
    let mib = |bytes: f64| bytes / (1024.0 * 1024.0);
    format!(
        "{:>6.0}{:>10.1}{:>12.0}{:>12.0}{:>8.0}{:>10.0}{:>10.1}{:>14.1}",
        at.as_secs_f64(),
        number("frames") / seconds,
        number("longest"),
        number("slow"),
        number("messages") / seconds,
        number("elements"),
        mib(number("heap")),
        mib(renderer as f64),
    )
}

fn setting(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
