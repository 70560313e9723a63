//! Components as data: where a binary comes from, its arguments, ports, certificates, objects, and how ready is told.
//!
//! The built-in ones lie under `components/` and are compiled in; a further provider is one more file of the same form (`capstead up --component FILE`).
//! Text in `args`, `env` and `ready` is in clusterctl's variable grammar (crate `template`); [`crate::command`] lists the variables.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use capstead_artifact::Artifact;
use serde::Deserialize;
use serde::Serialize;

/// One process of the plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Component {
    /// Unique in the plane; letters, digits and `-`.
    pub name: String,
    /// A name for people.
    pub title: String,
    /// Components that must be ready before this one starts, and that stop after it.
    #[serde(default)]
    pub after: Vec<String>,
    /// Components whose objects (CRDs) must be there before this one starts.
    #[serde(default)]
    pub after_objects_of: Vec<String>,
    /// The binary.
    pub binary: Artifact,
    /// Ports by name. Numbers are chosen when the plane is made.
    #[serde(default)]
    pub ports: BTreeMap<String, Port>,
    /// Certificates with keys, written as `<name>.crt` and `<name>.key` into the component's certificate folder.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
    /// Whom the component is to the API server; with it, a kubeconfig is written.
    #[serde(default)]
    pub user: Option<User>,
    /// Arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Further arguments of a plane made with `--ephemeral`.
    #[serde(default)]
    pub ephemeral_args: Vec<String>,
    /// Environment variables, beside the few that every component gets.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How ready is told.
    pub ready: Ready,
    /// A file of Kubernetes objects: everything but webhook configurations is applied before the start, those after it is ready.
    /// Built-in files are named relative to the built-in folder, others relative to the component's file.
    #[serde(default)]
    pub objects: Option<String>,
    /// The port that stands for the Services of webhooks in `objects`.
    #[serde(default)]
    pub webhook_port: Option<String>,
    /// The entry in clusterctl's inventory.
    #[serde(default)]
    pub provider: Option<Provider>,
}

/// A port that a component listens on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Port {
    /// The component cannot be told to keep to loopback; `status` says so.
    #[serde(default)]
    pub all_addresses: bool,
}

/// A certificate to issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificate {
    /// The files' base name.
    pub name: String,
    /// Who signs it.
    pub authority: Authority,
    /// Subject common name.
    pub common_name: String,
    /// What it is for.
    pub usages: Vec<Usage>,
    /// DNS names and IP addresses; `127.0.0.1` and `localhost` if empty.
    #[serde(default)]
    pub names: Vec<String>,
}

/// The plane's two certificate authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Authority {
    /// API server, its clients, webhooks.
    Cluster,
    /// etcd and its one client. Apart, so that no Kubernetes credential opens the store.
    Etcd,
}

/// Extended key usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Usage {
    /// TLS server.
    Server,
    /// TLS client.
    Client,
}

/// A Kubernetes user by client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// User name; `system:serviceaccount:<namespace>:<name>` acts under that account's bindings.
    pub name: String,
    /// Group.
    #[serde(default)]
    pub group: Option<String>,
}

/// How ready is told: GET of this URL answers 200.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ready {
    /// `http://` or `https://` (verified against the cluster's authority).
    pub url: String,
}

/// An entry in clusterctl's inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    /// Provider name, as in `clusterctl init --infrastructure NAME`.
    pub name: String,
    /// `CoreProvider`, `BootstrapProvider`, `ControlPlaneProvider`, `InfrastructureProvider`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
}

impl Provider {
    /// clusterctl's manifest label: `cluster-api`, `bootstrap-kubeadm`, `infrastructure-microvm`, …
    #[must_use]
    pub fn label(&self) -> String {
        let prefix = match self.kind.as_str() {
            "CoreProvider" => return self.name.clone(),
            "BootstrapProvider" => "bootstrap",
            "ControlPlaneProvider" => "control-plane",
            "IPAMProvider" => "ipam",
            "RuntimeExtensionProvider" => "runtime-extension",
            "AddonProvider" => "addon",
            _ => "infrastructure",
        };
        format!("{prefix}-{}", self.name)
    }
}

/// A component's file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The file cannot be read.
    #[error("cannot read the component file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no component.
    #[error("{path} is not a component file")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: yaml_serde::Error,
    },
    /// A field breaks a rule.
    #[error("{path}: {field}: {rule}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// The rule.
        rule: String,
    },
}

impl Component {
    /// Reads a component from text; `path` is for messages.
    ///
    /// # Errors
    /// Says which field breaks which rule.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ComponentError> {
        let component: Self = yaml_serde::from_str(text).map_err(|source| ComponentError::Parse { path: path.to_owned(), source })?;
        component.check(path)?;
        Ok(component)
    }

    /// Reads a component's file. Its `objects` become an absolute path.
    ///
    /// # Errors
    /// The file cannot be read, or breaks a rule.
    pub fn load(path: &Path) -> Result<Self, ComponentError> {
        let text = std::fs::read_to_string(path).map_err(|source| ComponentError::Read { path: path.to_owned(), source })?;
        let mut component = Self::parse(&text, path)?;
        if let Some(objects) = &component.objects {
            let file = path.parent().unwrap_or(Path::new(".")).join(objects);
            let file = std::path::absolute(&file).map_err(|source| ComponentError::Read { path: file.clone(), source })?;
            component.objects = Some(file.to_string_lossy().into_owned());
        }
        Ok(component)
    }

    /// Names of the components that it cannot be without.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        self.after.iter().chain(&self.after_objects_of).map(String::as_str)
    }

    fn check(&self, path: &Path) -> Result<(), ComponentError> {
        let invalid =
            |field: &str, rule: &str| Err(ComponentError::Invalid { path: path.to_owned(), field: field.into(), rule: rule.into() });
        let plain = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !plain(&self.name) {
            return invalid("name", "must be letters, digits and '-'");
        }
        if let Some(name) = self.ports.keys().chain(self.certificates.iter().map(|c| &c.name)).find(|name| !plain(name)) {
            return invalid("ports, certificates", &format!("the name {name:?} must be letters, digits and '-'"));
        }
        if let Some(port) = self.webhook_port.as_ref().filter(|port| !self.ports.contains_key(*port)) {
            return invalid("webhookPort", &format!("names the port {port:?}, which is not under ports"));
        }
        Ok(())
    }
}
