use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Contract;

/// A place that fails on its own, such as a zone or a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureDomain {
    /// Its name, 1 to 256 characters, unique in the list.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Whether control plane machines may be placed here; absent means no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<bool>,
    /// Free attributes for the provider and its users.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl FailureDomain {
    /// A failure domain without attributes.
    #[must_use]
    pub fn new(name: impl Into<String>, control_plane: bool) -> Self {
        Self { name: name.into(), control_plane: Some(control_plane), attributes: BTreeMap::new() }
    }

    /// Whether control plane machines may be placed here.
    #[must_use]
    pub fn allows_control_plane(&self) -> bool {
        self.control_plane == Some(true)
    }
}

/// The failure domains of a cluster: at most 100, sorted by name, each name once.
///
/// Core copies the list at every reconcile, and a missing list empties its own, so a provider always writes all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<FailureDomain>")]
#[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"], "maxItems" = 100))]
pub struct FailureDomains(Vec<FailureDomain>);

/// Why a JSON value holds no failure domains.
#[derive(Debug, thiserror::Error)]
#[error("status.failureDomains is not the {shape} of contract {contract}")]
pub struct FailureDomainsError {
    /// The contract by which it was read.
    pub contract: Contract,
    /// What that contract wants: `list` or `map`.
    pub shape: &'static str,
    /// What did not fit.
    pub source: serde_json::Error,
}

impl FailureDomains {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The domains, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &FailureDomain> {
        self.0.iter()
    }

    /// The domain of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&FailureDomain> {
        self.0.iter().find(|domain| domain.name == name)
    }

    /// Reads `status.failureDomains` of an InfraCluster the way core does: a list in contract `v1beta2`, a map by name in `v1beta1`; sorted
    /// by name, an absent `controlPlane` read as false.
    ///
    /// # Errors
    /// When the value has not the contract's shape.
    pub fn read(value: &Value, contract: Contract) -> Result<Self, FailureDomainsError> {
        let mut domains = match contract {
            Contract::V1Beta2 => {
                Vec::<FailureDomain>::deserialize(value).map_err(|source| FailureDomainsError { contract, shape: "list", source })?
            }
            Contract::V1Beta1 => {
                #[derive(Deserialize)]
                #[serde(rename_all = "camelCase")]
                struct Unnamed {
                    control_plane: Option<bool>,
                    #[serde(default)]
                    attributes: BTreeMap<String, String>,
                }
                BTreeMap::<String, Unnamed>::deserialize(value)
                    .map_err(|source| FailureDomainsError { contract, shape: "map", source })?
                    .into_iter()
                    .map(|(name, domain)| FailureDomain { name, control_plane: domain.control_plane, attributes: domain.attributes })
                    .collect()
            }
        };
        for domain in &mut domains {
            domain.control_plane.get_or_insert(false);
        }
        Ok(domains.into_iter().collect())
    }

    /// The map by name that contract `v1beta1` wants.
    #[must_use]
    pub fn to_v1beta1(&self) -> Value {
        self.iter()
            .map(|domain| {
                let mut value = serde_json::json!({"controlPlane": domain.allows_control_plane()});
                if !domain.attributes.is_empty() {
                    value["attributes"] = domain.attributes.clone().into_iter().collect();
                }
                (domain.name.clone(), value)
            })
            .collect()
    }
}

impl From<Vec<FailureDomain>> for FailureDomains {
    fn from(domains: Vec<FailureDomain>) -> Self {
        domains.into_iter().collect()
    }
}

/// Sorts by name; of two with one name the later one stays.
impl FromIterator<FailureDomain> for FailureDomains {
    fn from_iter<I: IntoIterator<Item = FailureDomain>>(domains: I) -> Self {
        let by_name: BTreeMap<_, _> = domains.into_iter().map(|domain| (domain.name.clone(), domain)).collect();
        Self(by_name.into_values().collect())
    }
}
