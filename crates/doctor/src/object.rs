//! An object of the management cluster, read with tolerance: of a field that is missing, or is of another shape, nothing is known.

use capstead_capi::condition;
use capstead_capi::condition::Condition;
use capstead_capi::condition::Conditions;
use capstead_capi::condition::Status;
use capstead_capi::meta::label;
use jiff::Timestamp;
use serde_json::Value;

/// An object, with its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    value: Value,
    conditions: Conditions,
}

impl Object {
    /// An object as the API server tells it at this time. Items of a list do not say what they are, so the kind is told.
    #[must_use]
    pub fn new(kind: &str, mut value: Value, now: Timestamp) -> Self {
        if let Some(fields) = value.as_object_mut() {
            fields.insert("kind".into(), kind.into());
        }
        let conditions = condition::read(&value, now).unwrap_or_default();
        Self { value, conditions }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// Its namespace; empty for those of none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// As people call it.
    #[must_use]
    pub fn called(&self) -> String {
        match self.namespace() {
            "" => format!("{} {}", self.kind(), self.name()),
            namespace => format!("{} {namespace}/{}", self.kind(), self.name()),
        }
    }

    /// The field, by its JSON pointer.
    #[must_use]
    pub fn field(&self, pointer: &str) -> Option<&Value> {
        self.value.pointer(pointer).filter(|value| !value.is_null())
    }

    /// The field's text; empty where there is none.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        self.field(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// The field's items; none where it is no list.
    pub fn items(&self, pointer: &str) -> impl Iterator<Item = &Value> {
        self.field(pointer).and_then(Value::as_array).into_iter().flatten()
    }

    /// A label; empty where there is none.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.field("/metadata/labels").and_then(|labels| labels[name].as_str()).unwrap_or_default()
    }

    /// Whether it has the label, whatever it says.
    #[must_use]
    pub fn has_label(&self, name: &str) -> bool {
        self.field("/metadata/labels").is_some_and(|labels| labels.get(name).is_some())
    }

    /// The Cluster it belongs to, by its label.
    #[must_use]
    pub fn cluster(&self) -> &str {
        self.label(label::CLUSTER_NAME)
    }

    /// Whether it is of the control plane.
    #[must_use]
    pub fn is_control_plane(&self) -> bool {
        self.has_label(label::CONTROL_PLANE)
    }

    /// When it was made.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.text("/metadata/creationTimestamp").parse().ok()
    }

    /// Its conditions.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.conditions.iter()
    }

    /// Its condition of this type.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions.get(type_)
    }

    /// Its condition of this type, where that is not True.
    #[must_use]
    pub fn lacks(&self, type_: &str) -> Option<&Condition> {
        self.condition(type_).filter(|condition| condition.status != Status::True)
    }

    /// Whether its condition of this type is True.
    #[must_use]
    pub fn is(&self, type_: &str) -> bool {
        self.conditions.is_true(type_)
    }
}

#[cfg(test)]
mod tests;
