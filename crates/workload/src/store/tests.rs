use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use super::Deleted;
use super::Deletion;
use super::Part;
use super::Store;
use super::WriteError;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn named(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "default" }, "data": { "a": "b" } })
}

fn namespace(store: &mut Store, name: &str) {
    store.create("namespaces", json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }), at(0)).unwrap();
}

/// What a watch from the beginning would be told, in short.
fn told(store: &Store, from: u64) -> Vec<String> {
    let word = |event: &super::Event| match (event.deleted, &event.previous) {
        (true, _) => format!("-{}", event.object.name()),
        (_, None) => format!("+{}", event.object.name()),
        _ => format!("~{}", event.object.name()),
    };
    store.since(from).unwrap().map(word).collect()
}

#[test]
fn a_new_object_gets_identity_version_and_time() {
    let mut store = Store::new(1);
    let mut sent = named("a");
    sent["metadata"]["uid"] = "mine".into();
    sent["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z".into();
    let made = store.create("configmaps", sent, at(0)).unwrap();
    let metadata = made.value()["metadata"].clone();
    assert_eq!(metadata["resourceVersion"], "2");
    assert_eq!(metadata["creationTimestamp"], "2027-01-15T08:00:00Z");
    assert_eq!(metadata["uid"], made.uid());
    assert_eq!(made.uid().len(), 36);
    assert!(metadata.get("deletionTimestamp").is_none());
    let mut other = Store::new(1);
    assert_eq!(other.create("configmaps", named("b"), at(9)).unwrap().uid(), made.uid(), "the same seed makes the same uids");
    assert_ne!(Store::new(2).create("configmaps", named("a"), at(0)).unwrap().uid(), made.uid());
}

#[test]
fn names_are_generated_and_unique() {
    let mut store = Store::new(1);
    let sent = json!({ "metadata": { "generateName": "pod-", "namespace": "default" } });
    let names: std::collections::BTreeSet<_> =
        (0..50).map(|_| store.create("pods", sent.clone(), at(0)).unwrap().name().to_owned()).collect();
    assert_eq!(names.len(), 50);
    assert!(names.iter().all(|name| name.starts_with("pod-") && name.len() == 9));
    assert!(matches!(store.create("pods", json!({}), at(0)), Err(WriteError::Invalid(_))));
}

#[test]
fn writes_are_refused_by_name_version_and_uid() {
    let mut store = Store::new(1);
    let made = store.create("configmaps", named("a"), at(0)).unwrap();
    assert!(matches!(store.create("configmaps", named("a"), at(0)), Err(WriteError::AlreadyExists { .. })));
    assert!(matches!(store.update("configmaps", named("b"), Part::Whole, at(0)), Err(WriteError::NotFound { .. })));
    let mut stale = made.value();
    stale["data"]["a"] = "c".into();
    store.update("configmaps", stale.clone(), Part::Whole, at(1)).unwrap();
    assert!(matches!(store.update("configmaps", stale.clone(), Part::Whole, at(1)), Err(WriteError::Conflict { .. })));
    stale["metadata"]["resourceVersion"] = "".into();
    stale["metadata"]["uid"] = "other".into();
    assert!(matches!(store.update("configmaps", stale, Part::Whole, at(1)), Err(WriteError::Conflict { .. })));
    let how = Deletion { uid: "other".into(), ..Deletion::default() };
    assert!(matches!(store.delete("configmaps", "default", "a", &how, at(1)), Err(WriteError::Conflict { .. })));
}

#[test]
fn nothing_new_is_no_new_version() {
    let mut store = Store::new(1);
    let made = store.create("configmaps", named("a"), at(0)).unwrap();
    let same = store.update("configmaps", named("a"), Part::Whole, at(5)).unwrap();
    assert_eq!((same.revision(), store.revision()), (made.revision(), made.revision()));
}

#[test]
fn status_and_the_rest_are_written_apart() {
    let mut store = Store::new(1);
    let pod = |node: &str, phase: &str| json!({ "metadata": { "name": "a", "namespace": "default" }, "spec": { "nodeName": node }, "status": { "phase": phase } });
    store.create("pods", pod("n", "Pending"), at(0)).unwrap();
    let status = store.update("pods", pod("x", "Running"), Part::Status, at(0)).unwrap().value();
    assert_eq!((&status["spec"]["nodeName"], &status["status"]["phase"]), (&json!("n"), &json!("Running")));
    assert_eq!(status["metadata"]["generation"], 1);
    let main = store.update("pods", pod("y", "Failed"), Part::Main, at(0)).unwrap().value();
    assert_eq!((&main["spec"]["nodeName"], &main["status"]["phase"]), (&json!("y"), &json!("Running")));
    assert_eq!(main["metadata"]["generation"], 2);
}

#[test]
fn finalizers_hold_until_the_last_is_gone() {
    let mut store = Store::new(1);
    let mut sent = named("a");
    sent["metadata"]["finalizers"] = json!(["x", "y"]);
    let from = store.create("configmaps", sent, at(0)).unwrap().revision();
    let deleted = store.delete("configmaps", "default", "a", &Deletion::default(), at(7)).unwrap();
    let Deleted::Terminating(held) = deleted else { panic!("{deleted:?}") };
    assert_eq!(held.value()["metadata"]["deletionTimestamp"], "2027-01-15T08:00:07Z");
    let again = store.delete("configmaps", "default", "a", &Deletion::default(), at(9)).unwrap();
    assert!(matches!(again, Deleted::Terminating(ref same) if same.revision() == held.revision()), "{again:?}");
    store.modify("configmaps", "default", "a", at(9), |object| object["metadata"]["finalizers"] = json!(["y"])).unwrap();
    assert!(store.get("configmaps", "default", "a").is_some());
    store.modify("configmaps", "default", "a", at(9), |object| object["metadata"]["finalizers"] = json!([])).unwrap();
    assert!(store.get("configmaps", "default", "a").is_none());
    assert_eq!(told(&store, from), ["~a", "~a", "~a", "-a"]);
}

#[test]
fn grace_is_shortened_but_not_prolonged() {
    let mut store = Store::new(1);
    store.create("pods", named("a"), at(0)).unwrap();
    let delete =
        |store: &mut Store, grace| store.delete("pods", "default", "a", &Deletion { grace, ..Deletion::default() }, at(0)).unwrap();
    let seconds = |deleted: &Deleted| match deleted {
        Deleted::Terminating(pod) => pod.value()["metadata"]["deletionGracePeriodSeconds"].as_u64(),
        Deleted::Gone(_) => None,
    };
    assert_eq!(seconds(&delete(&mut store, 30)), Some(30));
    assert_eq!(seconds(&delete(&mut store, 60)), Some(30));
    assert_eq!(seconds(&delete(&mut store, 5)), Some(5));
    assert!(matches!(delete(&mut store, 0), Deleted::Gone(_)));
}

#[test]
fn dependents_go_with_their_last_owner() {
    let mut store = Store::new(1);
    let first = store.create("configmaps", named("first"), at(0)).unwrap().uid().to_owned();
    let second = store.create("configmaps", named("second"), at(0)).unwrap().uid().to_owned();
    let mut sent = named("both");
    sent["metadata"]["ownerReferences"] = json!([{ "uid": first }, { "uid": second }]);
    let both = store.create("configmaps", sent, at(0)).unwrap().uid().to_owned();
    let mut sent = named("below");
    sent["metadata"]["ownerReferences"] = json!([{ "uid": both }]);
    store.create("configmaps", sent, at(0)).unwrap();
    store.delete("configmaps", "default", "first", &Deletion::default(), at(0)).unwrap();
    assert!(store.get("configmaps", "default", "both").is_some());
    store.delete("configmaps", "default", "second", &Deletion { orphan: true, ..Deletion::default() }, at(0)).unwrap();
    assert!(store.get("configmaps", "default", "both").is_some(), "orphans stay");
    store.delete("configmaps", "default", "both", &Deletion::default(), at(0)).unwrap();
    assert!(store.is_empty());
}

#[test]
fn a_namespace_goes_after_its_content() {
    let mut store = Store::new(1);
    namespace(&mut store, "default");
    store.create("configmaps", named("a"), at(0)).unwrap();
    let mut sent = named("held");
    sent["metadata"]["finalizers"] = json!(["x"]);
    store.create("configmaps", sent, at(0)).unwrap();
    assert!(matches!(store.delete("namespaces", "", "default", &Deletion::default(), at(0)), Ok(Deleted::Terminating(_))));
    assert!(store.get("configmaps", "default", "a").is_none());
    assert_eq!(store.get("namespaces", "", "default").unwrap().value()["status"]["phase"], "Terminating");
    assert!(matches!(store.create("configmaps", named("b"), at(0)), Err(WriteError::Terminating { .. })));
    store.modify("configmaps", "default", "held", at(0), |object| object["metadata"]["finalizers"] = json!([])).unwrap();
    assert!(store.is_empty(), "{store:?}");
}

#[test]
fn lists_are_of_a_resource_and_a_namespace() {
    let mut store = Store::new(1);
    for (namespace, name) in [("b", "1"), ("a", "2"), ("a", "1"), ("ab", "1")] {
        store.create("pods", json!({ "metadata": { "namespace": namespace, "name": name } }), at(0)).unwrap();
    }
    store.create("nodes", json!({ "metadata": { "name": "1" } }), at(0)).unwrap();
    let names = |namespace| store.list("pods", namespace).map(|pod| format!("{}/{}", pod.namespace(), pod.name())).collect::<Vec<_>>();
    assert_eq!(names(Some("a")), ["a/1", "a/2"]);
    assert_eq!(names(None), ["a/1", "a/2", "ab/1", "b/1"]);
    assert_eq!(store.list("none", None).count(), 0);
}

#[test]
fn a_history_forgets() {
    let mut store = Store::new(1);
    let first = store.create("configmaps", named("a"), at(0)).unwrap().revision();
    for value in 0..5000 {
        store.modify("configmaps", "default", "a", at(0), |object| object["data"]["a"] = value.to_string().into()).unwrap();
    }
    assert_eq!(store.since(first).err().unwrap().asked, first);
    let recent = store.revision() - 100;
    assert_eq!(store.since(recent).unwrap().count(), 100);
    store.compact();
    assert!(store.since(recent).is_err());
    assert_eq!(store.since(store.revision()).unwrap().count(), 0);
}

#[test]
fn a_trial_leaves_no_trace() {
    let mut store = Store::new(1);
    store.create("configmaps", named("a"), at(0)).unwrap();
    let told = store.subscribe();
    let mut trial = store.trial();
    trial.delete("configmaps", "default", "a", &Deletion::default(), at(0)).unwrap();
    assert_eq!((store.len(), trial.len()), (1, 0));
    assert!(!told.has_changed().unwrap());
}

#[derive(Clone, Debug)]
enum Step {
    Create(u8),
    Update(u8, u8),
    Delete(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_u8).prop_map(Step::Create),
        (0..4_u8, 0..3_u8).prop_map(|(name, value)| Step::Update(name, value)),
        (0..4_u8).prop_map(Step::Delete),
    ]
}

proptest! {
    /// Who lists and then follows the history sees what is there, whenever they began.
    #[test]
    fn list_and_watch_agree(steps in prop::collection::vec(step(), 0..40), begin in 0..40_usize) {
        let mut store = Store::new(1);
        let mut seen = std::collections::BTreeMap::new();
        let mut from = store.revision();
        for (number, step) in steps.iter().enumerate() {
            if number == begin {
                seen = store.list("configmaps", None).map(|object| (object.name().to_owned(), object.json().to_owned())).collect();
                from = store.revision();
            }
            let before = store.revision();
            // Refusals are as good as any other answer.
            let _ = match step {
                Step::Create(name) => store.create("configmaps", named(&name.to_string()), at(0)).map(|_| ()),
                Step::Update(name, value) => {
                    store.modify("configmaps", "default", &name.to_string(), at(0), |object| object["data"]["a"] = (*value).into()).map(|_| ())
                }
                Step::Delete(name) => store.delete("configmaps", "default", &name.to_string(), &Deletion::default(), at(0)).map(|_| ()),
            };
            prop_assert!(store.revision() - before <= 1);
        }
        let mut last = from;
        for event in store.since(from).unwrap() {
            prop_assert!(event.object.revision() > last);
            last = event.object.revision();
            let before = seen.remove(event.object.name());
            prop_assert_eq!(before.is_some(), event.previous.is_some());
            if !event.deleted {
                seen.insert(event.object.name().to_owned(), event.object.json().to_owned());
            }
        }
        let there: std::collections::BTreeMap<_, _> =
            store.list("configmaps", None).map(|object| (object.name().to_owned(), object.json().to_owned())).collect();
        prop_assert_eq!(seen, there);
    }
}
