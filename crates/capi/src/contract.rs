//! Contract versions, and how a CRD's labels tie API versions to them.

use std::collections::BTreeMap;
use std::fmt;

use kube::core::Version;

/// The label prefix of a contract label: `cluster.x-k8s.io/v1beta2: v1alpha1_v1alpha2`.
pub const LABEL_PREFIX: &str = "cluster.x-k8s.io/";

/// A version of the contract between core and providers that a running core accepts (core v1.11 to v1.15 accept both).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Contract {
    /// The contract of core v1.0 to v1.10; no longer accepted from v1.16 on.
    V1Beta1,
    /// The contract of core v1.11 and later.
    V1Beta2,
}

impl Contract {
    /// All contracts, in the order in which core looks for their label.
    pub const ALL: [Self; 2] = [Self::V1Beta2, Self::V1Beta1];

    /// The name used in labels and in clusterctl's `metadata.yaml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1Beta1 => "v1beta1",
            Self::V1Beta2 => "v1beta2",
        }
    }

    /// The CRD label that lists the API versions shaped for this contract.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::V1Beta1 => "cluster.x-k8s.io/v1beta1",
            Self::V1Beta2 => "cluster.x-k8s.io/v1beta2",
        }
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The API versions listed in a contract label's value, in written order; empty parts are kept so that a checker can name them.
pub fn listed(value: &str) -> impl Iterator<Item = &str> {
    value.split('_')
}

/// The contract label's value for these API versions: oldest first, joined by underscores.
#[must_use]
pub fn label_value<'a>(versions: impl IntoIterator<Item = &'a str>) -> String {
    let mut versions: Vec<_> = versions.into_iter().collect();
    versions.sort_by_key(|version| Version::parse(version).priority());
    versions.dedup();
    versions.join("_")
}

/// The contract and API version core uses for a CRD with these labels: the newest contract that has a label, and the highest version of its list.
///
/// `None` when neither contract label is there or both are empty; the objects that refer to the kind then stall.
#[must_use]
pub fn chosen_by_core(labels: &BTreeMap<String, String>) -> Option<(Contract, &str)> {
    Contract::ALL.into_iter().find_map(|contract| {
        let value = labels.get(contract.label()).filter(|value| !value.is_empty())?;
        let highest = listed(value).max_by_key(|version| Version::parse(version).priority())?;
        Some((contract, highest))
    })
}

#[cfg(test)]
mod tests;
