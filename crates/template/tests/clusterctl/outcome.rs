//! What a rendering came to, in a form that can be compared: documents, or the kind of failure.

use capstead_template::{Error, ParseError, RenderError, Rule};
use serde::Deserialize;
use yaml_serde::Value;

#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The documents of the result, without empty ones.
    Documents(Vec<Value>),
    /// Required variables without value.
    Missing(Vec<String>),
    /// The text is not a template; envsubst's words for why.
    Grammar(String),
    /// The result is not a list of YAML mappings.
    NotYaml,
    /// clusterctl panicked.
    Crash,
    /// A failure only one side knows.
    Other(String),
}

impl Outcome {
    /// Whether the outcome is one both sides can come to; everything else belongs in the table of differences.
    pub fn comparable(&self) -> bool {
        !matches!(self, Self::Crash | Self::Other(_))
    }
}

pub fn ours(result: &Result<String, Error>) -> Outcome {
    match result {
        Ok(text) => documents(text),
        Err(Error::Parse(ParseError::Syntax { rule, .. })) => Outcome::Grammar(envsubst_words(*rule).into()),
        Err(Error::Render(RenderError::Missing { variables })) => {
            Outcome::Missing(variables.iter().map(|variable| variable.name.clone()).collect())
        }
        // clusterctl gets as far as the YAML parser, which refuses the broken character
        Err(Error::Render(RenderError::SplitCharacter { .. })) => Outcome::NotYaml,
        Err(error) => Outcome::Other(error.to_string()),
    }
}

fn envsubst_words(rule: Rule) -> &'static str {
    match rule {
        Rule::Name => "unable to parse variable name",
        Rule::NameEnd => "missing closing brace",
        Rule::Argument => "unable to parse substitution within function",
        _ => "bad substitution",
    }
}

pub fn theirs(output: &std::process::Output) -> Outcome {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return documents(&stdout);
    }
    if stderr.contains("panic: ") {
        return Outcome::Crash;
    }
    if stderr.contains("failed to parse yaml: ") {
        return Outcome::NotYaml;
    }
    let error = stderr.trim().strip_prefix("Error: ").unwrap_or(stderr.trim());
    if let Some(names) = error.strip_prefix("value for variables [").and_then(|rest| rest.split(']').next()) {
        return Outcome::Missing(names.split(", ").map(str::to_owned).collect());
    }
    let known = [Rule::Name, Rule::NameEnd, Rule::Argument, Rule::End].map(envsubst_words);
    if known.contains(&error) { Outcome::Grammar(error.into()) } else { Outcome::Other(error.into()) }
}

fn documents(text: &str) -> Outcome {
    let parsed: Result<Vec<Value>, _> = yaml_serde::Deserializer::from_str(text).map(Value::deserialize).collect();
    match parsed {
        Ok(mut documents) => {
            documents.retain(|document| !document.is_null());
            if documents.iter().all(Value::is_mapping) { Outcome::Documents(documents) } else { Outcome::NotYaml }
        }
        Err(_) => Outcome::NotYaml,
    }
}
