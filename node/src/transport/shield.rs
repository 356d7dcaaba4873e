//! Security headers: no other page can frame the dashboard, browsers do not guess file types, and a page runs only
//! the scripts in its own file.
//!
//! A page's inline scripts are listed in its policy by their hashes, which are computed when the file is served. A
//! dashboard built elsewhere therefore gets an equally strict policy.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use sha2::{Digest, Sha256};

/// The policy for answers that are not pages: load nothing, run nothing, no framing.
const NO_PAGE: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Sets the headers that every answer has. A page's own policy is kept.
pub fn cover(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NO_PAGE);
}

/// The content security policy for a page with this HTML.
///
/// A page may open WebSockets to any host and port: it connects to every node of its cluster, and this node need not
/// know their hosts and ports. Moving shapes are positioned by `style` attributes.
pub fn page_policy(html: &str) -> HeaderValue {
    let scripts = hashes(html, "script");
    let styles = hashes(html, "style");
    let policy = format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{scripts}; style-src 'self'{styles}; \
         style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self' ws: wss:; \
         object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("hashes in base64 are ASCII")
}

/// The hashes of all inline elements of this name, each preceded by a space.
fn hashes(html: &str, element: &str) -> String {
    let texts = inline_texts(html, element);
    texts.map(|text| format!(" 'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(normal(text))))).collect()
}

/// Browsers hash a script as parsed, with every line break converted to a line feed.
fn normal(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The text inside each element of this name. Elements that reference a file are empty, and the hash of an empty text
/// does no harm.
fn inline_texts<'a>(html: &'a str, element: &str) -> impl Iterator<Item = &'a str> {
    let (opening, closing) = (format!("<{element}"), format!("</{element}"));
    // Only ASCII letters change their case, so positions in both texts are equal.
    let lower = html.to_ascii_lowercase();
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let name_ends = from + lower[from..].find(&opening)? + opening.len();
            from = name_ends;
            if !lower[name_ends..].starts_with(|c: char| c == '>' || c.is_ascii_whitespace()) {
                continue;
            }
            let begins = name_ends + end_of_tag(&lower[name_ends..])?;
            let ends = begins + lower[begins..].find(&closing)?;
            from = ends;
            return Some(&html[begins..ends]);
        }
    })
}

/// The position after the end of a tag. A `>` in quotes does not end the tag.
fn end_of_tag(rest: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at + 1),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_run_its_own_inline_scripts_and_no_others() {
        let html =
            "<SCRIPT type=\"module\" data-x=\"a>b\">alert(1)</SCRIPT><scripture>no</scripture><style>p{}</style>";
        let policy = page_policy(html);
        let policy = policy.to_str().unwrap();
        // echo -n 'alert(1)' | openssl dgst -sha256 -binary | base64
        let script = "script-src 'self' 'wasm-unsafe-eval' 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=';";
        assert!(policy.contains(script), "{policy}");
        assert_eq!(policy.matches("sha256-").count(), 2, "one script and one style: {policy}");
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("script-src 'unsafe-inline'"),
            "{policy}"
        );
    }

    #[test]
    fn line_breaks_are_hashed_as_browsers_read_them() {
        assert_eq!(page_policy("<script>a\r\nb\rc</script>"), page_policy("<script>a\nb\nc</script>"));
    }

    #[test]
    fn no_html_makes_the_scanner_panic() {
        for html in
            ["<script", "<script >", "<script>", "<script a='", "<ſcript>é</script>", "</script><script>é", "<style>ä"]
        {
            page_policy(html);
        }
    }

    #[test]
    fn a_pages_policy_stays_and_all_else_gets_the_strictest() {
        let mut page = HeaderMap::from_iter([(CONTENT_SECURITY_POLICY, page_policy(""))]);
        cover(&mut page);
        assert_eq!(page[CONTENT_SECURITY_POLICY], page_policy(""));
        let mut text = HeaderMap::new();
        cover(&mut text);
        assert_eq!(text[CONTENT_SECURITY_POLICY], NO_PAGE);
        assert_eq!(
            (&text[X_FRAME_OPTIONS], &text[REFERRER_POLICY]),
            (&"DENY".parse().unwrap(), &"no-referrer".parse().unwrap())
        );
    }
}
