//! Parity with the real clusterctl: what it makes of a template, capstead-template makes too, and what it refuses, so do we.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod cases;
mod differences;
mod expressions;
mod generated;
mod listing;
mod outcome;
mod runner;

use capstead_template::{Error, Variables};

/// A template and the values it is rendered with.
#[derive(Debug, Clone, Default)]
struct Case {
    template: String,
    env: Vec<(String, String)>,
    config: Option<String>,
}

impl Case {
    fn new(template: impl Into<String>) -> Self {
        Self { template: template.into(), ..Self::default() }
    }

    /// One document whose only value is a text with `expression` in it, taken literally by YAML.
    fn expression(expression: &str) -> Self {
        Self::new(format!("v: |2-\n  <{expression}>\n"))
    }

    fn env(mut self, env: &[(&str, &str)]) -> Self {
        self.env.extend(env.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        self
    }

    fn config(mut self, config: &str) -> Self {
        self.config = Some(config.into());
        self
    }

    fn render(&self) -> Result<String, Error> {
        let mut variables = Variables::new().with_env(self.env.clone());
        if let Some(config) = &self.config {
            variables = variables.with_config_yaml(config).expect("the case has a readable configuration");
        }
        capstead_template::render(&self.template, &variables)
    }
}

/// Renders every case both ways and reports all that disagree.
fn compare(what: &str, cases: &[Case]) {
    let clusterctl = runner::Clusterctl::find();
    let theirs = runner::in_parallel(cases, |case| clusterctl.render(case));
    let mut failures = Vec::new();
    for (case, theirs) in cases.iter().zip(theirs) {
        let ours = outcome::ours(&case.render());
        if ours != theirs || !ours.comparable() {
            failures.push(format!("{case:#?}\n  ours:       {ours:?}\n  clusterctl: {theirs:?}"));
        }
    }
    println!("{what}: {} cases compared with clusterctl", cases.len());
    assert!(failures.is_empty(), "{} of {} differ:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn the_table_of_cases_agrees() {
    let cases = cases::all();
    assert!(cases.len() >= 200, "only {} cases", cases.len());
    compare("table", &cases);
}

#[test]
fn generated_cases_agree() {
    compare("generated", &generated::all(300));
}
