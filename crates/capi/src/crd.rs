//! A CustomResourceDefinition from Rust types alone.
//!
//! `#[derive(kube::CustomResource, kube::KubeSchema)]` makes the schema, print columns, short names and subresources of one API version,
//! CEL rules included; [`ContractKind`] adds which contract the version is shaped for, and this module joins the versions of a kind and
//! writes what the contract wants on top: name, contract labels, category and conversion.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, ServiceReference, WebhookClientConfig, WebhookConversion,
};
use kube::core::Version;
use kube::core::crd::{MergeError, merge_crds};

use crate::plural;
use crate::{Contract, contract};

/// One API version of a provider's kind.
pub trait ContractKind: kube::CustomResourceExt + kube::ResourceExt<DynamicType = ()> + Sized {
    /// The contracts whose shape this version has; none for a kind core never refers to (such as an identity).
    const CONTRACTS: &'static [Contract];

    /// The finalizer the provider puts on objects of the kind, such as `foomachine.infrastructure.cluster.x-k8s.io`; the same in every
    /// version and for ever, for objects made by older releases still carry it.
    const FINALIZER: &'static str;
}

/// How the API server converts between the versions of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// All versions have the same fields: only `apiVersion` changes.
    Unchanged,
    /// The provider's webhook converts, at path `/convert` of this Service. The CA bundle is injected at run time: the API server refuses
    /// placeholders since Kubernetes 1.31.
    Webhook {
        /// The Service's namespace.
        namespace: String,
        /// The Service's name.
        name: String,
    },
}

/// Why the versions of a kind make no definition.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// The versions are not of one kind.
    #[error("versions of {name} cannot be joined")]
    Merge {
        /// The definition's name.
        name: String,
        /// What differs.
        source: MergeError,
    },
    /// Two types of one version.
    #[error("version {version} of {name} is given twice")]
    Twice {
        /// The definition's name.
        name: String,
        /// The version.
        version: String,
    },
    /// Core would look for another name.
    #[error("core looks for {expected}, not {name}: set `#[kube(plural = ...)]`")]
    Name {
        /// The definition's name.
        name: String,
        /// The name core computes from group and kind.
        expected: String,
    },
    /// Several versions, and nothing said about conversion.
    #[error("{name} has several versions but no conversion")]
    NoConversion {
        /// The definition's name.
        name: String,
    },
}

/// The definition of a kind with one version.
///
/// # Errors
/// When core would not find it by its name.
pub fn crd<T: ContractKind>() -> Result<CustomResourceDefinition, CrdError> {
    CrdBuilder::stored::<T>().build()
}

/// Joins the versions of a kind to one definition.
#[derive(Debug)]
pub struct CrdBuilder {
    name: &'static str,
    stored: String,
    versions: Vec<CustomResourceDefinition>,
    short_names: Vec<String>,
    categories: Vec<String>,
    contracts: Vec<(Contract, String)>,
    conversion: Option<Conversion>,
}

impl CrdBuilder {
    /// Starts with the version in which objects are stored.
    #[must_use]
    pub fn stored<T: ContractKind>() -> Self {
        let builder = Self {
            name: T::crd_name(),
            stored: T::version(&()).into_owned(),
            versions: Vec::new(),
            short_names: Vec::new(),
            categories: vec![CATEGORY.into()],
            contracts: Vec::new(),
            conversion: None,
        };
        builder.and::<T>()
    }

    /// Adds another version.
    #[must_use]
    pub fn and<T: ContractKind>(mut self) -> Self {
        let version = T::version(&()).into_owned();
        let contracts = T::CONTRACTS.iter().map(|contract| (*contract, version.clone()));
        self.contracts.extend(contracts);
        let crd = T::crd();
        let names = &crd.spec.names;
        extend(&mut self.short_names, names.short_names.as_deref());
        extend(&mut self.categories, names.categories.as_deref());
        self.versions.push(crd);
        self
    }

    /// Says how the versions are converted.
    #[must_use]
    pub fn conversion(self, conversion: Conversion) -> Self {
        Self { conversion: Some(conversion), ..self }
    }

    /// The definition: the versions, newest first, with name, short names and categories of all versions, contract labels,
    /// category `cluster-api` and conversion.
    ///
    /// # Errors
    /// When the versions are not of one kind or one is given twice, when several versions come without conversion, or when core would not
    /// find the definition by its name.
    pub fn build(self) -> Result<CustomResourceDefinition, CrdError> {
        let name = self.name.to_owned();
        let mut crd = match merge_crds(self.versions, &self.stored) {
            Ok(crd) => crd,
            Err(source) => return Err(CrdError::Merge { name, source }),
        };
        let versions = &mut crd.spec.versions;
        versions.sort_by_key(|version| std::cmp::Reverse(Version::parse(&version.name).priority()));
        if let Some(pair) = versions.windows(2).find(|pair| pair[0].name == pair[1].name) {
            let version = pair[0].name.clone();
            return Err(CrdError::Twice { name, version });
        }
        let several = versions.len() > 1;
        let names = &mut crd.spec.names;
        names.short_names = Some(self.short_names).filter(|names| !names.is_empty());
        names.categories = Some(self.categories);
        let labels = crd.metadata.labels.get_or_insert_default();
        for contract in Contract::ALL {
            let shaped = self.contracts.iter().filter(|(of, _)| *of == contract);
            let value = contract::label_value(shaped.map(|(_, version)| version.as_str()));
            if !value.is_empty() {
                labels.insert(contract.label().into(), value);
            }
        }
        if labels.is_empty() {
            crd.metadata.labels = None;
        }
        let expected = plural::crd_name(&crd.spec.group, &names.kind);
        if !self.contracts.is_empty() && expected != name {
            return Err(CrdError::Name { name, expected });
        }
        crd.spec.conversion = match self.conversion {
            Some(conversion) => Some(conversion.stanza()),
            None if several => return Err(CrdError::NoConversion { name }),
            None => None,
        };
        Ok(crd)
    }
}

/// The category that makes `kubectl get cluster-api` list the kind.
const CATEGORY: &str = "cluster-api";

/// Adds what is not there yet.
fn extend(all: &mut Vec<String>, more: Option<&[String]>) {
    for name in more.unwrap_or_default() {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
}

impl Conversion {
    fn stanza(self) -> CustomResourceConversion {
        match self {
            Self::Unchanged => CustomResourceConversion { strategy: "None".into(), webhook: None },
            Self::Webhook { namespace, name } => CustomResourceConversion {
                strategy: "Webhook".into(),
                webhook: Some(WebhookConversion {
                    client_config: Some(WebhookClientConfig {
                        service: Some(ServiceReference { namespace, name, path: Some("/convert".into()), ..ServiceReference::default() }),
                        ..WebhookClientConfig::default()
                    }),
                    conversion_review_versions: vec!["v1".into()],
                }),
            },
        }
    }
}

#[cfg(test)]
mod tests;
