//! Finds out why a WebSocket does not open. A browser hides the status and the text of a refused handshake from the
//! page, so the page sends a plain HTTP request to the same server and reads both from the response.

use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{RequestInit, Response};

/// Bytes. Longer texts do not come from a node.
const MOST_TEXT: usize = 400;

/// Explains the server's response to an HTTP request at `url`, where a WebSocket was refused. `None` if the server does
/// not respond.
///
/// The request is a POST, because browsers omit the `Origin` header from a same-origin GET.
pub async fn explain(url: &str) -> Option<String> {
    let post = RequestInit::new();
    post.set_method("POST");
    let answered = JsFuture::from(web_sys::window()?.fetch_with_str_and_init(url, &post)).await.ok()?;
    let response: Response = answered.dyn_into().ok()?;
    let text = JsFuture::from(response.text().ok()?).await.ok()?.as_string().unwrap_or_default();
    Some(words(response.status(), response.headers().get("content-type").ok()??.as_str(), text.trim(), url))
}

fn words(status: u16, content_type: &str, text: &str, url: &str) -> String {
    let is_from_node = content_type.starts_with("text/plain") && !text.is_empty() && text.len() <= MOST_TEXT;
    match status {
        403 | 503 if is_from_node => format!("The node answered: {text}"),
        400 | 405 | 426 => "Plain HTTP reaches a node at this address, but the WebSocket does not. \
             If there is a proxy in between, let it forward the headers Upgrade and Connection."
            .to_owned(),
        _ => format!(
            "The server at {url} answered {status} and is not a node. If it is a proxy, \
             let it forward this path to a node's /ws."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_own_words_are_shown_and_a_proxys_page_is_not() {
        let said = "Pages from https://a.example may not connect to this node. \
            To allow it, start the node with --allow-origin https://a.example.";
        assert_eq!(words(403, "text/plain; charset=utf-8", said, "u"), format!("The node answered: {said}"));
        assert!(
            words(403, "text/html", "<h1>Forbidden</h1>", "https://a/ws")
                .contains("The server at https://a/ws answered 403")
        );
        assert!(
            words(426, "text/plain", "This is the WebSocket of a Cubecast node.", "u")
                .contains("the WebSocket does not")
        );
        assert!(words(404, "text/html", "", "https://a/cube/ws").contains("forward this path to a node's /ws"));
    }
}
