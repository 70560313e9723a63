use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a machine of a template offers, by resource name: `cpu`, `memory`, and perhaps `pods`, `ephemeral-storage`, `nvidia.com/gpu`.
///
/// The cluster autoscaler reads it from a template's `status.capacity` to scale from zero; it needs `cpu` and `memory`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Capacity(#[schemars(schema_with = "resource_list_schema")] pub BTreeMap<String, Quantity>);

impl Capacity {
    /// Adds a resource, such as `("memory", "500Mi")`.
    #[must_use]
    pub fn with(mut self, resource: impl Into<String>, quantity: impl Into<String>) -> Self {
        self.0.insert(resource.into(), Quantity(quantity.into()));
        self
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A node's processor architecture, by Kubernetes' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// x86, 64 bits.
    Amd64,
    /// Arm, 64 bits.
    Arm64,
    /// IBM Z.
    S390x,
    /// POWER, little endian.
    Ppc64le,
}

impl Architecture {
    /// The names the contract knows.
    pub const NAMES: [&'static str; 4] = ["amd64", "arm64", "s390x", "ppc64le"];
}

/// What a node of a template will be, as in a template's `status.nodeInfo`; the autoscaler assumes amd64 and linux without it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct NodeInfo {
    /// The processor architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// The operating system, such as `linux`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operating_system: Option<String>,
}

/// The schema Kubernetes' own tools write for a resource list.
fn resource_list_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "additionalProperties": {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": QUANTITY_PATTERN,
            "x-kubernetes-int-or-string": true,
        },
    })
}

const QUANTITY_PATTERN: &str =
    "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$";
