//! Cluster templates, put together from parts: clusterctl wants each flavor as one file, and its grammar has no way to share text.
//!
//! A line `#include NAME` stands for a part, or for one of the texts below, indented like the line itself; `#script NAME` for one whose `${` are a shell's.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;

use crate::Generated;

const FOLDER: &str = "templates/microvm";
/// The only parts nest this deep.
const DEEPEST: usize = 4;

/// A network plugin that a flavor brings along.
struct Plugin {
    name: &'static str,
    pods: &'static str,
    services: &'static str,
}

struct Flavor {
    name: &'static str,
    body: &'static str,
    plugin: Option<Plugin>,
}

/// Networks as upstream's flavors have them.
const FLAVORS: [Flavor; 4] = [
    Flavor { name: "", body: "cluster.yaml", plugin: None },
    Flavor {
        name: "-cilium",
        body: "cluster.yaml",
        plugin: Some(Plugin { name: "cilium", pods: "172.25.0.0/16", services: "172.26.0.0/16" }),
    },
    Flavor {
        name: "-flannel",
        body: "cluster.yaml",
        plugin: Some(Plugin { name: "flannel", pods: "10.244.0.0/16", services: "10.245.0.0/16" }),
    },
    Flavor { name: "-topology", body: "class.yaml", plugin: None },
];

/// Every file.
pub fn generate(root: &Path) -> anyhow::Result<Vec<Generated>> {
    let parts = root.join(FOLDER).join("parts");
    let file = |flavor: &Flavor| {
        let body = flavor.text(&parts, flavor.body, DEEPEST)?;
        let page = format!("# Made by `cargo xtask generate` of the files in `parts`. Do not edit.\n{body}");
        anyhow::Ok((PathBuf::from(format!("{FOLDER}/cluster-template{}.yaml", flavor.name)), page))
    };
    FLAVORS.iter().map(file).collect()
}

impl Flavor {
    /// A part with all that it includes.
    fn text(&self, parts: &Path, name: &str, depth: usize) -> anyhow::Result<String> {
        anyhow::ensure!(depth > 0, "{name}: parts include each other");
        let own = match self.own(name) {
            Some(text) => text,
            None => std::fs::read_to_string(parts.join(name)).with_context(|| format!("cannot read the part {name}"))?,
        };
        let mut text = String::new();
        for line in own.lines() {
            let indent = &line[..line.len() - line.trim_start().len()];
            let inner = match line.trim_start().split_once(' ') {
                Some(("#include", part)) => self.text(parts, part, depth - 1)?,
                Some(("#script", part)) => self.text(parts, part, depth - 1)?.replace("${", "$${"),
                _ => {
                    text += &format!("{line}\n");
                    continue;
                }
            };
            for line in inner.lines() {
                text += if line.is_empty() { "" } else { indent };
                text += &format!("{line}\n");
            }
        }
        Ok(text)
    }

    /// What differs between flavors.
    fn own(&self, name: &str) -> Option<String> {
        let plugin = self.plugin.as_ref();
        let brings =
            plugin.map_or("no network plugin (install one of your choice)".into(), |plugin| format!("the network plugin {}", plugin.name));
        Some(match name {
            "about" => format!("# A cluster of microVMs: kubeadm, a virtual address by kube-vip or keepalived, {brings}."),
            "labels" => plugin.map_or_else(String::new, |plugin| {
                format!("labels:\n  cluster.x-k8s.io/cluster-name: \"${{CLUSTER_NAME}}\"\n  cni: {}\n", plugin.name)
            }),
            "network" => {
                let (pods, services) = plugin.map_or(("172.25.0.0/16", "172.26.0.0/16"), |plugin| (plugin.pods, plugin.services));
                let blocks = |variable: &str, default: &str| format!("  cidrBlocks: [\"${{{variable}:={default}}}\"]\n");
                format!("pods:\n{}services:\n{}", blocks("POD_CIDR", pods), blocks("SERVICES_CIDR", services))
            }
            "addon" => plugin.map_or_else(String::new, |plugin| ADDON.replace("@PLUGIN@", plugin.name)),
            _ => return None,
        })
    }
}

/// By labels of its Cluster alone, so that two clusters of one namespace have each their own.
const ADDON: &str = include_str!("../../templates/microvm/parts/addon.yaml");
