use jiff::Timestamp;
use serde_json::json;

use super::Selection;
use super::fields;
use super::labels;
use crate::api::kinds::find;
use crate::store::Store;

fn selected(labels_: &str, fields_: &str) -> Result<bool, String> {
    let mut store = Store::new(1);
    let kind = find(&store, "", "v1", "pods").unwrap();
    let pod =
        json!({ "metadata": { "name": "a", "namespace": "b", "labels": { "app": "x", "tier/y.z": "" } }, "spec": { "nodeName": "n" } });
    let pod = store.create("pods", pod, Timestamp::UNIX_EPOCH).unwrap();
    let said = |refusal: crate::api::Refusal| refusal.message;
    let selection = Selection { labels: labels(labels_).map_err(said)?, fields: fields(&kind, fields_).map_err(said)? };
    Ok(selection.matches(&pod))
}

#[test]
fn labels_select() {
    for yes in [
        "",
        "app",
        "app=x",
        "app==x",
        "app in (w,x)",
        "app in ( x )",
        "!other",
        "other!=x",
        "other notin (x)",
        "tier/y.z=",
        "app=x,!b , tier/y.z",
    ] {
        assert_eq!(selected(yes, ""), Ok(true), "{yes:?}");
    }
    for no in ["other", "app=y", "app!=x", "app in (y)", "app notin (x,y)", "!app", "app=x,other", "tier/y.z=a"] {
        assert_eq!(selected(no, ""), Ok(false), "{no:?}");
    }
    for bad in ["app in x", "app in (x", "(x)", "app like (x)", "a b", "=x"] {
        assert!(selected(bad, "").is_err(), "{bad:?}");
    }
}

#[test]
fn fields_select() {
    for yes in ["metadata.name=a", "metadata.namespace=b,spec.nodeName=n", "spec.nodeName!=m", "status.phase=", "spec.hostNetwork=false"] {
        assert_eq!(selected("", yes), Ok(true), "{yes:?}");
    }
    for no in ["metadata.name=b", "spec.nodeName!=n", "metadata.name=a,status.phase!="] {
        assert_eq!(selected("", no), Ok(false), "{no:?}");
    }
    assert_eq!(selected("", "spec.nonsense=a"), Err("field label not supported: spec.nonsense".to_owned()));
    assert!(selected("", "metadata.name").is_err());
}
