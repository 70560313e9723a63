//! What is applied to change a cluster while it runs: to raise its machines to another version, and to have lost ones replaced.

use serde_json::Value;
use serde_json::json;

/// Why machines cannot be raised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// The template has changed, or its Cluster has a topology, which raises them by itself.
    #[error("the template has no {kind} with a machine template of its own, so there is nothing to raise")]
    NoOwner {
        /// Of the owner.
        kind: String,
    },
}

/// Of the objects that a template gives for the new version, the owners of machines of this kind, and the machine templates that they name: under other
/// names than those of the old version, for a machine template never changes.
///
/// # Errors
/// When there is no such owner with a machine template.
pub fn raised(objects: &[Value], kind: &str, version: &str) -> Result<Vec<Value>, UpgradeError> {
    let mut all: Vec<Value> = Vec::new();
    for owner in objects.iter().filter(|object| object["kind"] == kind) {
        let mut owner = owner.clone();
        let place = if kind == "KubeadmControlPlane" {
            "/spec/machineTemplate/spec/infrastructureRef"
        } else {
            "/spec/template/spec/infrastructureRef"
        };
        let no_owner = || UpgradeError::NoOwner { kind: kind.into() };
        let reference = owner.pointer_mut(place).ok_or_else(no_owner)?;
        let mut template = template(objects, reference).cloned().ok_or_else(no_owner)?;
        let name = format!("{}-{}", reference["name"].as_str().unwrap_or_default(), version.replace('.', "-"));
        reference["name"] = name.as_str().into();
        template["metadata"]["name"] = name.into();
        // Several owners may share one.
        if !all.contains(&template) {
            all.push(template);
        }
        all.push(owner);
    }
    if all.is_empty() { Err(UpgradeError::NoOwner { kind: kind.into() }) } else { Ok(all) }
}

fn template<'a>(objects: &'a [Value], reference: &Value) -> Option<&'a Value> {
    objects.iter().find(|object| object["kind"] == reference["kind"] && object["metadata"]["name"] == reference["name"])
}

/// A MachineHealthCheck for the workers of a cluster: one that says of its infrastructure that it is not ready any more is replaced.
#[must_use]
pub fn health_check(cluster: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "MachineHealthCheck", "metadata": {"name": format!("{cluster}-workers"), "namespace": namespace},
        "spec": {
            "clusterName": cluster,
            "selector": {"matchExpressions": [{"key": "cluster.x-k8s.io/control-plane", "operator": "DoesNotExist"}]},
            // What its host says of a microVM is surer than a Node's silence. One that is being made is not ready either.
            "checks": {"unhealthyMachineConditions": [{"type": "InfrastructureReady", "status": "False", "timeoutSeconds": 60}]},
        },
    })
}

#[cfg(test)]
mod tests;
