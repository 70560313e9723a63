//! What the demo looks at: the cluster's objects on the plane, and the microVMs on the simulated hosts.

use anyhow::Context;
use http::Request;
use kube::Client;
use serde::Deserialize;
use serde_json::Value;

/// Where each kind below the Cluster is served. All carry the label that names their cluster.
const KINDS: [(&str, &str); 7] = [
    ("MicrovmCluster", "infrastructure.cluster.x-k8s.io/v1alpha2/namespaces/default/microvmclusters"),
    ("KubeadmControlPlane", "controlplane.cluster.x-k8s.io/v1beta2/namespaces/default/kubeadmcontrolplanes"),
    ("MachineDeployment", "cluster.x-k8s.io/v1beta2/namespaces/default/machinedeployments"),
    ("MachineSet", "cluster.x-k8s.io/v1beta2/namespaces/default/machinesets"),
    ("Machine", "cluster.x-k8s.io/v1beta2/namespaces/default/machines"),
    ("KubeadmConfig", "bootstrap.cluster.x-k8s.io/v1beta2/namespaces/default/kubeadmconfigs"),
    ("MicrovmMachine", "infrastructure.cluster.x-k8s.io/v1alpha2/namespaces/default/microvmmachines"),
];

/// Everything there is to see, at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// The Cluster and what belongs to it, each with its kind.
    pub objects: Vec<Value>,
    /// The microVMs of all hosts.
    pub microvms: Vec<MicroVm>,
}

/// A microVM as the simulator tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MicroVm {
    /// The host's number, from 1.
    pub host: usize,
    /// What the host names it by.
    pub uid: String,
    /// Its MicrovmMachine.
    pub name: String,
    /// `CREATED` is running.
    pub state: String,
}

/// Whom to ask.
pub struct World {
    /// The plane.
    pub plane: Client,
    /// The simulator.
    pub lab: Client,
    /// The Cluster's name.
    pub cluster: String,
}

impl World {
    /// Looks once.
    pub async fn look(&self) -> anyhow::Result<Look> {
        let mut objects = Vec::new();
        objects.extend(self.cluster().await?);
        for (kind, path) in KINDS {
            let path = format!("/apis/{path}?labelSelector=cluster.x-k8s.io/cluster-name={}", self.cluster);
            let list: Value = get(&self.plane, &path).await.with_context(|| format!("cannot list objects of the kind {kind}"))?;
            let items = list["items"].as_array().into_iter().flatten().cloned();
            objects.extend(items.map(|mut object| {
                // Items of a list do not say what they are.
                object["kind"] = kind.into();
                object
            }));
        }
        let microvms = get(&self.lab, "/microvms").await.context("the simulated hosts do not say which microVMs they have")?;
        Ok(Look { objects, microvms })
    }

    async fn cluster(&self) -> anyhow::Result<Option<Value>> {
        match get::<Value>(&self.plane, &self.path()).await {
            Ok(cluster) => Ok(Some(cluster)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error).context("cannot read the Cluster"),
        }
    }

    /// Asks for the Cluster's end.
    pub async fn delete_cluster(&self) -> anyhow::Result<()> {
        let request = Request::delete(self.path()).body(Vec::new())?;
        match self.plane.request::<Value>(request).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            done => done.map(drop).context("cannot delete the Cluster of an earlier run"),
        }
    }

    fn path(&self) -> String {
        format!("/apis/cluster.x-k8s.io/v1beta2/namespaces/default/clusters/{}", self.cluster)
    }
}

async fn get<T: serde::de::DeserializeOwned>(client: &Client, path: &str) -> Result<T, kube::Error> {
    client.request(Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?).await
}
