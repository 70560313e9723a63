use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::body::to_bytes;
use axum::response::Response;
use futures::future::BoxFuture;
use http::Request;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use tokio::io::DuplexStream;
use tower::Service;

use super::Attributes;
use super::Backend;
use super::Refusal;
use super::router;
use crate::authority::Identity;
use crate::store::Shared;
use crate::store::Store;

struct Plain(Shared);

impl Backend for Plain {
    fn store(&self) -> &Shared {
        &self.0
    }

    fn version(&self) -> String {
        "v1.36.3".to_owned()
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn admit<'a>(&'a self, request: &'a Attributes) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            if request.name == "broken" { Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "broken")) } else { Ok(()) }
        })
    }

    fn connect<'a>(&'a self, _: &'a str, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<DuplexStream>> {
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }
}

/// An API with the namespace `default`.
struct Api(Shared);

impl Api {
    fn new() -> Self {
        let mut store = Store::new(1);
        store.create("namespaces", json!({ "metadata": { "name": "default" } }), Timestamp::UNIX_EPOCH).unwrap();
        Self(Shared::new(store))
    }

    async fn send(&self, request: Request<Body>) -> Response {
        router(Arc::new(Plain(self.0.clone()))).call(request).await.unwrap()
    }

    /// An answer's status and body.
    async fn ask(&self, method: &str, path: &str, media_type: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).header("content-type", media_type).extension(Identity::default());
        let response = self.send(request.body(body).unwrap()).await;
        let code = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (code, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, "application/json", &Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask("POST", path, "application/json", &body).await
    }

    async fn delete(&self, path: &str) -> (u16, Value) {
        self.ask("DELETE", path, "application/json", &Value::Null).await
    }

    /// The events of a watch that ends by itself.
    async fn watch(&self, path: &str) -> Vec<Value> {
        let request = Request::builder().uri(path).extension(Identity::default()).body(Body::empty()).unwrap();
        let body = to_bytes(self.send(request).await.into_body(), 1 << 20).await.unwrap();
        body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).unwrap()).collect()
    }
}

const PODS: &str = "/api/v1/namespaces/default/pods";

fn pod(name: &str) -> Value {
    json!({ "metadata": { "name": name, "labels": { "app": name } }, "spec": { "containers": [{ "name": "c", "image": "1" }] } })
}

#[tokio::test]
async fn objects_are_made_read_listed_and_deleted() {
    let api = Api::new();
    let (code, made) = api.post(PODS, pod("a")).await;
    assert_eq!(
        (code, &made["kind"], &made["metadata"]["namespace"], &made["status"]["phase"]),
        (201, &json!("Pod"), &json!("default"), &json!("Pending"))
    );
    assert_eq!(api.post(PODS, pod("a")).await.1["reason"], "AlreadyExists");
    assert_eq!(api.post("/api/v1/namespaces/none/pods", pod("a")).await.1["message"], "namespaces \"none\" not found");
    assert_eq!(api.get(&format!("{PODS}/a")).await, (200, made));
    let (_, list) = api.get("/api/v1/pods?labelSelector=app%3Da").await;
    assert_eq!((&list["kind"], list["items"].as_array().unwrap().len()), (&json!("PodList"), 1));
    let (code, missing) = api.get(&format!("{PODS}/b")).await;
    assert_eq!(
        (code, &missing["kind"], &missing["reason"], &missing["details"]["kind"]),
        (404, &json!("Status"), &json!("NotFound"), &json!("pods"))
    );
    assert_eq!(missing["message"], "pods \"b\" not found");
    let (code, gone) = api.delete(&format!("{PODS}/a")).await;
    assert_eq!((code, &gone["status"]), (200, &json!("Success")));
    assert_eq!(api.get("/api/v1/nonsense").await.0, 404);
    assert_eq!(api.get("/apis/apps/v1/pods").await.0, 404);
}

#[tokio::test]
async fn running_pods_end_gracefully() {
    let api = Api::new();
    let mut sent = pod("a");
    sent["spec"]["nodeName"] = "n".into();
    api.post(PODS, sent).await;
    let (_, ending) = api.delete(&format!("{PODS}/a")).await;
    assert_eq!(ending["metadata"]["deletionGracePeriodSeconds"], 30);
    let (_, gone) = api.delete(&format!("{PODS}/a?gracePeriodSeconds=0")).await;
    assert_eq!(gone["status"], "Success");
}

#[tokio::test]
async fn patches_of_every_kind() {
    let api = Api::new();
    api.post(PODS, pod("a")).await;
    let path = format!("{PODS}/a");
    let image = |pod: &Value| pod["spec"]["containers"][0]["image"].clone();
    let strategic = json!({ "spec": { "containers": [{ "name": "c", "image": "2" }] } });
    let (code, after) = api.ask("PATCH", &path, "application/strategic-merge-patch+json", &strategic).await;
    assert_eq!((code, image(&after)), (200, json!("2")));
    let (_, after) = api.ask("PATCH", &path, "application/merge-patch+json", &json!({ "metadata": { "labels": { "app": null } } })).await;
    assert_eq!(after["metadata"]["labels"], json!({}));
    let json_patch = json!([{ "op": "replace", "path": "/spec/containers/0/image", "value": "3" }]);
    let (_, after) = api.ask("PATCH", &path, "application/json-patch+json", &json_patch).await;
    assert_eq!(image(&after), "3");
    let failing = json!([{ "op": "test", "path": "/spec/containers/0/image", "value": "9" }]);
    assert_eq!(api.ask("PATCH", &path, "application/json-patch+json", &failing).await.0, 422);
    let stale = json!({ "metadata": { "resourceVersion": "2" } });
    assert_eq!(api.ask("PATCH", &path, "application/merge-patch+json", &stale).await.1["reason"], "Conflict");
    let status = json!({ "status": { "phase": "Running" }, "spec": { "nodeName": "x" } });
    let (_, after) = api.ask("PATCH", &format!("{path}/status"), "application/merge-patch+json", &status).await;
    assert_eq!((&after["status"]["phase"], after["spec"].get("nodeName")), (&json!("Running"), None));
    let config = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" }, "data": { "a": "b" } });
    let configmap = "/api/v1/namespaces/default/configmaps/c";
    assert_eq!(api.ask("PATCH", configmap, "application/apply-patch+yaml", &config).await.0, 400);
    assert_eq!(api.ask("PATCH", &format!("{configmap}?fieldManager=m"), "application/apply-patch+yaml", &config).await.0, 201);
    assert_eq!(api.ask("PATCH", &format!("{configmap}?fieldManager=m"), "application/apply-patch+yaml", &config).await.0, 200);
    assert_eq!(api.ask("PATCH", &path, "text/plain", &json!({})).await.0, 415);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let api = Api::new();
    assert_eq!(api.post(&format!("{PODS}?dryRun=All"), pod("a")).await.0, 201);
    assert_eq!(api.get(&format!("{PODS}/a")).await.0, 404);
    api.post(PODS, pod("a")).await;
    assert_eq!(api.delete(&format!("{PODS}/a?dryRun=All")).await.0, 200);
    assert_eq!(api.get(&format!("{PODS}/a")).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn watches_tell_what_was_there_and_what_changes() {
    let api = Api::new();
    api.post(PODS, pod("a")).await;
    let types = |events: &[Value]| {
        events
            .iter()
            .map(|event| format!("{} {}", event["type"].as_str().unwrap(), event["object"]["metadata"]["name"]))
            .collect::<Vec<_>>()
    };
    let from = api.get(PODS).await.1["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let path = format!("{PODS}?watch=true&timeoutSeconds=1");
    assert_eq!(types(&api.watch(&path).await), ["ADDED \"a\""]);
    let events = api.watch(&format!("{path}&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan")).await;
    assert_eq!(types(&events), ["ADDED \"a\"", "BOOKMARK null", "BOOKMARK null"]);
    assert_eq!(events[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let label = |value: &str| json!({ "metadata": { "labels": { "app": value } } });
    for value in ["b", "a"] {
        api.ask("PATCH", &format!("{PODS}/a"), "application/merge-patch+json", &label(value)).await;
    }
    api.delete(&format!("{PODS}/a")).await;
    assert_eq!(types(&api.watch(&format!("{path}&resourceVersion={from}")).await), ["MODIFIED \"a\"", "MODIFIED \"a\"", "DELETED \"a\""]);
    let selected = api.watch(&format!("{path}&resourceVersion={from}&labelSelector=app%3Da")).await;
    assert_eq!(types(&selected), ["DELETED \"a\"", "ADDED \"a\"", "DELETED \"a\""]);
    api.0.lock().compact();
    let expired = api.watch(&format!("{path}&resourceVersion={from}")).await;
    assert_eq!((&expired[0]["type"], &expired[0]["object"]["code"], expired.len()), (&json!("ERROR"), &json!(410), 1));
    assert_eq!(api.get(&format!("{PODS}?watch=true&resourceVersion=999")).await.0, 504);
}

#[tokio::test]
async fn metadata_and_tables_are_shown_on_demand() {
    let api = Api::new();
    api.post(PODS, pod("a")).await;
    let shown = async |accept: &str| {
        let request = Request::builder().uri(PODS).header("accept", accept).extension(Identity::default()).body(Body::empty()).unwrap();
        let body = to_bytes(api.send(request).await.into_body(), 1 << 20).await.unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()
    };
    let partial = shown("application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json").await;
    assert_eq!(partial["kind"], "PartialObjectMetadataList");
    assert_eq!((&partial["items"][0]["kind"], partial["items"][0].get("spec")), (&json!("PartialObjectMetadata"), None));
    assert_eq!(shown("application/json;as=Table;v=v1;g=meta.k8s.io,application/json").await["rows"][0]["cells"][1], "0/1");
    assert_eq!(shown("application/vnd.kubernetes.protobuf, */*").await["kind"], "PodList");
}

#[tokio::test]
async fn evictions_respect_budgets() {
    let api = Api::new();
    api.post(PODS, pod("a")).await;
    api.ask("PATCH", &format!("{PODS}/a/status"), "application/merge-patch+json", &json!({ "status": { "phase": "Running" } })).await;
    let budget = json!({ "metadata": { "name": "b" }, "spec": { "selector": { "matchLabels": { "app": "a" } } } });
    api.post("/apis/policy/v1/namespaces/default/poddisruptionbudgets", budget).await;
    let eviction = json!({ "metadata": { "name": "a" } });
    assert_eq!(api.post(&format!("{PODS}/a/eviction"), eviction.clone()).await.0, 429);
    api.delete("/apis/policy/v1/namespaces/default/poddisruptionbudgets/b").await;
    assert_eq!(api.post(&format!("{PODS}/a/eviction"), eviction).await.0, 201);
    assert_eq!(api.get(&format!("{PODS}/a")).await.0, 404);
}

#[tokio::test]
async fn strangers_see_what_kubeadm_shows_them() {
    let api = Api::new();
    let ask = async |path: &str| api.send(Request::builder().uri(path).body(Body::empty()).unwrap()).await.status().as_u16();
    assert_eq!((ask("/version").await, ask("/readyz/ping").await), (200, 200));
    assert_eq!(ask("/api/v1/namespaces/kube-public/configmaps/cluster-info").await, 404);
    for path in ["/api", "/api/v1/nodes", "/versions", "/api/v1/namespaces/kube-public/configmaps"] {
        assert_eq!(ask(path).await, 403, "{path}");
    }
}

#[tokio::test]
async fn a_definition_brings_its_kinds() {
    let api = Api::new();
    let definition = json!({ "metadata": { "name": "ponds.a.b" }, "spec": { "group": "a.b", "scope": "Namespaced",
        "names": { "plural": "ponds", "kind": "Pond" }, "versions": [{ "name": "v1", "served": true, "storage": true }] } });
    assert_eq!(api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).await.0, 201);
    assert_eq!(api.get("/apis/a.b/v1").await.1["resources"][0]["kind"], "Pond");
    assert_eq!(api.post("/apis/a.b/v1/namespaces/default/ponds", json!({ "metadata": { "name": "a" } })).await.1["apiVersion"], "a.b/v1");
}

#[tokio::test]
async fn events_have_two_forms() {
    let api = Api::new();
    let sent = json!({ "metadata": { "name": "e" }, "note": "n", "regarding": { "kind": "Node" } });
    assert_eq!(api.post("/apis/events.k8s.io/v1/namespaces/default/events", sent).await.1["note"], "n");
    let (_, core) = api.get("/api/v1/namespaces/default/events/e").await;
    assert_eq!((&core["message"], &core["involvedObject"]["kind"], &core["apiVersion"]), (&json!("n"), &json!("Node"), &json!("v1")));
}

#[tokio::test]
async fn a_backend_may_refuse() {
    assert_eq!(Api::new().get(&format!("{PODS}/broken")).await.1["reason"], "InternalError");
}

#[tokio::test]
async fn discovery_tells_what_there_is() {
    let api = Api::new();
    let (_, groups) = api.get("/apis").await;
    let names: Vec<_> = groups["groups"].as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"rbac.authorization.k8s.io") && !names.contains(&""), "{names:?}");
    let (_, core) = api.get("/api/v1").await;
    assert!(core["resources"].as_array().unwrap().iter().any(|resource| resource["name"] == "pods/eviction"));
    assert_eq!(api.get("/apis/none/v1").await.0, 404);
    assert_eq!(api.get("/version").await.1["minor"], "36");
    assert!(api.get("/openapi/v3").await.1["paths"].get("apis/apps/v1").is_some());
}
