//! What the supervisor asks of HTTP servers: is it ready, and are these objects there.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::time::Duration;

use futures::FutureExt;
use futures::StreamExt;
use futures::TryStreamExt;
use http::Request;
use kube::Client;
use kube::Config;
use kube::api::DynamicObject;
use kube::api::Patch;
use kube::api::PatchParams;
use kube::api::PostParams;
use kube::core::ApiResource;
use kube::core::GroupVersionKind;
use kube::discovery::Scope;
use serde_json::Value;
use serde_json::json;

use crate::pki::Pair;

/// Field manager of what the plane applies.
const MANAGER: &str = "capstead";
/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Objects applied at once.
const AT_ONCE: usize = 4;
/// Where marks of what is installed are kept.
const MARKS: &str = "kube-system";

/// An API server refuses or does not answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No client could be made.
    #[error("cannot make a client for {url}")]
    Client {
        /// The server.
        url: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A request failed.
    #[error("cannot {what}")]
    Request {
        /// What was tried, and on what.
        what: String,
        /// Why. Boxed: it is large.
        source: Box<kube::Error>,
    },
    /// No reply in time.
    #[error("no reply within {PATIENCE:?} to: {0}")]
    Slow(String),
    /// Applied, but not served yet.
    #[error("{0} is not served yet")]
    NotServed(String),
}

/// Makes a client that trusts only `authority` (PEM) and shows `user`.
///
/// # Errors
/// The address or a certificate is no good.
pub fn client(url: &str, authority: &str, user: Option<&Pair>) -> Result<Client, ApiError> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD as BASE64;
    let wrong = |source: Box<dyn std::error::Error + Send + Sync>| ApiError::Client { url: url.into(), source };
    let mut config = Config::new(url.parse().map_err(|e: http::uri::InvalidUri| wrong(e.into()))?);
    config.root_cert = Some(vec![der(authority)]);
    config.connect_timeout = Some(PATIENCE);
    config.default_retry = false;
    if let Some(user) = user {
        config.auth_info.client_certificate_data = Some(BASE64.encode(&user.certificate));
        config.auth_info.client_key_data = Some(BASE64.encode(&user.key).into());
    }
    Client::try_from(config).map_err(|e| wrong(e.into()))
}

/// The bytes of the first block of a PEM text.
fn der(pem: &str) -> Vec<u8> {
    use base64::Engine;
    let body: String =
        pem.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1).take_while(|line| !line.starts_with("-----END")).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap_or_default()
}

/// Whether GET of `path` answers with success now.
pub async fn answers(client: &Client, path: &str) -> bool {
    let Ok(request) = Request::get(path).body(Vec::new()) else { return false };
    matches!(tokio::time::timeout(PATIENCE, client.request_text(request)).await, Ok(Ok(_)))
}

/// The mark that tells which content of a component is installed, by part.
///
/// # Errors
/// The server does not answer.
pub async fn installed(client: &Client, component: &str) -> Result<BTreeMap<String, String>, ApiError> {
    let what = format!("read the mark of {component}");
    let request = Request::get(format!("/api/v1/namespaces/{MARKS}/configmaps/capstead-{component}")).body(Vec::new());
    let request = request.map_err(|e| ApiError::Client { url: what.clone(), source: e.into() })?;
    match tokio::time::timeout(PATIENCE, client.request::<Value>(request)).await {
        Err(_) => Err(ApiError::Slow(what)),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(BTreeMap::new()),
        Ok(Err(source)) => Err(ApiError::Request { what, source: source.into() }),
        Ok(Ok(map)) => Ok(serde_json::from_value(map["data"].clone()).unwrap_or_default()),
    }
}

/// Stores the mark that `part` of a component is installed with this digest.
///
/// # Errors
/// The server refuses or does not answer.
pub async fn mark_installed(client: &Client, component: &str, part: &str, digest: &str) -> Result<(), ApiError> {
    let name = format!("capstead-{component}");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": MARKS}, "data": {part: digest}});
    // A field manager for each part, so that one does not take the other's away.
    let params = PatchParams::apply(&format!("{MANAGER}-{part}")).force();
    let maps = kube::Api::<DynamicObject>::namespaced_with(
        client.clone(),
        MARKS,
        &ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap")),
    );
    let done = maps.patch(&name, &params, &Patch::Apply(&map)).await;
    done.map(drop).map_err(|source| ApiError::Request { what: format!("store the mark of {component}"), source: source.into() })
}

/// Applies objects: first those of the lowest rank by themselves, as each later kind may need the earlier.
///
/// # Errors
/// The server refuses or does not answer. Applying again is safe.
pub async fn apply(client: &Client, objects: &[Value]) -> Result<(), ApiError> {
    let mut kinds: BTreeMap<String, (ApiResource, Scope)> = BTreeMap::new();
    let mut rest = objects;
    while let Some(first) = rest.first() {
        // Runs of one kind go together: namespaces, then CRDs, then what may rely on them.
        let run = rest.iter().take_while(|object| object["kind"] == first["kind"]).count();
        let (batch, later) = rest.split_at(run);
        rest = later;
        for object in batch {
            let gvk = kind_of(object);
            if let Entry::Vacant(place) = kinds.entry(format!("{}/{}", gvk.api_version(), gvk.kind)) {
                let found = kube::discovery::pinned_kind(client, &gvk).await;
                let (resource, capabilities) =
                    found.map_err(|source| ApiError::Request { what: format!("find the kind {}", place.key()), source: source.into() })?;
                place.insert((resource, capabilities.scope));
            }
        }
        let mut calls = Vec::with_capacity(batch.len());
        for object in batch {
            let gvk = kind_of(object);
            if let Some((resource, scope)) = kinds.get(&format!("{}/{}", gvk.api_version(), gvk.kind)) {
                calls.push(apply_one(client, object, resource, scope).boxed());
            }
        }
        futures::stream::iter(calls).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    }
    Ok(())
}

fn kind_of(object: &Value) -> GroupVersionKind {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    GroupVersionKind::gvk(group, version, object["kind"].as_str().unwrap_or_default())
}

async fn apply_one(client: &Client, object: &Value, resource: &ApiResource, scope: &Scope) -> Result<(), ApiError> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let api: kube::Api<DynamicObject> = match scope {
        Scope::Cluster => kube::Api::all_with(client.clone(), resource),
        Scope::Namespaced => {
            kube::Api::namespaced_with(client.clone(), object["metadata"]["namespace"].as_str().unwrap_or("default"), resource)
        }
    };
    let wrong = |source| ApiError::Request { what: format!("apply {} {name}", resource.kind), source: Box::new(source) };
    let typed: DynamicObject = serde_json::from_value(object.clone()).map_err(|e| wrong(kube::Error::SerdeError(e)))?;
    // On a fresh plane creating is several times cheaper for the server than applying.
    let create = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    match api.create(&create, &typed).await {
        Ok(_) => return Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => (),
        Err(source) => return Err(wrong(source)),
    }
    api.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object)).await.map(drop).map_err(wrong)
}

/// Whether every version of every CRD among `objects` is served.
///
/// # Errors
/// One is not, or the server does not answer.
pub async fn served(client: &Client, objects: &[Value]) -> Result<(), ApiError> {
    let mut wanted: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for crd in objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition") {
        let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        for version in crd["spec"]["versions"].as_array().into_iter().flatten().filter(|version| version["served"] == true) {
            let key = (text("/spec/group"), version["name"].as_str().unwrap_or_default().to_owned());
            wanted.entry(key).or_default().insert(text("/spec/names/plural"));
        }
    }
    for ((group, version), plurals) in wanted {
        let there = client.list_api_group_resources(&format!("{group}/{version}")).await;
        let there: BTreeSet<String> =
            there.map(|list| list.resources.into_iter().map(|resource| resource.name).collect()).unwrap_or_default();
        if let Some(missing) = plurals.iter().find(|plural| !there.contains(*plural)) {
            return Err(ApiError::NotServed(format!("{missing}.{group}/{version}")));
        }
    }
    Ok(())
}
