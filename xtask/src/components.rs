//! The release files of Capstead's own providers, as clusterctl takes them.

use std::path::PathBuf;

use capstead_capi::crd::Conversion;
use serde::Deserialize;
use yaml_serde::Value;

use crate::Generated;

/// The objects around the kinds.
const MICROVM: &str = include_str!("../../crates/microvm/components.yaml");

/// Every file.
pub fn generate() -> anyhow::Result<Vec<Generated>> {
    Ok(vec![(PathBuf::from("deploy/microvm/infrastructure-components.yaml"), microvm(None)?)])
}

/// The release file of the microVM provider; with another image than the one of this repository, if it is given.
pub fn microvm(image: Option<&str>) -> anyhow::Result<String> {
    let conversion = Conversion::Webhook { namespace: "capmvm-system".into(), name: "capmvm-webhook-service".into() };
    let mut objects = Vec::new();
    for document in yaml_serde::Deserializer::from_str(MICROVM) {
        let mut object = Value::deserialize(document)?;
        if let Some(image) = image.filter(|_| object["kind"] == "Deployment") {
            object["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
        }
        objects.push(object);
    }
    // The kinds come after their namespace and before what speaks of them.
    let crds = capstead_microvm::crds::crds(&conversion)?;
    let crds = crds.iter().map(yaml_serde::to_value).collect::<Result<Vec<_>, _>>()?;
    objects.splice(1..1, crds);
    let mut page = String::from("# Made by `cargo xtask generate`. Do not edit.\n");
    for object in &objects {
        page += &format!("---\n{}", yaml_serde::to_string(object)?);
    }
    Ok(page)
}
