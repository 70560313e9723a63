use serde_json::Value;

use super::{Finding, Verdict};

/// A place in an API version's OpenAPI schema.
#[derive(Clone, Debug)]
pub(super) struct Schema<'a> {
    at: String,
    value: &'a Value,
}

impl<'a> Schema<'a> {
    pub(super) fn root(version: &str, value: &'a Value) -> Self {
        Self { at: format!("{version}:"), value }
    }

    /// The field at a dotted path, when the schema declares it.
    pub(super) fn get(&self, path: &str) -> Option<Self> {
        path.split('.').try_fold(self.clone(), |schema, name| {
            let value = schema.value.get("properties")?.get(name)?;
            Some(Self { at: below(&schema.at, name), value })
        })
    }

    /// The schema of a list's items.
    pub(super) fn items(&self) -> Self {
        Self { at: format!("{}[]", self.at), value: &self.value["items"] }
    }

    /// The schema of a map's values.
    pub(super) fn values(&self) -> Self {
        Self { at: format!("{}{{}}", self.at), value: &self.value["additionalProperties"] }
    }

    /// A keyword of the schema.
    pub(super) fn keyword(&self, name: &str) -> &'a Value {
        &self.value[name]
    }

    /// Whether the schema demands the field.
    pub(super) fn requires(&self, field: &str) -> bool {
        self.value["required"].as_array().is_some_and(|required| required.iter().any(|name| name == field))
    }

    pub(super) fn finding(&self, problem: impl Into<String>) -> Finding {
        Finding::new(&self.at, problem)
    }

    /// A finding about a field that is missing or should be.
    pub(super) fn finding_at(&self, path: &str, problem: impl Into<String>) -> Finding {
        Finding::new(below(&self.at, path), problem)
    }

    /// A finding unless the schema has this type.
    pub(super) fn typed(&self, type_: &str) -> Vec<Finding> {
        match self.value["type"].as_str() {
            Some(found) if found == type_ => Vec::new(),
            found => vec![self.finding(format!("has type {}, not {type_}", found.unwrap_or("none")))],
        }
    }

    /// A finding unless the declared field has this type; `required` makes its absence a finding too.
    pub(super) fn field(&self, path: &str, type_: &str, required: bool) -> Vec<Finding> {
        match self.get(path) {
            Some(field) => field.typed(type_),
            None if required => vec![self.finding_at(path, "is missing")],
            None => Vec::new(),
        }
    }

    /// Findings unless the keyword's number is there and between the limits.
    pub(super) fn bound(&self, keyword: &str, least: f64, most: f64) -> Vec<Finding> {
        match self.value[keyword].as_f64() {
            Some(found) if (least..=most).contains(&found) => Vec::new(),
            Some(found) => vec![self.finding(format!("has {keyword} {found}, not {least} to {most}"))],
            None => vec![self.finding(format!("has no {keyword}"))],
        }
    }

    /// Findings unless the text's length is limited to 1 to `most` characters.
    pub(super) fn length(&self, most: u32) -> Vec<Finding> {
        let most = f64::from(most);
        [self.bound("minLength", 1.0, most), self.bound("maxLength", 1.0, most)].concat()
    }

    /// Findings for enum values other than these; no enum allows all.
    pub(super) fn enumerated(&self, known: &[&str]) -> Vec<Finding> {
        let values = self.value["enum"].as_array();
        values
            .into_iter()
            .flatten()
            // Tools write null into the enum of a nullable field.
            .filter(|value| !value.is_null())
            .filter(|value| !value.as_str().is_some_and(|name| known.contains(&name)))
            .map(|value| self.finding(format!("allows {value}, not one of {}", known.join(", "))))
            .collect()
    }

    /// Whether a rule that compares with the old object stands here or anywhere below.
    pub(super) fn transition_rules(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        collect_transition_rules(self.value, &self.at, &mut findings);
        findings
    }
}

/// The path of a field below a place; a version's root ends in a colon.
fn below(at: &str, name: &str) -> String {
    let separator = if at.ends_with(':') { " " } else { "." };
    format!("{at}{separator}{name}")
}

fn collect_transition_rules(value: &Value, at: &str, findings: &mut Vec<Finding>) {
    let rules = value["x-kubernetes-validations"].as_array();
    for rule in rules.into_iter().flatten() {
        if let Some(text) = rule["rule"].as_str().filter(|text| text.contains("oldSelf")) {
            findings.push(Finding::new(at, format!("has the transition rule {text:?}")));
        }
    }
    if let Some(properties) = value["properties"].as_object() {
        for (name, value) in properties {
            collect_transition_rules(value, &below(at, name), findings);
        }
    }
    for (keyword, sign) in [("items", "[]"), ("additionalProperties", "{}")] {
        if value[keyword].is_object() {
            collect_transition_rules(&value[keyword], &format!("{at}{sign}"), findings);
        }
    }
}

/// Passes an optional feature's check on, or says that the feature is left out.
pub(super) fn if_present(field: Option<Schema>, check: impl FnOnce(&Schema) -> Vec<Finding>) -> Verdict {
    match field {
        Some(field) => check(&field).into(),
        None => Verdict::NotApplicable("the schema leaves the optional field out"),
    }
}
