//! What the page needs of the browser beside sockets: its address, its frames, its events, files and the clipboard.
//! What starts here stops when it is dropped.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::js_sys::{Reflect, Uint8Array};
use web_sys::{Event, EventTarget, File, Window};

use crate::model::steady::SteadyClock;

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

/// What stands behind the `#`, with it; empty when nothing does.
pub fn fragment() -> String {
    web_sys::window().and_then(|window| window.location().hash().ok()).unwrap_or_default()
}

/// Goes there, as if a link was clicked.
pub fn go_to(address: &str) {
    if let Some(window) = web_sys::window() {
        // A browser that refuses leaves the page as it is, which is to be seen.
        let _ = window.location().set_href(address);
    }
}

/// Writes it into the address, without going anywhere: nobody is told, and the way back stays as it was.
pub fn write_fragment(fragment: &str) {
    let history = web_sys::window().and_then(|window| window.history().ok());
    if let Some(history) = history {
        // Some browsers refuse more than so many a minute; the next one will do.
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(fragment));
    }
}

/// The whole address, with another fragment.
pub fn address_with(fragment: &str) -> String {
    let whole = web_sys::window().and_then(|window| window.location().href().ok()).unwrap_or_default();
    format!("{}{fragment}", whole.split('#').next().unwrap_or_default())
}

/// Puts a text on the clipboard; tells whether it is there. A page that came unencrypted from elsewhere may not.
pub fn copy(text: String, tell: impl FnOnce(bool) + 'static) {
    let clipboard = web_sys::window().map(|window| window.navigator()).and_then(|navigator| {
        let has_one = Reflect::get(&navigator, &"clipboard".into()).is_ok_and(|found| found.is_object());
        has_one.then(|| navigator.clipboard())
    });
    spawn_local(async move {
        tell(match clipboard {
            Some(clipboard) => JsFuture::from(clipboard.write_text(&text)).await.is_ok(),
            None => false,
        });
    });
}

/// Reads a file that the person chose or dropped.
pub fn read(file: File, tell: impl FnOnce(Result<Vec<u8>, String>) + 'static) {
    spawn_local(async move {
        let read = JsFuture::from(file.array_buffer()).await;
        tell(match read {
            Ok(buffer) => Ok(Uint8Array::new(&buffer).to_vec()),
            Err(_) => Err(format!("the browser cannot read {}", file.name())),
        });
    });
}

// Events.

/// Hears one kind of event until it is dropped.
pub struct Listener {
    target: EventTarget,
    kind: &'static str,
    heard: Closure<dyn FnMut(Event)>,
}

impl Listener {
    /// `None`: there is no window.
    pub fn on_window(kind: &'static str, hear: impl FnMut(Event) + 'static) -> Option<Listener> {
        let target: EventTarget = web_sys::window()?.unchecked_into();
        let heard = Closure::<dyn FnMut(Event)>::new(hear);
        target.add_event_listener_with_callback(kind, heard.as_ref().unchecked_ref()).ok()?;
        Some(Listener { target, kind, heard })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Removing what is not there any more is no loss.
        let _ = self.target.remove_event_listener_with_callback(self.kind, self.heard.as_ref().unchecked_ref());
    }
}

// Frames.

type FrameCallback = Rc<RefCell<Option<Closure<dyn FnMut(f64)>>>>;

/// Calls before each drawing of the browser, until it is dropped. A page that is not looked at is not drawn.
pub struct Frames {
    window: Window,
    asked: Rc<Cell<i32>>,
    callback: FrameCallback,
}

impl Frames {
    /// `call` gets the milliseconds since its last call. `None`: there is no window.
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
        // A frame that was asked for and is not wanted any more; one that is gone already cannot be cancelled, nor does it come.
        let _ = self.window.cancel_animation_frame(self.asked.get());
        // A frame that drops itself is still running: its closure goes with the last who holds it.
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
