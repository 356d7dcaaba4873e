//! The pages' HTML. Of trunk's elements, they may use stylesheets and one program:
//!
//! ```html
//! <link data-trunk rel="css" href="web/style.css">
//! <link data-trunk rel="rust" href="web/Cargo.toml" data-bin="cubecast-dashboard">
//! ```

use std::fmt::Write as _;

const START: &str = "<link data-trunk ";

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PageError {
    #[error("an element of trunk has no end: {0}")]
    Unfinished(String),
    #[error("only stylesheets and programs can be bundled, not {0}")]
    Unknown(String),
    #[error("it needs exactly one program, and has {0}")]
    Programs(usize),
}

/// A page, cut at trunk's elements.
#[derive(PartialEq, Eq, Debug)]
pub struct Page<'a> {
    pieces: Vec<Piece<'a>>,
}

#[derive(PartialEq, Eq, Debug)]
enum Piece<'a> {
    Text(&'a str),
    Sheet(&'a str),
    Program,
}

impl<'a> Page<'a> {
    pub fn parse(html: &'a str) -> Result<Self, PageError> {
        let mut pieces = Vec::new();
        let mut rest = html;
        while let Some(start) = rest.find(START) {
            let (text, element) = rest.split_at(start);
            let (element, after) =
                element.split_once('>').ok_or_else(|| PageError::Unfinished(element.lines().collect()))?;
            pieces.push(Piece::Text(text));
            pieces.push(match (attribute(element, "rel"), attribute(element, "href")) {
                (Some("css"), Some(href)) => Piece::Sheet(href),
                (Some("rust"), _) => Piece::Program,
                _ => return Err(PageError::Unknown(format!("{element}>"))),
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest));
        match pieces.iter().filter(|piece| **piece == Piece::Program).count() {
            1 => Ok(Page { pieces }),
            programs => Err(PageError::Programs(programs)),
        }
    }

    /// The stylesheets, as paths from the page.
    pub fn sheets(&self) -> impl Iterator<Item = &'a str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Sheet(href) => Some(*href),
            Piece::Text(_) | Piece::Program => None,
        })
    }

    /// The page with the names of the built files. `sheets` are in the order of [`Page::sheets`].
    pub fn render(&self, sheets: &[String], script: &str, wasm: &str) -> String {
        let mut sheets = sheets.iter();
        let mut html = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => html.push_str(text),
                Piece::Sheet(_) => {
                    let sheet = sheets.next().expect("a name for each stylesheet");
                    write!(html, r#"<link rel="stylesheet" href="./{sheet}">"#).expect("memory");
                }
                // Without the preloads, the browser would request the module only after it had run the script.
                Piece::Program => write!(
                    html,
                    r#"<link rel="modulepreload" href="./{script}">
    <link rel="preload" href="./{wasm}" as="fetch" type="application/wasm" crossorigin>
    <script type="module">
      import init from './{script}';
      await init({{ module_or_path: './{wasm}' }});
    </script>"#
                )
                .expect("memory"),
            }
        }
        html
    }
}

fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = element.split_once(&format!(" {name}=\""))?;
    Some(after.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHEET: &str = r#"<link data-trunk rel="css" href="web/a.css">"#;
    const PROGRAM: &str = r#"<link data-trunk rel="rust" href="web/Cargo.toml" data-bin="a">"#;

    #[test]
    fn the_elements_of_trunk_become_links_to_the_built_files() {
        let html = format!("<head>{SHEET}{PROGRAM}</head><link rel=\"icon\" href=\"x\">");
        let page = Page::parse(&html).unwrap();
        assert_eq!(page.sheets().collect::<Vec<_>>(), ["web/a.css"]);
        let built = page.render(&["a-1.css".to_owned()], "a-2.js", "a-2_bg.wasm");
        assert!(
            built.starts_with(r#"<head><link rel="stylesheet" href="./a-1.css"><link rel="modulepreload""#),
            "{built}"
        );
        assert!(built.contains("import init from './a-2.js'") && built.contains("'./a-2_bg.wasm'"), "{built}");
        assert!(built.ends_with("</script></head><link rel=\"icon\" href=\"x\">"), "{built}");
        assert!(!built.contains("data-trunk"), "{built}");
    }

    #[test]
    fn what_cannot_be_bundled_is_refused() {
        assert_eq!(Page::parse(SHEET), Err(PageError::Programs(0)));
        assert_eq!(Page::parse(&format!("{PROGRAM}{PROGRAM}")), Err(PageError::Programs(2)));
        let icon = r#"<link data-trunk rel="icon" href="x.svg">"#;
        assert_eq!(Page::parse(&format!("{icon}{PROGRAM}")), Err(PageError::Unknown(icon.to_owned())));
        assert!(matches!(Page::parse("<link data-trunk rel=\"css\""), Err(PageError::Unfinished(_))));
    }
}
