use std::collections::BTreeMap;

use crate::{Error, MAX_OUTPUT, Position, RenderError, Template, render};

fn values(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn rendered(template: &str, entries: &[(&str, &str)]) -> String {
    render(template, &values(entries)).unwrap_or_else(|error| panic!("{template}: {error}"))
}

#[test]
fn every_operator() {
    let entries = [("A", "abcabc"), ("PATH", "/usr/lib/x.tar.gz"), ("WIDE", "é€b"), ("EMPTY", ""), ("MINUS", "-2")];
    let cases = [
        ("${A}${EMPTY}", "abcabc"),
        ("${EMPTY:=d${A}}${U=e}${U:-f}${U:?g}${U:+h}", "dabcabcefgh"),
        ("${#A} ${#WIDE} ${#EMPTY}", "6 6 0"),
        ("${A^} ${A^^} ${WIDE^}", "Abcabc ABCABC É€b"),
        ("${A:1} ${A:1:2} ${A:${MINUS}} ${A:9}", "bcabc bc bc "),
        ("${A/b/x} ${A//b/x} ${A/#a/x} ${A/%c/x} ${A//b/}", "axcabc axcaxc xbcabc abcabx acac"),
        ("${PATH#*/} ${PATH##*/} ${PATH%.*} ${PATH%%.*}", "usr/lib/x.tar.gz x.tar.gz /usr/lib/x.tar /usr/lib/x"),
        ("${A##[a-c]?*[!x]} ${A#[^b]}", "abcabc bcabc"),
        ("${WIDE//${EMPTY}/-}", "-é-€-b-"),
    ];
    for (template, expected) in cases {
        let entries: Vec<_> = entries.iter().copied().chain([("U", "")]).collect();
        assert_eq!(rendered(template, &entries), expected, "{template}");
    }
}

#[test]
fn missing_variables_come_all_at_once_and_first() {
    let template = "a: ${ZULU}\nb: ${ALPHA} ${A:1:-1} ${ZULU}\n";
    let Err(Error::Render(error)) = render(template, &values(&[])) else { panic!("ZULU and ALPHA are missing") };
    assert_eq!(error.to_string(), "variables without value or default: ALPHA (line 2, column 4), ZULU (line 1, column 4)");
    let RenderError::Missing { variables } = error else { panic!("{error}") };
    assert_eq!(variables.iter().map(|variable| variable.name.as_str()).collect::<Vec<_>>(), ["ALPHA", "ZULU"]);
}

#[test]
fn a_negative_length_is_an_error() {
    let template = Template::parse("x ${A:1:${L}}").unwrap();
    let error = template.render(&values(&[("A", "abc"), ("L", "-1")])).unwrap_err();
    let position = Position { line: 1, column: 3 };
    assert_eq!(error, RenderError::NegativeLength { position, variable: "A".into(), length: -1 });
    // beyond the end it does not matter, nor does a sum beyond Go's integers
    assert_eq!(template.render(&values(&[("A", "abc"), ("L", "9223372036854775807")])).unwrap(), "x bc");
    assert_eq!(rendered("${A:9:${L}}", &[("A", "abc"), ("L", "-2")]), "");
}

#[test]
fn halves_of_characters_may_meet_again() {
    let wide = [("W", "é")];
    assert_eq!(rendered("${W:0:1}${W:1:1}", &wide), "é");
    let error = render("é ${W}${W:0:1}: ${W}", &values(&wide)).unwrap_err();
    let position = Position { line: 1, column: 7 };
    assert_eq!(error, Error::Render(RenderError::SplitCharacter { position, variable: "W".into() }));
}

#[test]
fn results_and_work_are_bounded() {
    let many = "a".repeat(1 << 13);
    let error = render("${A//a/${A//a/${A}}}", &values(&[("A", &many)])).unwrap_err();
    assert!(matches!(error, Error::Render(RenderError::TooLong { .. })), "{error}");

    let quarter = "a".repeat(MAX_OUTPUT / 4);
    assert_eq!(rendered("${A}${A}${A}${A}", &[("A", &quarter)]).len(), MAX_OUTPUT);
    let error = render("${A}${A}${A}${A}.", &values(&[("A", &quarter)])).unwrap_err();
    let position = Position { line: 1, column: 13 };
    assert_eq!(error, Error::Render(RenderError::TooLong { position, variable: "A".into() }));

    // nothing of this reaches the result, yet it would take minutes
    let error = render(&"${N:=${A^^}}".repeat(1000), &values(&[("A", &quarter[..1 << 20]), ("N", "x")])).unwrap_err();
    assert!(matches!(error, Error::Render(RenderError::TooMuchWork { .. })), "{error}");
    let error = render(&"${#A}".repeat(1000), &values(&[("A", &quarter)])).unwrap_err();
    assert!(matches!(error, Error::Render(RenderError::TooMuchWork { .. })), "{error}");
}
