//! Renders texts that may contain untrusted names and contents as HTML.
//!
//! The browser treats them as text, never as markup. In addition, invisible characters are escaped and marked, and text
//! in another script gets its own direction, so that it does not reorder the words around it. Names contain no white
//! space, so a name is part of one word of a sentence.

use std::ops::Range;

use cubecast_core::visible::{visible, visible_line};
use yew::prelude::*;

/// Unicode's isolates, which give the enclosed text its own direction.
const ISOLATE: char = '\u{2068}';
const END_ISOLATE: char = '\u{2069}';
/// Characters of a name that fit in a sentence or in a list of options.
const SHORT: usize = 48;

/// A sentence. Words longer than any of the page's own are names, and are shortened; the title contains the full name.
pub fn words(text: &str) -> Html {
    let line = visible_line(text);
    if is_plain(&line) && line.split(' ').all(|word| word.len() <= SHORT) {
        return line.into_owned().into();
    }
    let with_space = |word: &str| match word.strip_suffix(' ') {
        Some(name) => html! { <>{self::word(name)}{" "}</> },
        None => self::word(word),
    };
    line.split_inclusive(' ').map(with_space).collect()
}

/// The same for attributes and other places without markup.
pub fn plain_words(text: &str) -> String {
    let line = visible_line(text);
    if line.is_ascii() {
        return line.into_owned();
    }
    let isolated = |word: &str| match word.strip_suffix(' ') {
        _ if word.is_ascii() => word.to_owned(),
        Some(word) => format!("{ISOLATE}{word}{END_ISOLATE} "),
        None => format!("{ISOLATE}{word}{END_ISOLATE}"),
    };
    line.split_inclusive(' ').map(isolated).collect()
}

/// A message's text with its lines. Each line break is marked as `\n`, so that a two-line text is not mistaken for two
/// texts.
pub fn message_words(text: &str) -> Html {
    let lines = text.split('\n').enumerate().map(|(number, line)| {
        let end = (number > 0).then(|| html! { <><span class="escaped">{"\\n"}</span>{"\n"}</> });
        html! { <>{end}{marked(&visible(line))}</> }
    });
    html! { <bdi class="message-text">{ for lines }</bdi> }
}

/// A long text without its middle.
pub fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= SHORT {
        return text.to_owned();
    }
    let end = SHORT / 4;
    let first: String = text.chars().take(SHORT - end - 1).collect();
    let last: String = text.chars().skip(count - end).collect();
    format!("{first}…{last}")
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii() && byte != b'\\')
}

fn word(word: &str) -> Html {
    let short = shortened(word);
    let title = (short.len() < word.len()).then(|| word.to_owned());
    match (is_plain(word), &title) {
        (true, None) => short.into(),
        (true, Some(_)) => html! { <span {title}>{short}</span> },
        (false, _) => html! { <bdi {title}>{marked(&short)}</bdi> },
    }
}

/// An escaped text in which escapes are marked, so that they differ from typed backslashes.
fn marked(visible: &str) -> Html {
    let mut parts = Vec::new();
    let mut done = 0;
    for escape in escapes(visible) {
        parts.push(visible[done..escape.start].to_owned().into());
        done = escape.end;
        parts.push(html! { <span class="escaped">{visible[escape].to_owned()}</span> });
    }
    parts.push(visible[done..].to_owned().into());
    parts.into_iter().collect()
}

/// The positions of escapes; consecutive ones are merged.
fn escapes(visible: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(start) = visible[at..].find('\\').map(|start| at + start) {
        let rest = &visible[start + 1..];
        let length = match rest.chars().next() {
            Some('u') if rest[1..].starts_with('{') => rest.find('}').map_or(1, |end| end + 1),
            Some('\\' | 'n' | 'r' | 't') => 1,
            _ => 0,
        };
        at = start + 1 + length;
        match found.last_mut().filter(|last| last.end == start) {
            Some(last) => last.end = at,
            None => found.push(start..at),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_found_and_those_in_a_row_are_one() {
        let found = |text: &'static str| escapes(text).into_iter().map(|range| &text[range]).collect::<Vec<_>>();
        assert_eq!(found("plain"), Vec::<&str>::new());
        assert_eq!(found(r"in\u{200b}\u{200c}vis\nible"), [r"\u{200b}\u{200c}", r"\n"]);
        assert_eq!(found(r"a\\u{200b}"), [r"\\"], "a backslash that was typed, and what stands behind it");
        assert_eq!(found(r"end\"), [r"\"]);
        assert_eq!(found(r"\u{20"), [r"\u"]);
    }

    #[test]
    fn a_word_of_another_script_keeps_its_direction_to_itself() {
        assert_eq!(plain_words("news #0 stored"), "news #0 stored");
        assert_eq!(plain_words("חדשות #0 stored"), "\u{2068}חדשות\u{2069} #0 stored");
        assert_eq!(plain_words("a\u{202e}b is deleted"), r"a\u{202e}b is deleted");
    }

    #[test]
    fn a_long_name_keeps_its_beginning_and_its_end() {
        assert_eq!(shortened("news"), "news");
        let short = shortened(&format!("{}z", "é".repeat(200)));
        assert_eq!(short.chars().count(), SHORT);
        assert!(short.ends_with("éz") && short.contains('…'));
    }
}
