//! A namespace with a Cluster and stand-alone Machines: bootstrap data given, no control plane.

use capstead_lab::flintlock::Simulator;
use serde_json::Value;
use serde_json::json;

use crate::support::within;
use crate::world::CLUSTER;
use crate::world::Kind;
use crate::world::MACHINE;
use crate::world::MICROVM_CLUSTER;
use crate::world::MICROVM_MACHINE;
use crate::world::PATIENCE;
use crate::world::World;
use crate::world::is_ready;
use crate::world::says;

/// The name of every team's cluster.
pub const ONE: &str = "one";

#[derive(Clone, Copy)]
pub struct Team<'a> {
    pub world: &'a World,
    pub namespace: &'a str,
}

impl<'a> Team<'a> {
    /// An empty namespace.
    pub fn new(world: &'a World, namespace: &'a str) -> Self {
        world.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
        Self { world, namespace }
    }

    /// A namespace with a cluster whose infrastructure is there.
    pub fn with_cluster(world: &'a World, namespace: &'a str, simulator: &Simulator) -> Self {
        let team = Self::new(world, namespace);
        team.microvm_cluster(&simulator.addresses());
        team.cluster();
        team.wait(CLUSTER, ONE, "its infrastructure is there", |cluster| {
            cluster["status"]["initialization"]["infrastructureProvisioned"] == true
        });
        team
    }

    pub fn object(&self, Kind(version, kind): Kind, name: &str, spec: &Value) -> Value {
        let labels = json!({"cluster.x-k8s.io/cluster-name": ONE});
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": self.namespace, "labels": labels}, "spec": spec})
    }

    pub fn microvm_cluster(&self, hosts: &[String]) {
        let hosts: Vec<Value> = hosts.iter().map(|host| json!({"endpoint": host, "controlplaneAllowed": true})).collect();
        let endpoint = json!({"host": "127.0.0.1", "port": 6443});
        let spec = json!({"controlPlaneEndpoint": endpoint, "placement": {"staticPool": {"hosts": hosts}}});
        self.world.create(&self.object(MICROVM_CLUSTER, ONE, &spec));
    }

    pub fn cluster(&self) {
        let reference = json!({"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "MicrovmCluster", "name": ONE});
        self.world.create(&self.object(CLUSTER, ONE, &json!({"infrastructureRef": reference})));
    }

    /// A Secret, a MicrovmMachine and a Machine of this name.
    pub fn machine(&self, name: &str) {
        self.secret(name, &json!({"value": format!("#cloud-config\n# of {name}\n")}));
        self.without_secret(name);
    }

    pub fn secret(&self, name: &str, data: &Value) {
        self.world.create(&self.secret_object(name, data));
    }

    pub fn secret_object(&self, name: &str, data: &Value) -> Value {
        let metadata = json!({"name": name, "namespace": self.namespace});
        json!({"apiVersion": "v1", "kind": "Secret", "type": "cluster.x-k8s.io/secret", "metadata": metadata, "stringData": data})
    }

    pub fn without_secret(&self, name: &str) {
        self.world.create(&self.microvm_machine(name));
        self.world.create(&self.core_machine(name));
    }

    pub fn microvm_machine(&self, name: &str) -> Value {
        let spec = json!({
            "vcpu": 2,
            "memoryMb": 2048,
            "rootVolume": {"id": "root", "image": "example.com/node:v1.36.3"},
            "kernel": {"image": "example.com/kernel:6.1", "filename": "boot/vmlinux"},
            "networkInterfaces": [{"guestDeviceName": "eth1", "type": "tap"}],
        });
        self.object(MICROVM_MACHINE, name, &spec)
    }

    pub fn core_machine(&self, name: &str) -> Value {
        let reference = json!({"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "MicrovmMachine", "name": name});
        let spec = json!({"clusterName": ONE, "bootstrap": {"dataSecretName": name}, "infrastructureRef": reference});
        self.object(MACHINE, name, &spec)
    }

    #[track_caller]
    pub fn wait(&self, kind: Kind, name: &str, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        self.world.wait(what, kind, self.namespace, name, so)
    }

    /// Waits until the machine says why it is not ready; each part is in the message.
    #[track_caller]
    pub fn waits(&self, name: &str, reason: &str, message: &[&str]) -> Value {
        let what = format!("Ready is False, {reason}, with {message:?}");
        self.wait(MICROVM_MACHINE, name, &what, |machine| says(machine, "False", reason, message))
    }

    /// Waits until the machine is all there, for its infrastructure provider and for core.
    #[track_caller]
    pub fn ready(&self, name: &str) -> Value {
        let machine = self.wait(MICROVM_MACHINE, name, "ready", is_ready);
        self.wait(MACHINE, name, "core takes the infrastructure for ready", |core| {
            core["spec"]["providerID"] == machine["spec"]["providerID"]
                && core["status"]["initialization"]["infrastructureProvisioned"] == true
        });
        machine
    }

    /// Waits until nothing of these kinds is left in the namespace.
    #[track_caller]
    pub fn empty(&self, kinds: &[Kind]) {
        within(PATIENCE, &format!("nothing is left in {}", self.namespace), || {
            let left: Vec<Value> = kinds.iter().flat_map(|kind| self.world.list(*kind, self.namespace)).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:#?}")) }
        });
    }

    /// Deletes the cluster and with it all of its machines.
    #[track_caller]
    pub fn clear(&self) {
        self.world.delete(CLUSTER, self.namespace, ONE);
        self.empty(&[CLUSTER, MACHINE, MICROVM_CLUSTER, MICROVM_MACHINE]);
    }
}
