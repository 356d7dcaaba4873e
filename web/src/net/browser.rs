//! Browser functions other than sockets: address, animation frames, events, files and the clipboard. Listeners and
//! frame callbacks stop when they are dropped.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::js_sys::{Reflect, Uint8Array};
use web_sys::{Element, Event, EventTarget, File, ResizeObserver, Response, Storage, Window};

use super::steady::SteadyClock;

/// Milliseconds since the page was opened, with fractions.
pub fn performance_ms() -> f64 {
    web_sys::window()
        .and_then(|window| window.performance())
        .map_or_else(web_sys::js_sys::Date::now, |clock| clock.now())
}

thread_local! {
    static CLOCK: Cell<SteadyClock> = Cell::default();
}

/// The page's time: milliseconds since 1970 that never go back.
pub fn now_ms() -> u64 {
    let mut clock = CLOCK.get();
    let now_ms = clock.read(web_sys::js_sys::Date::now(), performance_ms());
    CLOCK.set(clock);
    now_ms
}

// The address.

/// The URL fragment with its `#`; empty if there is none.
pub fn fragment() -> String {
    web_sys::window().and_then(|window| window.location().hash().ok()).unwrap_or_default()
}

/// Navigates to an address, as a click on a link does.
pub fn go_to(address: &str) {
    if let Some(window) = web_sys::window() {
        // If the browser refuses, the page visibly stays as it is.
        let _ = window.location().set_href(address);
    }
}

/// Replaces the URL fragment without navigating: no event is fired, and the history keeps its entries.
pub fn write_fragment(fragment: &str) {
    let history = web_sys::window().and_then(|window| window.history().ok());
    if let Some(history) = history {
        // Some browsers limit the rate of these calls. A refused call is harmless: the next one writes the newer
        // fragment.
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(fragment));
    }
}

/// As [`write_fragment`], as a new entry of the history.
pub fn push_fragment(fragment: &str) {
    let history = web_sys::window().and_then(|window| window.history().ok());
    if let Some(history) = history {
        let _ = history.push_state_with_url(&JsValue::NULL, "", Some(fragment));
    }
}

/// The page's full address with another fragment.
pub fn address_with(fragment: &str) -> String {
    let whole = web_sys::window().and_then(|window| window.location().href().ok()).unwrap_or_default();
    format!("{}{fragment}", whole.split('#').next().unwrap_or_default())
}

/// Copies a text to the clipboard; `tell` receives whether it succeeded. Browsers allow this only to pages loaded over
/// HTTPS or from localhost.
pub fn copy(text: String, tell: impl FnOnce(bool) + 'static) {
    let clipboard = web_sys::window().map(|window| window.navigator()).and_then(|navigator| {
        let has_one = Reflect::get(&navigator, &"clipboard".into()).is_ok_and(|found| found.is_object());
        has_one.then(|| navigator.clipboard())
    });
    let Some(clipboard) = clipboard else { return tell(false) };
    spawn_local(async move { tell(JsFuture::from(clipboard.write_text(&text)).await.is_ok()) });
}

/// Replaces the whole page by an error. Nothing of it runs afterwards.
pub fn end_page(title: &str, why: &str) {
    let Some(document) = web_sys::window().and_then(|window| window.document()) else { return };
    let Some(body) = document.body() else { return };
    body.set_inner_html("<main class=\"invitation\" role=\"alert\" data-testid=\"page-ended\"><h1></h1><p></p></main>");
    for (tag, text) in [("h1", title), ("p", why)] {
        if let Ok(Some(element)) = body.query_selector(tag) {
            element.set_text_content(Some(text));
        }
    }
}

/// Reads a file that the user chose or dropped, decompressed if it is compressed with gzip. `tell` receives its bytes
/// or an error text.
pub fn read(file: File, tell: impl FnOnce(Result<Vec<u8>, String>) + 'static) {
    spawn_local(async move {
        let read = read_whole(&file).await;
        tell(read.map_err(|_| format!("the browser cannot read {}", file.name())));
    });
}

async fn read_whole(file: &File) -> Result<Vec<u8>, JsValue> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let bytes = Uint8Array::new(&JsFuture::from(file.array_buffer()).await?).to_vec();
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let unpacked = file.stream().pipe_through(DecompressionStream::new("gzip")?.unchecked_ref());
    let unpacked = Response::new_with_opt_readable_stream(Some(&unpacked))?.array_buffer()?;
    Ok(Uint8Array::new(&JsFuture::from(unpacked).await?).to_vec())
}

#[wasm_bindgen]
extern "C" {
    /// web-sys has this type only among its unstable interfaces.
    type DecompressionStream;

    #[wasm_bindgen(constructor, catch)]
    pub fn new(format: &str) -> Result<DecompressionStream, JsValue>;
}

// Storage.

/// Remembers a text for later visits. A browser that refuses forgets it, and nothing else happens.
pub fn remember(key: &str, text: &str) {
    if let Some(storage) = storage() {
        let _ = storage.set_item(key, text);
    }
}

/// The text that an earlier visit remembered under this key.
pub fn remembered(key: &str) -> Option<String> {
    storage()?.get_item(key).ok()?
}

fn storage() -> Option<Storage> {
    web_sys::window()?.local_storage().ok()?
}

// Sizes.

/// The width and the height of the window, in CSS pixels. Without a window: those of a common one.
pub fn window_size() -> (i32, i32) {
    let length =
        |value: Option<wasm_bindgen::JsValue>| value.and_then(|value| value.as_f64()).map(|length| length as i32);
    let window = web_sys::window();
    let width = length(window.as_ref().and_then(|window| window.inner_width().ok()));
    let height = length(window.as_ref().and_then(|window| window.inner_height().ok()));
    (width.unwrap_or(1_440), height.unwrap_or(900))
}

/// Reports the size of an element until dropped, beginning with its present size.
pub struct Measure {
    observer: ResizeObserver,
    _told: Closure<dyn FnMut()>,
}

impl Measure {
    /// `None` if the browser does not support it.
    pub fn of(element: &Element, tell: impl FnMut() + 'static) -> Option<Measure> {
        let told = Closure::<dyn FnMut()>::new(tell);
        let observer = ResizeObserver::new(told.as_ref().unchecked_ref()).ok()?;
        observer.observe(element);
        Some(Measure { observer, _told: told })
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        self.observer.disconnect();
    }
}

// Events.

/// Listens to one kind of event until dropped.
pub struct Listener {
    target: EventTarget,
    kind: &'static str,
    heard: Closure<dyn FnMut(Event)>,
}

impl Listener {
    /// `None` if there is no window.
    pub fn on_window(kind: &'static str, hear: impl FnMut(Event) + 'static) -> Option<Listener> {
        let target: EventTarget = web_sys::window()?.unchecked_into();
        let heard = Closure::<dyn FnMut(Event)>::new(hear);
        target.add_event_listener_with_callback(kind, heard.as_ref().unchecked_ref()).ok()?;
        Some(Listener { target, kind, heard })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Removing a listener that is already gone is harmless.
        let _ = self.target.remove_event_listener_with_callback(self.kind, self.heard.as_ref().unchecked_ref());
    }
}

// Frames.

type FrameCallback = Rc<RefCell<Option<Closure<dyn FnMut(f64)>>>>;

/// Calls a function before each redraw of the browser until dropped. A hidden page is not redrawn.
pub struct Frames {
    window: Window,
    asked: Rc<Cell<i32>>,
    callback: FrameCallback,
}

impl Frames {
    /// `call` receives the milliseconds since its last call. `None` if there is no window.
    pub fn start(mut call: impl FnMut(f64) + 'static) -> Option<Frames> {
        let window = web_sys::window()?;
        let (asked, callback) = (Rc::new(Cell::new(0)), FrameCallback::default());
        let mut last = performance_ms();
        let (again, next, place) = (window.clone(), callback.clone(), asked.clone());
        *callback.borrow_mut() = Some(Closure::new(move |_: f64| {
            let now = performance_ms();
            call(now - last);
            last = now;
            place.set(ask(&again, &next));
        }));
        asked.set(ask(&window, &callback));
        Some(Frames { window, asked, callback })
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        // Cancels the requested frame. If it has already run, cancelling has no effect.
        let _ = self.window.cancel_animation_frame(self.asked.get());
        // A frame that drops itself is still running, so its closure is dropped after it returns.
        if let Ok(mut callback) = self.callback.try_borrow_mut() {
            let callback = callback.take();
            spawn_local(async move { drop(callback) });
        }
    }
}

fn ask(window: &Window, callback: &FrameCallback) -> i32 {
    let callback = callback.borrow();
    let Some(callback) = callback.as_ref() else { return 0 };
    window.request_animation_frame(callback.as_ref().unchecked_ref()).unwrap_or_default()
}
