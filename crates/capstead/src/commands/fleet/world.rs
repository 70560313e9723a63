//! The fleet's objects on the plane: applied, watched, changed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::FutureExt;
use futures::StreamExt;
use futures::TryStreamExt;
use futures::stream;
use futures::stream::BoxStream;
use http::Request;
use kube::Api;
use kube::Client;
use kube::api::DeleteParams;
use kube::api::DynamicObject;
use kube::api::Patch;
use kube::api::PatchParams;
use kube::api::PostParams;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use kube::core::ApiResource;
use kube::core::GroupVersionKind;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher;
use kube::runtime::watcher::Event;
use serde_json::Value;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::record::Kind;

/// Where the fleet is.
pub const NAMESPACE: &str = "fleet";
/// Between attempts of a request that a busy server did not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// For one answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Clusters that are applied at once.
const APPLIED: usize = 10;
/// Simulated clusters that are asked at once.
const ASKED: usize = 8;

/// What a watch brings.
pub type Seen = (Kind, Result<Event<DynamicObject>, watcher::Error>);

/// The n-th cluster's name, from 1.
pub fn name(n: usize) -> String {
    format!("fleet-{n:03}")
}

fn api(client: &Client, version: &str, kind: &str) -> Api<DynamicObject> {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    Api::namespaced_with(client.clone(), NAMESPACE, &ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)))
}

/// Applies all clusters, the objects of each in their order. A cluster takes one of `turns`, which whoever sees it available gives back: an API server with
/// more to do than it can lets Cluster API's requests time out, and a Machine whose creation did so has lost its parts when it lands after all.
pub async fn apply(client: Client, clusters: Vec<Vec<Value>>, turns: Arc<Semaphore>, deadline: Instant) -> anyhow::Result<()> {
    let one = |objects: Vec<Value>| {
        let (client, turns) = (client.clone(), Arc::clone(&turns));
        async move {
            turns.acquire().await.context("nobody waits for clusters any more")?.forget();
            for object in &objects {
                create(&client, object, deadline).await?;
            }
            Ok(())
        }
    };
    stream::iter(clusters).map(one).buffer_unordered(APPLIED).try_collect().await
}

/// Makes the namespace.
pub async fn make_namespace(client: &Client, deadline: Instant) -> anyhow::Result<()> {
    let namespaces = Api::all_with(client.clone(), &ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace")));
    create_at(&namespaces, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}), deadline).await
}

async fn create(client: &Client, object: &Value, deadline: Instant) -> anyhow::Result<()> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    create_at(&api(client, text("apiVersion"), text("kind")), object, deadline).await
}

async fn create_at(api: &Api<DynamicObject>, object: &Value, deadline: Instant) -> anyhow::Result<()> {
    let typed: DynamicObject = serde_json::from_value(object.clone()).context("an object has no metadata")?;
    loop {
        let tried = tokio::time::timeout(ANSWER, api.create(&PostParams::default(), &typed)).await;
        let error = match tried {
            Ok(Ok(_)) => return Ok(()),
            // An earlier attempt had come through.
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => return Ok(()),
            Ok(Err(error)) => anyhow::Error::from(error),
            Err(_) => anyhow::anyhow!("no answer within {ANSWER:?}"),
        };
        // A webhook of a busy manager may be late; what is wrong with the object stays wrong until then.
        let refused =
            error.downcast_ref().is_some_and(|error| matches!(error, kube::Error::Api(status) if (400..429).contains(&status.code)));
        if refused || Instant::now() > deadline {
            return Err(error).with_context(|| format!("the plane does not take {} {}", object["kind"], object["metadata"]["name"]));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Everything that happens to what is recorded.
pub fn watch(client: &Client) -> BoxStream<'static, Seen> {
    let one = |kind: Kind| {
        let (version, name) = kind.names();
        watcher(api(client, version, name), watcher::Config::default()).default_backoff().map(move |event| (kind, event)).boxed()
    };
    stream::select_all(Kind::ALL.map(one)).boxed()
}

/// Asks for another number of workers.
pub async fn scale(client: &Client, cluster: &str, workers: u32) -> anyhow::Result<()> {
    let deployment = format!("{cluster}-md-0");
    let patch = Patch::Merge(json!({"spec": {"replicas": workers}}));
    let deployments = api(client, "cluster.x-k8s.io/v1beta2", "MachineDeployment");
    let done = deployments.patch(&deployment, &PatchParams::default(), &patch).await;
    done.map(drop).with_context(|| format!("cannot scale MachineDeployment {deployment}"))
}

/// Asks for a Machine's end.
pub async fn delete(client: &Client, machine: &str) -> anyhow::Result<()> {
    let (version, kind) = Kind::Machine.names();
    match api(client, version, kind).delete(machine, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        done => done.map(drop).with_context(|| format!("cannot delete Machine {machine}")),
    }
}

/// The sum of the latest resource versions of all simulated clusters: it grows by every change in one of them. `None` if one does not answer.
pub async fn revisions(client: &Client, clusters: usize) -> Option<u64> {
    let one = |n: usize| async move { tokio::time::timeout(ANSWER, revision(client, &name(n))).await.ok()? };
    let revisions: Vec<Option<u64>> = stream::iter(1..=clusters).map(|n| one(n).boxed()).buffer_unordered(ASKED).collect().await;
    revisions.into_iter().sum()
}

async fn revision(client: &Client, cluster: &str) -> Option<u64> {
    let secret = api(client, "v1", "Secret").get(&format!("{cluster}-kubeconfig")).await.ok()?;
    let kubeconfig = String::from_utf8(BASE64.decode(secret.data["data"]["value"].as_str()?).ok()?).ok()?;
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(Kubeconfig::from_yaml(&kubeconfig).ok()?, &options).await.ok()?;
    let request = Request::get("/api/v1/namespaces?limit=1").body(Vec::new()).ok()?;
    let list: Value = Client::try_from(config).ok()?.request(request).await.ok()?;
    list["metadata"]["resourceVersion"].as_str()?.parse().ok()
}
