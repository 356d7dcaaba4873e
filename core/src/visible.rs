//! Makes untrusted text safe to display.
//!
//! Names and contents can come from anyone. A line feed can forge a line of a table or a log, an escape sequence can
//! control the terminal, a bidirectional mark reverses other text, and two names that differ in a zero-width character
//! look the same. This module replaces those characters with visible escapes, as in Rust's string literals: `\n`,
//! `\u{1b}`, `\u{200b}`.
//!
//! Use it for tables, sentences, logs and pages, never for stored or transmitted text: programs receive texts
//! unchanged.

use std::borrow::Cow;
use std::fmt::Write as _;

/// An untrusted text for display. Backslashes are doubled, so that different texts never look the same. The result
/// contains no line break. It is borrowed if nothing had to be changed.
///
/// A combining mark at the start is escaped too, because it would join the preceding text.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |at, c| c == '\\' || is_hidden(c) || at == 0 && is_combining(c))
}

/// A line that may contain untrusted text, parts of which may already be [`visible`]: the last safeguard before a
/// terminal or a log. Backslashes are not doubled, so a second pass changes nothing.
pub fn visible_line(line: &str) -> Cow<'_, str> {
    escaped(line, |_, c| is_hidden(c))
}

fn escaped(text: &str, is_escaped: impl Fn(usize, char) -> bool) -> Cow<'_, str> {
    // Most texts consist of printable ASCII, which needs no look at its characters.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'\\';
    let Some(odd) = text.bytes().position(|byte| !is_plain(byte)) else { return text.into() };
    let mut others = text[odd..].char_indices().map(|(at, c)| (odd + at, c));
    let Some((first, _)) = others.find(|(at, c)| is_escaped(*at, *c)) else { return text.into() };
    let mut visible = String::with_capacity(text.len() + 16);
    visible.push_str(&text[..first]);
    for (at, c) in text[first..].char_indices() {
        if is_escaped(first + at, c) { push_escaped(&mut visible, c) } else { visible.push(c) }
    }
    visible.into()
}

fn push_escaped(visible: &mut String, c: char) {
    match c {
        '\\' => visible.push_str("\\\\"),
        '\n' => visible.push_str("\\n"),
        '\r' => visible.push_str("\\r"),
        '\t' => visible.push_str("\\t"),
        _ => write!(visible, "{}", c.escape_unicode()).expect("a string takes everything"),
    }
}

/// Whether a character is invisible or affects the text around it.
fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let is_noncharacter = u32::from(c) & 0xFFFE == 0xFFFE;
    c.is_control() || is_noncharacter || HIDDEN.iter().any(|(from, to)| (*from..=*to).contains(&c))
}

/// Whether the standard library escapes the character: it does so for characters that combine with the preceding one,
/// and for those it considers unprintable.
fn is_combining(c: char) -> bool {
    !c.is_ascii() && c.escape_debug().len() > 1
}

/// In addition to control characters: Unicode's Default_Ignorable_Code_Point, format characters without a shape, line
/// and paragraph separators, noncharacters, and blank symbols. Sorted.
const HIDDEN: [(char, char); 25] = [
    ('\u{AD}', '\u{AD}'),       // soft hyphen
    ('\u{34F}', '\u{34F}'),     // combining grapheme joiner
    ('\u{61C}', '\u{61C}'),     // Arabic letter mark
    ('\u{115F}', '\u{1160}'),   // Hangul fillers
    ('\u{17B4}', '\u{17B5}'),   // Khmer inherent vowels
    ('\u{180B}', '\u{180F}'),   // Mongolian selectors and separator
    ('\u{200B}', '\u{200F}'),   // zero width space and joiners, direction marks
    ('\u{2028}', '\u{202E}'),   // line and paragraph separators, direction embeddings and overrides
    ('\u{2060}', '\u{206F}'),   // word joiner, invisible operators, direction isolates
    ('\u{2800}', '\u{2800}'),   // Braille blank
    ('\u{3164}', '\u{3164}'),   // Hangul filler
    ('\u{FDD0}', '\u{FDEF}'),   // noncharacters
    ('\u{FE00}', '\u{FE0F}'),   // variation selectors
    ('\u{FEFF}', '\u{FEFF}'),   // byte order mark
    ('\u{FFA0}', '\u{FFA0}'),   // halfwidth Hangul filler
    ('\u{FFF0}', '\u{FFFB}'),   // interlinear annotations
    ('\u{13430}', '\u{1343F}'), // Egyptian joiners
    ('\u{16FE4}', '\u{16FE4}'), // Khitan filler
    ('\u{1BCA0}', '\u{1BCA3}'), // shorthand controls
    ('\u{1D159}', '\u{1D159}'), // musical null notehead
    ('\u{1D173}', '\u{1D17A}'), // musical beams and slurs
    ('\u{E0000}', '\u{E00FF}'), // tags
    ('\u{E0100}', '\u{E01EF}'), // variation selectors
    ('\u{E01F0}', '\u{E0FFF}'), // reserved, ignorable
    ('\u{10FFFE}', '\u{10FFFF}'),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[track_caller]
    fn shows(text: &str, expected: &str) {
        assert_eq!(visible(text), expected, "{}", text.escape_unicode());
    }

    #[test]
    fn plain_text_of_any_script_stays_as_it_is_and_is_not_copied() {
        for text in
            ["", "hello, cube", "\"quoted\" 'text'", "köln-天気", "नमस्ते", "שלום", "e\u{301}te\u{301}", "🦀", "a\u{a0}b"]
        {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn what_moves_or_commands_a_terminal_is_escaped() {
        shows("two\nlines", "two\\nlines");
        shows("crlf\r\n", "crlf\\r\\n");
        shows("a\tb", "a\\tb");
        shows("\u{1b}[31mred\u{1b}[0m", "\\u{1b}[31mred\\u{1b}[0m");
        shows("\u{9b}2J bell\u{7} del\u{7f} nul\0", "\\u{9b}2J bell\\u{7} del\\u{7f} nul\\u{0}");
        shows("a\u{2028}b\u{85}c", "a\\u{2028}b\\u{85}c");
    }

    #[test]
    fn what_cannot_be_seen_or_turns_text_around_is_escaped() {
        shows("invis\u{200b}ible", "invis\\u{200b}ible");
        shows("\u{feff}news", "\\u{feff}news");
        shows("user\u{202e}txt.exe", "user\\u{202e}txt.exe");
        for (from, to) in HIDDEN {
            for hidden in [from, to] {
                shows(&format!("x{hidden}y"), &format!("x{}y", hidden.escape_unicode()));
            }
        }
    }

    #[test]
    fn a_combining_mark_is_escaped_only_where_it_would_join_the_text_before() {
        shows("\u{301}a", "\\u{301}a");
        shows("a\u{301}", "a\u{301}");
    }

    #[test]
    fn different_texts_never_look_the_same() {
        let texts = ["a", "a\n", "a\\n", "a\\\n", "a\\\\n", "a\u{200b}", "a\\u{200b}", "a\u{200c}", "a\\"];
        assert_eq!(texts.iter().map(|text| visible(text)).collect::<BTreeSet<_>>().len(), texts.len());
    }

    #[test]
    fn a_line_that_is_visible_already_stays_and_the_rest_of_it_becomes_so() {
        let shown = visible("a\\b\n\u{200b}").into_owned();
        assert_eq!(visible_line(&shown), shown);
        assert_eq!(visible_line("reason: \u{1b}]0;title\u{7}"), "reason: \\u{1b}]0;title\\u{7}");
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(HIDDEN.windows(2).all(|pair| pair[0].1 < pair[1].0) && HIDDEN.iter().all(|(from, to)| from <= to));
    }
}
