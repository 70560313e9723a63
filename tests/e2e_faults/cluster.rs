//! Clusters like the one that came up, but for one fault.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::place::Place;
use crate::support::within;

/// What deleting a cluster may take.
const GONE: Duration = Duration::from_secs(300);
/// Of one control plane machine.
const KINDS: [&str; 4] = ["Cluster", "MicrovmCluster", "KubeadmControlPlane", "MicrovmMachineTemplate"];

/// One that is not made yet. Its namespace has its name.
pub struct Cluster {
    name: String,
    objects: Vec<Value>,
}

/// One that is made.
pub struct Made {
    pub namespace: String,
    pub name: String,
}

impl Cluster {
    /// A control plane of one machine, and nothing else.
    pub fn new(place: &Place, name: &str) -> Self {
        let mut objects = place.objects(name);
        let own = |object: &Value| !object["metadata"]["name"].as_str().unwrap().ends_with("-md-0");
        objects.retain(|object| KINDS.contains(&object["kind"].as_str().unwrap()) && own(object));
        Self { name: name.to_owned(), objects }
    }

    fn of(&mut self, kind: &str) -> &mut Value {
        &mut self.objects.iter_mut().find(|object| object["kind"] == kind).unwrap()["spec"]
    }

    fn machine(&mut self) -> &mut Value {
        &mut self.of("MicrovmMachineTemplate")["template"]["spec"]
    }

    pub fn root_image(mut self, image: &str) -> Self {
        self.machine()["rootVolume"]["image"] = image.into();
        self
    }

    pub fn kernel_file(mut self, file: &str) -> Self {
        self.machine()["kernel"]["filename"] = file.into();
        self
    }

    pub fn hosts(mut self, hosts: &Value) -> Self {
        self.of("MicrovmCluster")["placement"]["staticPool"]["hosts"] = hosts.clone();
        self
    }

    /// The control plane's address, in each place that names it.
    pub fn vip(mut self, vip: &str) -> Self {
        let old = self.of("MicrovmCluster")["controlPlaneEndpoint"]["host"].as_str().unwrap().to_owned();
        let text = serde_json::to_string(&self.objects).unwrap().replace(&old, vip);
        self.objects = serde_json::from_str(&text).unwrap();
        self
    }

    /// A command that the guest runs before all else.
    pub fn before_kubeadm(mut self, command: &str) -> Self {
        let commands = self.of("KubeadmControlPlane")["kubeadmConfigSpec"]["preKubeadmCommands"].as_array_mut().unwrap();
        commands.insert(0, command.into());
        self
    }

    pub fn apply(mut self, place: &Place) -> Made {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}});
        self.objects.insert(0, namespace);
        place.plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": self.objects}).to_string()).ok();
        Made { namespace: self.name.clone(), name: self.name }
    }

    /// Instead of a control plane, a machine with these bootstrap data.
    pub fn apply_with_data(mut self, place: &Place, data: &str) -> Made {
        let (name, spec) = (self.name.clone(), self.machine().clone());
        self.of("Cluster").as_object_mut().unwrap().remove("controlPlaneRef");
        self.objects.retain(|object| ["Cluster", "MicrovmCluster"].contains(&object["kind"].as_str().unwrap()));
        let version = self.objects.iter().find(|object| object["kind"] == "MicrovmCluster").unwrap()["apiVersion"].clone();
        let group = version.as_str().unwrap().split('/').next().unwrap().to_owned();
        let metadata = json!({"name": name, "namespace": name, "labels": {"cluster.x-k8s.io/cluster-name": name}});
        self.objects.push(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "cluster.x-k8s.io/secret", "metadata": metadata, "stringData": {"value": data},
        }));
        self.objects.push(json!({"apiVersion": version, "kind": "MicrovmMachine", "metadata": metadata, "spec": spec}));
        self.objects.push(json!({
            "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Machine", "metadata": metadata,
            "spec": {
                "clusterName": name,
                "bootstrap": {"dataSecretName": name},
                "infrastructureRef": {"apiGroup": group, "kind": "MicrovmMachine", "name": name},
            },
        }));
        self.apply(place)
    }
}

impl Made {
    /// Its first machine, once there is one.
    pub fn machine(&self, place: &Place) -> Result<String, String> {
        let machines = place.list(&self.namespace, "machines");
        // Of several, the control plane's.
        let control_plane = |machine: &&Value| machine["metadata"]["labels"]["cluster.x-k8s.io/control-plane"].is_string();
        let machine = machines.iter().find(control_plane).or(machines.first()).ok_or("there is no machine yet")?;
        Ok(machine["metadata"]["name"].as_str().unwrap().to_owned())
    }

    /// Runs a command in its first machine, whose node is up.
    pub fn run(&self, place: &Place, command: &str) {
        let name = self.machine(place).unwrap();
        let machine = place.plane.get(&["machine", &name, "-n", &self.namespace]);
        let node = place.node(self, machine["status"]["nodeRef"]["name"].as_str().unwrap());
        let addresses = node["status"]["addresses"].as_array().unwrap();
        let address = addresses.iter().find(|address| address["type"] == "InternalIP").unwrap();
        place.ssh(address["address"].as_str().unwrap(), command);
    }

    /// With all that it has on hosts.
    pub fn delete(&self, place: &Place) {
        place.plane.kubectl(&["delete", "cluster", &self.name, "-n", &self.namespace, "--wait=false"]).ok();
        within(GONE, &format!("the cluster {} is gone", self.name), || {
            let left = [place.list(&self.namespace, "clusters"), place.list(&self.namespace, "microvmmachines")].concat();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:#?}")) }
        });
    }
}
