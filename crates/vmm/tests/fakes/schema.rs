//! Just enough of a JSON schema to hold a document against.

use serde_json::Value;

/// What a value may be.
pub enum Kind {
    Text,
    Bool,
    Number(u64, u64),
    OneOf(&'static [&'static str]),
    Texts,
    Object(&'static [Field]),
    Objects(&'static [Field]),
}

/// A property: its name, what it may be, whether it must be there.
pub struct Field(pub &'static str, pub Kind, pub bool);

/// Whether the value is an object of these fields and no others.
pub fn check(at: &str, value: &Value, fields: &[Field]) -> Result<(), String> {
    let object = value.as_object().ok_or(format!("{at} is no object"))?;
    for Field(name, kind, required) in fields {
        match object.get(*name) {
            None if *required => return Err(format!("{at}.{name} is missing")),
            None => {}
            Some(value) => check_kind(&format!("{at}.{name}"), value, kind)?,
        }
    }
    match object.keys().find(|key| !fields.iter().any(|Field(name, ..)| name == key)) {
        Some(key) => Err(format!("{at}.{key} is unknown")),
        None => Ok(()),
    }
}

fn check_kind(at: &str, value: &Value, kind: &Kind) -> Result<(), String> {
    let list = |at: &str| value.as_array().ok_or(format!("{at} is no list"));
    let fits = match kind {
        Kind::Text => value.is_string(),
        Kind::Bool => value.is_boolean(),
        Kind::Number(min, max) => value.as_u64().is_some_and(|number| (*min..=*max).contains(&number)),
        Kind::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        Kind::Texts => list(at)?.iter().all(Value::is_string),
        Kind::Object(fields) => return check(at, value, fields),
        Kind::Objects(fields) => {
            return list(at)?.iter().enumerate().try_for_each(|(index, item)| check(&format!("{at}[{index}]"), item, fields));
        }
    };
    if fits { Ok(()) } else { Err(format!("{at} may not be {value}")) }
}
