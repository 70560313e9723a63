//! What is known of core's objects: no more than the life cycles ask, for there are many of them and they change often.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use capstead_capi::machine::Cluster as ClusterGate;
use capstead_capi::meta::is_control_plane;
use capstead_capi::types::ApiEndpoint;
use capstead_capi::views;
use kube::Resource;
use kube::core::{NamespaceResourceScope, ObjectMeta};
use serde::Deserialize;

/// What is known of a Machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineFacts {
    /// Its uid.
    pub uid: String,
    /// `spec.clusterName`.
    pub cluster: String,
    /// `spec.infrastructureRef`.
    pub infrastructure: Reference,
    /// `spec.failureDomain`.
    pub failure_domain: Option<String>,
    /// `spec.bootstrap.dataSecretName`.
    pub data_secret: Option<String>,
    /// Whether it has the control plane label.
    pub control_plane: bool,
    /// `status.nodeRef`: the Node's name.
    pub node: Option<String>,
}

/// What is known of a Cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterFacts {
    /// Its uid.
    pub uid: String,
    /// What InfraMachines wait for.
    pub gate: ClusterGate,
    /// `spec.controlPlaneEndpoint`, when whole.
    pub endpoint: Option<ApiEndpoint>,
    /// `spec.infrastructureRef`.
    pub infrastructure: Option<Reference>,
}

/// A reference to an object of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Reference {
    api_group: String,
    kind: String,
    name: String,
}

impl Reference {
    /// The name, if it refers to an object of `K`.
    #[must_use]
    pub fn to<K: Resource<DynamicType = ()>>(&self) -> Option<&str> {
        (self.api_group == K::group(&()) && self.kind == K::kind(&())).then_some(self.name.as_str())
    }
}

/// A Machine as its watch brings it.
pub(crate) type LeanMachine = Lean<views::Machine, MachineSpec, MachineStatus>;
/// A Cluster as its watch brings it.
pub(crate) type LeanCluster = Lean<views::Cluster, ClusterSpec, ClusterStatus>;

/// One of core's objects of kind `K`, read no further than facts need: most of such an object is status and bookkeeping, and most of its changes concern
/// nobody here.
#[derive(Clone, Debug)]
pub(crate) struct Lean<K, S, T> {
    metadata: ObjectMeta,
    spec: S,
    status: Option<T>,
    kind: PhantomData<fn() -> K>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MachineSpec {
    cluster_name: String,
    infrastructure_ref: Reference,
    failure_domain: Option<String>,
    bootstrap: Bootstrap,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Bootstrap {
    data_secret_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MachineStatus {
    node_ref: NodeReference,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeReference {
    name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClusterSpec {
    paused: bool,
    control_plane_endpoint: Option<ApiEndpoint>,
    infrastructure_ref: Option<Reference>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ClusterStatus {
    initialization: ClusterInitialization,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClusterInitialization {
    infrastructure_provisioned: bool,
}

impl<K, S, T> Resource for Lean<K, S, T>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&()).into_owned().into()
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&()).into_owned().into()
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&()).into_owned().into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&()).into_owned().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<'de, K, S: Deserialize<'de>, T: Deserialize<'de>> Deserialize<'de> for Lean<K, S, T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Meta {
            name: Option<String>,
            namespace: Option<String>,
            uid: Option<String>,
            resource_version: Option<String>,
            labels: Option<BTreeMap<String, String>>,
        }
        #[derive(Deserialize)]
        struct Wire<S, T> {
            metadata: Meta,
            spec: S,
            status: Option<T>,
        }
        let Wire { metadata: Meta { name, namespace, uid, resource_version, labels }, spec, status } = Wire::deserialize(deserializer)?;
        let metadata = ObjectMeta { name, namespace, uid, resource_version, labels, ..ObjectMeta::default() };
        Ok(Self { metadata, spec, status, kind: PhantomData })
    }
}

impl From<LeanMachine> for MachineFacts {
    fn from(machine: LeanMachine) -> Self {
        Self {
            control_plane: is_control_plane(&machine),
            uid: machine.metadata.uid.unwrap_or_default(),
            cluster: machine.spec.cluster_name,
            infrastructure: machine.spec.infrastructure_ref,
            failure_domain: machine.spec.failure_domain.filter(|domain| !domain.is_empty()),
            data_secret: machine.spec.bootstrap.data_secret_name,
            node: machine.status.unwrap_or_default().node_ref.name.filter(|node| !node.is_empty()),
        }
    }
}

impl From<LeanCluster> for ClusterFacts {
    fn from(cluster: LeanCluster) -> Self {
        let provisioned = cluster.status.unwrap_or_default().initialization.infrastructure_provisioned;
        let infrastructure_provisioned = provisioned || cluster.spec.infrastructure_ref.is_none();
        Self {
            uid: cluster.metadata.uid.unwrap_or_default(),
            gate: ClusterGate { paused: cluster.spec.paused, infrastructure_provisioned },
            endpoint: cluster.spec.control_plane_endpoint.filter(ApiEndpoint::is_whole),
            infrastructure: cluster.spec.infrastructure_ref,
        }
    }
}

#[cfg(test)]
mod tests;
