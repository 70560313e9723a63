//! The reference of the provider's kinds in docs/, from the types themselves.

use std::fmt::Write;

use anyhow::Context;
use capstead_capi::crd::Conversion;
use serde_json::Value;

use crate::Generated;

const HEAD: &str = "<!-- Made by `cargo xtask generate`. Do not edit. -->\n# Fields of the microVM kinds\n\n\
    All are in group `infrastructure.cluster.x-k8s.io`. Objects are stored as `v1alpha2`; both versions are served. `[]` is each element of a list, `{}` each value of a map.\n\
    Rules that need more than one field, or the object as it was, are in [The microVM provider](microvm.md#admission).\n";

/// The page.
pub fn generate() -> anyhow::Result<Generated> {
    let crds = capstead_microvm::crds::crds(&Conversion::Unchanged)?;
    let mut page = HEAD.to_owned();
    for crd in &crds {
        let crd = serde_json::to_value(crd)?;
        let kind = text(&crd["spec"]["names"]["kind"]);
        for version in crd["spec"]["versions"].as_array().context("a definition has versions")? {
            let schema = &version["schema"]["openAPIV3Schema"];
            write!(page, "\n## {kind} {}\n\n{}\n", text(&version["name"]), words(&schema["properties"]["spec"]["description"]))?;
            write!(page, "\n| Field | Type | Default | Validation | Description |\n|---|---|---|---|---|\n")?;
            for part in ["spec", "status"] {
                if schema["properties"][part].is_object() {
                    field(&mut page, part, &schema["properties"][part], required(schema).contains(&part))?;
                }
            }
        }
    }
    Ok(("docs/src/reference/api-microvm.md".into(), page))
}

/// A row for a field, and one for each field in it.
fn field(page: &mut String, path: &str, schema: &Value, is_required: bool) -> std::fmt::Result {
    let default = if schema["default"].is_null() { String::new() } else { format!("`{}`", schema["default"]) };
    writeln!(page, "| `{path}` | {} | {default} | {} | {} |", type_of(schema), rules(schema, is_required), words(&schema["description"]))?;
    let names = required(schema);
    for (name, part) in schema["properties"].as_object().into_iter().flatten() {
        field(page, &format!("{path}.{name}"), part, names.contains(&name.as_str()))?;
    }
    for (suffix, part) in [("[]", &schema["items"]), ("{}", &schema["additionalProperties"])] {
        // Of a plain element its type says all.
        if part["properties"].is_object() {
            let names = required(part);
            for (name, inner) in part["properties"].as_object().into_iter().flatten() {
                field(page, &format!("{path}{suffix}.{name}"), inner, names.contains(&name.as_str()))?;
            }
        }
    }
    Ok(())
}

fn required(schema: &Value) -> Vec<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn type_of(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    let name = text(&schema["type"]);
    match (schema["items"].is_object(), schema["additionalProperties"].is_object(), schema["format"].as_str()) {
        (true, ..) => format!("list of {}", type_of(&schema["items"])),
        (_, true, _) => format!("map of {}", type_of(&schema["additionalProperties"])),
        (_, _, Some(format)) => format!("{name} ({format})"),
        _ => name.to_owned(),
    }
}

/// What limits a value, in words.
fn rules(schema: &Value, is_required: bool) -> String {
    let mut rules = Vec::new();
    if is_required {
        rules.push("required".to_owned());
    }
    let number = |key: &str| schema[key].as_f64().map(|number| number.to_string());
    let range = |rules: &mut Vec<String>, least: Option<String>, most: Option<String>, what: &str| match (least, most) {
        (Some(least), Some(most)) => rules.push(format!("{least} to {most}{what}")),
        (Some(least), None) => rules.push(format!("at least {least}{what}")),
        (None, Some(most)) => rules.push(format!("at most {most}{what}")),
        (None, None) => (),
    };
    range(&mut rules, number("minimum"), number("maximum"), "");
    range(&mut rules, number("minLength"), number("maxLength"), " characters");
    range(&mut rules, number("minItems"), number("maxItems"), " elements");
    range(&mut rules, number("minProperties"), number("maxProperties"), " fields");
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        rules.push(values.join(", "));
    }
    if let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() {
        let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
        rules.push(format!("one for each {}", keys.join(", ")));
    }
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        rules.push(words(&rule["message"]));
    }
    rules.join("; ")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A description in one line, as a table takes it.
fn words(value: &Value) -> String {
    text(value).split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}
