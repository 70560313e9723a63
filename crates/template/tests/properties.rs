//! What holds for every template and every value.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use capstead_template::{Error, MAX_OUTPUT, ParseError, Position, RenderError, Template, render};
use proptest::prelude::*;

/// Texts full of the grammar's own characters.
fn soup() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "${", "${", "}", "}", "$", "$$", "A", "B", "C", ":", ":=", ":-", "=", "-", "?", "#", "##", "%", "%%", "/", "//", "/#", "/%", ",",
        "^^", "*", "[", "]", "[^a-c]", "\\", "\\/", "1", "2", "-1", " ", "\n", "é", "€", "😀", "\0", "${A}", "${B:=", "${ C }", "${A//",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

fn template() -> impl Strategy<Value = String> {
    prop_oneof![4 => soup(), 1 => any::<String>(), 1 => "(\\$\\{[AB]?[:=/#%^,]{0,2}.{0,5}\\}){0,5}"]
}

fn values() -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = prop_oneof!["[abc/*é€1-]{0,12}", any::<String>(), "-?[0-9]{1,20}"];
    prop::collection::btree_map(prop::sample::select(vec!["A", "B", "C"]).prop_map(str::to_owned), value, 0..4)
}

/// Where `position` points in `text`.
fn at(text: &str, position: Position) -> &str {
    let line = text.split('\n').nth(position.line - 1).unwrap();
    let (offset, _) = line.char_indices().nth(position.column - 1).unwrap();
    &line[offset..]
}

fn opens(text: &str, position: Position) -> bool {
    at(text, position).starts_with("${")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_errors_point_at_expressions(text in template(), values in values()) {
        match render(&text, &values) {
            Ok(result) => prop_assert!(result.len() <= MAX_OUTPUT),
            Err(Error::Parse(ParseError::Nul { position })) => prop_assert!(at(&text, position).starts_with('\0')),
            Err(Error::Parse(ParseError::Syntax { position, .. } | ParseError::TooDeep { position })) => {
                prop_assert!(opens(&text, position));
            }
            Err(Error::Render(RenderError::Missing { variables })) => {
                prop_assert!(!variables.is_empty());
                for variable in variables {
                    prop_assert!(opens(&text, variable.position));
                    prop_assert!(!values.contains_key(&variable.name));
                }
            }
            Err(Error::Render(
                RenderError::NegativeLength { position, .. }
                | RenderError::SplitCharacter { position, .. }
                | RenderError::TooLong { position, .. }
                | RenderError::TooMuchWork { position, .. },
            )) => prop_assert!(opens(&text, position)),
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn with_every_listed_value_nothing_is_missing(text in template()) {
        if let Ok(template) = Template::parse(&text) {
            let values: BTreeMap<_, _> = template.variables().into_iter().map(|variable| (variable.name, String::new())).collect();
            let missing = matches!(template.render(&values), Err(RenderError::Missing { .. }));
            prop_assert!(!missing);
        }
    }

    #[test]
    fn texts_without_dollars_stay(text in "[^$\\x00]*", values in values()) {
        prop_assert_eq!(render(&text, &values).unwrap(), text);
    }

    #[test]
    fn doubled_dollars_stand_for_themselves(text in "[^\\x00]*", values in values()) {
        // a brace is kept away from dollars, so that no old spelling is rewritten
        let text = text.replace("${", "$ {");
        prop_assert_eq!(render(&text.replace('$', "$$"), &values).unwrap(), text);
    }

    #[test]
    fn values_are_not_templates(value in any::<String>()) {
        let values = BTreeMap::from([("A".to_owned(), value.clone())]);
        prop_assert_eq!(render("${A}${B:=${A}}", &values).unwrap(), value.repeat(2));
    }
}
