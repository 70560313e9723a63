//! What a run leaves for whoever wants to know: manifests, logs, events, objects. No Secrets, and no tokens.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use capstead_plane::Layout;
use capstead_plane::Plane;
use serde::Serialize;
use serde_json::Value;

use super::ground::Ground;

/// How to reach the management cluster.
pub const MANAGEMENT: &str = "e2e-management-cluster.env";
/// The template as it was generated.
pub const RAW: &str = "cluster-template-raw.yaml";
/// The same with hosts, right before it is applied.
pub const TEMPLATE: &str = "cluster-template.yaml";

/// The folder.
pub struct Artefacts {
    dir: PathBuf,
}

impl Artefacts {
    /// Makes the folder. What an earlier run left under the names of this one is overwritten.
    pub fn new(dir: &Path) -> anyhow::Result<Self> {
        let dir = std::path::absolute(dir).with_context(|| format!("cannot find {}", dir.display()))?;
        fs::create_dir_all(&dir).with_context(|| format!("-e2e.artefact-dir: cannot make {}", dir.display()))?;
        for name in [MANAGEMENT, RAW, TEMPLATE] {
            // Whoever finds one takes it for this run's.
            match fs::remove_file(dir.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("-e2e.artefact-dir: cannot remove {name} of an earlier run"));
                }
                _ => (),
            }
        }
        Ok(Self { dir })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How to reach the management cluster, for `source`.
    pub fn management(&self, ground: &Ground) -> anyhow::Result<()> {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let lines = [
            ("E2E_MANAGEMENT_KUBECONFIG", ground.kubeconfig.to_string_lossy().into_owned()),
            ("E2E_MANAGEMENT_CONTEXT", ground.context.clone()),
            ("E2E_MANAGEMENT_CLUSTER_NAME", ground.name.clone()),
        ];
        let text: String = lines.iter().map(|(name, value)| format!("{name}={}\n", quoted(value))).collect();
        self.write(MANAGEMENT, &text)
    }

    /// A flow's manifest: for the flow, and where the latest is looked for.
    pub fn template(&self, flow: &str, name: &str, objects: &[Value]) -> anyhow::Result<()> {
        let text = yaml(objects)?;
        self.write(name, &text)?;
        self.write(&format!("clusters/{flow}/{name}"), &text)
    }

    /// Something of a flow, as YAML. Whether it could be had is no reason to fail.
    pub fn keep(&self, flow: &str, name: &str, objects: anyhow::Result<Vec<Value>>) {
        let text = objects.and_then(|objects| yaml(&objects)).unwrap_or_else(|error| format!("# {error:#}\n"));
        self.warn(self.write(&format!("clusters/{flow}/{name}"), &text));
    }

    /// Text of a flow.
    pub fn note(&self, flow: &str, name: &str, text: &str) {
        self.warn(self.write(&format!("clusters/{flow}/{name}"), text));
    }

    /// What the plane's components wrote.
    pub fn logs(&self, layout: Option<&Layout>) {
        let Some((layout, plane)) = layout.and_then(|layout| Some((layout, Plane::load(layout).ok()?))) else { return };
        let own = plane.components.iter().map(|component| (component.name.as_str(), layout.log(&component.name)));
        for (name, from) in own.chain([("supervisor", layout.supervisor_log())]) {
            let copied = fs::read(&from).map_err(anyhow::Error::from).and_then(|text| self.write(&format!("logs/{name}.log"), text));
            // What never began wrote nothing.
            self.warn(if from.exists() { copied } else { Ok(()) });
        }
    }

    fn warn(&self, written: anyhow::Result<()>) {
        if let Err(error) = written {
            eprintln!("warning: an artefact is missing: {error:#}");
        }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let path = self.dir.join(name);
        let folder = path.parent().unwrap_or(&self.dir);
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, content));
        written.with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Objects without what nobody reads.
pub fn readable(mut objects: Vec<Value>) -> Vec<Value> {
    for object in &mut objects {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        // It has the token that machines join with.
        if let (true, Some(fields)) = (object["kind"] == "KubeadmConfig", object.as_object_mut()) {
            fields.remove("spec");
        }
    }
    objects
}

fn yaml(objects: &[impl Serialize]) -> anyhow::Result<String> {
    let documents = objects.iter().map(|object| yaml_serde::to_string(object).context("cannot print as YAML"));
    Ok(documents.collect::<anyhow::Result<Vec<_>>>()?.join("---\n"))
}
