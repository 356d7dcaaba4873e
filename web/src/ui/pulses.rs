//! Frames in flight, painted on a canvas above the cube, so that many can move while only the canvas is redrawn.
//!
//! The list comes from the state; the page's clock determines the position of each frame at every redraw. Nothing is
//! painted while nothing moves.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::rc::Rc;

use gloo_render::{AnimationFrame, request_animation_frame};
use wasm_bindgen::JsCast;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};
use yew::prelude::*;

use super::pulse::{GROUPS, Travel};
use crate::scene::camera::{Camera, Pane};
use crate::scene::pulses::Way;

/// Interval at which colours and preferences are read again, milliseconds; the light and the dark scheme use different
/// colours.
const LOOK_EVERY: f64 = 1_000.0;
/// The outline that separates a dot from the background, in page units.
const OUTLINE: f64 = 1.5;

/// One frame in flight.
#[derive(Clone, PartialEq, Debug)]
pub struct Sent {
    /// Unique; never reused: the turn of time, and the frame's number.
    pub key: (u64, u64),
    /// Selects the colour; one of [`GROUPS`].
    pub group: &'static str,
    pub way: Way,
    pub travel: Travel,
}

/// Properties of [`Pulses`].
#[derive(Properties, PartialEq)]
pub struct PulsesProps {
    pub sent: Vec<Sent>,
    /// Whether time is paused.
    pub stands: bool,
    /// The part of the drawing that is in view, and the size in which it is shown.
    pub camera: Camera,
    pub pane: Pane,
}

/// The canvas with the frames in flight.
#[component]
pub fn Pulses(props: &PulsesProps) -> Html {
    let canvas = use_node_ref();
    let painter = use_mut_ref(|| None::<Rc<RefCell<Painter>>>);
    {
        let canvas = canvas.clone();
        let view = (props.camera, props.pane);
        use_effect_with((props.sent.clone(), props.stands, view), move |(sent, stands, view)| {
            let mut painter = painter.borrow_mut();
            if painter.is_none() {
                *painter = Painter::on(&canvas).map(RefCell::new).map(Rc::new);
            }
            if let Some(painter) = painter.as_ref() {
                painter.borrow_mut().take(sent, *stands, *view);
                go_on(painter.clone());
            }
        });
    }
    html! { <canvas class="pulses" ref={canvas} aria-hidden="true" /> }
}

/// Paints at every redraw of the browser until nothing moves.
fn go_on(painter: Rc<RefCell<Painter>>) {
    if painter.borrow().frame.is_some() {
        return;
    }
    let again = painter.clone();
    let frame = request_animation_frame(move |now| {
        let moves = again.borrow_mut().paint(now);
        let ended = again.borrow_mut().frame.take();
        if moves {
            go_on(again);
        }
        drop(ended);
    });
    painter.borrow_mut().frame = Some(frame);
}

struct Painter {
    canvas: HtmlCanvasElement,
    context: CanvasRenderingContext2d,
    moving: BTreeMap<(u64, u64), Moving>,
    stands: bool,
    view: Option<(Camera, Pane)>,
    palette: Palette,
    frame: Option<AnimationFrame>,
}

struct Moving {
    group: &'static str,
    way: Way,
    travel: Travel,
    /// When this canvas first received it, milliseconds by the page's clock.
    since: f64,
}

#[derive(Default)]
struct Palette {
    read_at: Option<f64>,
    wants_no_motion: bool,
    outline: String,
    /// Colours by group.
    fills: BTreeMap<&'static str, String>,
}

impl Painter {
    /// `None` if the browser does not support canvases.
    fn on(canvas: &NodeRef) -> Option<Painter> {
        let canvas = canvas.cast::<HtmlCanvasElement>()?;
        let context = canvas.get_context("2d").ok()??.dyn_into().ok()?;
        let (moving, palette) = Default::default();
        Some(Painter { canvas, context, moving, stands: false, view: None, palette, frame: None })
    }

    /// Sets the frames in flight. Frames that are known already continue from their position.
    fn take(&mut self, sent: &[Sent], stands: bool, view: (Camera, Pane)) {
        let now = now();
        self.view = Some(view);
        let mut known = std::mem::take(&mut self.moving);
        self.stands = stands;
        self.moving = sent
            .iter()
            .map(|sent| {
                let (since, travel) = known.remove(&sent.key).map_or((now, sent.travel), |old| (old.since, old.travel));
                (sent.key, Moving { group: sent.group, way: sent.way, travel, since })
            })
            .collect();
    }

    /// Returns whether something will have moved by the next redraw.
    fn paint(&mut self, now: f64) -> bool {
        self.palette.look(now, &self.canvas);
        let Some((camera, pane)) = self.view else { return false };
        let density = web_sys::window().map_or(1.0, |window| window.device_pixel_ratio());
        let pixels = [pane.width, pane.height].map(|length| (length * density).round() as u32);
        if [self.canvas.width(), self.canvas.height()] != pixels {
            self.canvas.set_width(pixels[0]);
            self.canvas.set_height(pixels[1]);
        }
        let zoom = camera.pixels_per_unit(pane) * density;
        let (left, top) = camera.pane_from_page(pane, (0.0, 0.0));
        // Neither call fails: the numbers are finite.
        let _ = self.context.reset_transform();
        self.context.clear_rect(0.0, 0.0, pane.width * density, pane.height * density);
        let _ = self.context.set_transform(zoom, 0.0, 0.0, zoom, left * density, top * density);
        let mut moves = false;
        for moving in self.moving.values() {
            moves |= self.paint_one(moving, now, camera.slimness());
        }
        self.context.set_global_alpha(1.0);
        moves && !self.stands
    }

    fn paint_one(&self, moving: &Moving, now: f64, slimness: f64) -> bool {
        let passed = if self.stands { 0.0 } else { (now - moving.since).max(0.0) };
        let share = moving.travel.share_after(passed);
        let dot = if self.palette.wants_no_motion { moving.way.at_rest(share) } else { moving.way.at(share) };
        let Some(dot) = dot else { return false };
        self.context.set_global_alpha(dot.opacity);
        // Painting two discs is faster than a disc with an outline.
        let radius = |outline: f64| (dot.radius + outline / 2.0) * slimness;
        self.disc(&self.palette.outline, dot.x, dot.y, radius(OUTLINE));
        self.disc(&self.palette.fills[moving.group], dot.x, dot.y, radius(-OUTLINE));
        true
    }

    fn disc(&self, colour: &str, x: f64, y: f64, radius: f64) {
        self.context.set_fill_style_str(colour);
        self.context.begin_path();
        // Fails only for negative radii, which do not occur.
        let _ = self.context.arc(x, y, radius, 0.0, TAU);
        self.context.fill();
    }
}

impl Palette {
    /// Reads the colours from the style sheet.
    fn look(&mut self, now: f64, canvas: &HtmlCanvasElement) {
        if self.read_at.is_some_and(|at| now - at < LOOK_EVERY) {
            return;
        }
        self.read_at = Some(now);
        let Some(window) = web_sys::window() else { return };
        let style = window.get_computed_style(canvas).ok().flatten();
        let colour = |name: &str| {
            let value = style.as_ref().and_then(|style| style.get_property_value(&format!("--{name}")).ok());
            value.map(|value| value.trim().to_owned()).unwrap_or_default()
        };
        self.outline = colour("ground");
        self.fills = GROUPS.into_iter().map(|group| (group, colour(group))).collect();
        let motion = window.match_media("(prefers-reduced-motion: reduce)").ok().flatten();
        self.wants_no_motion = motion.is_some_and(|query| query.matches());
    }
}

fn now() -> f64 {
    web_sys::window().and_then(|window| window.performance()).map_or(0.0, |clock| clock.now())
}
