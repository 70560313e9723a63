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

/// Gives kubeadm time, and takes from the control plane what costs more than it is worth there: large keys, and elections of leaders, which are lost when the
/// machine stands still for a moment. Where it has several machines, if only while they are `rolled`, leaders get time instead, those of etcd as well.
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
                let cluster = &mut kubeadm["clusterConfiguration"];
                cluster["encryptionAlgorithm"] = "ECDSA-P256".into();
                for part in ["controllerManager", "scheduler"] {
                    tell(&mut cluster[part]["extraArgs"], leader);
                }
                if !alone {
                    tell(&mut cluster["etcd"]["local"]["extraArgs"], &ETCD);
                }
            }
            Some("KubeadmConfigTemplate") => object["spec"]["template"]["spec"]["joinConfiguration"]["timeouts"] = timeouts.clone(),
            _ => (),
        }
    }
}

/// Puts arguments among others, in the place of those of the same names.
fn tell(arguments: &mut Value, told: &[(&str, &str)]) {
    let mut all = arguments.as_array().cloned().unwrap_or_default();
    all.retain(|argument| told.iter().all(|(name, _)| argument["name"] != *name));
    all.extend(told.iter().map(|(name, value)| json!({"name": name, "value": value})));
    *arguments = all.into();
}

#[cfg(test)]
mod tests;
