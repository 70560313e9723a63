//! kubeadm's configuration file: its documents, versions v1beta3 and v1beta4, and the rules that need nothing but the file.

use std::collections::BTreeMap;

use semver::Version;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::API_PORT;
use super::Discovery;
use super::token::Token;
use crate::guest::document;
use crate::guest::pem;
use crate::guest::system::System;
use types::Args;
use types::InitConfiguration;
use types::JoinConfiguration;

mod types;

pub use types::ClusterConfiguration;
pub use types::Etcd;
pub use types::ExternalEtcd;
pub use types::InitialToken;
pub use types::Networking;
pub use types::Taint;

const GROUP: &str = "kubeadm.k8s.io";

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Broken YAML.
    #[error("it is not YAML")]
    Yaml(#[from] document::YamlError),
    /// A document that does not say what it is.
    #[error("document {number}: kind and apiVersion is mandatory information that must be specified")]
    NoKind {
        /// Counted from 1.
        number: usize,
    },
    /// A kind that is there twice.
    #[error("kind {0:?} is specified twice")]
    Twice(String),
    /// The document that matters is not there.
    #[error("no {0} found")]
    NoDocument(&'static str),
    /// An old version of kubeadm's own API.
    #[error("{kind} uses an old API spec: {api_version:?}; v1beta3 and v1beta4 are understood")]
    OldVersion {
        /// Of the document.
        kind: String,
        /// Of the document.
        api_version: String,
    },
    /// A version that this kubeadm does not know (yet, or at all).
    #[error("no kind {kind:?} is registered for version {api_version:?} in kubeadm{}", image.as_deref().map(|v| format!(" {v}")).unwrap_or_default())]
    UnknownVersion {
        /// Of the document.
        kind: String,
        /// Of the document.
        api_version: String,
        /// Of kubeadm, if that is what decides.
        image: Option<String>,
    },
    /// A field of the wrong type.
    #[error("{kind} cannot be decoded")]
    Field {
        /// Of the document.
        kind: String,
        /// What and where.
        #[source]
        source: serde_json::Error,
    },
    /// A field with a value that is against a rule.
    #[error("{field}: {value:?}: {rule}")]
    Invalid {
        /// Its path.
        field: &'static str,
        /// Its value; never a secret.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// Not a version.
    #[error("kubernetesVersion: {0:?} is not a version")]
    Version(String),
}

/// A configuration file, read.
#[derive(Debug)]
pub struct Configuration {
    pub wish: Wish,
    pub kubelet: Option<Value>,
    pub kube_proxy: Option<Value>,
    pub warnings: Vec<String>,
}

/// What the file is for.
#[derive(Debug)]
pub enum Wish {
    Init(Box<InitWish>),
    Join(Box<JoinWish>),
}

/// What `kubeadm init` reads.
#[derive(Debug)]
pub struct InitWish {
    pub registration: NodeRegistration,
    pub cluster: ClusterConfiguration,
    pub tokens: Vec<InitialToken>,
    pub bind_port: u16,
    advertise_address: String,
}

/// What `kubeadm join` reads.
#[derive(Debug)]
pub struct JoinWish {
    pub registration: NodeRegistration,
    pub tls_bootstrap: Option<Token>,
    /// The port of the API server that a control plane machine brings.
    pub control_plane: Option<u16>,
    discovery: types::DiscoverySection,
}

/// How a node registers, as the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeRegistration {
    /// Empty: as the machine is called.
    pub name: String,
    /// Empty: the default.
    pub cri_socket: String,
    /// `None`: kubeadm's own; an empty list: none.
    pub taints: Option<Vec<Taint>>,
    /// In the order they are written.
    pub kubelet_extra_args: Vec<(String, String)>,
    /// Names of checks.
    pub ignore_preflight_errors: Vec<String>,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Endpoint {
    /// `host`, `host:port`, `[v6]` or `[v6]:port`.
    #[must_use]
    pub fn parse(text: &str, port: u16) -> Option<Self> {
        let (host, rest) = match text.strip_prefix('[') {
            Some(text) => text.split_once(']')?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match rest.strip_prefix(':') {
            Some(number) => number.parse().ok().filter(|port| *port != 0)?,
            None if rest.is_empty() => port,
            None => return None,
        };
        (!host.is_empty() && !host.contains(['/', ' '])).then(|| Self { host: host.to_owned(), port })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}

impl InitWish {
    /// Where the API is: the control plane's endpoint, or this machine.
    pub fn endpoint(&self, hostname: &str) -> Result<Endpoint, ConfigError> {
        let text = &self.cluster.control_plane_endpoint;
        if text.is_empty() {
            let host = if self.advertise_address.is_empty() { hostname } else { &self.advertise_address };
            return Ok(Endpoint { host: host.to_owned(), port: self.bind_port });
        }
        Endpoint::parse(text, self.bind_port).ok_or_else(|| invalid("controlPlaneEndpoint", text, "it must be host[:port]"))
    }
}

impl JoinWish {
    pub fn discovery(&self, system: &System) -> Result<Discovery, ConfigError> {
        if let Some(token) = &self.discovery.bootstrap_token {
            let field = "discovery.bootstrapToken.apiServerEndpoint";
            let endpoint = Endpoint::parse(&token.api_server_endpoint, 0).filter(|endpoint| endpoint.port != 0);
            let endpoint = endpoint.ok_or_else(|| invalid(field, &token.api_server_endpoint, "it must be host:port"))?;
            let pins = token.ca_cert_hashes.iter().map(|pin| {
                let fits =
                    pin.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
                fits.then(|| pin.to_lowercase())
                    .ok_or_else(|| invalid("discovery.bootstrapToken.caCertHashes", pin, "it must be sha256: and 64 hex digits"))
            });
            let pins = pins.collect::<Result<Vec<_>, _>>()?;
            if pins.is_empty() && !token.unsafe_skip_ca_verification {
                return Err(invalid("discovery.bootstrapToken.caCertHashes", "", "it may be empty only with unsafeSkipCAVerification"));
            }
            let parsed = Token::parse(&token.token);
            // The token itself stays out of the error.
            let token = parsed.ok_or_else(|| {
                invalid("discovery.bootstrapToken.token", "…", "the bootstrap token is invalid; it must be [a-z0-9]{6}.[a-z0-9]{16}")
            })?;
            return Ok(Discovery::Token { endpoint, token, pins });
        }
        let path = self.discovery.file.as_ref().map(|file| file.kube_config_path.as_str()).unwrap_or_default();
        let field = "discovery.file.kubeConfigPath";
        let text = system.text(path).ok_or_else(|| invalid(field, path, "it is not among the machine's files"))?;
        kubeconfig(text)
            .ok_or_else(|| invalid(field, path, "it is not a kubeconfig with one cluster, its server and its certificate authority"))
    }
}

/// The one cluster of a kubeconfig, as kubeadm looks for it.
fn kubeconfig(text: &str) -> Option<Discovery> {
    let config = document::yaml(text).ok()?.into_iter().next()?;
    let clusters = config.get("clusters")?.as_array()?;
    let cluster = clusters.first().filter(|_| clusters.len() == 1)?.get("cluster")?;
    let server = cluster.get("server")?.as_str()?.strip_prefix("https://")?;
    let endpoint = Endpoint::parse(server.trim_end_matches('/'), 443)?;
    let insecure = cluster.get("insecure-skip-tls-verify").and_then(Value::as_bool).unwrap_or(false);
    let authority = match cluster.get("certificate-authority-data").and_then(Value::as_str) {
        Some(data) => {
            let text = String::from_utf8(crate::guest::user_data::base64(data.as_bytes()).ok()?).ok()?;
            pem::certificates(&text).filter(|certificates| !certificates.is_empty())?;
            Some(text)
        }
        None if insecure => None,
        None => return None,
    };
    Some(Discovery::File { endpoint, authority })
}

/// Reads the file for `kubeadm init` or `kubeadm join`, with kubeadm of version `image`.
pub fn read(text: &str, init: bool, image: Option<&Version>) -> Result<Configuration, ConfigError> {
    let mut documents = BTreeMap::new();
    for (number, value) in document::yaml(text)?.into_iter().enumerate() {
        let value = document::without_nulls(value);
        let part = |key: &str| value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let (Some(kind), Some(api_version)) = (part("kind"), part("apiVersion")) else {
            return Err(ConfigError::NoKind { number: number + 1 });
        };
        if documents.insert(kind.clone(), (api_version, value)).is_some() {
            return Err(ConfigError::Twice(kind));
        }
    }
    let mut warnings = Vec::new();
    let mut take = |kind: &str| {
        documents.remove(kind).map(|(api_version, value)| supported(kind, &api_version, image).map(|list| (list, value))).transpose()
    };
    let wish = if init {
        let (cluster, init) = (take("ClusterConfiguration")?, take("InitConfiguration")?);
        if cluster.is_none() && init.is_none() {
            return Err(ConfigError::NoDocument("InitConfiguration or ClusterConfiguration"));
        }
        Wish::Init(Box::new(init_wish(cluster.map(|(_, value)| value), init, image)?))
    } else {
        let (list, value) = take("JoinConfiguration")?.ok_or(ConfigError::NoDocument("JoinConfiguration"))?;
        Wish::Join(Box::new(join_wish(value, list)?))
    };
    let kubelet = documents.remove("KubeletConfiguration").filter(|_| init).map(|(_, value)| value);
    let kube_proxy = documents.remove("KubeProxyConfiguration").filter(|_| init).map(|(_, value)| value);
    warnings.extend(documents.iter().map(|(kind, (api_version, _))| format!("ignored configuration document {api_version} {kind}")));
    Ok(Configuration { wish, kubelet, kube_proxy, warnings })
}

/// Whether a document's version is one whose arguments are lists; an error if kubeadm does not know it.
fn supported(kind: &str, api_version: &str, image: Option<&Version>) -> Result<bool, ConfigError> {
    let (kind, api_version) = (kind.to_owned(), api_version.to_owned());
    let unknown = |image: Option<String>| ConfigError::UnknownVersion { kind: kind.clone(), api_version: api_version.clone(), image };
    let older = |minor| image.filter(|image| image.major == 1 && image.minor < minor).map(ToString::to_string);
    match api_version.strip_prefix(GROUP).and_then(|rest| rest.strip_prefix('/')) {
        Some("v1beta4") => older(31).map_or(Ok(true), |image| Err(unknown(Some(image)))),
        Some("v1beta3") => older(22).map_or(Ok(false), |image| Err(unknown(Some(image)))),
        Some("v1alpha1" | "v1alpha2" | "v1alpha3" | "v1beta1" | "v1beta2") => Err(ConfigError::OldVersion { kind, api_version }),
        _ => Err(unknown(None)),
    }
}

fn init_wish(cluster: Option<Value>, init: Option<(bool, Value)>, image: Option<&Version>) -> Result<InitWish, ConfigError> {
    let document = cluster.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let mut cluster: ClusterConfiguration = decode("ClusterConfiguration", document.clone())?;
    cluster.document = document;
    if cluster.kubernetes_version.is_empty()
        && let Some(image) = image
    {
        // kubeadm asks the network for the newest, and without one takes its own.
        cluster.kubernetes_version = format!("v{image}");
    }
    let (list, init) = match init {
        Some((list, value)) => (list, decode("InitConfiguration", value)?),
        None => (true, InitConfiguration::default()),
    };
    Ok(InitWish {
        registration: registration("InitConfiguration", init.node_registration, list)?,
        cluster,
        tokens: init.bootstrap_tokens,
        bind_port: init.local_api_endpoint.bind_port.unwrap_or(API_PORT),
        advertise_address: init.local_api_endpoint.advertise_address,
    })
}

fn join_wish(value: Value, list: bool) -> Result<JoinWish, ConfigError> {
    let join: JoinConfiguration = decode("JoinConfiguration", value)?;
    match (&join.discovery.bootstrap_token, &join.discovery.file) {
        (None, None) => return Err(invalid("discovery", "", "bootstrapToken or file must be set")),
        (Some(_), Some(_)) => return Err(invalid("discovery", "", "bootstrapToken and file cannot both be set")),
        _ => {}
    }
    let token =
        |text: &str| Token::parse(text).ok_or_else(|| invalid("discovery.tlsBootstrapToken", "…", "the bootstrap token is invalid"));
    let tls_bootstrap = match (join.discovery.tls_bootstrap_token.as_str(), &join.discovery.bootstrap_token) {
        ("", Some(discovery)) => Token::parse(&discovery.token),
        ("", None) => None,
        (text, _) => Some(token(text)?),
    };
    Ok(JoinWish {
        registration: registration("JoinConfiguration", join.node_registration, list)?,
        tls_bootstrap,
        control_plane: join.control_plane.map(|control_plane| control_plane.local_api_endpoint.bind_port.unwrap_or(API_PORT)),
        discovery: join.discovery,
    })
}

fn registration(kind: &str, section: types::NodeRegistrationSection, list: bool) -> Result<NodeRegistration, ConfigError> {
    let kubelet_extra_args = match (section.kubelet_extra_args, list) {
        (None, _) => Vec::new(),
        (Some(Args::List(args)), true) => args.into_iter().map(|arg| (arg.name, arg.value)).collect(),
        (Some(Args::Map(args)), false) => args.into_iter().collect(),
        (Some(_), _) => {
            let source =
                serde::de::Error::custom("nodeRegistration.kubeletExtraArgs is a map in v1beta3, and a list of name and value in v1beta4");
            return Err(ConfigError::Field { kind: kind.to_owned(), source });
        }
    };
    Ok(NodeRegistration {
        name: section.name,
        cri_socket: section.cri_socket,
        taints: section.taints,
        kubelet_extra_args,
        ignore_preflight_errors: section.ignore_preflight_errors,
    })
}

fn decode<T: DeserializeOwned>(kind: &str, value: Value) -> Result<T, ConfigError> {
    T::deserialize(value).map_err(|source| ConfigError::Field { kind: kind.to_owned(), source })
}

fn invalid(field: &'static str, value: &str, rule: &'static str) -> ConfigError {
    ConfigError::Invalid { field, value: value.to_owned(), rule }
}
