use super::*;

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn errors_name_place_variable_and_rule() {
    assert_eq!(
        error("a: 1\nb: é ${MY-VAR}\n"),
        "line 2, column 6: bad expression of `MY`: the name is followed by `}` or one of the operators `: = , ^ / # %`; found `-`"
    );
    assert_eq!(error("${}"), "line 1, column 1: bad expression: `${` is followed by a name of letters, digits and `_`; found `}`");
    assert_eq!(
        error("x\n\n  ${A:=b"),
        "line 3, column 3: bad expression of `A`: the operator is followed by an argument that is not empty and begins with none of its own delimiters; found the end of the text"
    );
}

#[test]
fn each_rule_is_told_apart() {
    let broken = |text: &str| match parse(text) {
        Err(ParseError::Syntax { rule, variable, found, .. }) => (rule, variable, found),
        other => panic!("{text}: {other:?}"),
    };
    let cases = [
        ("${-", Rule::Name, None, Some('-')),
        ("${A", Rule::NameEnd, Some("A"), None),
        ("${A.B}", Rule::NameEnd, Some("A"), Some('.')),
        ("${#-}", Rule::Length, None, Some('-')),
        ("${#A:1}", Rule::Length, Some("A"), Some(':')),
        ("${A:}", Rule::Argument, Some("A"), Some('}')),
        ("${A#}", Rule::Argument, Some("A"), Some('}')),
        ("${A///x}", Rule::Argument, Some("A"), Some('/')),
        ("${A:=x${B-}}", Rule::NameEnd, Some("B"), Some('-')),
        ("${A:é}", Rule::Substring, Some("A"), Some('é')),
        ("${A:", Rule::Substring, Some("A"), None),
        ("${A:1${B}}", Rule::SubstringStart, Some("A"), Some('$')),
        ("${A/b}", Rule::Pattern, Some("A"), None),
        ("${A/${B}c/d}", Rule::Pattern, Some("A"), Some('c')),
        ("${A^a}", Rule::End, Some("A"), Some('a')),
        ("${A%b${C}}", Rule::End, Some("A"), Some('$')),
    ];
    for (text, rule, variable, found) in cases {
        assert_eq!(broken(text), (rule, variable.map(str::to_owned), found), "{text}");
    }
}

#[test]
fn places_count_what_the_user_wrote() {
    // the old spellings before the mistake lose white space on the way, line feeds too
    assert!(error("${ A }${\n  B}é${C }${D-}").starts_with("line 2, column 11: bad expression of `D`"));
    assert!(error("${A:=\n${ B }\n ${C-}}").starts_with("line 3, column 2: bad expression of `C`"));
}

#[test]
fn limits_hold() {
    let nested = |depth: usize| format!("{}x{}", "${A:=".repeat(depth), "}".repeat(depth));
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(parse(&nested(MAX_DEPTH + 1)), Err(ParseError::TooDeep { position: Position { line: 1, column: 5 * MAX_DEPTH + 1 } }));
    assert!(parse(&"x".repeat(MAX_TEXT)).is_ok());
    assert_eq!(parse(&"x".repeat(MAX_TEXT + 1)), Err(ParseError::TooLong { length: MAX_TEXT + 1 }));
    assert_eq!(parse("a\nb\0"), Err(ParseError::Nul { position: Position { line: 2, column: 2 } }));
}

#[test]
fn texts_and_escapes() {
    let text = |template: &str| match parse(template).unwrap().as_slice() {
        [Node::Text(text)] => text.clone(),
        other => panic!("{template}: {other:?}"),
    };
    assert_eq!(text("$$A $${B} $C } \\/ $"), "$A ${B} $C } \\/ $");
    let Node::Expression(expression) = parse("${A/\\/$$\\\\/$$x}").unwrap().remove(0) else { panic!("an expression") };
    assert_eq!(expression.arguments, [Node::Text("/$\\".into()), Node::Text("$x".into())]);
}
