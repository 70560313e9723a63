use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value};

use super::{Condition, Conditions, Status, reason, to_second};

/// Why a foreign object's conditions cannot be read; core reports such an object with reason InvalidConditionReported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {problem}")]
pub struct ReadError {
    /// The offending field, such as `status.conditions[2].status`.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Reads a foreign object's conditions the way core does.
///
/// `status.v1beta2.conditions` counts when it is a list, otherwise `status.conditions`; when neither is a list there are no conditions. The
/// old shape with a severity is read too. What may be missing is filled in: the reason, an empty message, the object's generation, `now`.
///
/// # Errors
/// When a condition has no type, no status, a status that is none of True, False, Unknown, or a field of another type; the error names the
/// field. List items that are no objects are skipped, as core does.
pub fn read(object: &Value, now: Timestamp) -> Result<Conditions, ReadError> {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
    let list = [("/status/v1beta2/conditions", "status.v1beta2.conditions"), ("/status/conditions", "status.conditions")]
        .into_iter()
        .find_map(|(pointer, path)| Some((object.pointer(pointer)?.as_array()?, path)));
    let Some((list, path)) = list else {
        return Ok(Conditions::default());
    };
    list.iter()
        .enumerate()
        .filter_map(|(index, item)| Some((format!("{path}[{index}]"), item.as_object()?)))
        .map(|(path, fields)| Reader { path: &path, fields }.condition(generation, now))
        .collect()
}

struct Reader<'a> {
    path: &'a str,
    fields: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn condition(&self, generation: Option<i64>, now: Timestamp) -> Result<Condition, ReadError> {
        let type_ = self.text("type")?;
        if type_.is_empty() {
            return Err(self.error("type", "must be set"));
        }
        let status = match self.text("status")? {
            "True" => Status::True,
            "False" => Status::False,
            "Unknown" => Status::Unknown,
            "" => return Err(self.error("status", "must be set")),
            other => {
                return Err(self.error("status", format!("is {other:?}, not True, False or Unknown")));
            }
        };
        let observed_generation = match self.value("observedGeneration") {
            None => generation,
            Some(value) => Some(value.as_i64().ok_or_else(|| self.error("observedGeneration", "is not an integer"))?),
        };
        let since = match self.text("lastTransitionTime")? {
            "" => now,
            text => text.parse().map_err(|_| self.error("lastTransitionTime", "is not an RFC 3339 time"))?,
        };
        let reason = match self.text("reason")? {
            "" => reason::NO_REASON_REPORTED,
            text => text,
        };
        Ok(Condition {
            type_: type_.into(),
            status,
            observed_generation,
            last_transition_time: Time(to_second(since)),
            reason: reason.into(),
            message: self.text("message")?.into(),
        })
    }

    fn value(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// The field's text; empty when it is missing.
    fn text(&self, field: &str) -> Result<&str, ReadError> {
        match self.value(field) {
            None => Ok(""),
            Some(value) => value.as_str().ok_or_else(|| self.error(field, "is not a string")),
        }
    }

    fn error(&self, field: &str, problem: impl Into<String>) -> ReadError {
        ReadError { path: format!("{}.{field}", self.path), problem: problem.into() }
    }
}
