//! A local repository as clusterctl reads it: Cluster API's own providers, and releases of the microVM provider.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use capstead_artifact::go_module_dir;
use capstead_plane::builtin;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::support::Capstead;
use crate::support::TestPlane;
use crate::support::capi_series;

/// The release that is made of this repository.
pub const RELEASE: &str = "v0.11.0";
/// One as cluster-api-provider-microvm made them: v1alpha1 alone, and a program that no plane knows.
pub const BEFORE: &str = "v0.10.1";

const MODULE: &str = "sigs.k8s.io/cluster-api";
/// Folder in the repository, type, name, and the folder of the module that has its configuration.
const CORE: [(&str, &str, &str, &str, &str); 3] = [
    ("cluster-api", "core", "CoreProvider", "cluster-api", "core"),
    ("bootstrap-kubeadm", "bootstrap", "BootstrapProvider", "kubeadm", "bootstrap/kubeadm"),
    ("control-plane-kubeadm", "control-plane", "ControlPlaneProvider", "kubeadm", "controlplane/kubeadm"),
];

pub struct Repository {
    config: PathBuf,
}

impl Repository {
    /// In the plane's scratch folder, with a clusterctl configuration that names it. Of Cluster API's own providers it has what clusterctl reads
    /// where they are installed already.
    pub fn new(plane: &TestPlane) -> Self {
        let folder = plane.scratch().join("repository");
        let mut providers = Vec::new();
        for (label, file, kind, name, _) in CORE {
            let release = folder.join(label).join(version());
            fs::create_dir_all(&release).unwrap();
            fs::copy(module().join("metadata.yaml"), release.join("metadata.yaml")).unwrap();
            providers.push(json!({"name": name, "type": kind, "url": release.join(format!("{file}-components.yaml"))}));
        }
        let own = folder.join("infrastructure-microvm");
        let components = fs::read_to_string(repository("deploy/microvm/infrastructure-components.yaml")).unwrap();
        release(&own.join(RELEASE), &components.replace("/capstead:v0.1.0", &format!("/capstead:{RELEASE}")));
        release(&own.join(BEFORE), &before(&components));
        let url = own.join("latest/infrastructure-components.yaml");
        providers.push(json!({"name": "microvm", "type": "InfrastructureProvider", "url": url}));
        let config = plane.scratch().join("clusterctl.yaml");
        fs::write(&config, json!({"providers": providers}).to_string()).unwrap();
        Self { config }
    }

    /// The same, and Cluster API's own providers can be installed from it.
    pub fn with_cluster_api(plane: &TestPlane) -> Self {
        let repository = Self::new(plane);
        for (label, file, _, _, part) in CORE {
            // Before v1.14 the core provider had no folder of its own.
            let configurations = [part, ""].map(|part| module().join(part).join("config/default"));
            let configuration = configurations.iter().find(|folder| folder.is_dir()).unwrap();
            let rendered = plane.run(&["kubectl", "kustomize", configuration.to_str().unwrap()]).ok();
            // As its release names the images.
            let named = rendered.replace("gcr.io/k8s-staging-cluster-api/", "registry.k8s.io/cluster-api/");
            let named = named.replace("-controller:main", &format!("-controller:{}", version()));
            let release = plane.scratch().join("repository").join(label).join(version());
            fs::write(release.join(format!("{file}-components.yaml")), named).unwrap();
        }
        repository
    }

    /// clusterctl with this repository.
    pub fn clusterctl(&self, plane: &TestPlane, words: &[&str]) -> Capstead {
        let config = ["--config", self.config.to_str().unwrap()];
        plane.command(&[&["clusterctl"], words, &config].concat())
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The Cluster API that planes run.
fn version() -> String {
    let versions = builtin::cluster_api_versions().unwrap();
    let wanted = capi_series().map_or_else(|| "v".to_owned(), |series| format!("v{series}."));
    versions.into_iter().find(|version| version.starts_with(&wanted)).unwrap()
}

/// Where Go keeps it.
fn module() -> PathBuf {
    let modules = builtin::modules();
    let version = version();
    let (series, _) = version.trim_start_matches('v').rsplit_once('.').unwrap();
    let set = modules.iter().find(|set| set.name == format!("cluster-api-{series}")).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(go_module_dir(&modules, &set.name, MODULE, &path)).unwrap()
}

fn release(folder: &Path, components: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("infrastructure-components.yaml"), components).unwrap();
    fs::copy(repository("deploy/microvm/metadata.yaml"), folder.join("metadata.yaml")).unwrap();
}

/// The same with what upstream's release had: one version, no conversion, another program.
fn before(components: &str) -> String {
    let mut text = String::new();
    for document in yaml_serde::Deserializer::from_str(components) {
        let mut object = Value::deserialize(document).unwrap();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        match object["kind"].as_str().unwrap() {
            "CustomResourceDefinition"
                if ["microvmclustertemplates.", "externalloadbalancers."].iter().any(|new| name.starts_with(new)) =>
            {
                continue;
            }
            "CustomResourceDefinition" => {
                let versions = object["spec"]["versions"].as_array_mut().unwrap();
                versions.retain(|version| version["name"] == "v1alpha1");
                versions[0]["storage"] = json!(true);
                object["spec"]["conversion"] = json!({"strategy": "None"});
                object["metadata"]["labels"] = json!({"cluster.x-k8s.io/v1beta1": "v1alpha1"});
            }
            "Deployment" => {
                let container = &mut object["spec"]["template"]["spec"]["containers"][0];
                container["image"] = json!(format!("ghcr.io/liquidmetal-dev/cluster-api-provider-microvm:{BEFORE}"));
            }
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => continue,
            _ => (),
        }
        text += &format!("---\n{object}\n");
    }
    text
}
