//! The tables that say which test shows what: every test they name exists, every row says something, and every rule is there.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::fs;
use std::path::Path;

use capstead_capi::rules::Role;
use capstead_capi::rules::rules;

fn page(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

/// The rows of a page's tables, in cells.
fn rows(page: &str) -> Vec<Vec<String>> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Upstream |") && !line.starts_with("| Rule |"));
    rows.map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// The tests that a cell names, as file and function.
fn tests(cell: &str) -> Vec<(&str, &str)> {
    cell.split('`').filter_map(|part| part.split_once("::")).collect()
}

/// What is wrong with a cell that should name tests.
fn wrong(cell: &str) -> Vec<String> {
    let exists = |(file, function): &(&str, &str)| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
        fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("fn {function}(")))
    };
    tests(cell).into_iter().filter(|test| !exists(test)).map(|(file, function)| format!("{file}::{function}")).collect()
}

#[test]
fn every_row_of_the_parity_table_is_shown_or_explained() {
    let page = page("docs/src/reference/capmvm.md");
    let rows = rows(&page);
    assert!(rows.len() > 150, "{} rows", rows.len());
    for row in rows {
        let [what, state, shown] = row.as_slice() else { panic!("no row of three cells: {row:?}") };
        let by_test = state.starts_with("*works*") || state.starts_with("*repaired*");
        let is_explained = state.strip_prefix("*left out, because* ").is_some_and(|why| why.len() > 15);
        assert!(by_test || is_explained, "{what}: {state}");
        assert_eq!(by_test, !tests(shown).is_empty(), "{what}: {shown}");
        assert_eq!(wrong(shown), [""; 0], "{what}");
    }
}

#[test]
fn every_rule_of_the_contract_has_its_test() {
    let page = page("docs/src/explanation/contract-rules.md");
    let rows = rows(&page);
    let ours = [Role::InfraCluster, Role::InfraClusterTemplate, Role::InfraMachine, Role::InfraMachineTemplate];
    for rule in rules().filter(|rule| rule.applies_to.iter().any(|role| ours.contains(role))) {
        let row = rows.iter().find(|row| row[0].starts_with(&format!("`{}`:", rule.id)));
        let row = row.unwrap_or_else(|| panic!("{} has no row", rule.id));
        assert!(row[0].ends_with(rule.title), "{}: {}", rule.id, row[0]);
    }
    for row in rows {
        assert!(row.len() == 3 && !tests(&row[2]).is_empty(), "{row:?}");
        assert_eq!(wrong(&row[2]), [""; 0], "{row:?}");
    }
}
