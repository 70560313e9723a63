//! What clients send to the simulated Kubernetes API: nothing of it makes the server panic, and a broken body is the client's fault.
#![no_main]

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;

use axum::body::Body;
use capstead_workload::api;
use capstead_workload::authority::Identity;
use capstead_workload::store::Shared;
use capstead_workload::store::Store;
use futures::future::BoxFuture;
use http::Request;
use tokio::io::DuplexStream;
use tokio::runtime::Runtime;
use tower::Service;

struct Backend(Shared);

impl api::Backend for Backend {
    fn store(&self) -> &Shared {
        &self.0
    }

    fn version(&self) -> String {
        "v1.36.3".to_owned()
    }

    fn connect<'a>(&'a self, _: &'a str, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<DuplexStream>> {
        Box::pin(async { Err(io::Error::from(io::ErrorKind::ConnectionRefused)) })
    }
}

/// Method, path and type of the body, by the first byte.
const REQUESTS: [(&str, &str, &str); 8] = [
    ("POST", "/api/v1/namespaces/default/configmaps", "application/vnd.kubernetes.protobuf"),
    ("POST", "/api/v1/nodes", "application/vnd.kubernetes.protobuf"),
    ("POST", "/apis/apps/v1/namespaces/default/deployments", "application/vnd.kubernetes.protobuf"),
    ("POST", "/api/v1/namespaces/default/pods", "application/json"),
    ("PATCH", "/api/v1/namespaces/default/pods/p", "application/strategic-merge-patch+json"),
    ("PATCH", "/api/v1/namespaces/default/pods/p", "application/json-patch+json"),
    ("PATCH", "/api/v1/namespaces/default/pods/p?fieldManager=f&force=true", "application/apply-patch+yaml"),
    ("DELETE", "/api/v1/namespaces/default/pods/p", "application/json"),
];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
    let Some((first, body)) = data.split_first() else { return };
    let store = Shared::new(Store::new(0));
    let pod = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}]}]},
    });
    store.lock().create("pods", pod, jiff::Timestamp::UNIX_EPOCH).unwrap();
    let (method, path, kind) = REQUESTS[usize::from(*first) % REQUESTS.len()];
    let mut request = Request::builder().method(method).uri(path).header("content-type", kind).body(Body::from(body.to_vec())).unwrap();
    request.extensions_mut().insert(Identity { user: "admin".to_owned(), ..Identity::default() });
    let answer = runtime.block_on(api::router(Arc::new(Backend(store))).call(request)).unwrap();
    assert!(!answer.status().is_server_error(), "{method} {path}: {}", answer.status());
});
