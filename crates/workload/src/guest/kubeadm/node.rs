//! What a node registers as: kubeadm's flags for the kubelet, and the kubelet's own rules.

use std::collections::BTreeMap;

use super::config::NodeRegistration;
use super::config::Taint;

/// What a machine registers as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// `spec.providerID`.
    pub provider_id: Option<String>,
    /// Labels from the kubelet's flags; its own (`kubernetes.io/hostname` and the like) and kubeadm's come on top.
    pub labels: BTreeMap<String, String>,
    /// Taints it registers with, or that kubeadm adds.
    pub taints: Vec<Taint>,
    /// Addresses of `--node-ip`.
    pub addresses: Vec<String>,
    /// All extra flags of the kubelet.
    pub flags: BTreeMap<String, String>,
    /// Where the kubelet finds its runtime; kubeadm notes it on the node.
    pub cri_socket: String,
}

/// Why a node cannot register.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NodeError {
    /// No name for an object.
    #[error(
        "the node name {0:?} is not a DNS subdomain: lower-case letters, digits, '-' and '.', at most 253, beginning and ending with a letter or digit"
    )]
    Name(String),
    /// A label in Kubernetes' own namespaces.
    #[error(
        "--node-labels: {0} is in a namespace of Kubernetes, and a kubelet may not set it on itself; \
         allowed are *.kubelet.kubernetes.io, *.node.kubernetes.io, and those for host name, zone, region, instance type, OS and architecture"
    )]
    ForbiddenLabel(String),
    /// A key or value that is none.
    #[error("--node-labels: {0:?} is not a label")]
    Label(String),
    /// A taint that is none.
    #[error("--register-with-taints: {0:?} is not a taint; key[=value]:effect is")]
    Taint(String),
}

const ALLOWED: &[&str] = &[
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
];

impl Node {
    /// The node of a registration on a machine of this name.
    pub(super) fn new(registration: &NodeRegistration, hostname: &str, control_plane: bool) -> Result<Self, NodeError> {
        // kubeadm lowers the machine's name, but not the one it is told.
        let name = if registration.name.is_empty() { hostname.trim().to_lowercase() } else { registration.name.clone() };
        if !is_subdomain(&name) {
            return Err(NodeError::Name(name));
        }
        let flags: BTreeMap<String, String> = registration.kubelet_extra_args.iter().cloned().collect();
        let mut taints = match flags.get("register-with-taints") {
            Some(list) => {
                parts(list).map(|taint| parse_taint(taint).ok_or_else(|| NodeError::Taint(taint.to_owned()))).collect::<Result<_, _>>()?
            }
            None => registration.taints.clone().unwrap_or_default(),
        };
        if control_plane && registration.taints.is_none() {
            taints.push(Taint { key: "node-role.kubernetes.io/control-plane".into(), value: String::new(), effect: "NoSchedule".into() });
        }
        if flags.get("cloud-provider").is_some_and(|provider| provider == "external") {
            taints.push(Taint {
                key: "node.cloudprovider.kubernetes.io/uninitialized".into(),
                value: "true".into(),
                effect: "NoSchedule".into(),
            });
        }
        let list = |flag: &str| flags.get(flag).map(String::as_str).unwrap_or_default();
        let labels = parts(list("node-labels")).map(parse_label).collect::<Result<_, _>>()?;
        let addresses = parts(list("node-ip")).map(str::to_owned).collect();
        let provider_id = flags.get("provider-id").filter(|id| !id.is_empty()).cloned();
        let socket = &registration.cri_socket;
        let cri_socket = if socket.is_empty() { "unix:///var/run/containerd/containerd.sock".to_owned() } else { socket.clone() };
        Ok(Self { name, provider_id, labels, taints, addresses, flags, cri_socket })
    }
}

fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn parse_label(text: &str) -> Result<(String, String), NodeError> {
    let wrong = || NodeError::Label(text.to_owned());
    let (key, value) = text.split_once('=').ok_or_else(wrong)?;
    if !is_qualified(key) || !(value.is_empty() || is_name(value)) {
        return Err(wrong());
    }
    if let Some((namespace, _)) = key.split_once('/') {
        let within = |domain: &str| namespace == domain || namespace.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        let kubernetes = within("kubernetes.io") || within("k8s.io");
        if kubernetes && !ALLOWED.contains(&key) && !within("kubelet.kubernetes.io") && !within("node.kubernetes.io") {
            return Err(NodeError::ForbiddenLabel(key.to_owned()));
        }
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn parse_taint(text: &str) -> Option<Taint> {
    let (left, effect) = text.rsplit_once(':')?;
    let (key, value) = left.split_once('=').unwrap_or((left, ""));
    let known = matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute");
    (known && is_qualified(key) && (value.is_empty() || is_name(value))).then(|| Taint {
        key: key.to_owned(),
        value: value.to_owned(),
        effect: effect.to_owned(),
    })
}

/// A key of labels and taints: a name, maybe with a DNS subdomain and a slash before it.
fn is_qualified(key: &str) -> bool {
    key.split_once('/').map_or_else(|| is_name(key), |(domain, name)| is_subdomain(domain) && is_name(name))
}

fn is_name(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    text.len() <= 63
        && edge(text.as_bytes().first())
        && edge(text.as_bytes().last())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// DNS-1123.
pub(super) fn is_subdomain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        label.bytes().next().is_some_and(plain)
            && label.bytes().next_back().is_some_and(plain)
            && label.bytes().all(|byte| plain(byte) || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}
