use std::borrow::Cow;
use std::fmt;

use kube::core::{NamespaceResourceScope, ObjectMeta};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::meta;

/// The fields a view does not type, as they were read.
pub type Rest = Map<String, Value>;

/// The spec of one of core's kinds: names the kind and its status.
pub trait CoreSpec: Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind's status; [`Rest`] for a kind whose status no provider reads.
    type Status: Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync;
    /// The kind's API group.
    const GROUP: &str = meta::GROUP;
    /// The kind's name.
    const KIND: &str;
    /// The kind's name in URLs.
    const PLURAL: &str;
}

/// An object of one of core's kinds.
///
/// Reading refuses another apiVersion or kind: the fields of another version would be misread. Writing always names both.
#[derive(Clone, Debug, PartialEq)]
pub struct CoreObject<S: CoreSpec> {
    /// Standard metadata.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: S,
    /// What core last reported.
    pub status: Option<S::Status>,
    /// Top-level fields the view does not type.
    pub rest: Rest,
}

impl<S: CoreSpec> CoreObject<S> {
    /// A new object without status, to be created.
    #[must_use]
    pub fn new(metadata: ObjectMeta, spec: S) -> Self {
        Self { metadata, spec, status: None, rest: Rest::new() }
    }
}

impl<S: CoreSpec> kube::Resource for CoreObject<S> {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        S::KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        S::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        meta::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        S::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<S: CoreSpec> Serialize for CoreObject<S> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a, S: CoreSpec> {
            api_version: Cow<'a, str>,
            kind: &'a str,
            metadata: &'a ObjectMeta,
            spec: &'a S,
            #[serde(skip_serializing_if = "Option::is_none")]
            status: &'a Option<S::Status>,
            #[serde(flatten)]
            rest: &'a Rest,
        }
        Wire {
            api_version: <Self as kube::Resource>::api_version(&()),
            kind: S::KIND,
            metadata: &self.metadata,
            spec: &self.spec,
            status: &self.status,
            rest: &self.rest,
        }
        .serialize(serializer)
    }
}

impl<'de, S: CoreSpec> Deserialize<'de> for CoreObject<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", bound = "")]
        struct Wire<S: CoreSpec> {
            api_version: Option<String>,
            kind: Option<String>,
            #[serde(default)]
            metadata: ObjectMeta,
            spec: S,
            status: Option<S::Status>,
            #[serde(flatten)]
            rest: Rest,
        }
        let wire = Wire::<S>::deserialize(deserializer)?;
        let expected = <Self as kube::Resource>::api_version(&());
        // A list's items may come without both.
        if let Some(found) = wire.api_version.filter(|found| *found != expected) {
            return Err(D::Error::custom(format_args!("apiVersion is {found}, not {expected}")));
        }
        if let Some(found) = wire.kind.filter(|found| found != S::KIND) {
            return Err(D::Error::custom(format_args!("kind is {found}, not {}", S::KIND)));
        }
        Ok(Self { metadata: wire.metadata, spec: wire.spec, status: wire.status, rest: wire.rest })
    }
}
