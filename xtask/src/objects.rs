//! The objects of the built-in components, from the configuration that lies in each pinned module.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use anyhow::bail;
use capstead_artifact::FetchOptions;
use capstead_artifact::NoProgress;
use capstead_artifact::Store;
use capstead_artifact::default_cache_root;
use capstead_artifact::go_module_dir;
use capstead_plane::Component;
use capstead_plane::builtin;
use capstead_plane::manifest;
use serde::Deserialize;
use yaml_serde::Value;

use crate::Generated;

/// The module that holds them.
const MODULE: &str = "sigs.k8s.io/cluster-api";
/// clusterctl's inventory kind, which `clusterctl init` would install.
const INVENTORY: &str = "cmd/clusterctl/config/manifest/clusterctl-api.yaml";
/// Every file of objects.
pub fn generate() -> anyhow::Result<Vec<Generated>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let kubectl = runtime.block_on(kubectl())?;
    let mut files = Vec::new();
    for version in builtin::cluster_api_versions()? {
        for component in builtin::components(Some(&version))?.iter().filter(|component| component.objects.is_some()) {
            files.push(
                runtime
                    .block_on(of(component, &kubectl))
                    .with_context(|| format!("cannot make the objects of {} {version}", component.name))?,
            );
        }
    }
    Ok(files)
}

async fn kubectl() -> anyhow::Result<PathBuf> {
    let tools = builtin::tools(None)?;
    let kubectl = tools.iter().find(|tool| tool.name == "kubectl").context("kubectl is built in")?;
    let cache = default_cache_root().context("there is no home folder for the cache")?;
    let options = FetchOptions { modules: builtin::modules().into(), ..FetchOptions::default() };
    Ok(Store::open(&cache)?.fetch(kubectl, &options, &NoProgress).await?.path)
}

async fn of(component: &Component, kubectl: &Path) -> anyhow::Result<Generated> {
    let go = component.binary.go.as_ref().context("it is built with Go")?;
    let modules = builtin::modules();
    let set = modules.iter().find(|set| set.name == go.module).with_context(|| format!("no module {}", go.module))?;
    let module = go_module_dir(&modules, &set.name, MODULE, &std::env::var_os("PATH").unwrap_or_default()).await?;
    let package = go.package.strip_prefix(MODULE).unwrap_or_default().trim_start_matches('/');
    let config = module.join(package).join("config/default");
    let output = Command::new(kubectl).arg("kustomize").arg(&config).output()?;
    if !output.status.success() {
        bail!("kubectl kustomize {}: {}", config.display(), String::from_utf8_lossy(&output.stderr));
    }
    let mut text = String::from_utf8(output.stdout)?;
    if component.provider.as_ref().is_some_and(|provider| provider.kind == "CoreProvider") {
        text = format!("{}\n---\n{text}", std::fs::read_to_string(module.join(INVENTORY))?);
    }
    let mut page = format!("# Made by `cargo xtask generate` from {MODULE} {}, Apache-2.0. Do not edit.\n", component.binary.version);
    for document in yaml_serde::Deserializer::from_str(&text) {
        let object = Value::deserialize(document)?;
        let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
        if object.is_null() || manifest::left_out(&text("apiVersion"), &text("kind")) {
            continue;
        }
        page += &format!("---\n{}", yaml_serde::to_string(&object)?);
    }
    let file = component.objects.as_deref().unwrap_or_default();
    Ok((Path::new("deploy/plane").join(file), page))
}
