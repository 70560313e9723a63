//! YAML and JSON as values, read with bounds.

use serde::Deserialize;
use serde_json::Value;

/// More documents than any configuration has.
const DOCUMENTS: usize = 64;

/// Why YAML cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum YamlError {
    /// The parser gives up; it says where.
    #[error("the YAML cannot be read")]
    Parse(#[from] yaml_serde::Error),
    /// Too much of it.
    #[error("it has more than {DOCUMENTS} documents")]
    TooMany,
}

/// All documents of a YAML stream that are not empty.
pub fn yaml(text: &str) -> Result<Vec<Value>, YamlError> {
    let mut documents = Vec::new();
    for document in yaml_serde::Deserializer::from_str(text) {
        if documents.len() == DOCUMENTS {
            return Err(YamlError::TooMany);
        }
        match Value::deserialize(document)? {
            Value::Null => {}
            value => documents.push(value),
        }
    }
    Ok(documents)
}

/// Takes out every key whose value is null: to Kubernetes' types it is as if it were not there.
pub fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}
