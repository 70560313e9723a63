//! The Kubernetes API over a [`Store`]: what Cluster API's controllers, client-go and kubectl ask of an API server.

mod apply;
mod body;
mod defaults;
mod discovery;
mod events;
mod kinds;
mod openapi;
mod patch;
mod present;
mod protobuf;
mod read;
mod request;
mod selector;
mod serve;
mod status;
mod strategic;
mod subresource;
mod table;
mod types;
mod watch;
mod write;

use std::fmt;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use futures::future::BoxFuture;
use http::Method;
use http::StatusCode;
use http::request::Parts;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use tokio::io::DuplexStream;

use crate::authority::Identity;
use crate::store::Object;
use crate::store::Shared;
use crate::store::Store;

pub use kinds::Kind;
pub use serve::Running;
pub use serve::serve;
pub use status::Refusal;

use kinds::find;
use request::Query;
use request::Target;

/// What stands behind an API: its objects, and how it behaves.
pub trait Backend: Send + Sync + 'static {
    /// The objects.
    fn store(&self) -> &Shared;

    /// Of Kubernetes, as `/version` tells it: `v1.36.3`.
    fn version(&self) -> String;

    /// What clocks show.
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Asked before every request, and before every delivery to a watch: it may take its time, refuse, or never answer.
    fn admit<'a>(&'a self, request: &'a Attributes) -> BoxFuture<'a, Result<(), Refusal>> {
        let _ = request;
        Box::pin(async { Ok(()) })
    }

    /// How an object looks now, if that is not as it is stored: for times that move on by themselves, as a lease's.
    fn render(&self, object: &Object) -> Option<Value> {
        let _ = object;
        None
    }

    /// Connects to a port of a pod.
    fn connect<'a>(&'a self, namespace: &'a str, pod: &'a str, port: u16) -> BoxFuture<'a, io::Result<DuplexStream>>;
}

/// What a request wants, and who sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// As in RBAC: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: &'static str,
    /// As it was sent, without the query.
    pub path: String,
    /// As in RBAC: empty for the core group.
    pub group: String,
    /// Empty when it is not about a resource.
    pub resource: String,
    /// `status`, `eviction`; often empty.
    pub subresource: String,
    /// Empty for all, and for cluster-wide resources.
    pub namespace: String,
    /// Empty for the collection.
    pub name: String,
    /// From the client's certificate; `None` is anonymous.
    pub identity: Option<Identity>,
}

/// The backend, as handlers hold it.
type Shelf = Arc<dyn Backend>;

/// One request of a resource.
struct Call {
    backend: Shelf,
    attributes: Arc<Attributes>,
    kind: Arc<Kind>,
    target: Target,
    query: Query,
    parts: Parts,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("attributes", &self.attributes).finish_non_exhaustive()
    }
}

impl Call {
    /// A header's value, empty if it is not there or no text.
    fn header(&self, name: http::HeaderName) -> &str {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Does something with the store, or with a copy of it if nothing is to be kept.
    fn change<T>(&self, change: impl FnOnce(&mut Store) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut store = self.backend.store().lock();
        if self.query.dry_run() {
            let mut trial = store.trial();
            drop(store);
            return change(&mut trial);
        }
        change(&mut store)
    }
}

/// Serves the API over a backend. Clients are known by the [`Identity`] among a request's extensions.
pub fn router(backend: Arc<dyn Backend>) -> Router {
    Router::new().fallback(handle).with_state(backend)
}

async fn handle(State(backend): State<Shelf>, request: Request) -> Response {
    answer(backend, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(backend: Shelf, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let target = Target::parse(&path);
    let about = target.clone().unwrap_or_default();
    let attributes = Arc::new(Attributes {
        verb: verb(&parts.method, &about, &query),
        path,
        group: about.group,
        resource: about.plural,
        subresource: about.subresource,
        namespace: about.namespace,
        name: about.name,
        identity: parts.extensions.get::<Identity>().cloned(),
    });
    authorize(&attributes)?;
    backend.admit(&attributes).await?;
    if let Some(answer) = general(&*backend, &attributes.path, &parts) {
        return Ok(answer);
    }
    let target = target.ok_or_else(Refusal::no_such_path)?;
    let kind = find(&backend.store().lock(), &target.group, &target.version, &target.plural).ok_or_else(Refusal::no_such_path)?;
    let call = Call { backend, attributes, kind, target, query, parts };
    if !call.kind.namespaced && !call.target.namespace.is_empty() {
        return Err(Refusal::no_such_path());
    }
    if (&*call.kind.resource, &*call.target.subresource) == ("pods", "portforward") {
        return subresource::portforward(call, body).await;
    }
    match call.attributes.verb {
        "get" | "list" if call.kind.review => Err(Refusal::method()),
        "get" => read::get(&call),
        "list" => read::list(&call),
        "watch" => watch::watch(call),
        "create" => write::create(&call, body).await,
        "update" => write::update(&call, body).await,
        "patch" => write::patch(&call, body).await,
        "delete" => write::delete(&call, body).await,
        "deletecollection" => write::delete_collection(&call, body).await,
        _ => Err(Refusal::method()),
    }
}

/// As in RBAC.
fn verb(method: &Method, target: &Target, query: &Query) -> &'static str {
    let one = !target.name.is_empty();
    match *method {
        Method::GET | Method::HEAD if query.flag("watch") => "watch",
        Method::GET | Method::HEAD if one || target.plural.is_empty() => "get",
        Method::GET | Method::HEAD => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if one => "delete",
        Method::DELETE => "deletecollection",
        _ => "",
    }
}

/// Who has a certificate may do all; others may see what kubeadm lets them.
fn authorize(attributes: &Attributes) -> Result<(), Refusal> {
    const OPEN: [&str; 4] = ["/version", "/livez", "/readyz", "/healthz"];
    let Attributes { verb, path, resource, namespace, name, .. } = attributes;
    let open =
        *verb == "get" && OPEN.iter().any(|open| path.strip_prefix(open).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    let info = *verb == "get" && resource == "configmaps" && namespace == "kube-public" && name == "cluster-info";
    if attributes.identity.is_some() || open || info {
        return Ok(());
    }
    let message = if resource.is_empty() {
        format!("forbidden: User \"system:anonymous\" cannot {verb} path {path:?}")
    } else {
        format!(
            "{resource} is forbidden: User \"system:anonymous\" cannot {verb} resource {resource:?} in API group {:?}",
            attributes.group
        )
    };
    Err(Refusal::new(StatusCode::FORBIDDEN, "Forbidden", message))
}

/// What is not about a resource.
fn general(backend: &dyn Backend, path: &str, parts: &Parts) -> Option<Response> {
    let path = path.trim_end_matches('/');
    match path {
        "" => return Some(json!({ "paths": ["/api", "/apis", "/healthz", "/livez", "/readyz", "/version"] }).into_json()),
        "/version" => return Some(version(&backend.version()).into_json()),
        _ => {}
    }
    if ["/livez", "/readyz", "/healthz"].iter().any(|health| path.starts_with(health)) {
        return Some("ok".into_response());
    }
    if path.starts_with("/openapi") {
        return openapi::answer(path, &kinds::all(&backend.store().lock()));
    }
    if !path.starts_with("/api") {
        return None;
    }
    discovery::answer(path, &parts.headers, &kinds::all(&backend.store().lock()))
}

fn version(git: &str) -> Value {
    let mut numbers = git.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    json!({
        "major": major, "minor": minor, "gitVersion": git, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// JSON as an answer.
trait IntoJson {
    fn into_json(self) -> Response;
}

impl IntoJson for Value {
    fn into_json(self) -> Response {
        present::json(StatusCode::OK, self.to_string())
    }
}

#[cfg(test)]
mod tests;
