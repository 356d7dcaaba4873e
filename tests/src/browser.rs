//! A headless Chromium that shows the dashboard. Elements are found by their `data-testid`.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cubecast_core::address::Host;
use cubecast_node::cluster::ports::{self, BasePort};
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::artifacts;
use crate::wait::eventually;

/// Wide enough for the page's columns.
const WINDOW: &str = "--window-size=1440,1100";
/// Timeout of a browser command.
const COMMAND: Duration = Duration::from_secs(20);
/// WebDriver's key codes: hold Control; release all modifiers.
const CONTROL: char = '\u{E009}';
const RELEASE: char = '\u{E000}';

/// A browser with one page. Dropping it ends the browser and its driver, and removes the profile.
pub struct Browser {
    client: Client,
    driver: Driver,
    _profile: TempDir,
}

/// A running chromedriver; its browsers are in its process group.
struct Driver(Child);

impl Browser {
    /// Starts a browser. `CHROMEDRIVER` names the driver.
    pub async fn start() -> Browser {
        Browser::start_with(&[], None).await
    }

    /// Starts a browser with the size of a small laptop's screen.
    pub async fn start_low() -> Browser {
        let metrics = json!({"width": 1280, "height": 760, "pixelRatio": 1, "touch": false, "mobile": false});
        Browser::start_with(&[], Some(json!({"deviceMetrics": metrics}))).await
    }

    /// Starts a browser with the size of a phone.
    pub async fn start_phone() -> Browser {
        Browser::start_as_wide_as(390).await
    }

    /// Starts a browser with a phone's screen of this width, in CSS pixels.
    pub async fn start_as_wide_as(width: u32) -> Browser {
        let metrics = json!({"width": width, "height": 844, "pixelRatio": 2, "touch": true});
        Browser::start_with(&[], Some(json!({"deviceMetrics": metrics}))).await
    }

    /// Starts a browser whose user prefers dark pages.
    pub async fn start_dark() -> Browser {
        Browser::start_with(&["--blink-settings=preferredColorScheme=0"], None).await
    }

    /// Starts a browser that resolves every host of this name to one port of this machine, as behind a proxy.
    pub async fn start_behind(name: &str, port: u16) -> Browser {
        Browser::start_with(&[&format!("--host-resolver-rules=MAP {name} 127.0.0.1:{port}")], None).await
    }

    async fn start_with(more: &[&str], emulation: Option<Value>) -> Browser {
        let port = ports::choose(&Host::LOOPBACK, BasePort::Auto, &[], 1).expect("there is a free port")[0];
        let driver = Driver::start(port);
        eventually("chromedriver listens", || async move {
            TcpStream::connect(("127.0.0.1", port)).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
        let profile = tempfile::Builder::new().prefix("cubecast-browser-").tempdir().expect("a temporary folder");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(&profile, more, emulation));
        let client = builder.connect(&format!("http://127.0.0.1:{port}")).await.expect("a browser starts");
        Browser { client, driver, _profile: profile }
    }

    /// Opens a URL.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Ends the session and the browser.
    pub async fn close(self) {
        self.client.clone().close().await.expect("the browser closes");
    }

    // User actions.

    /// Waits for an element, scrolls to it if it is not in sight, and clicks on it.
    pub async fn click(&self, id: &str) {
        let look = format!(
            "document.querySelector('[data-testid=\"{id}\"]')?.scrollIntoView({{ block: 'nearest' }});
             arguments[0](null)"
        );
        self.evaluate(&look).await;
        let clicked = |element: Element| async move { element.click().await.map_err(|error| error.to_string()) };
        self.with(&format!("{id} can be clicked"), id, clicked).await;
    }

    /// Sends two clicks without delay, before any effect of the first one is visible.
    pub async fn double_click(&self, id: &str) {
        const CLICK: &str = "new MouseEvent('click', { bubbles: true, cancelable: true, detail: number })";
        let script = format!(
            "const found = () => document.querySelector('[data-testid=\"{id}\"]');
             for (const number of [1, 2]) found()?.dispatchEvent({CLICK});
             arguments[0](null)"
        );
        self.evaluate(&script).await;
    }

    /// Replaces a field's text.
    pub async fn type_into(&self, id: &str, text: &str) {
        let keys = format!("{CONTROL}a{RELEASE}{text}");
        let typed = |element: Element| {
            let keys = keys.clone();
            async move { element.send_keys(&keys).await.map_err(|error| error.to_string()) }
        };
        self.with(&format!("{id} takes text"), id, typed).await;
    }

    /// Chooses an option of a select element.
    pub async fn choose(&self, id: &str, value: &str) {
        let chosen =
            |element: Element| async move { element.select_by_value(value).await.map_err(|error| error.to_string()) };
        self.with(&format!("{id} offers {value}"), id, chosen).await;
    }

    // What the user sees.

    /// Waits until the element's text contains these words.
    pub async fn wait_for_text(&self, id: &str, words: &str) {
        let reads = |element: Element| async move {
            let text = element.text().await.map_err(|error| error.to_string())?;
            if text.contains(words) { Ok(()) } else { Err(text) }
        };
        self.with(&format!("{id} reads `{words}`"), id, reads).await;
    }

    /// Waits until the element's `data-state` has this value.
    pub async fn wait_for_state(&self, id: &str, state: &str) {
        self.wait_for_attribute(id, "data-state", state).await;
    }

    /// Waits until an attribute has this value.
    pub async fn wait_for_attribute(&self, id: &str, name: &str, value: &str) {
        let has = |element: Element| async move {
            let found = element.attr(name).await.map_err(|error| error.to_string())?;
            if found.as_deref() == Some(value) { Ok(()) } else { Err(format!("{found:?}")) }
        };
        self.with(&format!("{id} has {name}=\"{value}\""), id, has).await;
    }

    /// The current text.
    pub async fn text(&self, id: &str) -> String {
        let element = self.client.find(Locator::Css(&format!("[data-testid=\"{id}\"]"))).await;
        let element = element.unwrap_or_else(|error| panic!("{id}: {error}"));
        element.text().await.unwrap_or_else(|error| panic!("{id}: {error}"))
    }

    /// The current value of an attribute.
    pub async fn attribute(&self, id: &str, name: &str) -> String {
        let element = self.client.find(Locator::Css(&format!("[data-testid=\"{id}\"]"))).await;
        let element = element.unwrap_or_else(|error| panic!("{id}: {error}"));
        let value = element.attr(name).await.unwrap_or_else(|error| panic!("{id}: {error}"));
        value.unwrap_or_else(|| panic!("{id} has no {name}"))
    }

    /// The page's address with query and fragment.
    pub async fn address(&self) -> String {
        self.client.current_url().await.expect("a page has an address").to_string()
    }

    /// The address of the document in the page's first frame.
    pub async fn address_of_frame(&self) -> String {
        self.client.enter_frame(0).await.expect("the page has a frame");
        let address = self.client.execute("return document.URL", Vec::new()).await.expect("the script runs");
        self.client.clone().enter_parent_frame().await.expect("the frame is in a page");
        address.as_str().expect("an address is text").to_owned()
    }

    /// The element's HTML, and a PNG of it alone.
    pub async fn portrait(&self, id: &str) -> (String, Vec<u8>) {
        let element = self.client.find(Locator::Css(&format!("[data-testid=\"{id}\"]"))).await;
        let element = element.unwrap_or_else(|error| panic!("{id}: {error}"));
        let html = element.html(false).await.expect("an element has its code");
        (html, element.screenshot().await.expect("a picture is taken"))
    }

    /// Selects a file in a file input.
    pub async fn hand_over(&self, id: &str, file: &std::path::Path) {
        let path = file.to_str().expect("a path in words").to_owned();
        let handed = |element: Element| {
            let path = path.clone();
            async move { element.send_keys(&path).await.map_err(|error| error.to_string()) }
        };
        self.with(&format!("{id} takes a file"), id, handed).await;
    }

    /// Presses a key on the page as a whole.
    pub async fn press(&self, key: char) {
        let body = self.client.find(Locator::Css("body")).await.expect("a page has a body");
        body.send_keys(&key.to_string()).await.expect("the page takes a key");
    }

    /// Scrolls until the element is at the page's upper edge.
    pub async fn bring_into_view(&self, id: &str) {
        let script = format!("document.querySelector('[data-testid=\"{id}\"]').scrollIntoView(); arguments[0](null)");
        self.evaluate(&script).await;
    }

    /// Runs a script that passes its result to the function in its last argument.
    pub async fn evaluate(&self, script: &str) -> Value {
        self.client.execute_async(script, Vec::new()).await.expect("the script runs")
    }

    /// Saves a picture of the page for people; returns its path.
    pub async fn save_picture(&self, name: &str) -> PathBuf {
        let picture = self.client.screenshot().await.expect("a picture is taken");
        let file = artifacts::leftovers().join(format!("{name}.png"));
        std::fs::write(&file, picture).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        file
    }

    /// Resident memory of the largest renderer process, bytes.
    pub fn renderer_bytes(&self) -> u64 {
        let group = self.driver.0.id().to_string();
        let processes = std::fs::read_dir("/proc").expect("processes are seen under /proc").filter_map(Result::ok);
        processes.filter_map(|process| resident_bytes(&process.path(), &group)).max().unwrap_or(0)
    }

    /// Retries an action. The element is looked up each time, because the page may have redrawn it.
    async fn with<F>(&self, what: &str, id: &str, then: impl Fn(Element) -> F)
    where
        F: Future<Output = Result<(), String>>,
    {
        let selector = format!("[data-testid=\"{id}\"]");
        let (selector, then) = (&selector, &then);
        eventually(what, || async move {
            let looked = timeout(COMMAND, async {
                let found = self.client.find(Locator::Css(selector)).await;
                then(found.map_err(|error| error.to_string())?).await
            });
            looked.await.unwrap_or_else(|_| Err("the browser does not answer".into()))
        })
        .await;
    }
}

/// Resident memory of a renderer in that process group, bytes; `None` for other processes.
fn resident_bytes(process: &Path, group: &str) -> Option<u64> {
    const KIB: u64 = 1024;
    let command = std::fs::read_to_string(process.join("cmdline")).ok()?;
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    // The name in parentheses may contain any characters. After it: state, parent, group.
    let its_group = stat.rsplit_once(')')?.1.split_whitespace().nth(2)?;
    if !command.contains("--type=renderer") || its_group != group {
        return None;
    }
    let status = std::fs::read_to_string(process.join("status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(resident.split_whitespace().next()?.parse::<u64>().ok()? * KIB)
}

/// The capabilities of `webdriver.json`, which the tests in WebAssembly use too, with our own window size and profile.
fn capabilities(profile: &TempDir, more: &[&str], emulation: Option<Value>) -> Map<String, Value> {
    let file = artifacts::root().join("webdriver.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut capabilities: Map<String, Value> = serde_json::from_str(&text).expect("webdriver.json is an object");
    let arguments = capabilities["goog:chromeOptions"]["args"].as_array_mut().expect("it lists arguments");
    arguments.extend([json!(WINDOW), json!(format!("--user-data-dir={}", profile.path().display()))]);
    arguments.extend(more.iter().map(|argument| json!(argument)));
    if let Some(emulation) = emulation {
        capabilities["goog:chromeOptions"]["mobileEmulation"] = emulation;
    }
    capabilities
}

impl Driver {
    fn start(port: u16) -> Driver {
        let driver = std::env::var_os("CHROMEDRIVER").unwrap_or_else(|| "chromedriver".into());
        let mut command = Command::new(&driver);
        command.arg(format!("--port={port}")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Driver(command.process_group(0).spawn().unwrap_or_else(|error| panic!("{}: {error}", driver.display())))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Kills the driver's process group, which contains browsers left open by a failed test. They may have ended
        // already.
        let group = format!("-{}", self.0.id());
        let _ = Command::new("sh").args(["-c", "kill -KILL \"$1\"", "sh", &group]).stderr(Stdio::null()).status();
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
