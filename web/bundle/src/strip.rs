//! Removes comments and indentation from the text files that a browser loads.

/// A style sheet without comments, indentation and empty lines. Comments must not begin within a string.
pub fn css(text: &str) -> String {
    let mut parts = text.split("/*");
    let first = parts.next().unwrap_or_default().to_owned();
    let without = parts.fold(first, |kept, part| kept + part.split_once("*/").map_or("", |(_, rest)| rest));
    lines(&without, |_| true)
}

/// A script that wasm-bindgen wrote, without whole-line comments, indentation and empty lines. Its template strings
/// have one line each.
pub fn script(text: &str) -> String {
    let mut is_in_block = false;
    lines(text, |line| {
        let is_comment = is_in_block || line.starts_with("//") || line.starts_with("/*");
        if is_in_block || line.starts_with("/*") {
            is_in_block = !line.contains("*/");
        }
        !is_comment
    })
}

fn lines(text: &str, mut is_kept: impl FnMut(&str) -> bool) -> String {
    let kept = text.lines().map(str::trim).filter(|line| !line.is_empty() && is_kept(line));
    kept.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_sheet_loses_comments_and_indentation_only() {
        let text =
            "/* one\n   two */\n.a { color: red; } /* three */\n\n@media print {\n  .a { content: \"//\"; }\n}\n";
        assert_eq!(css(text), ".a { color: red; }\n@media print {\n.a { content: \"//\"; }\n}\n");
    }

    #[test]
    fn a_script_loses_whole_line_comments_and_indentation_only() {
        let text =
            "/** doc\n * of f\n */\nfunction f() {\n    // says\n    return 'a // b'; // c\n}\n/* one line */\nf();\n";
        assert_eq!(script(text), "function f() {\nreturn 'a // b'; // c\n}\nf();\n");
    }
}
