//! What a cluster on slow machines wants besides: emulated ones on a busy host take minutes for what others do in seconds.

use serde_json::Value;
use serde_json::json;

/// How long kubeadm waits for each thing, in seconds.
const KUBEADM: u64 = 900;
/// Of what only one of the control plane's machines does at a time.
const ALONE: [(&str, &str); 1] = [("leader-elect", "false")];
/// In milliseconds. With etcd's own 100 and 1000 two emulated members elect for ever.
const ETCD: [(&str, &str); 2] = [("heartbeat-interval", "1000"), ("election-timeout", "10000")];
const SLOW: [(&str, &str); 3] =
    [("leader-elect-lease-duration", "60s"), ("leader-elect-renew-deadline", "45s"), ("leader-elect-retry-period", "10s")];
/// Where kubeadm finds what is changed in the control plane's static pods.
const PATCHES: &str = "/etc/kubernetes/patches";
/// The static pods, the share of CPU each asks for, and whether it is asked if it is ready: every second, by a new connection. kubeadm asks more CPU for the
/// API server than for etcd, and gives up joining when one answer of etcd's takes 2 s.
const PODS: [(&str, &str, bool); 4] = [
    ("etcd", "600m", true),
    ("kube-apiserver", "250m", true),
    ("kube-controller-manager", "200m", false),
    ("kube-scheduler", "100m", true),
];
/// How often they are asked instead, in seconds, as they are asked if they live.
const ASK: u64 = 10;
/// How often each may fail to say that it lives before it is started anew: that costs more than it mends.
const SILENT: u64 = KUBEADM / ASK;

/// How much a program's memory grows before Go looks for what is not used any more, in percent of what is. Each look stops all the program's threads.
const GROWTH: &str = "400";
/// The services that get a setting each for it.
const SERVICES: [&str; 2] = ["containerd", "kubelet"];
/// So that they have it. kubeadm starts the kubelet.
const RELOAD: &str = "systemctl daemon-reload && systemctl restart containerd";

/// Gives kubeadm and the kubelet time, and takes from the control plane what costs more than it is worth there: large keys, and elections of leaders, which are
/// lost when the machine stands still for a moment. Where it has several machines, if only while they are `rolled`, leaders get time instead, those of etcd as well.
pub fn give(objects: &mut [Value], rolled: bool) {
    let timeouts: Value = [
        "controlPlaneComponentHealthCheckSeconds",
        "kubeletHealthCheckSeconds",
        "kubernetesAPICallSeconds",
        "etcdAPICallSeconds",
        "tlsBootstrapSeconds",
        "discoverySeconds",
    ]
    .into_iter()
    .map(|name| (name.to_owned(), Value::from(KUBEADM)))
    .collect();
    for object in objects {
        match object["kind"].as_str() {
            Some("KubeadmControlPlane") => {
                let alone = object["spec"]["replicas"].as_u64() == Some(1) && !rolled;
                let leader: &[(&str, &str)] = if alone { &ALONE } else { &SLOW };
                let kubeadm = &mut object["spec"]["kubeadmConfigSpec"];
                kubeadm["initConfiguration"]["timeouts"] = timeouts.clone();
                kubeadm["joinConfiguration"]["timeouts"] = timeouts.clone();
                for begun in ["initConfiguration", "joinConfiguration"] {
                    kubeadm[begun]["patches"]["directory"] = PATCHES.into();
                }
                put(&mut kubeadm["files"], "path", PODS.map(patch));
                services(kubeadm);
                let cluster = &mut kubeadm["clusterConfiguration"];
                cluster["encryptionAlgorithm"] = "ECDSA-P256".into();
                for part in ["controllerManager", "scheduler"] {
                    tell(&mut cluster[part]["extraArgs"], leader);
                }
                if !alone {
                    tell(&mut cluster["etcd"]["local"]["extraArgs"], &ETCD);
                }
            }
            Some("KubeadmConfigTemplate") => {
                let kubeadm = &mut object["spec"]["template"]["spec"];
                kubeadm["joinConfiguration"]["timeouts"] = timeouts.clone();
                services(kubeadm);
            }
            _ => (),
        }
    }
}

fn tell(arguments: &mut Value, told: &[(&str, &str)]) {
    put(arguments, "name", told.iter().map(|(name, value)| json!({"name": name, "value": value})));
}

/// The file by which kubeadm changes one static pod.
fn patch((name, cpu, readiness): (&str, &str, bool)) -> Value {
    let mut container = json!({
        "name": name, "livenessProbe": {"failureThreshold": SILENT}, "resources": {"requests": {"cpu": cpu}},
        "env": [{"name": "GOGC", "value": GROWTH}],
    });
    if readiness {
        container["readinessProbe"] = json!({"periodSeconds": ASK});
    }
    file(&format!("{PATCHES}/{name}+strategic.json"), &json!({"spec": {"containers": [container]}}).to_string())
}

/// The file by which systemd changes a service.
fn setting(service: &str) -> Value {
    file(&format!("/etc/systemd/system/{service}.service.d/slow.conf"), &format!("[Service]\nEnvironment=GOGC={GROWTH}\n"))
}

fn file(path: &str, content: &str) -> Value {
    json!({"path": path, "owner": "root:root", "permissions": "0600", "content": content})
}

/// What every machine gets, of a control plane or not.
fn services(kubeadm: &mut Value) {
    put(&mut kubeadm["files"], "path", SERVICES.map(setting));
    let commands = kubeadm["preKubeadmCommands"].as_array().cloned().unwrap_or_default();
    kubeadm["preKubeadmCommands"] =
        std::iter::once(RELOAD.into()).chain(commands.into_iter().filter(|command| command != RELOAD)).collect();
}

/// Puts items among others, in the place of those that have the same `key`.
fn put(items: &mut Value, key: &str, more: impl IntoIterator<Item = Value>) {
    let mut all = items.as_array().cloned().unwrap_or_default();
    for item in more {
        all.retain(|other| other[key] != item[key]);
        all.push(item);
    }
    *items = all.into();
}

#[cfg(test)]
mod tests;
