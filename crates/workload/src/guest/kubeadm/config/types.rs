//! The fields of kubeadm's documents that decide something here. What is not listed is read past, as kubeadm itself only warns of what it does not know.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A cluster's configuration.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterConfiguration {
    /// What it is called in kubeconfigs.
    pub cluster_name: String,
    /// Where its API is; empty: at the first machine.
    pub control_plane_endpoint: String,
    /// With the `v`.
    pub kubernetes_version: String,
    /// Where the authorities are; empty: `/etc/kubernetes/pki`.
    pub certificates_dir: String,
    /// Where images come from; empty: `registry.k8s.io`.
    pub image_repository: String,
    /// Its subnets.
    pub networking: Networking,
    /// Its etcd.
    pub etcd: Etcd,
    /// CoreDNS.
    pub dns: Dns,
    /// kube-proxy.
    pub proxy: Proxy,
    /// The whole document, nulls left out, for ConfigMap kubeadm-config.
    #[serde(skip)]
    pub document: Value,
}

/// Subnets and names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Networking {
    /// Empty: `cluster.local`.
    pub dns_domain: String,
    /// One CIDR, or two with a comma.
    pub pod_subnet: String,
    /// Empty: `10.96.0.0/12`.
    pub service_subnet: String,
}

/// Where etcd is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Etcd {
    /// Elsewhere.
    pub external: Option<ExternalEtcd>,
}

/// An etcd that kubeadm does not run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ExternalEtcd {
    /// Its URLs.
    pub endpoints: Vec<String>,
    /// Its authority.
    pub ca_file: String,
    /// The API server's certificate for it.
    pub cert_file: String,
    /// The key of that.
    pub key_file: String,
}

/// Whether and how CoreDNS is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Dns {
    /// Not there at all.
    pub disabled: bool,
    /// Its version, if not kubeadm's choice.
    pub image_tag: String,
    /// Where it comes from, if not where all images come from.
    pub image_repository: String,
}

/// Whether kube-proxy is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Proxy {
    /// Not there at all.
    pub disabled: bool,
}

/// A taint of a node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// May be empty.
    #[serde(default)]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// A bootstrap token that a cluster begins with.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InitialToken {
    /// `id.secret`.
    pub token: String,
    /// As Go writes durations; empty: `24h0m0s`.
    pub ttl: String,
    /// What it may be used for.
    pub usages: Vec<String>,
    /// Whom it makes of its bearer.
    pub groups: Vec<String>,
}

impl Default for InitialToken {
    fn default() -> Self {
        Self {
            token: String::new(),
            ttl: String::new(),
            usages: vec!["signing".into(), "authentication".into()],
            groups: vec!["system:bootstrappers:kubeadm:default-node-token".into()],
        }
    }
}

impl std::fmt::Debug for InitialToken {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InitialToken")
            .field("ttl", &self.ttl)
            .field("usages", &self.usages)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InitConfiguration {
    pub bootstrap_tokens: Vec<InitialToken>,
    pub node_registration: NodeRegistrationSection,
    #[serde(rename = "localAPIEndpoint")]
    pub local_api_endpoint: LocalApiEndpoint,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct JoinConfiguration {
    pub node_registration: NodeRegistrationSection,
    pub discovery: DiscoverySection,
    pub control_plane: Option<JoinControlPlane>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LocalApiEndpoint {
    pub advertise_address: String,
    pub bind_port: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct JoinControlPlane {
    #[serde(rename = "localAPIEndpoint")]
    pub local_api_endpoint: LocalApiEndpoint,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeRegistrationSection {
    pub name: String,
    pub cri_socket: String,
    pub taints: Option<Vec<Taint>>,
    pub kubelet_extra_args: Option<Args>,
    pub ignore_preflight_errors: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Args {
    Map(BTreeMap<String, String>),
    List(Vec<Arg>),
}

#[derive(Debug, Deserialize)]
pub struct Arg {
    pub name: String,
    #[serde(default)]
    pub value: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DiscoverySection {
    pub bootstrap_token: Option<BootstrapTokenDiscovery>,
    pub file: Option<FileDiscovery>,
    pub tls_bootstrap_token: String,
}

impl std::fmt::Debug for DiscoverySection {
    /// Without tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiscoverySection").field("file", &self.file).finish_non_exhaustive()
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BootstrapTokenDiscovery {
    pub token: String,
    pub api_server_endpoint: String,
    pub ca_cert_hashes: Vec<String>,
    #[serde(rename = "unsafeSkipCAVerification")]
    pub unsafe_skip_ca_verification: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FileDiscovery {
    pub kube_config_path: String,
}
