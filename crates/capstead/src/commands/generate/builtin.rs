//! The templates that are compiled in: every file of `templates/` has its line here.

use anyhow::Context;

const MICROVM: &str = include_str!("../../../../../templates/microvm/cluster-template.yaml");
const CILIUM: &str = include_str!("../../../../../templates/microvm/cluster-template-cilium.yaml");
const FLANNEL: &str = include_str!("../../../../../templates/microvm/cluster-template-flannel.yaml");
const TOPOLOGY: &str = include_str!("../../../../../templates/microvm/cluster-template-topology.yaml");

/// Provider, flavor (empty for the default) and text. All speak v1alpha2; some users know them by its name.
const TEMPLATES: [(&str, &str, &str); 7] = [
    ("microvm", "", MICROVM),
    ("microvm", "cilium", CILIUM),
    ("microvm", "flannel", FLANNEL),
    ("microvm", "topology", TOPOLOGY),
    ("microvm", "v1alpha2", MICROVM),
    ("microvm", "v1alpha2-cilium", CILIUM),
    ("microvm", "v1alpha2-flannel", FLANNEL),
];

/// The template of a provider.
pub fn template(provider: &str, flavor: &str) -> anyhow::Result<&'static str> {
    let flavors: Vec<_> = TEMPLATES.iter().filter(|(known, ..)| *known == provider).collect();
    if flavors.is_empty() {
        let mut known: Vec<&str> = TEMPLATES.iter().map(|(provider, ..)| *provider).collect();
        known.dedup();
        anyhow::bail!("there are no templates of the provider {provider:?}; there are those of {}", known.join(", "));
    }
    let found = flavors.iter().find(|(_, known, _)| *known == flavor).map(|(.., text)| *text);
    found.with_context(|| {
        let known: Vec<&str> = flavors.iter().map(|(_, known, _)| if known.is_empty() { "the default one" } else { known }).collect();
        format!("the provider {provider} has no flavor {flavor:?}; there are: {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_compiled_in() {
        let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../templates"));
        let mut files = Vec::new();
        for provider in std::fs::read_dir(root).expect("templates").flatten() {
            let inside = std::fs::read_dir(provider.path()).expect("a provider's folder").flatten();
            for file in inside.filter(|file| file.path().is_file()) {
                let name = file.file_name().into_string().expect("a name");
                let flavor = name.strip_prefix("cluster-template").and_then(|name| name.strip_suffix(".yaml")).expect("a template's name");
                let flavor = flavor.strip_prefix('-').unwrap_or(flavor).to_owned();
                let provider = provider.file_name().into_string().expect("a name");
                let text = template(&provider, &flavor).expect("in the table");
                assert_eq!(text, std::fs::read_to_string(file.path()).expect("read"));
                files.push((provider, flavor));
            }
        }
        assert_eq!(files.len(), TEMPLATES.len());
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        let error = template("vsphere", "").expect_err("no such provider").to_string();
        assert!(error.ends_with("there are those of microvm"), "{error}");
        let error = template("microvm", "calico").expect_err("no such flavor").to_string();
        assert!(
            error.starts_with("the provider microvm has no flavor \"calico\"; there are: the default one, cilium, flannel, topology"),
            "{error}"
        );
    }
}
