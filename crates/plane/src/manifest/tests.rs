use super::*;

const WEBHOOKS: Webhooks<'_> = Webhooks { port: 12_345, authority: "ca" };

fn provider() -> Provider {
    Provider { name: "thing".into(), kind: "InfrastructureProvider".into(), namespace: "thing-system".into() }
}

const TEXT: &str = r"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: role}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.org, labels: {a: b}}
spec:
  conversion:
    strategy: Webhook
    webhook: {conversionReviewVersions: [v1], clientConfig: {service: {name: s, namespace: n, path: /convert}}}
---
# nothing
---
apiVersion: v1
kind: Namespace
metadata: {name: thing-system}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hooks}
webhooks:
- {name: one, clientConfig: {service: {name: s, namespace: n, path: /validate}}}
- {name: two, clientConfig: {url: 'https://elsewhere'}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: manager}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: cert}
";

#[test]
fn objects_are_ordered_labelled_and_redirected() {
    let objects = prepare(TEXT, Some(WEBHOOKS), Some((&provider(), "v1.2.3"))).expect("fit");
    let kinds: Vec<_> = objects.before.iter().chain(&objects.after).map(|object| object["kind"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["Namespace", "CustomResourceDefinition", "ClusterRole", "ValidatingWebhookConfiguration", "Provider"]);
    let labels = &objects.before[1]["metadata"]["labels"];
    assert_eq!(labels, &json!({"a": "b", "clusterctl.cluster.x-k8s.io": "", "cluster.x-k8s.io/provider": "infrastructure-thing"}));
    let conversion = &objects.before[1]["spec"]["conversion"]["webhook"];
    assert_eq!(conversion["clientConfig"], json!({"url": "https://127.0.0.1:12345/convert", "caBundle": "Y2E="}));
    assert_eq!(conversion["conversionReviewVersions"], json!(["v1"]));
    let hooks = &objects.after[0]["webhooks"];
    assert_eq!(hooks[0]["clientConfig"]["url"], "https://127.0.0.1:12345/validate");
    assert_eq!(hooks[1]["clientConfig"], json!({"url": "https://elsewhere"}), "what is no Service is left as it is");
    assert_eq!((&objects.after[1]["metadata"]["name"], &objects.after[1]["version"]), (&json!("infrastructure-thing"), &json!("v1.2.3")));
}

#[test]
fn what_does_not_fit_is_named() {
    let error = |text: &str, webhooks| prepare(text, webhooks, None).expect_err("refused").to_string();
    assert_eq!(error("a: [", None), "document 1 is not YAML");
    assert_eq!(error("kind: A\n---\nb: c", None), "document 1 has no apiVersion");
    assert_eq!(error("kind: A\napiVersion: v1\nmetadata: {name: a}\n---\nb: c", None), "document 2 has no kind");
    let expected =
        "CustomResourceDefinition things.example.org calls a Service, but the component names no webhookPort that could stand for it";
    assert_eq!(error(TEXT, None), expected);
}

#[test]
fn inventory_names_follow_clusterctl() {
    for (kind, label) in [
        ("CoreProvider", "thing"),
        ("BootstrapProvider", "bootstrap-thing"),
        ("ControlPlaneProvider", "control-plane-thing"),
        ("IPAMProvider", "ipam-thing"),
    ] {
        assert_eq!(Provider { kind: kind.into(), ..provider() }.label(), label);
    }
}
