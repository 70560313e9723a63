use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crd::ContractKind;

/// The spec of a template kind: `spec.template`, holding what each clone gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateSpec<S> {
    /// What each clone gets.
    pub template: Template<S>,
}

/// What each clone of a template gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Template<S> {
    /// Labels and annotations of a clone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
    /// The clone's spec.
    pub spec: S,
}

/// Labels and annotations of a template's clones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("minProperties" = 1))]
pub struct TemplateMetadata {
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A template kind: an InfraClusterTemplate or InfraMachineTemplate. Its name is the cloned kind's with `Template` appended.
pub trait InfraTemplate: ContractKind {
    /// The spec of a clone.
    type CloneSpec;

    /// What each clone gets.
    fn template(&self) -> &Template<Self::CloneSpec>;
}
