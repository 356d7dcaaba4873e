//! The crosshair and the fault marks of the charts, by keyboard and by pointer.

use std::rc::Rc;

use cubecast_core::faults::StopMode;
use cubecast_core::names::{SubscriberId, TopicName};
use cubecast_web::model::charts::{Availability, History, Lag, Percentiles, Second, Subscription, Sum};
use cubecast_web::model::feed::Fact;
use cubecast_web::model::shared::Shared;
use cubecast_web::ui::{ChartsView, ChartsViewProps};
use wasm_bindgen::JsCast;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::{HtmlElement, PointerEvent, PointerEventInit};
use yew::scheduler;

use crate::harness::{Page, named};

const THROUGHPUT: &str = "[data-testid=chart-throughput] .timed";
const READOUT: &str = "[data-testid=charts-readout]";

#[wasm_bindgen_test]
async fn the_arrow_keys_of_a_focused_chart_move_one_crosshair_through_all_charts() {
    let page = Page::of::<ChartsView>(charts(60)).await;
    assert!(page.all(".crosshair").is_empty());
    page.press(THROUGHPUT, "ArrowLeft").await;
    assert_eq!(page.all(".crosshair").len(), page.all(".timed").len());
    assert!(page.text(READOUT).contains("59 s"), "the newest second first: {}", page.text(READOUT));
    for _ in 0..19 {
        page.press(THROUGHPUT, "ArrowLeft").await;
    }
    let readout = page.text(READOUT);
    assert!(readout.contains("40 s") && readout.contains("100 crashes"), "{readout}");
    let spoken = page.get(THROUGHPUT).get_attribute("aria-valuetext").unwrap();
    assert!(spoken.starts_with("40 s: 40 /s; 100 crashes"), "{spoken}");
    assert!(page.text("[data-testid=chart-latency] figcaption").contains("p99 9.0 ms"));
    assert!(page.text("[data-testid=chart-lag] figcaption").contains("reader1 3"));
    page.press(THROUGHPUT, "Escape").await;
    assert!(page.all(".crosshair").is_empty());
}

#[wasm_bindgen_test]
async fn the_crosshair_is_where_the_pointer_is_until_it_leaves_the_charts() {
    let page = Page::of::<ChartsView>(charts(60)).await;
    let bounds = page.get(THROUGHPUT).get_bounding_client_rect();
    let x = bounds.left() + bounds.width() * (60.0 + 40.5) / 120.0;
    point(&page, THROUGHPUT, "pointermove", x).await;
    assert!(page.text(READOUT).contains("40 s"), "{}", page.text(READOUT));
    let place = page.get("[data-testid=chart-latency] .crosshair i").get_attribute("style").unwrap();
    assert_eq!(place, "transform: translateX(83.75%)", "the middle of second 40, in the other charts, too");
    point(&page, "[data-testid=charts-readout]", "pointermove", x).await;
    assert!(page.all(".crosshair").is_empty(), "the pointer is beside the charts");
}

#[wasm_bindgen_test]
async fn the_crosshair_stays_at_its_second_while_the_charts_move_on() {
    let mut page = Page::of::<ChartsView>(charts(60)).await;
    page.press(THROUGHPUT, "Home").await;
    page.press(THROUGHPUT, "ArrowRight").await;
    assert!(page.text(READOUT).contains("1 s"));
    page.update(charts(100)).await;
    assert!(page.text(READOUT).starts_with("1 s"), "{}", page.text(READOUT));
    page.update(charts(122)).await;
    assert!(page.all(".crosshair").is_empty(), "its second has left the charts");
}

#[wasm_bindgen_test]
async fn a_fault_mark_says_what_happened_and_leads_to_its_second() {
    let page = Page::of::<ChartsView>(charts(60)).await;
    let mark: HtmlElement = page.get(".fault-mark").unchecked_into();
    assert_eq!(mark.get_attribute("aria-label").unwrap(), "40 s: 100 crashes for 5 s (requested fault)");
    mark.focus().unwrap();
    scheduler::flush().await;
    assert!(page.text(READOUT).contains("40 s"), "{}", page.text(READOUT));
    let labels: Vec<_> = page.all(".fault-mark").iter().map(|mark| mark.text_content().unwrap()).collect();
    assert_eq!(labels.len(), 2);
    assert!(labels[1].starts_with("▲3"), "as many as healed in that second: {}", labels[1]);
}

async fn point(page: &Page<ChartsView>, selector: &str, name: &str, x: f64) {
    let init = PointerEventInit::new();
    init.set_bubbles(true);
    init.set_client_x(x.round() as i32);
    init.set_pointer_type("mouse");
    let event = PointerEvent::new_with_event_init_dict(name, &init).unwrap();
    page.get(selector).dispatch_event(&event).unwrap();
    scheduler::flush().await;
}

/// As many seconds, in virtual time. In each, as many publishes as its number. Node 100 crashes in second 40.
fn charts(count: u64) -> ChartsViewProps {
    const EPOCH_S: u64 = 1_767_225_600;
    let topic = TopicName::new("news").unwrap();
    let of = Rc::new(Subscription { topic: topic.clone(), subscriber: SubscriberId::new("reader1").unwrap() });
    let second = |at: u64| {
        let latency = Some(Percentiles { p50: 1_000, p95: 2_000, p99: 9_000 });
        let sum = Sum { done: at as u32, failed: 0, latency };
        let returned = |name| Fact::Returned { node: named(name), is_new: false };
        Rc::new(Second {
            at_s: EPOCH_S + at,
            page: sum,
            nodes: [(named("100"), sum)].into(),
            topics: [(topic.clone(), sum)].into(),
            availability: if at == 40 { Availability::Failed } else { Availability::Good },
            lags: vec![Lag { of: Rc::clone(&of), messages: 3, quiet_s: 0, is_own: true, is_exact: true }],
            faults: match at {
                40 => vec![Fact::Stopped { node: named("100"), mode: StopMode::Crash, duration_ms: 5_000 }],
                50 => ["100", "101", "110"].map(returned).to_vec(),
                _ => Vec::new(),
            },
            more_faults: 0,
        })
    };
    let history = History { seconds: (0..count).map(second).collect() };
    yew::props!(ChartsViewProps {
        history: Shared::from(history),
        topic: Some(topic.clone()),
        epoch_ms: Some(EPOCH_S * 1_000)
    })
}
