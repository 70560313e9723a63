//! What the provider brings to a cluster beside its kinds.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

fn objects() -> Vec<Value> {
    yaml_serde::Deserializer::from_str(include_str!("../components.yaml")).map(|document| Value::deserialize(document).unwrap()).collect()
}

fn the(kind: &str) -> Value {
    let mut found: Vec<Value> = objects().into_iter().filter(|object| object["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind}");
    found.remove(0)
}

#[test]
fn names_are_those_that_upstreams_users_have() {
    let name = |object: &Value| object["metadata"]["name"].clone();
    for (kind, expected) in [
        ("Namespace", "capmvm-system"),
        ("Deployment", "capmvm-controller-manager"),
        ("Service", "capmvm-webhook-service"),
        ("ClusterRole", "capmvm-manager-role"),
        ("MutatingWebhookConfiguration", "capmvm-mutating-webhook-configuration"),
        ("ValidatingWebhookConfiguration", "capmvm-validating-webhook-configuration"),
    ] {
        assert!(objects().iter().any(|object| object["kind"] == kind && name(object) == expected), "{kind} {expected}");
    }
    assert_eq!(name(&the("Namespace")), "capmvm-system", "clusterctl takes no more than one");
    let deployment = the("Deployment");
    let label = json!({"cluster.x-k8s.io/provider": "infrastructure-mvm"});
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], label);
    let pod = &deployment["spec"]["template"];
    assert_eq!(pod["metadata"]["labels"]["cluster.x-k8s.io/provider"], label["cluster.x-k8s.io/provider"]);
    let container = &pod["spec"]["containers"][0];
    assert_eq!((&container["name"], &container["resources"]["limits"]["memory"]), (&json!("manager"), &json!("256Mi")));
    let image = container["image"].as_str().unwrap();
    assert_eq!(image.rsplit_once(':').map(|(repository, _)| repository), Some("ghcr.io/capstead/capstead"));
    let webhooks =
        ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"].map(|kind| the(kind)["webhooks"].as_array().unwrap().clone());
    for webhook in webhooks.concat() {
        assert_eq!((&webhook["failurePolicy"], &webhook["matchPolicy"]), (&json!("Fail"), &json!("Equivalent")), "{}", webhook["name"]);
        assert_eq!((&webhook["sideEffects"], &webhook["admissionReviewVersions"]), (&json!("None"), &json!(["v1"])), "{}", webhook["name"]);
        let resource = webhook["rules"][0]["resources"][0].as_str().unwrap();
        assert!(resource.ends_with('s'), "{resource}: a singular is no resource, and such a rule never fires");
    }
}

#[test]
fn no_secret_is_listed_and_no_wildcard_is_asked_for() {
    for role in objects().iter().filter(|object| object["rules"].is_array()) {
        for rule in role["rules"].as_array().unwrap() {
            let words = |field: &str| -> Vec<&str> { rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect() };
            assert!(["apiGroups", "resources", "verbs"].iter().all(|field| !words(field).contains(&"*")), "{rule}");
            if words("resources").contains(&"secrets") {
                assert!(!words("verbs").contains(&"list") && !words("verbs").contains(&"watch"), "{rule}");
            }
            assert!(!words("verbs").contains(&"delete"), "{rule}: nothing is deleted but microVMs");
        }
    }
}

#[test]
fn the_templates_bring_a_kube_vip_that_works_with_kubernetes_of_today() {
    for template in [
        include_str!("../../../templates/microvm/cluster-template.yaml"),
        include_str!("../../../templates/microvm/cluster-template-topology.yaml"),
    ] {
        let (_, image) = template.split_once("ghcr.io/kube-vip/kube-vip:v").unwrap();
        assert!(image.starts_with("1."), "v0.4 does not");
        assert!(template.contains("super-admin.conf"), "since Kubernetes 1.29 the first machine has no other that may write leases");
    }
}
