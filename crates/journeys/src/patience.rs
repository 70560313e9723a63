//! What a cluster on slow machines wants besides: emulated ones on a busy host take minutes for what others do in seconds.

use serde_json::Value;
use serde_json::json;

/// How long kubeadm waits for each thing, in seconds.
const KUBEADM: u64 = 900;
/// Of what only one of the control plane's machines does at a time.
const ALONE: [(&str, &str); 1] = [("leader-elect", "false")];
const SLOW: [(&str, &str); 3] =
    [("leader-elect-lease-duration", "60s"), ("leader-elect-renew-deadline", "45s"), ("leader-elect-retry-period", "10s")];

/// Gives kubeadm time, and takes from the control plane what costs more than it is worth there: large keys, and elections of leaders, which are lost when the
/// machine stands still for a moment. Where it has several machines, if only while they are `rolled`, leaders get time instead.
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
                    let arguments = &mut cluster[part]["extraArgs"];
                    let mut all = arguments.as_array().cloned().unwrap_or_default();
                    all.retain(|argument| leader.iter().all(|(name, _)| argument["name"] != *name));
                    all.extend(leader.iter().map(|(name, value)| json!({"name": name, "value": value})));
                    *arguments = all.into();
                }
            }
            Some("KubeadmConfigTemplate") => object["spec"]["template"]["spec"]["joinConfiguration"]["timeouts"] = timeouts.clone(),
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests;
