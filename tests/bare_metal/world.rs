//! A plane, the pool, and the provider in the test's own process.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use capstead_engine::metrics::Metrics;
use capstead_provider::Clients;
use capstead_provider::Options;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::Config;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use serde_json::Value;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::pool::Host;
use crate::pool::Outside;
use crate::pool::Pool;
use crate::provider;
use crate::support::TestPlane;
use crate::support::within;

const NAMESPACE: &str = "default";
/// Core gives a Machine up for 30 s here and there, so some steps take that long.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct World {
    pub outside: Arc<Outside>,
    plane: TestPlane,
    worker: Mutex<JoinHandle<()>>,
    // Last: what runs on it ends with it.
    runtime: Runtime,
}

impl World {
    /// A plane with these kinds, on which the provider runs.
    pub fn up(pool: Pool, kinds: &[CustomResourceDefinition]) -> Self {
        let plane = TestPlane::new("metal");
        plane.up();
        for kind in kinds {
            plane.apply(&serde_json::to_string(kind).unwrap()).ok();
            let name = format!("crd/{}", kind.metadata.name.as_deref().unwrap());
            plane.kubectl(&["wait", &name, "--for=condition=Established"]).ok();
        }
        let kubeconfig = Kubeconfig::from_yaml(&plane.run(&["kubeconfig"]).ok()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let outside = Arc::new(Outside::new(pool));
        runtime.spawn(provide(kubeconfig, Arc::clone(&outside)));
        let worker = Mutex::new(work(&runtime, &outside));
        Self { outside, plane, worker, runtime }
    }

    /// From now on hosts take on what they are asked for, and get nothing done.
    pub fn hold(&self) {
        self.worker.lock().unwrap().abort();
    }

    pub fn go_on(&self) {
        *self.worker.lock().unwrap() = work(&self.runtime, &self.outside);
    }

    fn apply(&self, version: &str, kind: &str, name: &str, rest: Value) {
        let labels = json!({"cluster.x-k8s.io/cluster-name": "metal"});
        let mut object = rest;
        object["apiVersion"] = json!(version);
        object["kind"] = json!(kind);
        object["metadata"] = json!({"name": name, "namespace": NAMESPACE, "labels": labels});
        self.plane.apply(&object.to_string()).ok();
    }

    /// A Cluster and its MetalCluster.
    pub fn cluster(&self) {
        let endpoint = json!({"host": "127.0.0.1", "port": 6443});
        let reference = json!({"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "MetalCluster", "name": "metal"});
        let infra = json!({"spec": {"controlPlaneEndpoint": endpoint}});
        self.apply("infrastructure.cluster.x-k8s.io/v1alpha1", "MetalCluster", "metal", infra);
        self.apply("cluster.x-k8s.io/v1beta2", "Cluster", "metal", json!({"spec": {"infrastructureRef": reference}}));
    }

    /// A Machine on its own, its MetalMachine and its bootstrap data.
    pub fn machine(&self, name: &str) {
        let reference = json!({"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "MetalMachine", "name": name});
        let spec = json!({"clusterName": "metal", "bootstrap": {"dataSecretName": name}, "infrastructureRef": reference});
        let data = json!({"value": format!("#cloud-config\n# of {name}\n")});
        self.apply("v1", "Secret", name, json!({"type": "cluster.x-k8s.io/secret", "stringData": data}));
        self.apply("infrastructure.cluster.x-k8s.io/v1alpha1", "MetalMachine", name, json!({"spec": {"image": "v1"}}));
        self.apply("cluster.x-k8s.io/v1beta2", "Machine", name, json!({"spec": spec}));
    }

    pub fn patch(&self, kind: &str, name: &str, patch: &Value) {
        self.plane.kubectl(&["-n", NAMESPACE, "patch", kind, name, "--type=merge", "-p", &patch.to_string()]).ok();
    }

    pub fn delete(&self, kind: &str, name: &str) {
        self.plane.kubectl(&["-n", NAMESPACE, "delete", kind, name, "--wait=false"]).ok();
    }

    fn list(&self, kind: &str) -> Vec<Value> {
        let mut list = self.plane.get(&["-n", NAMESPACE, kind]);
        list["items"].as_array_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Waits until all of a kind are so.
    #[track_caller]
    pub fn wait_all(&self, kind: &str, what: &str, so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        within(PATIENCE, &format!("{kind}: {what}"), || {
            let all = self.list(kind);
            if so(&all) { Ok(all) } else { Err(format!("{all:#?}")) }
        })
    }

    /// Waits until the object is so.
    #[track_caller]
    pub fn wait(&self, kind: &str, name: &str, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let is_it = |object: &&Value| object["metadata"]["name"] == name && so(object);
        let all = self.wait_all(kind, &format!("{name}: {what}"), |all| all.iter().any(|object| is_it(&object)));
        all.into_iter().find(|object| is_it(&object)).unwrap()
    }

    /// Waits until there is none of this name.
    #[track_caller]
    pub fn none(&self, kind: &str, name: &str) {
        self.wait_all(kind, &format!("no {name}"), |all| all.iter().all(|object| object["metadata"]["name"] != name));
    }

    /// Waits until core takes the machine's infrastructure for ready; its providerID.
    #[track_caller]
    pub fn infrastructure_ready(&self, name: &str) -> String {
        let machine = self.wait("machine", name, "its infrastructure is ready", |machine| {
            machine["spec"]["providerID"].is_string()
                && machine["status"]["initialization"]["infrastructureProvisioned"] == true
                && says(machine, "InfrastructureReady", "True", "Ready", "")
        });
        machine["spec"]["providerID"].as_str().unwrap().to_owned()
    }

    /// The machine's host, as the pool has it.
    #[track_caller]
    pub fn host_of(&self, name: &str) -> (String, Host) {
        let mut hosts = self.outside.look().0.into_iter();
        hosts.find(|(_, host)| host.owner.as_ref().is_some_and(|owner| owner.name == name)).unwrap()
    }
}

fn work(runtime: &Runtime, outside: &Arc<Outside>) -> JoinHandle<()> {
    let outside = Arc::clone(outside);
    runtime.spawn(async move { outside.work().await })
}

/// All there is to running a provider.
async fn provide(kubeconfig: Kubeconfig, outside: Arc<Outside>) {
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let clients = Clients { objects: Client::try_from(config.clone()).unwrap(), events: Client::try_from(config).unwrap() };
    let options = Options {
        namespace: None,
        watch_filter: String::new(),
        machine_workers: 4,
        cluster_workers: 1,
        sync_period: Duration::from_secs(600),
    };
    let make = |machines, _| provider::runtimes(outside, machines);
    capstead_provider::run(clients, &Metrics::new(), &options, "metal", make).await.unwrap();
}

/// Whether the condition is so, and its message has this.
pub fn says(object: &Value, condition: &str, status: &str, reason: &str, message: &str) -> bool {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let found = conditions.find(|known| known["type"] == condition).unwrap_or(&Value::Null);
    found["status"] == status && found["reason"] == reason && found["message"].as_str().unwrap_or_default().contains(message)
}
