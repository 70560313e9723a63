//! A good provider: per role a CRD with a version for each contract, and an object of each version.

use serde_json::{Value, json};

use crate::rules::Role;

fn kind(role: Role) -> &'static str {
    match role {
        Role::InfraCluster => "FooCluster",
        Role::InfraClusterTemplate => "FooClusterTemplate",
        Role::InfraMachine => "FooMachine",
        Role::InfraMachineTemplate => "FooMachineTemplate",
        Role::InfraMachinePool => "FooMachinePool",
        Role::InfraMachinePoolTemplate => "FooMachinePoolTemplate",
    }
}

fn object(properties: Value) -> Value {
    json!({"type": "object", "properties": properties})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn number() -> Value {
    json!({"type": "integer"})
}

fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn map(values: Value) -> Value {
    json!({"type": "object", "additionalProperties": values})
}

fn id() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 512})
}

fn conditions() -> Value {
    json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        "items": object(json!({
            "type": text(), "status": {"type": "string", "enum": ["True", "False", "Unknown"]}, "reason": text(), "message": text(),
            "lastTransitionTime": {"type": "string", "format": "date-time"}, "observedGeneration": number(),
        })),
    })
}

fn old_conditions() -> Value {
    list(object(
        json!({"type": text(), "status": text(), "severity": text(), "reason": text(), "message": text(), "lastTransitionTime": text()}),
    ))
}

fn initialization() -> Value {
    object(json!({"provisioned": flag()}))
}

fn addresses() -> Value {
    list(object(json!({
        "type": {"type": "string", "enum": ["Hostname", "ExternalIP", "InternalIP", "ExternalDNS", "InternalDNS"]},
        "address": text(),
    })))
}

fn template() -> Value {
    object(json!({"template": object(json!({
        "metadata": object(json!({"labels": map(text()), "annotations": map(text())})),
        "spec": object(json!({"size": text()})),
    }))}))
}

/// Schema of spec and status for contract v1beta2, then for v1beta1.
fn schemas(role: Role) -> [(Value, Value); 2] {
    let domain = json!({"controlPlane": flag(), "attributes": map(text())});
    match role {
        Role::InfraCluster => [
            (
                object(json!({"controlPlaneEndpoint": {"type": "object", "minProperties": 1, "properties": {
                    "host": id(), "port": {"type": "integer", "minimum": 1, "maximum": 65535},
                }}})),
                object(json!({
                    "initialization": initialization(),
                    "conditions": conditions(),
                    "failureDomains": {
                        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                        "items": object(json!({"name": text(), "controlPlane": flag(), "attributes": map(text())})),
                    },
                })),
            ),
            (
                object(
                    json!({"controlPlaneEndpoint": {"type": "object", "required": ["host", "port"], "properties": {"host": text(), "port": number()}}}),
                ),
                object(
                    json!({"ready": flag(), "conditions": old_conditions(), "failureDomains": map(object(domain)), "failureReason": text()}),
                ),
            ),
        ],
        Role::InfraMachine => [
            (
                object(json!({"providerID": id()})),
                object(json!({
                    "initialization": initialization(), "conditions": conditions(), "addresses": addresses(), "failureDomain": text(), "interruptible": flag(),
                })),
            ),
            (
                object(json!({"providerID": text(), "failureDomain": text()})),
                object(json!({"ready": flag(), "conditions": old_conditions(), "addresses": addresses()})),
            ),
        ],
        Role::InfraMachinePool => [
            (
                object(json!({"providerID": text(), "providerIDList": list(id())})),
                object(json!({
                    "initialization": initialization(), "ready": flag(), "conditions": conditions(), "replicas": number(),
                    "instances": list(object(json!({}))), "infrastructureMachineKind": text(),
                })),
            ),
            (
                object(json!({"providerIDList": list(text())})),
                object(json!({"ready": flag(), "conditions": old_conditions(), "replicas": number()})),
            ),
        ],
        Role::InfraMachineTemplate => {
            let status = object(json!({
                "capacity": map(json!({"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true})),
                "nodeInfo": object(json!({"architecture": {"type": "string", "enum": ["amd64", "arm64", null]}, "operatingSystem": text()})),
            }));
            [(template(), status.clone()), (template(), status)]
        }
        Role::InfraClusterTemplate | Role::InfraMachinePoolTemplate => [(template(), object(json!({}))), (template(), object(json!({})))],
    }
}

pub fn crd(role: Role) -> Value {
    let kind = kind(role);
    let plural = format!("{}s", kind.to_lowercase());
    let versions: Vec<_> = ["v1", "v1alpha1"]
        .into_iter()
        .zip(schemas(role))
        .map(|(name, (spec, status))| {
            let schema = object(json!({"apiVersion": text(), "kind": text(), "metadata": {"type": "object"}, "spec": spec, "status": status}));
            json!({"name": name, "served": true, "storage": name == "v1", "subresources": {"status": {}}, "schema": {"openAPIV3Schema": schema}})
        })
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.infrastructure.example.com"),
            "labels": {"cluster.x-k8s.io/v1beta2": "v1", "cluster.x-k8s.io/v1beta1": "v1alpha1"},
        },
        "spec": {
            "group": "infrastructure.example.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase()},
            "versions": versions,
        },
    })
}

/// One object per version, `v1` first.
pub fn objects(role: Role) -> Vec<Value> {
    let conditions = json!([
        {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        {"type": "Paused", "status": "False", "reason": "NotPaused", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
    ]);
    let old = json!([{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    let provisioned = json!({"provisioned": true});
    let addresses = json!([{"type": "InternalIP", "address": "10.0.0.9"}]);
    let endpoint = json!({"controlPlaneEndpoint": {"host": "h", "port": 6443}});
    let template = json!({"template": {"spec": {"size": "s"}}});
    let capacity = json!({"capacity": {"cpu": 2, "memory": "4Gi"}});
    let [new, old] = match role {
        Role::InfraCluster => [
            (
                endpoint.clone(),
                json!({"initialization": provisioned, "conditions": conditions, "failureDomains": [{"name": "a", "controlPlane": true}]}),
            ),
            (endpoint, json!({"ready": true, "conditions": old, "failureDomains": {"a": {"controlPlane": true}}})),
        ],
        Role::InfraMachine => [
            (json!({"providerID": "foo://m"}), json!({"initialization": provisioned, "conditions": conditions, "addresses": addresses})),
            (json!({"providerID": "foo://m"}), json!({"ready": true, "conditions": old, "addresses": addresses})),
        ],
        Role::InfraMachinePool => [
            (
                json!({"providerIDList": ["foo://1"]}),
                json!({"initialization": provisioned, "ready": true, "replicas": 1, "conditions": conditions}),
            ),
            (json!({"providerIDList": ["foo://1"]}), json!({"ready": true, "replicas": 1, "conditions": old})),
        ],
        Role::InfraMachineTemplate => [(template.clone(), capacity.clone()), (template, capacity)],
        Role::InfraClusterTemplate | Role::InfraMachinePoolTemplate => [(template.clone(), json!({})), (template, json!({}))],
    };
    let object = |version: &str, (spec, status): (Value, Value)| {
        let annotations = match role {
            Role::InfraCluster => json!({"cluster.x-k8s.io/managed-by": "other"}),
            _ => json!({}),
        };
        json!({
            "apiVersion": format!("infrastructure.example.com/{version}"),
            "kind": kind(role),
            "metadata": {"name": version, "namespace": "ns", "annotations": annotations},
            "spec": spec,
            "status": status,
        })
    };
    vec![object("v1", new), object("v1alpha1", old)]
}
