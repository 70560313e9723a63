use serde::{Deserialize, Serialize};

use super::Rest;

/// A reference of contract `v1beta2`: no version (core finds it by the CRD's contract labels) and no namespace (the object's own).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// The group of the kind.
    pub api_group: String,
    /// The kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

impl ObjectReference {
    /// A reference to this object.
    #[must_use]
    pub fn new(api_group: impl Into<String>, kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self { api_group: api_group.into(), kind: kind.into(), name: name.into(), rest: Rest::new() }
    }

    /// Whether it refers to an object of this group and kind.
    #[must_use]
    pub fn is_kind(&self, api_group: &str, kind: &str) -> bool {
        self.api_group == api_group && self.kind == kind
    }
}

/// A reference that names its version, as in ClusterClass templates and remediation templates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionedReference {
    /// Group and version of the kind.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A reference by name alone, where group and kind are fixed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NameReference {
    /// The object's name.
    pub name: String,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Rest,
}
