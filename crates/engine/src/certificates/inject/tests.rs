use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;

use super::Target;
use super::plan;

fn configuration() -> Value {
    json!({"webhooks": [
        {"name": "in.plane", "clientConfig": {"url": "https://127.0.0.1:9443/validate", "caBundle": STANDARD.encode("old")}},
        {"name": "in.cluster", "clientConfig": {"service": {"name": "webhook", "namespace": "system", "path": "/validate"}}},
    ]})
}

fn crd(strategy: &str) -> Value {
    json!({"spec": {"conversion": {"strategy": strategy, "webhook": {"clientConfig": {"service": {"name": "webhook", "namespace": "x"}}}}}})
}

#[test]
fn only_the_bundle_changes_and_then_nothing_is_left_to_write() {
    let bundle = STANDARD.encode("new");
    for (target, mut object, paths) in [
        (Target::Validating("v".into()), configuration(), &["/webhooks/0/clientConfig/caBundle", "/webhooks/1/clientConfig/caBundle"][..]),
        (Target::Mutating("m".into()), configuration(), &["/webhooks/0/clientConfig/caBundle", "/webhooks/1/clientConfig/caBundle"]),
        (Target::Crd("things.example.com".into()), crd("Webhook"), &["/spec/conversion/webhook/clientConfig/caBundle"]),
    ] {
        let steps = plan(&[(target.clone(), Some(object.clone()))], "new").steps;
        assert_eq!(steps.len(), 1, "{target}");
        let mut expected = object.clone();
        for path in paths {
            let (parent, _) = path.rsplit_once('/').unwrap();
            expected.pointer_mut(parent).unwrap()["caBundle"] = json!(bundle);
        }
        json_patch::patch(&mut object, &steps[0].patch).unwrap();
        assert_eq!(object, expected, "{target}");
        assert!(plan(&[(target, Some(object))], "new").is_settled());
    }
}

#[test]
fn a_configuration_that_changed_meanwhile_is_not_written() {
    let steps = plan(&[(Target::Mutating("m".into()), Some(configuration()))], "new").steps;
    let mut changed = configuration();
    changed["webhooks"].as_array_mut().unwrap().swap(0, 1);
    assert!(json_patch::patch(&mut changed, &steps[0].patch).is_err());
}

#[test]
fn what_does_not_exist_is_waited_for_and_other_conversions_are_left_alone() {
    let crd_target = || Target::Crd("things.example.com".into());
    assert!(plan(&[(crd_target(), Some(crd("None")))], "new").is_settled());
    assert!(plan(&[(crd_target(), Some(json!({"spec": {}})))], "new").is_settled());
    let missing = plan(&[(Target::Mutating("m".into()), None)], "new");
    assert!(missing.steps.is_empty());
    assert_eq!(missing.waits[0].on, "MutatingWebhookConfiguration m");
}
