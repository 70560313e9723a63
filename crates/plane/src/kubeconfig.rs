//! Kubeconfig files: one for the administrator, one for each component, and merging into the user's own.

use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::layout::LayoutError;
use crate::layout::failed;
use crate::layout::write_private;
use crate::pki::Pair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// A kubeconfig with one cluster, one user and one context.
///
/// # Errors
/// Never in practice: the content is plain text.
pub fn render(name: &str, server: &str, authority: &str, user: &Pair) -> Result<String, yaml_serde::Error> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": BASE64.encode(authority.as_bytes())}}],
        "users": [{"name": name, "user": {
            "client-certificate-data": BASE64.encode(user.certificate.as_bytes()),
            "client-key-data": BASE64.encode(user.key.as_bytes()),
        }}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    });
    yaml_serde::to_string(&config)
}

/// The file that kubectl writes to: the first of `$KUBECONFIG`, else `~/.kube/config`.
#[must_use]
pub fn users_file() -> PathBuf {
    let listed = std::env::var_os("KUBECONFIG").and_then(|list| std::env::split_paths(&list).find(|path| !path.as_os_str().is_empty()));
    listed.unwrap_or_else(|| std::env::home_dir().unwrap_or_else(|| PathBuf::from("/")).join(".kube/config"))
}

/// A kubeconfig cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Files(#[from] LayoutError),
    /// A file is no kubeconfig.
    #[error("{path} is not a kubeconfig; it was left as it is")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        source: yaml_serde::Error,
    },
    /// An entry of the same name means another cluster.
    #[error(
        "{path} has {kind} named {name:?} that another cluster made; it was left as it is. Rename that entry, or name the plane otherwise"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What kind of entry.
        kind: &'static str,
        /// Its name.
        name: String,
    },
}

#[derive(Default, Serialize, Deserialize)]
struct Config {
    #[serde(default)]
    clusters: Vec<Entry>,
    #[serde(default)]
    users: Vec<Entry>,
    #[serde(default)]
    contexts: Vec<Entry>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    name: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Merges a plane's kubeconfig into another file and makes its context the current one. Everything else there is kept.
///
/// Entries of the same name are replaced only if they are this plane's: the same context name, and the cluster entry's authority is this plane's.
///
/// # Errors
/// The file cannot be read or written, is no kubeconfig, or has another cluster's entries of these names. It is then left as it is.
pub fn merge(ours: &Path, into: &Path) -> Result<(), MergeError> {
    let own: Config = parse(ours, &std::fs::read_to_string(ours).map_err(failed("read", ours))?)?;
    let mut config: Config = match std::fs::read_to_string(into) {
        Ok(text) if !text.trim().is_empty() => parse(into, &text)?,
        Ok(_) => Config::default(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Config::default(),
        Err(error) => return Err(failed("read", into)(error).into()),
    };
    let foreign = |kind, name: &str| MergeError::Foreign { path: into.to_owned(), kind, name: name.to_owned() };
    for cluster in &own.clusters {
        if config.clusters.iter().any(|other| other.name == cluster.name && authority(other) != authority(cluster)) {
            return Err(foreign("a cluster", &cluster.name));
        }
        let known = config.clusters.iter().any(|other| other.name == cluster.name);
        if !known && config.users.iter().chain(&config.contexts).any(|other| other.name == cluster.name) {
            return Err(foreign("a user or context", &cluster.name));
        }
    }
    for (theirs, ours) in [(&mut config.clusters, own.clusters), (&mut config.users, own.users), (&mut config.contexts, own.contexts)] {
        for entry in ours {
            theirs.retain(|other| other.name != entry.name);
            theirs.push(entry);
        }
    }
    for (key, value) in own.rest {
        if key == "current-context" || !config.rest.contains_key(&key) {
            config.rest.insert(key, value);
        }
    }
    let text = yaml_serde::to_string(&config).map_err(|source| MergeError::Parse { path: into.to_owned(), source })?;
    if let Some(dir) = into.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).map_err(failed("make the folder", dir))?;
    }
    // Write through a symbolic link, which many keep at ~/.kube/config.
    let target = std::fs::canonicalize(into).unwrap_or_else(|_| into.to_owned());
    Ok(write_private(&target, text.as_bytes())?)
}

fn parse(path: &Path, text: &str) -> Result<Config, MergeError> {
    yaml_serde::from_str(text).map_err(|source| MergeError::Parse { path: path.to_owned(), source })
}

fn authority(cluster: &Entry) -> Option<&Value> {
    cluster.rest.get("cluster")?.get("certificate-authority-data")
}

#[cfg(test)]
mod tests;
