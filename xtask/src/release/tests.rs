use super::*;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn a_release_has_what_clusterctl_takes() {
    let files = files(root(), "v0.11.3", "example.com/mine").unwrap();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let templates =
        ["cluster-template-cilium.yaml", "cluster-template-flannel.yaml", "cluster-template-topology.yaml", "cluster-template.yaml"];
    let others = ["infrastructure-components.yaml", "metadata.yaml", "service-monitor.yaml"];
    assert!(templates.iter().chain(&others).all(|name| names.contains(name)), "{names:?}");
    let objects: Vec<yaml_serde::Value> = yaml_serde::Deserializer::from_str(&files["infrastructure-components.yaml"])
        .map(|document| yaml_serde::Value::deserialize(document).unwrap())
        .collect();
    let of = |kind: &str| objects.iter().filter(|object| object["kind"] == *kind).collect::<Vec<_>>();
    assert_eq!(of("Namespace").len(), 1);
    // Whose definition is not in every cluster.
    assert!(of("ServiceMonitor").is_empty());
    let deployments = of("Deployment");
    let pod = &deployments[0]["spec"]["template"]["spec"];
    assert_eq!((deployments.len(), &pod["containers"][0]["name"]), (1, &"manager".into()));
    assert_eq!(pod["containers"][0]["image"], "example.com/mine:v0.11.3");
    assert!(["livenessProbe", "readinessProbe", "resources"].iter().all(|field| !pod["containers"][0][*field].is_null()));
    for kind in ["PodDisruptionBudget", "NetworkPolicy"] {
        let labels = &deployments[0]["spec"]["template"]["metadata"]["labels"];
        let spec = &of(kind)[0]["spec"];
        let selector = if kind == "NetworkPolicy" { &spec["podSelector"] } else { &spec["selector"] };
        assert_eq!(&selector["matchLabels"], labels, "{kind}");
    }
}

#[test]
fn a_version_that_clusterctl_would_not_take_is_refused() {
    let said = |version: &str| files(root(), version, "i").unwrap_err().to_string();
    assert_eq!(said("0.11.0"), "0.11.0 is no version such as v0.11.0");
    assert_eq!(said("v0.11"), "v0.11 is no version such as v0.11.0");
    assert_eq!(said("v0.99.0"), "add the series 0.99 to deploy/microvm/metadata.yaml");
    assert!(said("v0.10.2").starts_with("the series 0.10 has the contract v1beta1"));
    assert!(files(root(), "v0.11.0-rc.1", "i").is_ok());
}

/// A whole release of a program that is at hand.
#[test]
fn a_release_is_made() {
    let output = tempfile::tempdir().unwrap();
    let release = Release {
        version: "v0.11.0".into(),
        output: output.path().to_owned(),
        image: "example.com/mine".into(),
        binary: Some(std::env::current_exe().unwrap()),
    };
    release.make(root()).unwrap();
    assert!(output.path().join("infrastructure-microvm/v0.11.0/metadata.yaml").is_file());
    let index = fs::read_to_string(output.path().join("image/index.json")).unwrap();
    assert!(index.contains("example.com/mine:v0.11.0"), "{index}");
}
