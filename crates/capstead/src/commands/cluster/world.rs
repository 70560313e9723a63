//! Whom to ask about a cluster: the management cluster's API server, and the flintlock hosts.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use capstead_engine::error_chain;
use capstead_flintlock::Client as HostClient;
use capstead_flintlock::Limits;
use capstead_flintlock::Listed;
use capstead_flintlock::types::micro_vm_status::MicroVmState;
use capstead_journeys::Look;
use capstead_journeys::look::Host;
use capstead_journeys::look::MicroVm;
use futures::future::join_all;
use http::Request;
use kube::Client;
use serde_json::Value;

/// For a question to the API server or the hosts that is not answered.
pub const ANSWER: Duration = Duration::from_secs(5);
/// A host that is silent must not keep the others' answers back.
const HOSTS: Limits =
    Limits { connect: Duration::from_secs(2), call: Duration::from_secs(4), list: Duration::from_secs(4), answer: 64 << 20 };

/// Group and plural of each kind below the Cluster. All carry the label that names their cluster.
const KINDS: [(&str, &str, &str); 7] = [
    ("MicrovmCluster", INFRASTRUCTURE, "microvmclusters"),
    ("KubeadmControlPlane", "controlplane.cluster.x-k8s.io", "kubeadmcontrolplanes"),
    ("MachineDeployment", "cluster.x-k8s.io", "machinedeployments"),
    ("MachineSet", "cluster.x-k8s.io", "machinesets"),
    ("Machine", "cluster.x-k8s.io", "machines"),
    ("KubeadmConfig", "bootstrap.cluster.x-k8s.io", "kubeadmconfigs"),
    ("MicrovmMachine", INFRASTRUCTURE, "microvmmachines"),
];
const INFRASTRUCTURE: &str = "infrastructure.cluster.x-k8s.io";

/// A cluster, and whom to ask about it.
pub struct World {
    /// The management cluster.
    pub plane: Client,
    /// The Cluster's name.
    pub cluster: String,
    /// Its namespace, on the management cluster and on hosts.
    pub namespace: String,
    /// The version in which the provider's kinds are read.
    version: String,
    hosts: Vec<(String, HostClient)>,
}

impl World {
    /// Nobody is asked yet.
    pub fn new(plane: Client, cluster: &str, namespace: &str, version: &str, hosts: &[String]) -> anyhow::Result<Self> {
        let hosts = hosts.iter().map(|host| {
            let client = HostClient::new(host, HOSTS).with_context(|| format!("{host} is no address of a host"))?;
            Ok((host.clone(), client))
        });
        let hosts = hosts.collect::<anyhow::Result<_>>()?;
        Ok(Self { plane, cluster: cluster.into(), namespace: namespace.into(), version: version.into(), hosts })
    }

    /// Looks once.
    pub async fn look(&self) -> anyhow::Result<Look> {
        let (objects, hosts) = tokio::join!(self.objects(), self.hosts());
        Ok(Look { objects: objects?, hosts })
    }

    async fn objects(&self) -> anyhow::Result<Vec<Value>> {
        let mut objects = Vec::new();
        objects.extend(self.cluster().await?);
        for (kind, group, plural) in KINDS {
            let version = if group == INFRASTRUCTURE { self.version.as_str() } else { "v1beta2" };
            let path = format!(
                "/apis/{group}/{version}/namespaces/{}/{plural}?labelSelector=cluster.x-k8s.io/cluster-name={}",
                self.namespace, self.cluster
            );
            let list: Value = get(&self.plane, &path).await.with_context(|| format!("cannot list objects of the kind {kind}"))?;
            let items = list["items"].as_array().into_iter().flatten().cloned();
            objects.extend(items.map(|mut object| {
                // Items of a list do not say what they are.
                object["kind"] = kind.into();
                object["apiVersion"] = format!("{group}/{version}").into();
                object
            }));
        }
        Ok(objects)
    }

    /// What each host lists. One that does not answer takes nothing from the others.
    async fn hosts(&self) -> Vec<Host> {
        let namespaces = &BTreeSet::from([self.namespace.clone()]);
        let one = |(address, client): &(String, HostClient)| {
            let (address, client) = (address.clone(), client.clone());
            async move {
                let listed = client.list(namespaces).await.map_err(|error| error_chain(&error));
                Host { address, microvms: listed.map(|listed| listed.into_iter().map(shown).collect()) }
            }
        };
        join_all(self.hosts.iter().map(one)).await
    }

    async fn cluster(&self) -> anyhow::Result<Option<Value>> {
        optional(get::<Value>(&self.plane, &self.path()).await).context("cannot read the Cluster")
    }

    /// Whether the namespace is there, and not about to go.
    pub async fn has_namespace(&self) -> anyhow::Result<bool> {
        let found = optional(get::<Value>(&self.plane, &format!("/api/v1/namespaces/{}", self.namespace)).await);
        let found = found.context("cannot read the namespace")?;
        Ok(found.is_some_and(|namespace| namespace["metadata"]["deletionTimestamp"].is_null()))
    }

    /// Asks for the Cluster's end.
    pub async fn delete_cluster(&self) -> anyhow::Result<()> {
        self.delete(&self.path()).await.context("cannot delete the Cluster")
    }

    /// Asks for the namespace's end.
    pub async fn delete_namespace(&self) -> anyhow::Result<()> {
        self.delete(&format!("/api/v1/namespaces/{}", self.namespace)).await.context("cannot delete the namespace")
    }

    /// Has the host that knows the microVM remove it, as an operator may.
    pub async fn remove_microvm(&self, uid: &str) -> anyhow::Result<()> {
        for (address, client) in &self.hosts {
            let known = client.list(&BTreeSet::from([self.namespace.clone()])).await.with_context(|| format!("host {address}"))?;
            if known.iter().any(|microvm| microvm.uid == uid) {
                client.delete(uid).await.with_context(|| format!("host {address}"))?;
                return Ok(());
            }
        }
        anyhow::bail!("no host has the microVM {uid}")
    }

    async fn delete(&self, path: &str) -> anyhow::Result<()> {
        let request = Request::delete(path).body(Vec::new())?;
        Ok(optional(self.plane.request::<Value>(request).await).map(drop)?)
    }

    fn path(&self) -> String {
        format!("/apis/cluster.x-k8s.io/v1beta2/namespaces/{}/clusters/{}", self.namespace, self.cluster)
    }
}

fn shown(microvm: Listed) -> MicroVm {
    let state = MicroVmState::try_from(microvm.status.state).map_or("-", |state| state.as_str_name());
    MicroVm { uid: microvm.uid, name: microvm.name, state: state.to_owned() }
}

/// What is not there is no failure.
fn optional<T>(answer: Result<T, kube::Error>) -> Result<Option<T>, kube::Error> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads what is there.
pub async fn get<T: serde::de::DeserializeOwned>(client: &Client, path: &str) -> Result<T, kube::Error> {
    client.request(Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?).await
}
