//! The management cluster's objects. They are listed, with a limit, and nothing is changed.

use std::time::Duration;

use anyhow::Context;
use capstead_doctor::Object;
use capstead_doctor::Picture;
use capstead_doctor::picture::Log;
use capstead_doctor::picture::Management;
use capstead_doctor::picture::Unseen;
use capstead_engine::client;
use capstead_engine::client::ClientError;
use capstead_engine::error_chain;
use futures::future::join_all;
use http::Request;
use jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use tokio::time::timeout;

use crate::cli::Doctor;

/// Who we are to the API server.
const USER_AGENT: &str = concat!("capstead-doctor/", env!("CARGO_PKG_VERSION"));
/// Most objects of one kind.
const MOST: usize = 500;
/// Most pods whose logs are read.
const MOST_PODS: usize = 20;

/// A kind of objects.
struct Kind {
    name: &'static str,
    /// Where it is served, the newest first.
    versions: &'static [&'static str],
    plural: &'static str,
    of: Of,
}

/// Which of them matter.
#[derive(Clone, Copy)]
enum Of {
    /// It is the Cluster.
    Cluster,
    /// Those that have the label of a Cluster.
    Labelled,
    /// Those of providers of Cluster API.
    Provider,
    All,
}

const fn kind(name: &'static str, versions: &'static [&'static str], plural: &'static str, of: Of) -> Kind {
    Kind { name, versions, plural, of }
}

/// Core's kinds.
pub const CORE: &[&str] = &["apis/cluster.x-k8s.io/v1beta2", "apis/cluster.x-k8s.io/v1beta1"];
/// Of kubeadm's bootstrap provider.
pub const BOOTSTRAP: &[&str] = &["apis/bootstrap.cluster.x-k8s.io/v1beta2", "apis/bootstrap.cluster.x-k8s.io/v1beta1"];
const CONTROL_PLANE: &[&str] = &["apis/controlplane.cluster.x-k8s.io/v1beta2", "apis/controlplane.cluster.x-k8s.io/v1beta1"];
/// Of the provider of microVMs.
pub const MICROVM: &[&str] = &["apis/infrastructure.cluster.x-k8s.io/v1alpha2", "apis/infrastructure.cluster.x-k8s.io/v1alpha1"];
const ADMISSION: &[&str] = &["apis/admissionregistration.k8s.io/v1"];

const KINDS: [Kind; 12] = [
    kind("Cluster", CORE, "clusters", Of::Cluster),
    kind("Machine", CORE, "machines", Of::Labelled),
    kind("KubeadmConfig", BOOTSTRAP, "kubeadmconfigs", Of::Labelled),
    kind("KubeadmControlPlane", CONTROL_PLANE, "kubeadmcontrolplanes", Of::Labelled),
    kind("MicrovmCluster", MICROVM, "microvmclusters", Of::Labelled),
    kind("MicrovmMachine", MICROVM, "microvmmachines", Of::Labelled),
    kind("ExternalLoadBalancer", MICROVM, "externalloadbalancers", Of::Labelled),
    kind("Deployment", &["apis/apps/v1"], "deployments", Of::Provider),
    kind("Pod", &["api/v1"], "pods", Of::Provider),
    kind("Certificate", &["apis/cert-manager.io/v1"], "certificates", Of::All),
    kind("ValidatingWebhookConfiguration", ADMISSION, "validatingwebhookconfigurations", Of::Provider),
    kind("MutatingWebhookConfiguration", ADMISSION, "mutatingwebhookconfigurations", Of::Provider),
];

/// Looks for no longer than `limit`.
pub async fn look(args: &Doctor, limit: Duration, picture: &mut Picture) -> anyhow::Result<()> {
    let config = match client::config(args.kubeconfig.as_deref(), USER_AGENT).await {
        Ok(config) => config,
        // Whoever names hosts or logs wants to know of these, whether or not there is a cluster.
        Err(ClientError::NoCluster(_)) if !(args.host.is_empty() && args.log.is_empty()) => return Ok(()),
        Err(error) => return Err(error).context("--kubeconfig"),
    };
    let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let client = Client::try_from(config).context("--kubeconfig")?;
    let read = timeout(limit, read(&client, args, picture.now)).await;
    picture.management = match read {
        Err(_) => Management::Unreachable { server, why: format!("no answer within {limit:?}") },
        Ok(Err(error)) => Management::Unreachable { server, why: error_chain(&error) },
        Ok(Ok(Read { objects, unseen, logs })) => {
            picture.unseen.extend(unseen);
            picture.logs.extend(logs);
            Management::Seen { server, objects }
        }
    };
    Ok(())
}

/// What there is.
struct Read {
    objects: Vec<Object>,
    unseen: Vec<Unseen>,
    logs: Vec<Log>,
}

async fn read(client: &Client, args: &Doctor, now: Timestamp) -> Result<Read, kube::Error> {
    match get::<Value>(client, "/version").await {
        // It knows us, and lets us see other things, perhaps.
        Err(kube::Error::Api(status)) if status.code == 403 => (),
        answer => drop(answer?),
    }
    let mut objects = Vec::new();
    let mut unseen = Vec::new();
    for (own, reason) in join_all(KINDS.iter().map(|kind| list(client, kind, args, now))).await {
        objects.extend(own);
        unseen.extend(reason);
    }
    if let Some(name) = &args.cluster
        && !unseen.iter().any(|unseen| unseen.what == what(&KINDS[0]))
        && !objects.iter().any(|object| object.kind() == "Cluster")
    {
        let place =
            args.namespace.as_ref().map_or_else(|| "in any namespace".to_owned(), |namespace| format!("in the namespace {namespace}"));
        unseen.push(Unseen { what: format!("Cluster {name}"), why: format!("there is none of this name {place}") });
    }
    let pods = objects.iter().filter(|object| object.kind() == "Pod").take(MOST_PODS);
    let logs = join_all(pods.map(|pod| log(client, pod, args))).await.into_iter().flatten().collect();
    Ok(Read { objects, unseen, logs })
}

fn what(kind: &Kind) -> String {
    format!("objects of the kind {}", kind.name)
}

/// All of a kind that matter, and what of it could not be seen.
async fn list(client: &Client, kind: &Kind, args: &Doctor, now: Timestamp) -> (Vec<Object>, Option<Unseen>) {
    let unseen = |why: String| Some(Unseen { what: what(kind), why });
    for version in kind.versions {
        match get::<Value>(client, &path(kind, version, args)).await {
            Ok(mut list) => {
                let more = list["metadata"]["continue"].as_str().is_some_and(|token| !token.is_empty());
                let items = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
                let objects = items.into_iter().map(|item| Object::new(kind.name, shown(kind, item), now)).collect();
                let cut = || format!("there are more than {MOST}, of which only these were looked at: name a namespace or a Cluster");
                return (objects, more.then(cut).and_then(unseen));
            }
            Err(kube::Error::Api(status)) if status.code == 404 => (),
            Err(error) => return (Vec::new(), unseen(error_chain(&error))),
        }
    }
    let missing =
        matches!(kind.of, Of::Cluster).then(|| "the API server does not know them: Cluster API is not installed there".to_owned());
    (Vec::new(), missing.and_then(unseen))
}

/// Files and tokens of a KubeadmConfig are nothing that this command needs to know.
fn shown(kind: &Kind, mut item: Value) -> Value {
    if let (true, Some(fields)) = (kind.name == "KubeadmConfig", item.as_object_mut()) {
        fields.remove("spec");
    }
    item
}

fn path(kind: &Kind, version: &str, args: &Doctor) -> String {
    let namespace = match (kind.of, &args.namespace) {
        (Of::Cluster | Of::Labelled, Some(namespace)) => format!("/namespaces/{namespace}"),
        _ => String::new(),
    };
    let selector = match (kind.of, &args.cluster) {
        (Of::Cluster, Some(name)) => format!("&fieldSelector=metadata.name={name}"),
        (Of::Labelled, Some(name)) => format!("&labelSelector=cluster.x-k8s.io/cluster-name={name}"),
        (Of::Provider, _) => "&labelSelector=cluster.x-k8s.io/provider".to_owned(),
        _ => String::new(),
    };
    format!("/{version}{namespace}/{}?limit={MOST}{selector}", kind.plural)
}

/// What a manager wrote of late. One that cannot be read is left out: what matters is told by conditions, too.
async fn log(client: &Client, pod: &Object, args: &Doctor) -> Option<Log> {
    let query = "container=manager&tailLines=300&sinceSeconds=300&limitBytes=262144";
    let path = format!("/api/v1/namespaces/{}/pods/{}/log?{query}", pod.namespace(), pod.name());
    let request = Request::get(path).body(Vec::new()).ok()?;
    let text = client.request_text(request).await.ok()?;
    let wanted = |line: &&str| args.namespace.as_ref().is_none_or(|namespace| line.contains(namespace.as_str()));
    let lines = text.lines().filter(wanted).map(str::to_owned).collect();
    Some(Log { source: format!("log of {}", pod.called()), lines, first: 1 })
}

async fn get<T: serde::de::DeserializeOwned>(client: &Client, path: &str) -> Result<T, kube::Error> {
    client.request(Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?).await
}

#[cfg(test)]
mod tests;
