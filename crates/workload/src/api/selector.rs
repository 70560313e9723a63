//! Label and field selectors.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::store::Object;

use super::Call;
use super::Refusal;
use super::kinds::Kind;

/// Fields by which objects can be selected, beside name and namespace.
const FIELDS: &[(&str, &[&str])] = &[
    (
        "pods",
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
    ),
    (
        "events",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
    ("nodes", &["spec.unschedulable"]),
    ("secrets", &["type"]),
    ("namespaces", &["status.phase"]),
    ("services", &["spec.clusterIP", "spec.type"]),
    ("replicasets.apps", &["status.replicas"]),
    ("jobs.batch", &["status.successful"]),
    ("certificatesigningrequests.certificates.k8s.io", &["spec.signerName"]),
];

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    /// Also true without the label.
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// Which objects of a resource are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    labels: Vec<Requirement>,
    /// Path, value, and whether they are to be equal.
    fields: Vec<(String, String, bool)>,
}

#[derive(Deserialize)]
struct Labelled<'a> {
    #[serde(borrow)]
    metadata: Labels<'a>,
}

#[derive(Deserialize)]
struct Labels<'a> {
    #[serde(borrow, default)]
    labels: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
}

impl Selection {
    pub(super) fn of(call: &Call) -> Result<Self, Refusal> {
        let mut fields = fields(&call.kind, call.query.get("fieldSelector"))?;
        if !call.target.name.is_empty() {
            fields.push(("metadata.name".to_owned(), call.target.name.clone(), true));
        }
        Ok(Self { labels: labels(call.query.get("labelSelector"))?, fields })
    }

    /// From a `LabelSelector`; `None` when it selects nothing.
    pub(super) fn of_labels(selector: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let equal = selector["matchLabels"].as_object().into_iter().flatten();
        let mut labels: Vec<_> = equal.map(|(key, value)| Requirement::In(key.clone(), vec![text(value)])).collect();
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let key = text(&expression["key"]);
            let values = expression["values"].as_array().into_iter().flatten().map(text).collect();
            labels.push(match expression["operator"].as_str()? {
                "In" => Requirement::In(key, values),
                "NotIn" => Requirement::NotIn(key, values),
                "Exists" => Requirement::Exists(key),
                "DoesNotExist" => Requirement::Absent(key),
                _ => return None,
            });
        }
        selector.is_object().then_some(Self { labels, fields: Vec::new() })
    }

    pub(super) fn matches(&self, object: &Object) -> bool {
        self.matches_labels(object) && self.matches_fields(object)
    }

    fn matches_labels(&self, object: &Object) -> bool {
        if self.labels.is_empty() {
            return true;
        }
        let parsed = serde_json::from_str::<Labelled<'_>>(object.json()).ok().and_then(|object| object.metadata.labels);
        let labels = parsed.unwrap_or_default();
        self.labels.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => labels.get(key.as_str()).is_some_and(|value| values.iter().any(|one| *one == **value)),
            Requirement::NotIn(key, values) => labels.get(key.as_str()).is_none_or(|value| values.iter().all(|one| *one != **value)),
            Requirement::Exists(key) => labels.contains_key(key.as_str()),
            Requirement::Absent(key) => !labels.contains_key(key.as_str()),
        })
    }

    fn matches_fields(&self, object: &Object) -> bool {
        let mut parsed = None;
        self.fields.iter().all(|(path, wanted, equal)| {
            let is = match path.as_str() {
                "metadata.name" => object.name() == wanted,
                "metadata.namespace" => object.namespace() == wanted,
                _ => field(parsed.get_or_insert_with(|| object.value()), path) == *wanted,
            };
            is == *equal
        })
    }
}

/// The value of a field as selectors see it.
fn field(object: &Value, path: &str) -> String {
    match path.split('.').try_fold(object, |value, part| value.get(part)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Number(value)) => value.to_string(),
        None if matches!(path, "spec.unschedulable" | "spec.hostNetwork") => "false".to_owned(),
        None if path.starts_with("status.re") || path == "status.successful" => "0".to_owned(),
        _ => String::new(),
    }
}

fn fields(kind: &Kind, selector: &str) -> Result<Vec<(String, String, bool)>, Refusal> {
    let known = FIELDS.iter().find(|(resource, _)| *resource == kind.resource).map_or(&[] as &[&str], |(_, fields)| fields);
    let mut requirements = Vec::new();
    for part in selector.split(',').filter(|part| !part.is_empty()) {
        let (path, value, equal) = if let Some((path, value)) = part.split_once("!=") {
            (path, value, false)
        } else if let Some((path, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            (path, value, true)
        } else {
            return Err(Refusal::bad_request(format!("invalid selector: {part:?}; can't understand it")));
        };
        if !matches!(path, "metadata.name" | "metadata.namespace") && !known.contains(&path) {
            return Err(Refusal::bad_request(format!("field label not supported: {path}")));
        }
        requirements.push((path.to_owned(), value.to_owned(), equal));
    }
    Ok(requirements)
}

fn labels(selector: &str) -> Result<Vec<Requirement>, Refusal> {
    requirements(selector).iter().map(|part| part.trim()).filter(|part| !part.is_empty()).map(requirement).collect()
}

/// Splits at commas outside parentheses.
fn requirements(selector: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let outside = |letter: char| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    };
    selector.split(outside).collect()
}

fn requirement(part: &str) -> Result<Requirement, Refusal> {
    let bad = || Refusal::bad_request(format!("unable to parse requirement: {part:?}"));
    let key = |key: &str| {
        let key = key.trim();
        let plain = !key.is_empty() && key.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./".contains(letter));
        plain.then(|| key.to_owned()).ok_or_else(bad)
    };
    if let Some((before, values)) = part.split_once('(') {
        let values = values.trim_end().strip_suffix(')').ok_or_else(bad)?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let (name, operator) = before.trim().rsplit_once(char::is_whitespace).ok_or_else(bad)?;
        return match operator {
            "in" => Ok(Requirement::In(key(name)?, values)),
            "notin" => Ok(Requirement::NotIn(key(name)?, values)),
            _ => Err(bad()),
        };
    }
    if let Some((name, value)) = part.split_once("!=") {
        return Ok(Requirement::NotIn(key(name)?, vec![value.trim().to_owned()]));
    }
    if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Requirement::In(key(name)?, vec![value.trim().to_owned()]));
    }
    match part.strip_prefix('!') {
        Some(name) => Ok(Requirement::Absent(key(name)?)),
        None => Ok(Requirement::Exists(key(part)?)),
    }
}

#[cfg(test)]
mod tests;
