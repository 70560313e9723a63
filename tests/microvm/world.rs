//! A plane with the provider, a client of its API server, and simulated hosts.

use std::collections::BTreeMap;
use std::io::Read;
use std::io::Write;
use std::time::Duration;
use std::time::Instant;

use capstead_flintlock::types::MicroVm;
use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Settings;
use capstead_lab::flintlock::Simulator;
use kube::Api;
use kube::Client;
use kube::Config;
use kube::api::ApiResource;
use kube::api::DeleteParams;
use kube::api::DynamicObject;
use kube::api::GroupVersionKind;
use kube::api::ListParams;
use kube::api::Patch;
use kube::api::PatchParams;
use kube::api::PostParams;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::TestPlane;
use crate::support::within;

/// The component of the plane that is the provider.
pub const MANAGER: &str = "capstead-microvm";

/// apiVersion and kind.
#[derive(Clone, Copy, Debug)]
pub struct Kind(pub &'static str, pub &'static str);

pub const SECRET: Kind = Kind("v1", "Secret");
pub const EVENT: Kind = Kind("events.k8s.io/v1", "Event");
pub const CLUSTER: Kind = Kind("cluster.x-k8s.io/v1beta2", "Cluster");
pub const MACHINE: Kind = Kind("cluster.x-k8s.io/v1beta2", "Machine");
pub const MICROVM_CLUSTER: Kind = Kind("infrastructure.cluster.x-k8s.io/v1alpha2", "MicrovmCluster");
pub const LOAD_BALANCER: Kind = Kind("infrastructure.cluster.x-k8s.io/v1alpha2", "ExternalLoadBalancer");
pub const MICROVM_MACHINE: Kind = Kind("infrastructure.cluster.x-k8s.io/v1alpha2", "MicrovmMachine");

/// Core gives a Machine up for 30 s here and there, so some steps take that long.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct World {
    pub plane: TestPlane,
    client: Client,
    runtime: Runtime,
}

impl World {
    /// A plane of its own.
    pub fn up(name: &str) -> Self {
        Self::of(TestPlane::new(name), &["--provider", "microvm"])
    }

    /// This plane, brought up with these words.
    pub fn of(plane: TestPlane, words: &[&str]) -> Self {
        plane.run(&[&["up", "--detach"], words].concat()).ok();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let kubeconfig = Kubeconfig::from_yaml(&plane.run(&["kubeconfig"]).ok()).unwrap();
        let client = runtime.block_on(async {
            let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
            Client::try_from(config).unwrap()
        });
        Self { plane, client, runtime }
    }

    /// Hosts that live as long as the value.
    pub fn simulator(&self, options: Options) -> Simulator {
        self.simulator_of(|| options)
    }

    /// The same with options that need a runtime.
    pub fn simulator_of(&self, options: impl FnOnce() -> Options) -> Simulator {
        self.inside(|| Simulator::start(options()).unwrap())
    }

    /// Does something that needs a runtime.
    pub fn inside<T>(&self, action: impl FnOnce() -> T) -> T {
        let _inside = self.runtime.enter();
        action()
    }

    /// A host stops listening.
    pub fn take_down(&self, simulator: &Simulator) {
        self.runtime.block_on(async {
            for host in simulator.hosts() {
                host.down().await;
            }
        });
    }

    /// It listens again.
    pub fn bring_back(&self, simulator: &Simulator) {
        self.inside(|| simulator.hosts().iter().for_each(|host| host.up().unwrap()));
    }

    fn api(&self, Kind(version, kind): Kind, namespace: &str) -> Api<DynamicObject> {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        if namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        }
    }

    /// The object; null if there is none.
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Value {
        let found = self.runtime.block_on(self.api(kind, namespace).get_opt(name)).unwrap();
        found.map_or(Value::Null, |object| serde_json::to_value(object).unwrap())
    }

    /// All of a namespace.
    pub fn list(&self, kind: Kind, namespace: &str) -> Vec<Value> {
        let found = self.runtime.block_on(self.api(kind, namespace).list(&ListParams::default())).unwrap();
        found.items.into_iter().map(|object| serde_json::to_value(object).unwrap()).collect()
    }

    /// Makes an object, or says why not.
    pub fn try_create(&self, object: &Value) -> Result<(), String> {
        let text = |field: &Value| field.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let object = serde_json::from_value(object.clone()).unwrap();
        match self.runtime.block_on(api.create(&PostParams::default(), &object)) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[track_caller]
    pub fn create(&self, object: &Value) {
        self.try_create(object).unwrap_or_else(|error| panic!("{error}\n{object:#}"));
    }

    /// A merge patch.
    #[track_caller]
    pub fn merge(&self, kind: Kind, namespace: &str, name: &str, patch: &Value) {
        let patched = self.runtime.block_on(self.api(kind, namespace).patch(name, &PatchParams::default(), &Patch::Merge(patch)));
        patched.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Asks for its deletion.
    #[track_caller]
    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) {
        let deleted = self.runtime.block_on(self.api(kind, namespace).delete(name, &DeleteParams::default()));
        deleted.map(drop).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Waits until the object is so; null stands for none.
    #[track_caller]
    pub fn wait(&self, what: &str, kind: Kind, namespace: &str, name: &str, so: impl Fn(&Value) -> bool) -> Value {
        within(PATIENCE, &format!("{namespace}/{name}: {what}"), || {
            let object = self.get(kind, namespace, name);
            if so(&object) { Ok(object) } else { Err(format!("{object:#}")) }
        })
    }

    /// How often each event was told of an object, by reason.
    pub fn events(&self, namespace: &str, name: &str) -> BTreeMap<String, u64> {
        let mut told = BTreeMap::new();
        for event in self.list(EVENT, namespace).iter().filter(|event| event["regarding"]["name"] == name) {
            let count = event["series"]["count"].as_u64().unwrap_or(1);
            *told.entry(event["reason"].as_str().unwrap_or_default().to_owned()).or_default() += count;
        }
        told
    }

    /// What the provider counts.
    pub fn metrics(&self) -> Metrics {
        let (port, _) = self.plane.ports()[&format!("{MANAGER}/diagnostics")].clone();
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: manager\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Metrics(answer)
    }
}

/// Metrics in the text form of Prometheus.
pub struct Metrics(pub String);

impl Metrics {
    /// The sum of a metric over all label sets that contain each of these texts.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let of = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let (set, value) = rest.rsplit_once(' ')?;
            let is_it = (set.is_empty() || set.starts_with('{')) && labels.iter().all(|label| set.contains(label));
            is_it.then(|| value.parse::<f64>().ok()).flatten()
        };
        self.0.lines().filter_map(of).fold(0.0, |sum, value| sum + value)
    }
}

/// Quick hosts.
pub fn quick() -> Settings {
    let millis = Duration::from_millis;
    Settings { boot_delay: millis(200), delete_delay: millis(200), ..Settings::default() }
}

/// All microVMs of all hosts, as clients see them.
pub fn microvms(simulator: &Simulator) -> Vec<(String, MicroVm)> {
    let of = |host: &std::sync::Arc<capstead_lab::flintlock::SimulatedHost>| {
        let address = host.address().to_string();
        host.microvms().into_iter().map(move |microvm| (address.clone(), microvm)).collect::<Vec<_>>()
    };
    simulator.hosts().iter().flat_map(of).collect()
}

/// What hosts count.
pub fn counted(simulator: &Simulator) -> Metrics {
    Metrics(simulator.metrics().unwrap())
}

pub fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

/// Status, reason and message of a condition.
pub fn told<'a>(object: &'a Value, kind: &str) -> (&'a str, &'a str, &'a str) {
    let condition = condition(object, kind);
    let text = |field: &str| condition[field].as_str().unwrap_or_default();
    (text("status"), text("reason"), text("message"))
}

/// Whether Ready is so, and its message has all of this.
pub fn says(object: &Value, status: &str, reason: &str, message: &[&str]) -> bool {
    let ready = told(object, "Ready");
    (ready.0, ready.1) == (status, reason) && message.iter().all(|part| ready.2.contains(part))
}

/// Whether the machine is all there, as the contract tells it.
pub fn is_ready(machine: &Value) -> bool {
    says(machine, "True", "Ready", &[])
        && machine["status"]["initialization"]["provisioned"] == true
        && machine["spec"]["providerID"].is_string()
}

pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Looks until `so` has been true for this long without a break.
#[track_caller]
pub fn settles(what: &str, deadline: Duration, long: Duration, mut so: impl FnMut() -> Result<(), String>) {
    let mut since = None;
    within(deadline, what, || {
        if let Err(seen) = so() {
            since = None;
            return Err(seen);
        }
        let since = *since.get_or_insert_with(Instant::now);
        if since.elapsed() >= long { Ok(()) } else { Err(format!("it is so, but not for {long:?} yet")) }
    });
}

/// It is so for all of this time.
#[track_caller]
pub fn stays(long: Duration, mut so: impl FnMut() -> Result<(), String>) {
    settles("it stays so", long * 2, long, || so().map_err(|seen| panic!("it did not stay so: {seen}")));
}
