//! Tests of the cube and the grid in a real browser: zooming, dimming, and the two layouts of the same nodes.

use cubecast_core::faults::LinkConditions;
use cubecast_web::model::{Layout, Selection, State, ViewAction};
use cubecast_web::ui::{Cube, CubeProps};
use wasm_bindgen::JsCast;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::{HtmlElement, PointerEvent, PointerEventInit};

use crate::harness::{Page, SvgClass, bubble, named, watching, watching_cube};

const WHOLE: [f64; 4] = [0.0, 0.0, 800.0, 620.0];

#[wasm_bindgen_test]
async fn keys_and_buttons_zoom_within_limits_and_return_to_everything() {
    let page = cube(watching("news")).await;
    assert_eq!(view_box(&page), WHOLE);
    page.press("#node-100 .button", "+").await;
    let [left, top, width, height] = view_box(&page);
    assert!(width < 800.0 && height < 620.0 && left > 0.0 && top > 0.0);
    page.press("#node-100 .button", "-").await;
    assert_eq!(view_box(&page), WHOLE);
    for _ in 0..20 {
        page.click("[data-testid=zoom-in]").await;
    }
    assert_eq!(view_box(&page)[2], 100.0, "it comes no closer");
    assert_eq!(page.get("[data-testid=zoom-in]").get_attribute("aria-disabled").as_deref(), Some("true"));
    page.click("[data-testid=zoom-out]").await;
    assert!(view_box(&page)[2] > 100.0);
    page.press("#node-100 .button", "0").await;
    assert_eq!(view_box(&page), WHOLE);
    page.press("#node-100 .button", "-").await;
    assert_eq!(view_box(&page), WHOLE, "there is nothing beside everything");
}

#[wasm_bindgen_test]
async fn a_key_zooms_in_on_the_node_with_the_focus() {
    let page = cube(watching("news")).await;
    let at = position(&page, "100");
    for _ in 0..20 {
        page.press("#node-100 .button", "+").await;
    }
    let [left, top, width, height] = view_box(&page);
    assert!((left..left + width).contains(&at.0) && (top..top + height).contains(&at.1));
}

#[wasm_bindgen_test]
async fn dragging_turns_the_whole_cube_and_moves_a_part_of_it() {
    let page = cube(watching("news")).await;
    let before = position(&page, "100");
    drag(&page, (200, 200), (240, 200)).await;
    let turned = position(&page, "100");
    assert!(before != turned && view_box(&page) == WHOLE);
    for _ in 0..3 {
        page.click("[data-testid=zoom-in]").await;
    }
    let [left, ..] = view_box(&page);
    drag(&page, (200, 200), (240, 200)).await;
    assert!(view_box(&page)[0] < left, "the drawing follows the pointer to the right");
    assert_eq!(position(&page, "100"), turned);
    assert!(page.commands.views().is_empty(), "a drag is no click");
}

#[wasm_bindgen_test]
async fn another_dimension_is_shown_as_a_whole() {
    let mut page = cube(watching("news")).await;
    page.click("[data-testid=zoom-in]").await;
    assert_ne!(view_box(&page), WHOLE);
    page.update(props(watching_cube(4, "news"))).await;
    assert_eq!((page.all(".node").len(), view_box(&page)), (16, WHOLE));
}

#[wasm_bindgen_test]
async fn the_grid_shows_the_same_nodes_and_they_are_the_same_buttons() {
    let mut state = watching("news");
    let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
    for (from, to) in [("000", "010"), ("010", "000")] {
        state.cluster.change().learn_conditions(named(from), named(to), cut);
    }
    let mut page = cube(state.clone()).await;
    let in_cube: Vec<_> = page.all(".node [role=button]").iter().map(|node| node.get_attribute("aria-label")).collect();
    page.click("[data-testid=layout-grid]").await;
    assert_eq!(page.commands.views(), [ViewAction::ChooseLayout(Layout::Grid)]);

    page.update(props(State { layout: Layout::Grid, ..state })).await;
    assert_eq!(page.get("[data-testid=layout-grid]").get_attribute("aria-pressed").as_deref(), Some("true"));
    assert_eq!(page.all(".node").len(), in_cube.len());
    assert_eq!(page.get("#node-011").get_attribute("data-state").as_deref(), Some("failed"));
    assert!(page.get("#node-100").class_name_of_svg().contains("is-home"));
    assert!(page.all("[data-testid=turn-left]").is_empty(), "a grid cannot be turned");
    let label = |node: &str| page.get(&format!("#node-{node} .button")).get_attribute("aria-label").unwrap();
    assert!(label("000").ends_with("1 link is cut") && label("010").ends_with("1 link is cut"), "{}", label("000"));
    assert!(!label("001").contains("cut"));
    page.get("#edge-000-010[data-state=cut]");

    page.press_enter("#node-110 .button").await;
    page.click("#node-101").await;
    let selected = |node| ViewAction::Select(Some(Selection::Node(named(node))));
    assert_eq!(page.commands.views()[1..], [selected("110"), selected("101")]);
}

#[wasm_bindgen_test]
async fn the_grid_draws_a_distant_link_while_the_user_looks_at_one_of_its_ends() {
    let page = cube(State { layout: Layout::Grid, ..watching("") }).await;
    assert!(page.all("#edge-000-010").is_empty());
    bubble(&page.get("#node-000 .body"), "focusin");
    yew::scheduler::flush().await;
    assert!(page.get("#edge-000-010").class_name_of_svg().contains("is-near"));
    bubble(&page.get("#node-000 .body"), "focusout");
    yew::scheduler::flush().await;
    assert!(page.all("#edge-000-010").is_empty());
}

#[wasm_bindgen_test]
async fn names_that_cannot_be_read_are_left_out_and_the_node_in_focus_is_magnified() {
    let page = cube(watching_cube(6, "news")).await;
    page.get(".cube").set_attribute("style", "position: relative; width: 400px; height: 310px").unwrap();
    page.get(".frame").set_attribute("style", "position: absolute; inset: 0").unwrap();
    measured(&page).await;
    assert!(page.all(".node .name").is_empty());
    // Without the window in front, the browser moves the focus and reports nothing.
    page.get("#node-000111 .button").unchecked_into::<HtmlElement>().focus().unwrap();
    bubble(&page.get("#node-000111 .body"), "focusin");
    yew::scheduler::flush().await;
    assert_eq!(page.text("[data-testid=magnified] .name"), "000111");
    let focused = web_sys::window().unwrap().document().unwrap().active_element().unwrap();
    assert!(focused.closest("#node-000111").unwrap().is_some(), "it keeps the focus");
    for _ in 0..6 {
        page.press("#node-000111 .button", "+").await;
    }
    assert_eq!(page.all(".node:not(.is-magnified) .name").len(), 64);
    assert!(page.all("[data-testid=magnified]").is_empty(), "it is large enough");
}

#[wasm_bindgen_test]
async fn a_topic_dims_the_rest_of_a_large_cube_only() {
    let dimmed = async |bits, topic| cube(watching_cube(bits, topic)).await.all(".node.is-dimmed").len();
    assert_eq!(dimmed(3, "news").await, 0);
    assert_eq!(dimmed(5, "").await, 0);
    let page = cube(watching_cube(5, "news")).await;
    assert!(page.all(".node.is-dimmed.is-home, .node.is-dimmed.is-replica").is_empty());
    assert!(page.all(".node.is-dimmed[data-state=failed]").is_empty());
    assert!(page.all(".node.is-dimmed").len() >= 25);
}

async fn cube(state: State) -> Page<Cube> {
    Page::of::<Cube>(props(state)).await
}

fn props(state: State) -> CubeProps {
    yew::props!(CubeProps { state })
}

fn view_box(page: &Page<Cube>) -> [f64; 4] {
    let text = page.get(".drawing").get_attribute("viewBox").unwrap();
    let numbers: Vec<f64> = text.split(' ').map(|number| number.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

/// The position of a node on the page.
fn position(page: &Page<Cube>, node: &str) -> (f64, f64) {
    let transform = page.get(&format!("#node-{node}")).get_attribute("transform").unwrap();
    let (x, y) = transform.trim_start_matches("translate(").trim_end_matches(')').split_once(' ').unwrap();
    (x.parse().unwrap(), y.parse().unwrap())
}

async fn drag(page: &Page<Cube>, from: (i32, i32), to: (i32, i32)) {
    for (kind, (x, y), buttons) in [("pointerdown", from, 1), ("pointermove", to, 1), ("pointerup", to, 0)] {
        let init = PointerEventInit::new();
        init.set_bubbles(true);
        init.set_pointer_id(1);
        init.set_client_x(x);
        init.set_client_y(y);
        init.set_buttons(buttons);
        let event = PointerEvent::new_with_event_init_dict(kind, &init).unwrap();
        page.get(".drawing").dispatch_event(&event).unwrap();
        yew::scheduler::flush().await;
    }
}

/// Waits until the browser has reported the size of the pane.
async fn measured(page: &Page<Cube>) {
    for _ in 0..2 {
        let frame = js_frame();
        wasm_bindgen_futures::JsFuture::from(frame).await.unwrap();
    }
    yew::scheduler::flush().await;
    assert_eq!(page.get(".frame").client_width(), 400);
}

/// Resolves at the browser's next redraw.
fn js_frame() -> web_sys::js_sys::Promise {
    web_sys::js_sys::Promise::new(&mut |resolve, _| {
        web_sys::window().unwrap().request_animation_frame(&resolve).unwrap();
    })
}
