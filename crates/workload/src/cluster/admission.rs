//! Who begins a cluster, and why clusters do not begin and machines do not join.

use crate::etcd::EtcdError;
use crate::guest::Boot;
use crate::guest::discovery;
use crate::guest::kubeadm::ClusterConfiguration;
use crate::guest::kubeadm::Endpoint;
use crate::guest::kubeadm::Init;
use crate::guest::kubeadm::Role;

/// Why a cluster does not begin.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The machine is told to join one.
    #[error("the machine is to join a cluster, not to begin one")]
    NotInit,
}

/// Why a machine does not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The machine is told to begin a cluster.
    #[error("the machine is to begin a cluster, not to join one")]
    NotJoin,
    /// Nobody answers at the endpoint.
    #[error("failed to request the cluster-info ConfigMap: {0} does not answer")]
    NoAnswer(Endpoint),
    /// kubeadm's configuration in the cluster is gone or broken.
    #[error("ConfigMap kubeadm-config in kube-system has no ClusterConfiguration with a version")]
    NoConfiguration,
    /// The cluster does not let it in.
    #[error("the cluster does not let it join")]
    Refused(#[from] discovery::JoinError),
    /// Another machine has registered under the name.
    #[error("a Node with name {0:?} and status \"Ready\" already exists in the cluster; delete it or use another name")]
    NameTaken(String),
    /// etcd does not take the member.
    #[error("etcd does not take the member")]
    Etcd(#[from] EtcdError),
}

impl JoinError {
    /// Whether kubeadm would go on trying for a while.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer(_) | Self::Etcd(_) => true,
            Self::Refused(error) => error.may_pass(),
            Self::NotJoin | Self::NoConfiguration | Self::NameTaken(_) => false,
        }
    }
}

/// What a control plane machine knows of its cluster: all, if it began it; else the authorities, the endpoint and its own version.
pub fn founding(boot: &Boot) -> Option<Init> {
    let join = match &boot.role {
        Role::Init(init) => return Some(Init::clone(init)),
        Role::Join(join) => join,
    };
    let control_plane = join.control_plane.as_ref()?;
    let endpoint = join.discovery.endpoint().clone();
    let version = boot.kubernetes.as_ref().map(|version| format!("v{version}"));
    let document = serde_json::json!({"controlPlaneEndpoint": endpoint.to_string(), "kubernetesVersion": version});
    let cluster = ClusterConfiguration {
        control_plane_endpoint: endpoint.to_string(),
        kubernetes_version: version.unwrap_or_default(),
        document,
        ..ClusterConfiguration::default()
    };
    Some(Init {
        cluster,
        endpoint,
        bind_port: control_plane.bind_port,
        certificates: control_plane.certificates.clone(),
        tokens: Vec::new(),
        kubelet: None,
        kube_proxy: None,
    })
}
