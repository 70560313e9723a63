//! cloud-init's templates: what a part is rendered with, and what becomes of what is missing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::Environment;
use minijinja::UndefinedBehavior;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Enumerator;
use minijinja::value::Object;
use minijinja::value::ObjectRepr;
use minijinja::value::Value as Jinja;
use serde_json::Map;
use serde_json::Value;

#[cfg(test)]
mod tests;

/// What cloud-init writes in place of a variable that is not there.
pub const MISSING: &str = "CI_MISSING_JINJA_VAR/";
/// More than any bootstrap data needs; an endless loop in a template ends here.
const FUEL: u64 = 1_000_000;
/// How deep templates may nest.
const DEPTH: usize = 64;
/// cloud-init's names for what every datasource tells, and what they are called in metadata.
const STANDARD: &[(&str, &[&str])] = &[
    ("instance_id", &["instance_id", "instance-id"]),
    ("local_hostname", &["local_hostname", "local-hostname", "hostname"]),
    ("platform", &["platform"]),
    ("region", &["region"]),
    ("availability_zone", &["availability_zone", "availability-zone"]),
    ("cloud_name", &["cloud_name", "cloud-name"]),
];

/// Renders a template with `ds.meta_data`, `v1`, and what is in `v1` at the top, as cloud-init does.
pub fn render(template: &str, meta_data: &Map<String, Value>) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).keep_trailing_newline(true).build()?;
    environment.set_syntax(syntax);
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH);
    environment.add_test("defined", |value: &Jinja| !is_missing(value));
    environment.add_test("undefined", |value: &Jinja| is_missing(value));
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    let template = environment.template_from_str(template)?;
    let mut context = context(meta_data);
    for name in template.undeclared_variables(false) {
        if !context.contains_key(&name) && !environment.globals().any(|(global, _)| global == name) {
            context.insert(name.clone(), Jinja::from_object(Missing(name)));
        }
    }
    template.render(Jinja::from_pairs(context))
}

fn context(meta_data: &Map<String, Value>) -> BTreeMap<String, Jinja> {
    let mut aliased = meta_data.clone();
    for (key, value) in meta_data.iter().filter(|(key, _)| key.contains('-')) {
        aliased.entry(key.replace('-', "_")).or_insert_with(|| value.clone());
    }
    let v1: Map<String, Value> = STANDARD
        .iter()
        .filter_map(|(name, keys)| Some(((*name).to_owned(), keys.iter().find_map(|key| meta_data.get(*key))?.clone())))
        .collect();
    let mut context: BTreeMap<String, Jinja> = v1.iter().map(|(key, value)| (key.clone(), data(value))).collect();
    let ds = Map::from_iter([("meta_data".to_owned(), Value::Object(aliased))]);
    context.insert("ds".to_owned(), data(&Value::Object(ds)));
    context.insert("v1".to_owned(), data(&Value::Object(v1)));
    context
}

fn data(value: &Value) -> Jinja {
    match value {
        Value::Object(map) => Jinja::from_object(Data(map.iter().map(|(key, value)| (key.clone(), data(value))).collect())),
        Value::Array(items) => items.iter().map(data).collect(),
        Value::String(text) => Jinja::from(text.as_str()),
        Value::Bool(switch) => Jinja::from(*switch),
        Value::Number(number) => number.as_i64().map_or_else(|| Jinja::from(number.to_string()), Jinja::from),
        Value::Null => Jinja::from(()),
    }
}

fn is_missing(value: &Jinja) -> bool {
    value.is_undefined() || value.downcast_object_ref::<Missing>().is_some()
}

fn default(value: Jinja, other: Option<Jinja>) -> Jinja {
    if is_missing(&value) { other.unwrap_or_else(|| Jinja::from("")) } else { value }
}

/// A map that tells the name of what it does not have.
#[derive(Debug)]
struct Data(BTreeMap<String, Jinja>);

impl Object for Data {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        let name = key.as_str()?;
        Some(self.0.get(name).cloned().unwrap_or_else(|| Jinja::from_object(Missing(name.to_owned()))))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(|key| Jinja::from(key.as_str())).collect())
    }
}

/// A variable that is not there.
#[derive(Debug)]
struct Missing(String);

impl Object for Missing {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MISSING}{}", self.0)
    }
}
