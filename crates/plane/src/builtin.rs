//! What is compiled in: components, their objects, pinned Go modules, versions.

use std::collections::BTreeMap;
use std::path::Path;

use capstead_artifact::Artifact;
use capstead_artifact::GoModules;
use serde::Deserialize;

use crate::component::Component;
use crate::component::ComponentError;

const VERSIONS: &str = include_str!("../components/versions.yaml");
const TOOLS: &str = include_str!("../components/tools.yaml");
const COMPONENTS: [(&str, &str); 6] = [
    ("etcd.yaml", include_str!("../components/etcd.yaml")),
    ("kube-apiserver.yaml", include_str!("../components/kube-apiserver.yaml")),
    ("kube-controller-manager.yaml", include_str!("../components/kube-controller-manager.yaml")),
    ("cluster-api/capi-core.yaml", include_str!("../components/cluster-api/capi-core.yaml")),
    ("cluster-api/capi-bootstrap-kubeadm.yaml", include_str!("../components/cluster-api/capi-bootstrap-kubeadm.yaml")),
    ("cluster-api/capi-control-plane-kubeadm.yaml", include_str!("../components/cluster-api/capi-control-plane-kubeadm.yaml")),
];

/// Providers of infrastructure, which a plane has when it is asked to.
const PROVIDERS: [(&str, &str); 1] = [("microvm", include_str!("../components/providers/capstead-microvm.yaml"))];

/// The kinds that providers ask for certificates by, among [`packed_objects`].
pub const CERTIFICATES: &str = "deployments/cert-manager.yaml";

/// Files under `deploy/plane/`, packed by build.rs.
const OBJECTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/objects.rs"));

macro_rules! modules {
    ($($name:literal),+ $(,)?) => {
        vec![$(GoModules {
            name: $name.into(),
            go_mod: include_str!(concat!("../../../tools/control-plane/", $name, "/go.mod")).into(),
            go_sum: include_str!(concat!("../../../tools/control-plane/", $name, "/go.sum")).into(),
        }),+]
    };
}

/// The pinned Go modules that binaries are built from.
#[must_use]
pub fn modules() -> Vec<GoModules> {
    modules!["etcd-3.6", "kubernetes-1.36", "cluster-api-1.14", "cluster-api-1.13"]
}

/// A built-in file of objects, gzipped.
#[must_use]
pub fn packed_objects(name: &str) -> Option<&'static [u8]> {
    OBJECTS.iter().find(|(file, _)| *file == name).map(|(_, packed)| *packed)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Versions {
    common: BTreeMap<String, String>,
    cluster_api: Vec<BTreeMap<String, String>>,
}

/// A built-in set could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuiltinError {
    /// No such Cluster API version.
    #[error("Cluster API {asked} is not built in; there are {}", known.join(", "))]
    NoSuchVersion {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No such provider.
    #[error("provider {asked} is not built in; there are {}", known.join(", "))]
    NoSuchProvider {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A compiled-in file is wrong: a defect of this build.
    #[error("the built-in file {file} is wrong")]
    Text {
        /// The file.
        file: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A compiled-in component is wrong: a defect of this build.
    #[error(transparent)]
    Component(#[from] ComponentError),
}

/// The Cluster API versions that are built in, the default first.
///
/// # Errors
/// Only in a broken build.
pub fn cluster_api_versions() -> Result<Vec<String>, BuiltinError> {
    let versions: Versions = parse("versions.yaml", VERSIONS)?;
    Ok(versions.cluster_api.into_iter().filter_map(|mut release| release.remove("CAPI_VERSION")).collect())
}

/// The components of a plane with this Cluster API version: `v1.14.2`, `1.14.2`, or a series such as `1.14`. `None` is the default.
///
/// # Errors
/// There is no such version, or the build is broken.
pub fn components(cluster_api: Option<&str>) -> Result<Vec<Component>, BuiltinError> {
    let variables = variables(cluster_api)?;
    COMPONENTS.iter().map(|(file, text)| component(file, text, &variables)).collect()
}

fn component(file: &str, text: &str, variables: &BTreeMap<String, String>) -> Result<Component, BuiltinError> {
    let mut component = Component::parse(text, Path::new(file))?;
    component.binary = fill("components", &component.binary, variables)?;
    component.objects = component.objects.map(|objects| fill("components", &objects, variables)).transpose()?;
    Ok(component)
}

/// The names of Capstead's own providers.
pub fn providers() -> impl Iterator<Item = &'static str> {
    PROVIDERS.iter().map(|(name, _)| *name)
}

/// One of Capstead's own providers: a component that runs this very program.
///
/// # Errors
/// There is none of this name, or the build is broken.
pub fn provider(name: &str) -> Result<Component, BuiltinError> {
    let (file, text) = PROVIDERS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| BuiltinError::NoSuchProvider { asked: name.to_owned(), known: providers().map(str::to_owned).collect() })?;
    let variables = BTreeMap::from([("CAPSTEAD_VERSION".to_owned(), concat!("v", env!("CARGO_PKG_VERSION")).to_owned())]);
    component(file, text, &variables)
}

/// Every component of a provider, of each Cluster API version, the newest first: what can be run for a Deployment.
///
/// # Errors
/// Only in a broken build.
pub fn runnable() -> Result<Vec<Component>, BuiltinError> {
    let mut all = Vec::new();
    for version in cluster_api_versions()? {
        all.extend(components(Some(&version))?);
    }
    for name in providers() {
        all.push(provider(name)?);
    }
    all.retain(|component| component.provider.is_some());
    Ok(all)
}

/// The tools that go with it: kubectl and clusterctl.
///
/// # Errors
/// As [`components`].
pub fn tools(cluster_api: Option<&str>) -> Result<Vec<Artifact>, BuiltinError> {
    let variables = variables(cluster_api)?;
    let tools: Vec<Artifact> = parse("tools.yaml", TOOLS)?;
    tools.iter().map(|tool| fill("tools.yaml", tool, &variables)).collect()
}

fn variables(cluster_api: Option<&str>) -> Result<BTreeMap<String, String>, BuiltinError> {
    let versions: Versions = parse("versions.yaml", VERSIONS)?;
    let mut variables = versions.common;
    let asked = cluster_api.map(|version| version.trim_start_matches('v'));
    let is = |release: &BTreeMap<String, String>, asked: &str| {
        let version = release.get("CAPI_VERSION").map_or("", |version| version.trim_start_matches('v'));
        version == asked || release.get("CAPI_SERIES").is_some_and(|series| series == asked)
    };
    let release = match asked {
        None => versions.cluster_api.first(),
        Some(asked) => versions.cluster_api.iter().find(|release| is(release, asked)),
    };
    let release = release.ok_or_else(|| BuiltinError::NoSuchVersion {
        asked: cluster_api.unwrap_or_default().to_owned(),
        known: versions.cluster_api.iter().filter_map(|release| release.get("CAPI_VERSION").cloned()).collect(),
    })?;
    variables.extend(release.clone());
    Ok(variables)
}

fn parse<T: serde::de::DeserializeOwned>(file: &'static str, text: &str) -> Result<T, BuiltinError> {
    yaml_serde::from_str(text).map_err(|source| BuiltinError::Text { file, source: source.into() })
}

/// Fills `${VARIABLES}` in every string of `value`.
fn fill<T: serde::Serialize + serde::de::DeserializeOwned>(
    file: &'static str,
    value: &T,
    variables: &BTreeMap<String, String>,
) -> Result<T, BuiltinError> {
    fn walk(value: &mut serde_json::Value, variables: &BTreeMap<String, String>) -> Result<(), capstead_template::Error> {
        match value {
            serde_json::Value::String(text) => *text = capstead_template::render(text, variables)?,
            serde_json::Value::Array(items) => items.iter_mut().try_for_each(|item| walk(item, variables))?,
            serde_json::Value::Object(fields) => fields.values_mut().try_for_each(|field| walk(field, variables))?,
            _ => (),
        }
        Ok(())
    }
    let wrong = |source: Box<dyn std::error::Error + Send + Sync>| BuiltinError::Text { file, source };
    let mut json = serde_json::to_value(value).map_err(|e| wrong(e.into()))?;
    walk(&mut json, variables).map_err(|e| wrong(e.into()))?;
    serde_json::from_value(json).map_err(|e| wrong(e.into()))
}

#[cfg(test)]
mod tests;
