//! The machines: made, watched, deleted.

use std::collections::HashMap;
use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;
use std::time::Instant;

use futures::StreamExt;
use futures::TryStreamExt;
use futures::stream;
use kube::Api;
use kube::Client;
use kube::Config;
use kube::ResourceExt;
use kube::api::DeleteParams;
use kube::api::DynamicObject;
use kube::api::PostParams;
use kube::core::ApiResource;
use kube::core::GroupVersionKind;
use kube::runtime::watcher;
use kube::runtime::watcher::Event;
use serde_json::Value;
use serde_json::json;

use crate::Outcome;
use crate::measure::Times;

const NAMESPACE: &str = "default";
const CORE: &str = "cluster.x-k8s.io/v1beta2";
const INFRASTRUCTURE: &str = "infrastructure.cluster.x-k8s.io/v1alpha2";
/// Requests at once.
const AT_ONCE: usize = 16;
/// Longer than anything should take.
const PATIENCE: Duration = Duration::from_secs(600);

pub struct Fleet {
    client: Client,
    count: usize,
}

impl Fleet {
    /// A cluster whose infrastructure is provisioned.
    pub async fn begin(kubeconfig: &str, hosts: &[String], count: usize) -> Outcome<Self> {
        let kubeconfig = kube::config::Kubeconfig::from_yaml(kubeconfig)?;
        let client = Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await?)?;
        let fleet = Self { client, count };
        let hosts: Vec<Value> = hosts.iter().map(|host| json!({"endpoint": host, "controlplaneAllowed": true})).collect();
        fleet
            .create(
                INFRASTRUCTURE,
                "MicrovmCluster",
                "bench",
                json!({
                    "controlPlaneEndpoint": {"host": "127.0.0.1", "port": 6443},
                    "placement": {"staticPool": {"hosts": hosts}},
                }),
            )
            .await?;
        let reference = json!({"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "MicrovmCluster", "name": "bench"});
        fleet.create(CORE, "Cluster", "bench", json!({"infrastructureRef": reference})).await?;
        let clusters = fleet.api(CORE, "Cluster");
        let mut events = pin!(watcher(clusters, watcher::Config::default()));
        let provisioned = async {
            while let Some(event) = events.try_next().await? {
                if let Event::Apply(object) | Event::InitApply(object) = event
                    && object.data["status"]["initialization"]["infrastructureProvisioned"] == true
                {
                    break;
                }
            }
            Ok::<_, watcher::Error>(())
        };
        tokio::time::timeout(PATIENCE, provisioned).await??;
        Ok(fleet)
    }

    fn api(&self, version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), NAMESPACE, &resource)
    }

    async fn create(&self, version: &str, kind: &str, name: &str, spec: Value) -> Outcome<()> {
        let labels = json!({"cluster.x-k8s.io/cluster-name": "bench"});
        let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": labels}, "spec": spec});
        self.api(version, kind).create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(())
    }

    async fn one(&self, n: usize) -> Outcome<()> {
        let name = format!("machine-{n}");
        let data = "#cloud-config\n".to_owned() + &"# as large as a worker's kubeadm data usually is\n".repeat(160);
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "cluster.x-k8s.io/secret", "stringData": {"value": data},
        });
        self.api("v1", "Secret").create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        self.create(
            INFRASTRUCTURE,
            "MicrovmMachine",
            &name,
            json!({
                "vcpu": 2, "memoryMb": 2048,
                "rootVolume": {"id": "root", "image": "example.com/node:v1.36.3"},
                "kernel": {"image": "example.com/kernel:6.1", "filename": "boot/vmlinux"},
                "networkInterfaces": [{"guestDeviceName": "eth1", "type": "tap"}],
            }),
        )
        .await?;
        let reference = json!({"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "MicrovmMachine", "name": name});
        self.create(
            CORE,
            "Machine",
            &name,
            json!({
                "clusterName": "bench", "bootstrap": {"dataSecretName": name}, "infrastructureRef": reference,
            }),
        )
        .await
    }

    /// Makes all machines, and waits until the last is provisioned.
    pub async fn make(&self) -> Outcome<Times> {
        let start = Instant::now();
        let making = stream::iter(0..self.count).map(|n| self.one(n)).buffer_unordered(AT_ONCE).try_for_each(|()| async { Ok(()) });
        let (made, times) = tokio::join!(making, tokio::time::timeout(PATIENCE, self.provisioned(start)));
        made?;
        times?
    }

    async fn provisioned(&self, start: Instant) -> Outcome<Times> {
        let mut events = pin!(watcher(self.api(INFRASTRUCTURE, "MicrovmMachine"), watcher::Config::default()));
        let (mut owned, mut provisioned, mut last_owned) = (HashSet::new(), HashMap::new(), start);
        while let Some(event) = events.try_next().await? {
            let (Event::Apply(machine) | Event::InitApply(machine)) = event else { continue };
            if machine.owner_references().iter().any(|owner| owner.kind == "Machine") && owned.insert(machine.name_any()) {
                last_owned = Instant::now();
            }
            if machine.data["status"]["initialization"]["provisioned"] == true && machine.data["spec"]["providerID"].is_string() {
                provisioned.entry(machine.name_any()).or_insert_with(Instant::now);
                if provisioned.len() == self.count {
                    break;
                }
            }
        }
        Ok(Times { all: start.elapsed(), lag: Some(last_owned.elapsed()), ended: provisioned })
    }

    /// Deletes all machines, and waits until the last is gone.
    pub async fn delete(&self) -> Outcome<Times> {
        let machines = self.api(CORE, "Machine");
        let start = Instant::now();
        let gone = async {
            let mut events = pin!(watcher(self.api(INFRASTRUCTURE, "MicrovmMachine"), watcher::Config::default()));
            let mut gone = HashMap::new();
            while gone.len() < self.count {
                match events.try_next().await? {
                    Some(Event::Delete(machine)) => drop(gone.insert(machine.name_any(), Instant::now())),
                    Some(_) => (),
                    None => break,
                }
            }
            Ok::<_, watcher::Error>(gone)
        };
        let deleting = stream::iter(0..self.count)
            .map(|n| {
                let machines = machines.clone();
                async move { machines.delete(&format!("machine-{n}"), &DeleteParams::default()).await.map(|_| ()) }
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(|()| async { Ok(()) });
        // The watch must have seen them all before the first goes.
        let (gone, deleted) = tokio::join!(tokio::time::timeout(PATIENCE, gone), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            deleting.await
        });
        deleted?;
        let ended = gone??;
        Ok(Times { all: start.elapsed().saturating_sub(Duration::from_secs(1)), lag: None, ended })
    }
}
