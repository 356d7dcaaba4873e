//! Decides from an item's attributes whether it is compiled only with `cfg(test)`.

use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

/// Whether one of the attributes is a `cfg` that cannot hold without `test`.
pub fn only_in_tests(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .filter_map(|attribute| attribute.parse_args::<Meta>().ok())
        .any(|predicate| without_test(&predicate) == Some(false))
}

/// The predicate's value in a build without tests: `None` where it also depends on something else.
fn without_test(predicate: &Meta) -> Option<bool> {
    match predicate {
        Meta::Path(path) if path.is_ident("test") => Some(false),
        Meta::List(list) => {
            let parsed = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
            let values: Vec<Option<bool>> = parsed.iter().map(without_test).collect();
            if list.path.is_ident("not") {
                values.first().copied().flatten().map(|value| !value)
            } else if list.path.is_ident("all") {
                values.contains(&Some(false)).then_some(false)
            } else if list.path.is_ident("any") {
                values.iter().all(|value| *value == Some(false)).then_some(false)
            } else {
                None
            }
        }
        Meta::Path(_) | Meta::NameValue(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_only_in_tests(predicate: &str) -> bool {
        let item: syn::ItemStruct = syn::parse_str(&format!("#[cfg({predicate})] struct S;")).unwrap();
        only_in_tests(&item.attrs)
    }

    #[test]
    fn code_is_left_out_only_if_it_needs_cfg_test() {
        for predicate in ["test", "all(test, unix)", "any(test)", "not(not(test))"] {
            assert!(is_only_in_tests(predicate), "{predicate}");
        }
        for predicate in ["unix", "not(test)", "any(test, unix)", "feature = \"test\"", "all(unix)"] {
            assert!(!is_only_in_tests(predicate), "{predicate}");
        }
    }
}
