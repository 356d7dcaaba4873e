//! The imports that may stay although they are part of a cycle: a file with one import and its reason a line.

/// One allowed import.
#[derive(PartialEq, Eq, Debug)]
pub struct Allowed {
    /// The line in the file, from 1.
    pub line: usize,
    /// The crate, as the check names it.
    pub krate: String,
    /// The importing sibling, for instance `node::serve`.
    pub from: String,
    /// The imported sibling.
    pub to: String,
}

/// Reads lines of the form `crate: from -> to: reason`. Empty lines and lines that begin with `#` are left out.
pub fn parse(text: &str) -> Result<Vec<Allowed>, String> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, text)| parse_line(line, text).ok_or(format!("line {line}: expected `crate: from -> to: reason`")))
        .collect()
}

fn parse_line(line: usize, text: &str) -> Option<Allowed> {
    let (krate, rest) = text.split_once(": ")?;
    let (edge, reason) = rest.split_once(": ")?;
    let (from, to) = edge.split_once(" -> ")?;
    let is_complete = [krate, from, to, reason].iter().all(|part| !part.trim().is_empty());
    is_complete.then(|| Allowed { line, krate: krate.to_string(), from: from.to_string(), to: to.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowed_import_needs_a_reason() {
        let allowed =
            parse("# Imports\n\ncubecast-core: wire::a -> wire::b: one cannot be without the other\n").unwrap();
        let [import] = allowed.as_slice() else { panic!("{allowed:?}") };
        assert_eq!((import.line, import.krate.as_str()), (3, "cubecast-core"));
        assert_eq!((import.from.as_str(), import.to.as_str()), ("wire::a", "wire::b"));
        assert_eq!(parse("cubecast-core: a -> b: ").unwrap_err(), "line 1: expected `crate: from -> to: reason`");
        assert!(parse("cubecast-core: a -> b").is_err());
    }
}
