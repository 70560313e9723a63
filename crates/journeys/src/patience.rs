//! What a cluster on slow machines wants besides: emulated ones on a busy host take minutes for what others do in seconds.

use serde_json::Value;
use serde_json::json;

/// How long kubeadm waits for each thing, in seconds.
const KUBEADM: u64 = 900;

/// Gives kubeadm time, and takes from the control plane what only several machines need, or what costs more than it is worth there: elections of leaders,
/// which are lost when the machine stands still for a moment, and large keys.
pub fn give(objects: &mut [Value]) {
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
                let alone = object["spec"]["replicas"].as_u64() == Some(1);
                let kubeadm = &mut object["spec"]["kubeadmConfigSpec"];
                kubeadm["initConfiguration"]["timeouts"] = timeouts.clone();
                kubeadm["joinConfiguration"]["timeouts"] = timeouts.clone();
                let cluster = &mut kubeadm["clusterConfiguration"];
                cluster["encryptionAlgorithm"] = "ECDSA-P256".into();
                if alone {
                    for part in ["controllerManager", "scheduler"] {
                        let arguments = &mut cluster[part]["extraArgs"];
                        let mut all = arguments.as_array().cloned().unwrap_or_default();
                        all.retain(|argument| argument["name"] != "leader-elect");
                        all.push(json!({"name": "leader-elect", "value": "false"}));
                        *arguments = all.into();
                    }
                }
            }
            Some("KubeadmConfigTemplate") => object["spec"]["template"]["spec"]["joinConfiguration"]["timeouts"] = timeouts.clone(),
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests;
