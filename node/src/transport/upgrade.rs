//! Checks whether a request may become a WebSocket (RFC 6455, 4.2.1), and builds the answer if not.

use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::header::{
    ALLOW, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode, Version};

use super::static_files::page;

/// The only version of the protocol.
const VERSION: HeaderValue = HeaderValue::from_static("13");
/// The length of a key: 16 bytes in base64; the last two characters are padding.
const KEY_CHARACTERS: usize = 24;

/// Why a request cannot become a WebSocket. The text is the body of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UpgradeRefused {
    #[error("A WebSocket is opened with GET.")]
    Method,
    #[error("A WebSocket needs HTTP/1.1. Does a proxy in between speak HTTP/1.0 to this node?")]
    HttpVersion,
    #[error("This is Cubecast's WebSocket. Connect with a WebSocket client, version 13.")]
    NoUpgrade,
    #[error("The header `Connection` does not name `Upgrade`. Does a proxy in between drop it?")]
    Connection,
    #[error("The header `Sec-WebSocket-Version` has to be 13, the only version that is spoken here.")]
    WebSocketVersion,
    #[error("The header `Sec-WebSocket-Key` has to be there once, with 16 bytes in base64.")]
    Key,
    #[error("A request that opens a WebSocket has no body.")]
    HasBody,
}

impl UpgradeRefused {
    fn status(self) -> StatusCode {
        match self {
            UpgradeRefused::Method => StatusCode::METHOD_NOT_ALLOWED,
            UpgradeRefused::NoUpgrade | UpgradeRefused::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
            UpgradeRefused::HttpVersion
            | UpgradeRefused::Connection
            | UpgradeRefused::Key
            | UpgradeRefused::HasBody => StatusCode::BAD_REQUEST,
        }
    }

    /// The refusal as an answer, with headers that state the correct form.
    pub fn answer(self) -> Response<Full<Bytes>> {
        let mut answer = page(self.status(), &format!("{self}\n"));
        let headers = answer.headers_mut();
        match self.status() {
            StatusCode::METHOD_NOT_ALLOWED => drop(headers.insert(ALLOW, HeaderValue::from_static("GET"))),
            StatusCode::UPGRADE_REQUIRED => {
                headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(SEC_WEBSOCKET_VERSION, VERSION);
            }
            _ => {}
        }
        answer
    }
}

/// The key of a request that may become a WebSocket.
pub fn check<B: Body>(request: &Request<B>) -> Result<HeaderValue, UpgradeRefused> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(UpgradeRefused::Method);
    }
    if !has_token(headers, UPGRADE, "websocket") {
        return Err(UpgradeRefused::NoUpgrade);
    }
    if request.version() < Version::HTTP_11 {
        return Err(UpgradeRefused::HttpVersion);
    }
    if !has_token(headers, CONNECTION, "upgrade") {
        return Err(UpgradeRefused::Connection);
    }
    if only(headers, SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        return Err(UpgradeRefused::WebSocketVersion);
    }
    let key = only(headers, SEC_WEBSOCKET_KEY).filter(|key| is_key(key)).ok_or(UpgradeRefused::Key)?;
    if !request.body().is_end_stream() {
        return Err(UpgradeRefused::HasBody);
    }
    Ok(key.clone())
}

/// Whether the client offers this subprotocol.
pub fn offers(headers: &HeaderMap, subprotocol: &str) -> bool {
    tokens(headers, SEC_WEBSOCKET_PROTOCOL).any(|offered| offered == subprotocol)
}

/// Whether the request has exactly one `Host` header (RFC 9112, 3.2). HTTP/1.0 requests need none.
pub fn names_its_host<B>(request: &Request<B>) -> bool {
    request.version() < Version::HTTP_11 || only(request.headers(), HOST).is_some()
}

fn has_token(headers: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

/// The items of a comma-separated list, which may be spread over several headers of the same name.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    values.next().filter(|_| values.next().is_none())
}

fn is_key(key: &HeaderValue) -> bool {
    let digits = |digits: &[u8]| digits.iter().all(|digit| digit.is_ascii_alphanumeric() || b"+/".contains(digit));
    let key = key.as_bytes();
    key.len() == KEY_CHARACTERS && key.strip_suffix(b"==").is_some_and(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[(&str, &str)] = &[
        ("host", "127.0.0.1:8000"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn request(headers: &[(&str, &str)]) -> Request<String> {
        let mut request = Request::new(String::new());
        for (name, value) in headers {
            request.headers_mut().append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        request
    }

    /// A request with valid headers, except that the header `name` has these values.
    fn with(name: &str, values: &[&str]) -> Request<String> {
        let others = GOOD.iter().filter(|(other, _)| *other != name).copied();
        request(&others.chain(values.iter().map(|value| (name, *value))).collect::<Vec<_>>())
    }

    #[test]
    fn headers_may_be_lists_in_any_case() {
        assert!(check(&request(GOOD)).is_ok());
        for (name, values) in [
            ("connection", &["keep-alive, Upgrade"][..]),
            ("connection", &["keep-alive", "upgrade"]),
            ("upgrade", &["WebSocket"]),
            ("upgrade", &["h2c, websocket"]),
        ] {
            assert!(check(&with(name, values)).is_ok(), "{name}: {values:?}");
        }
    }

    #[test]
    fn each_fault_has_a_reason_of_its_own() {
        use UpgradeRefused::*;
        for (name, values, refused) in [
            ("upgrade", &[][..], NoUpgrade),
            ("upgrade", &["h2c"], NoUpgrade),
            ("upgrade", &["websockets"], NoUpgrade),
            ("connection", &[], Connection),
            ("connection", &["keep-alive"], Connection),
            ("sec-websocket-version", &[], WebSocketVersion),
            ("sec-websocket-version", &["8"], WebSocketVersion),
            ("sec-websocket-version", &["13", "8"], WebSocketVersion),
            ("sec-websocket-key", &[], Key),
            ("sec-websocket-key", &[""], Key),
            ("sec-websocket-key", &["AAAA"], Key),
            ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZQ"], Key),
            ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZ?=="], Key),
            ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZTE="], Key),
            ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="], Key),
        ] {
            assert_eq!(check(&with(name, values)), Err(refused), "{name}: {values:?}");
        }
        let mut post = request(GOOD);
        *post.method_mut() = hyper::Method::POST;
        assert_eq!(check(&post), Err(Method));
        let mut old = request(GOOD);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(check(&old), Err(HttpVersion));
        assert_eq!(check(&request(GOOD).map(|_| "body".to_owned())), Err(HasBody));
    }

    #[test]
    fn a_refusal_tells_how_to_do_better() {
        let answer = UpgradeRefused::WebSocketVersion.answer();
        assert_eq!(answer.status(), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(answer.headers()[SEC_WEBSOCKET_VERSION], VERSION);
        assert_eq!(answer.headers()[UPGRADE], "websocket");
        assert_eq!(UpgradeRefused::Method.answer().headers()[ALLOW], "GET");
    }

    #[test]
    fn a_request_names_its_host_once() {
        assert!(names_its_host(&request(GOOD)));
        assert!(!names_its_host(&with("host", &[])));
        assert!(!names_its_host(&with("host", &["a", "b"])));
    }

    #[test]
    fn subprotocols_are_told_apart_by_their_whole_name() {
        let offered = with("sec-websocket-protocol", &["chat, cubecast-peer.10", "other"]);
        assert!(!offers(offered.headers(), "cubecast-peer.1"));
        assert!(offers(offered.headers(), "other"));
    }
}
