//! Where capstead-template differs from clusterctl on purpose: the same list as in the crate's documentation, each entry proven.

use crate::outcome::{self, Outcome};
use crate::runner::{Clusterctl, in_parallel};
use crate::{Case, outcome::Outcome::Crash};
use capstead_template::{MAX_DEPTH, MAX_TEXT, Variables};

struct Difference {
    why: &'static str,
    case: Case,
    /// What clusterctl makes of it.
    theirs: fn(&Outcome) -> bool,
    /// What we make of it: the result, or a part of the error's text.
    ours: Result<&'static str, &'static str>,
}

fn renders(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Documents(_))
}

fn crashes(outcome: &Outcome) -> bool {
    *outcome == Crash
}

fn differences() -> Vec<Difference> {
    let depth = MAX_DEPTH + 1;
    let deep = format!("v: {}x{}\n", "${A:=".repeat(depth), "}".repeat(depth));
    let long = format!("{}v: 1\n", "# a line of comment\n".repeat(MAX_TEXT / 20 + 1));
    let (many, wide, slow) = ("a".repeat(2_000), "b".repeat(10_000), "a".repeat(12_000));
    vec![
        Difference {
            why: "a negative length crashes clusterctl",
            case: Case::expression("${A:1:-1}").env(&[("A", "abc")]),
            theirs: crashes,
            ours: Err("line 2, column 4: the substring of `A` has the negative length -1"),
        },
        Difference {
            why: "a length so large that Go's sum overflows crashes clusterctl; we take the rest, as for every other large length",
            case: Case::expression("${A:1:9223372036854775807}").env(&[("A", "abc")]),
            theirs: crashes,
            ours: Ok("v: |2-\n  <bc>\n"),
        },
        Difference {
            why: "clusterctl silently drops what follows a NUL character",
            case: Case::new("a: 1\nb: 2\0\nc: ${MISSING}\n"),
            theirs: renders,
            ours: Err("line 2, column 5: a template must not hold a NUL"),
        },
        Difference {
            why: "nesting is bounded, so that a template cannot exhaust the stack",
            case: Case::new(deep),
            theirs: renders,
            ours: Err("line 1, column 324: expressions are nested deeper than 64"),
        },
        Difference { why: "the template's size is bounded", case: Case::new(long), theirs: renders, ours: Err("the template has 83886") },
        Difference {
            why: "the size of results is bounded, so that replacements cannot exhaust memory",
            case: Case::expression("${A:=${MANY//a/${WIDE}}}").env(&[("A", "x"), ("MANY", &many), ("WIDE", &wide)]),
            theirs: renders,
            ours: Err("line 2, column 9: the result grows beyond 16777216 bytes at `MANY`"),
        },
        Difference {
            why: "work is bounded: a trim compares every prefix, which takes a time that grows with the cube of the value",
            case: Case::expression("${SLOW##*b*c}").env(&[("SLOW", &slow)]),
            theirs: renders,
            ours: Err("line 2, column 4: the work exceeds 67108864 bytes read, written or compared at `SLOW`"),
        },
        Difference {
            why: "clusterctl knows Unicode 15, we know a later one: letters with a case of their own since then",
            case: Case::expression("${A^^}").env(&[("A", "\u{19b}")]),
            theirs: renders,
            ours: Ok("v: |2-\n  <\u{a7dc}>\n"),
        },
        Difference {
            why: "clusterctl knows Unicode 15, we know a later one: letters in names",
            case: Case::expression("${\u{a7dc}:=x}"),
            theirs: |outcome| *outcome == Outcome::Grammar("unable to parse variable name".into()),
            ours: Ok("v: |2-\n  <x>\n"),
        },
        Difference {
            why: "clusterctl reads a number with leading zeros as octal; we keep it as written",
            case: Case::expression("${A}").config("A: 0755\n"),
            theirs: renders,
            ours: Ok("v: |2-\n  <0755>\n"),
        },
        Difference {
            why: "clusterctl drops underscores from numbers; we keep the value as written",
            case: Case::expression("${A}").config("A: 1_000\n"),
            theirs: renders,
            ours: Ok("v: |2-\n  <1_000>\n"),
        },
        Difference {
            why: "clusterctl reads upper-case prefixes of numbers; we keep the value as written",
            case: Case::expression("${A}").config("A: 0X1F\n"),
            theirs: renders,
            ours: Ok("v: |2-\n  <0X1F>\n"),
        },
        Difference {
            why: "clusterctl turns a date into Go's time format; we keep it as written",
            case: Case::expression("${A}").config("A: 2026-01-31\n"),
            theirs: renders,
            ours: Ok("v: |2-\n  <2026-01-31>\n"),
        },
        Difference {
            why: "clusterctl decodes !!binary values; we keep them as written",
            case: Case::expression("${A}").config("A: !!binary aGk=\n"),
            theirs: renders,
            ours: Ok("v: |2-\n  <aGk=>\n"),
        },
    ]
}

#[test]
fn each_listed_difference_exists() {
    let differences = differences();
    let clusterctl = Clusterctl::find();
    let theirs = in_parallel(&differences, |difference| clusterctl.render(&difference.case));
    for (difference, theirs) in differences.iter().zip(theirs) {
        let why = difference.why;
        let ours = difference.case.render();
        assert!((difference.theirs)(&theirs), "{why}: clusterctl: {theirs:?}");
        match (&ours, difference.ours) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected, "{why}"),
            (Err(error), Err(expected)) => assert!(error.to_string().starts_with(expected), "{why}: {error}"),
            _ => panic!("{why}: {ours:?}"),
        }
        assert_ne!(outcome::ours(&ours), theirs, "{why}: no difference any more");
    }
    println!("differences: {} proven", differences.len());
}

#[test]
fn an_integer_beyond_64_bits_is_an_error_here_only() {
    let case = Case::expression("${A:=x}").config("A: 123456789012345678901234567890\n");
    let theirs = Clusterctl::find().render(&case);
    assert!(renders(&theirs), "{theirs:?}");
    assert!(Variables::new().with_config_yaml(case.config.as_deref().unwrap()).is_err());
}
