//! kubeadm init and join, as far as they get without a cluster: the configuration is read and judged, and the node described.

use semver::Version;

use super::script::Invocation;
use super::system::System;
use super::version;
pub use certificates::CertificateError;
pub use certificates::Certificates;
pub use certificates::Etcd;
pub use certificates::Pair;
pub use config::ClusterConfiguration;
pub use config::ConfigError;
pub use config::Endpoint;
pub use config::Etcd as EtcdConfiguration;
pub use config::ExternalEtcd;
pub use config::InitialToken;
pub use config::Networking;
pub use config::NodeRegistration;
pub use config::Taint;
pub use node::Node;
pub use node::NodeError;
pub use token::Token;

mod certificates;
mod config;
mod node;
mod preflight;
#[cfg(test)]
mod tests;
mod token;

/// The port of the API server where none is named.
const API_PORT: u16 = 6443;

/// A machine that ran kubeadm, and now goes to the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Boot {
    /// What it registers as.
    pub node: Node,
    /// What kubeadm was told to do.
    pub role: Role,
    /// The version of its kubelet, where the image or the configuration told.
    pub kubernetes: Option<Version>,
    /// Written when kubeadm has succeeded.
    pub sentinel: Option<String>,
    /// Phases of kubeadm that are left out.
    pub skipped: Vec<String>,
    /// The machine's files, kubeadm's own not among them.
    pub system: System,
}

/// What kubeadm was told to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// The first control plane machine of a cluster.
    Init(Box<Init>),
    /// A machine that joins a cluster.
    Join(Box<Join>),
}

/// `kubeadm init`.
#[derive(Clone, Debug, PartialEq)]
pub struct Init {
    /// The cluster's configuration.
    pub cluster: ClusterConfiguration,
    /// Where its API is.
    pub endpoint: Endpoint,
    /// The port this machine's API server binds.
    pub bind_port: u16,
    /// The cluster's authorities.
    pub certificates: Certificates,
    /// Tokens that others can join with.
    pub tokens: Vec<InitialToken>,
    /// The `KubeletConfiguration` in the file, if any.
    pub kubelet: Option<serde_json::Value>,
    /// The `KubeProxyConfiguration` in the file, if any.
    pub kube_proxy: Option<serde_json::Value>,
}

/// `kubeadm join`.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// How it finds the cluster, and knows it is the right one.
    pub discovery: Discovery,
    /// What it shows to get the kubelet's certificate; from the discovery's kubeconfig, if `None`.
    pub tls_bootstrap: Option<Token>,
    /// As a further control plane machine.
    pub control_plane: Option<ControlPlane>,
}

/// What a further control plane machine brings.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlPlane {
    /// The port this machine's API server binds.
    pub bind_port: u16,
    /// The cluster's authorities, as this machine got them.
    pub certificates: Certificates,
}

/// How a machine finds its cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Discovery {
    /// By a token and pins of the authority's public key.
    Token {
        /// Where the API is.
        endpoint: Endpoint,
        /// What signs ConfigMap cluster-info.
        token: Token,
        /// `sha256:` and the hash of the public key, in hex. Any one must fit.
        pins: Vec<String>,
    },
    /// By a kubeconfig on the machine.
    File {
        /// Where the API is.
        endpoint: Endpoint,
        /// The authority's certificates in PEM, unless verification is switched off.
        authority: Option<String>,
    },
}

impl Discovery {
    /// Where the API is.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Token { endpoint, .. } | Self::File { endpoint, .. } => endpoint,
        }
    }
}

/// Why kubeadm gives up, or the kubelet that it starts.
#[derive(Debug, thiserror::Error)]
pub enum KubeadmError {
    /// The file that `--config` names is not there.
    #[error("the configuration {path} is not among the machine's files")]
    NoConfig {
        /// Which file.
        path: String,
    },
    /// The file is wrong.
    #[error("the configuration {path} is wrong")]
    Config {
        /// Which file.
        path: String,
        /// What and where.
        #[source]
        source: ConfigError,
    },
    /// An authority is missing or broken.
    #[error("a certificate is wrong")]
    Certificate(#[from] CertificateError),
    /// The node cannot be what it is told to be.
    #[error("the kubelet does not start")]
    Node(#[from] NodeError),
    /// Something is where kubeadm wants to write.
    #[error("[ERROR {check}]: {path} already exists")]
    Preflight {
        /// The name by which the check can be ignored.
        check: String,
        /// What is in the way.
        path: String,
    },
    /// kubeadm is more than one minor version ahead.
    #[error(
        "this version of kubeadm only supports deploying clusters with the control plane version >= {least}. Current version: v{wanted}"
    )]
    ControlPlaneTooOld {
        /// The oldest this kubeadm deploys.
        least: String,
        /// What it is to deploy.
        wanted: Version,
    },
    /// The kubelet is ahead of the API server.
    #[error(
        "the kubelet version is higher than the control plane version. Kubelet version: \"{kubelet}\" Control plane version: \"{wanted}\""
    )]
    KubeletTooNew {
        /// In the image.
        kubelet: Version,
        /// Of the cluster.
        wanted: Version,
    },
}

/// Runs kubeadm on a machine, with `image` the version of kubeadm and kubelet there.
///
/// # Errors
///
/// Whatever makes kubeadm or the kubelet give up before they need the network.
pub fn run(invocation: &Invocation, mut system: System, image: Option<&Version>) -> Result<Boot, KubeadmError> {
    let path = &invocation.config;
    let text = system.text(path).ok_or_else(|| KubeadmError::NoConfig { path: path.clone() })?;
    let wrong = |source| KubeadmError::Config { path: path.clone(), source };
    let file = config::read(text, invocation.init, image).map_err(wrong)?;
    system.warnings.extend(file.warnings);
    let (registration, role, kubernetes) = match file.wish {
        config::Wish::Init(init) => {
            let wanted = version(&init.cluster.kubernetes_version);
            let wanted = wanted.ok_or_else(|| wrong(ConfigError::Version(init.cluster.kubernetes_version.clone())))?;
            deployable(image, &wanted)?;
            if let Some(kubelet) = image.filter(|kubelet| (kubelet.major, kubelet.minor) > (wanted.major, wanted.minor)) {
                return Err(KubeadmError::KubeletTooNew { kubelet: kubelet.clone(), wanted });
            }
            let ignored = preflight::Ignored::new(&invocation.ignored, &init.registration.ignore_preflight_errors);
            preflight::init(&system, &ignored)?;
            let certificates = Certificates::read(&system, &init.cluster, certificates::Need::All)?;
            let endpoint = init.endpoint(&system.hostname).map_err(wrong)?;
            let role = Init {
                endpoint,
                bind_port: init.bind_port,
                certificates,
                tokens: init.tokens,
                kubelet: file.kubelet,
                kube_proxy: file.kube_proxy,
                cluster: init.cluster,
            };
            (init.registration, Role::Init(Box::new(role)), Some(image.cloned().unwrap_or(wanted)))
        }
        config::Wish::Join(join) => {
            let ignored = preflight::Ignored::new(&invocation.ignored, &join.registration.ignore_preflight_errors);
            preflight::join(&system, join.control_plane.is_some(), &ignored)?;
            let discovery = join.discovery(&system).map_err(wrong)?;
            let control_plane = match join.control_plane {
                None => None,
                // Where etcd is, only the cluster's configuration tells: without its authority on the machine it must be elsewhere.
                Some(bind_port) => {
                    let certificates = Certificates::read(&system, &ClusterConfiguration::default(), certificates::Need::Shared)?;
                    Some(ControlPlane { bind_port, certificates })
                }
            };
            let role = Join { discovery, tls_bootstrap: join.tls_bootstrap, control_plane };
            (join.registration, Role::Join(Box::new(role)), image.cloned())
        }
    };
    let control_plane = match &role {
        Role::Init(_) => true,
        Role::Join(join) => join.control_plane.is_some(),
    };
    let node = Node::new(&registration, &system.hostname, control_plane)?;
    let Invocation { sentinel, skipped, .. } = invocation.clone();
    Ok(Boot { node, role, kubernetes, sentinel, skipped, system })
}

/// kubeadm deploys its own minor version and the one before.
pub(super) fn deployable(kubeadm: Option<&Version>, wanted: &Version) -> Result<(), KubeadmError> {
    let Some(kubeadm) = kubeadm else { return Ok(()) };
    if wanted.major == kubeadm.major && wanted.minor + 1 < kubeadm.minor {
        let least = format!("{}.{}.0", kubeadm.major, kubeadm.minor - 1);
        return Err(KubeadmError::ControlPlaneTooOld { least, wanted: wanted.clone() });
    }
    Ok(())
}
