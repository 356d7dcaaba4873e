//! The pane that shows the drawing, with the frames in flight above: it is turned, zoomed and moved by dragging, with
//! the wheel, two fingers, keys or buttons. Another cube or layout is a new pane, and is shown as a whole.

use std::cell::RefCell;
use std::rc::Rc;

use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use gloo_events::{EventListener, EventListenerOptions};
use wasm_bindgen::JsCast;
use web_sys::{Element, WheelEvent};
use yew::prelude::*;

use super::drawing::{Drawing, node_at};
use super::fingers::{Fingers, Gesture};
use super::pulse::{Pace, group};
use super::pulses::{Pulses, Sent};
use crate::model::shared::Shared;
use crate::model::traffic::is_background;
use crate::model::{Layout, State};
use crate::net::browser::Measure;
use crate::scene::Scene;
use crate::scene::camera::{Camera, Pair, Pane};
use crate::scene::geometry::{PAGE_HEIGHT, PAGE_WIDTH, Turn};
use crate::scene::pulses::Way;

/// Radians per pixel of dragging.
const DRAG: f64 = 0.006;
/// Radians per press of a button.
const STEP: f64 = 0.17;
/// Zoom per press of a button or a key.
const CLOSER: f64 = 1.4;
/// The space that a focused node has to the border of the pane, if possible; CSS pixels.
const AROUND_FOCUS: f64 = 48.0;

/// What the user sees of the drawing.
#[derive(Clone, Copy, PartialEq)]
struct Look {
    turn: Turn,
    camera: Camera,
    pane: Pane,
    /// The node that the user points at or focuses.
    near: Option<HostId>,
}

/// Changes what the user sees.
#[derive(Clone)]
struct Steering {
    look: Rc<RefCell<Look>>,
    redraw: UseForceUpdateHandle,
}

impl Steering {
    fn change(&self, change: impl FnOnce(&mut Look)) {
        let before = *self.look.borrow();
        change(&mut self.look.borrow_mut());
        if *self.look.borrow() != before {
            self.redraw.force_update();
        }
    }

    /// Comes closer to a point of the pane, or moves away from it; by default to its middle.
    fn zoom(&self, factor: f64, about: Option<Pair>) {
        self.change(|look| {
            let about = about.unwrap_or((look.pane.width / 2.0, look.pane.height / 2.0));
            look.camera = look.camera.zoomed(factor, look.camera.page_from_pane(look.pane, about));
        });
    }

    fn turn(&self, yaw: f64, pitch: f64) {
        self.change(|look| look.turn = look.turn.by(yaw, pitch));
    }

    fn show_all(&self, dimension: Dimension) {
        self.change(|look| *look = Look { turn: Turn::first(dimension), camera: Camera::WHOLE, ..*look });
    }

    /// The whole cube has nowhere to move, so dragging turns it.
    fn drag(&self, layout: Layout, turns: bool, by: Pair) {
        self.change(|look| match layout {
            Layout::Cube if turns || look.camera.is_whole() => look.turn = look.turn.by(by.0 * DRAG, by.1 * DRAG),
            Layout::Cube | Layout::Grid => look.camera = look.camera.moved(look.pane, by),
        });
    }

    fn pinch(&self, factor: f64, about: Pair, by: Pair) {
        self.change(|look| {
            let about = look.camera.page_from_pane(look.pane, about);
            look.camera = look.camera.zoomed(factor, about).moved(look.pane, by);
        });
    }
}

/// Properties of [`Viewport`].
#[derive(Properties, PartialEq)]
pub struct ViewportProps {
    pub state: State,
    /// That of the state.
    pub dimension: Dimension,
    pub pace: Pace,
}

/// The pane with its buttons.
#[component]
pub fn Viewport(props: &ViewportProps) -> Html {
    let (dimension, layout) = (props.dimension, props.state.layout);
    let look = use_mut_ref(|| Look {
        turn: Turn::first(dimension),
        camera: Camera::WHOLE,
        pane: Pane { width: PAGE_WIDTH, height: PAGE_HEIGHT },
        near: None,
    });
    let steering = Steering { look: look.clone(), redraw: use_force_update() };
    let fingers = use_mut_ref(Fingers::default);
    let frame = use_node_ref();
    use_pane(&frame, &steering);
    use_wheel(&frame, &steering, &fingers);
    let Look { turn, camera, pane, near } = *look.borrow();
    let scene = use_memo((props.state.clone(), turn), |(state, turn)| Scene::of(state, *turn).map(Shared::from));
    let Some(scene) = (*scene).clone() else { return Html::default() };

    let [left, top, width, height] = camera.view_box();
    let on_press = {
        let (fingers, frame) = (fingers.clone(), frame.clone());
        Callback::from(move |event: PointerEvent| {
            if event.button() == 0 {
                fingers.borrow_mut().press(event.pointer_id(), at(&frame, &event));
            }
        })
    };
    let on_move = {
        let (fingers, frame, steering) = (fingers.clone(), frame.clone(), steering.clone());
        Callback::from(move |event: PointerEvent| {
            if event.buttons() & 1 == 0 {
                return fingers.borrow_mut().release(event.pointer_id());
            }
            let gesture = fingers.borrow_mut().travel(event.pointer_id(), at(&frame, &event));
            match gesture {
                Some(Gesture::Drag { by }) => steering.drag(layout, event.shift_key(), by),
                Some(Gesture::Pinch { factor, about, by }) => steering.pinch(factor, about, by),
                None => return,
            }
            // Otherwise dragging ends at the border, and its end is a click.
            if let Some(frame) = frame.cast::<Element>() {
                let _ = frame.set_pointer_capture(event.pointer_id());
            }
        })
    };
    let on_release = Callback::from(move |event: PointerEvent| fingers.borrow_mut().release(event.pointer_id()));
    let on_point = {
        let steering = steering.clone();
        Callback::from(move |event: PointerEvent| steering.change(|look| look.near = node_at(event.target())))
    };
    let on_leave = {
        let steering = steering.clone();
        Callback::from(move |_: PointerEvent| steering.change(|look| look.near = None))
    };
    let on_focus = {
        let (steering, scene) = (steering.clone(), scene.clone());
        Callback::from(move |event: FocusEvent| {
            let node = node_at(event.target());
            // A node that is clicked must not move away from the pointer.
            let by_key = event.target_dyn_into::<Element>().and_then(|element| element.matches(":focus-visible").ok());
            let point = node.filter(|_| by_key == Some(true)).and_then(|node| scene.point(node));
            steering.change(|look| {
                look.near = node;
                if let Some(point) = point {
                    look.camera = look.camera.showing(look.pane, (point.x, point.y), AROUND_FOCUS);
                }
            });
        })
    };
    let on_blur = {
        let steering = steering.clone();
        Callback::from(move |_: FocusEvent| steering.change(|look| look.near = None))
    };
    let onkeydown = {
        let (steering, scene) = (steering.clone(), scene.clone());
        Callback::from(move |event: KeyboardEvent| {
            if event.ctrl_key() || event.meta_key() || event.alt_key() {
                return;
            }
            let focused = node_at(event.target()).and_then(|node| scene.point(node));
            let about = focused.map(|point| camera.pane_from_page(pane, (point.x, point.y)));
            match event.key().as_str() {
                "+" | "=" => steering.zoom(CLOSER, about),
                "-" => steering.zoom(1.0 / CLOSER, about),
                "0" => steering.show_all(dimension),
                _ => return,
            }
            event.prevent_default();
        })
    };
    let press = |do_it: fn(&Steering, Dimension)| {
        let steering = steering.clone();
        Callback::from(move |_: MouseEvent| do_it(&steering, dimension))
    };
    html! {
        <div class="viewport" {onkeydown}>
            <div
                class="frame"
                ref={frame}
                onpointerdown={on_press}
                onpointermove={on_move}
                onpointerup={on_release.clone()}
                onpointercancel={on_release}
                onpointerover={on_point}
                onpointerleave={on_leave}
                onfocusin={on_focus}
                onfocusout={on_blur}
            >
                <svg
                    class={classes!("drawing", (!camera.is_whole()).then_some("is-zoomed"))}
                    viewBox={format!("{left:.2} {top:.2} {width:.2} {height:.2}")}
                    style={format!("--slim: {:.3}", camera.slimness())}
                    data-dimension={dimension.bits().to_string()}
                    data-layout={layout.name()}
                    role="group"
                    aria-label="The nodes and links of the cluster"
                >
                    <Drawing
                        scene={scene.clone()}
                        whole={Camera::WHOLE.pixels_per_unit(pane)}
                        now={camera.pixels_per_unit(pane)}
                        {near}
                    />
                </svg>
                <Pulses sent={sent(props, &scene)} stands={props.pace.stands} {camera} {pane} />
            </div>
            <div class="steering" role="group" aria-label="The view">
                if layout == Layout::Cube {
                    { button("turn-left", "Turn left", "‹", press(|steering, _| steering.turn(-STEP, 0.0)), true) }
                    { button("turn-right", "Turn right", "›", press(|steering, _| steering.turn(STEP, 0.0)), true) }
                }
                { button(
                    "zoom-out",
                    "Zoom out (-)",
                    "−",
                    press(|steering, _| steering.zoom(1.0 / CLOSER, None)),
                    !camera.is_whole(),
                ) }
                { button("zoom-fit", "Fit: show everything (0)", "Fit", press(Steering::show_all), true) }
                { button(
                    "zoom-in",
                    "Zoom in (+)",
                    "+",
                    press(|steering, _| steering.zoom(CLOSER, None)),
                    !camera.is_closest(),
                ) }
            </div>
        </div>
    }
}

/// Measures the pane.
#[hook]
fn use_pane(frame: &NodeRef, steering: &Steering) {
    let (frame, steering) = (frame.clone(), steering.clone());
    use_effect_with((), move |()| {
        let measure = frame.cast::<Element>().and_then(|element| {
            let measured = element.clone();
            Measure::of(&element, move || {
                let [width, height] = [measured.client_width(), measured.client_height()].map(|size| size.max(1));
                steering.change(|look| look.pane = Pane { width: width.into(), height: height.into() });
            })
        });
        move || drop(measure)
    });
}

/// The wheel zooms. A wheel without Ctrl belongs to the page if that can be scrolled. (A trackpad reports two fingers
/// that move apart as a wheel with Ctrl.) Two fingers on a screen do not scroll the page.
#[hook]
fn use_wheel(frame: &NodeRef, steering: &Steering, fingers: &Rc<RefCell<Fingers>>) {
    let (frame, steering, fingers) = (frame.clone(), steering.clone(), fingers.clone());
    use_effect_with((), move |()| {
        let options = EventListenerOptions::enable_prevent_default();
        let listeners = frame.cast::<Element>().map(|element| {
            let wheel = EventListener::new_with_options(&element, "wheel", options, move |event| {
                let Some(event) = event.dyn_ref::<WheelEvent>().filter(|event| event.ctrl_key() || !page_scrolls())
                else {
                    return;
                };
                event.prevent_default();
                steering.zoom(wheel_factor(event), Some(at(&frame, event)));
            });
            let touch = EventListener::new_with_options(&element, "touchmove", options, move |event| {
                if fingers.borrow().are_two() {
                    event.prevent_default();
                }
            });
            (wheel, touch)
        });
        move || drop(listeners)
    });
}

/// A notch of a wheel zooms by about a fifth. Trackpads report small distances for a pinch.
fn wheel_factor(event: &WheelEvent) -> f64 {
    const LINE: f64 = 16.0;
    let pixels = event.delta_y() * if event.delta_mode() == WheelEvent::DOM_DELTA_PIXEL { 1.0 } else { LINE };
    let rate = if event.ctrl_key() { 0.01 } else { 0.002 };
    (-pixels * rate).clamp(-0.4, 0.4).exp()
}

fn page_scrolls() -> bool {
    let root = web_sys::window().and_then(|window| window.document()).and_then(|document| document.document_element());
    root.is_some_and(|root| root.scroll_height() > root.client_height() + 1)
}

/// The position of the pointer in the pane.
fn at(frame: &NodeRef, event: &MouseEvent) -> Pair {
    let (left, top) = frame.cast::<Element>().map_or((0.0, 0.0), |frame| {
        let place = frame.get_bounding_client_rect();
        (place.left(), place.top())
    });
    (f64::from(event.client_x()) - left, f64::from(event.client_y()) - top)
}

/// The frames to draw.
fn sent(props: &ViewportProps, scene: &Scene) -> Vec<Sent> {
    let State { traffic, show_background, now_ms, .. } = &props.state;
    let shown = traffic.pulses.iter().filter(|pulse| *show_background || !is_background(pulse.what));
    let sent = shown.filter_map(|pulse| {
        let way = Way::new(scene.way(pulse.from, pulse.to)?, scene.outline(), pulse.dropped);
        let travel = props.pace.travel(now_ms.saturating_sub(pulse.born_ms))?;
        Some(Sent { key: (props.pace.turn, pulse.number), group: group(pulse.what), way, travel })
    });
    sent.collect()
}

/// `works`: whether it has an effect now. A button that has none keeps the focus.
fn button(
    id: &'static str,
    label: &'static str,
    sign: &'static str,
    onclick: Callback<MouseEvent>,
    works: bool,
) -> Html {
    html! {
        <button
            type="button"
            data-testid={id}
            aria-label={label}
            title={label}
            aria-disabled={(!works).then_some("true")}
            {onclick}
        >
            {sign}
        </button>
    }
}
