use std::fmt::Debug;

use kube::Resource;
use kube::core::NamespaceResourceScope;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::condition::kind;

/// One full object per kind: every field a view types, in the shape core writes.
fn samples() -> Vec<Value> {
    let condition = json!({"type": "Ready", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 2});
    let reference = json!({"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "FooMachine", "name": "m"});
    let versioned = json!({"apiVersion": "g/v1", "kind": "FooTemplate", "name": "t"});
    let machine = json!({
        "clusterName": "c",
        "bootstrap": {"configRef": &reference, "dataSecretName": "s"},
        "infrastructureRef": &reference,
        "version": "v1.36.3",
        "providerID": "foo://m",
        "failureDomain": "a",
        "deletion": {"nodeDrainTimeoutSeconds": 1, "nodeVolumeDetachTimeoutSeconds": 2, "nodeDeletionTimeoutSeconds": 3},
        "taints": [{"key": "k", "value": "v", "effect": "NoSchedule", "propagation": "Always"}],
    });
    let replicas = json!({"conditions": [&condition], "replicas": 3, "readyReplicas": 2, "availableReplicas": 1, "upToDateReplicas": 3});
    let object = |kind: &str, group: &str, spec: Value, status: Value| {
        json!({
            "apiVersion": format!("{group}/v1beta2"),
            "kind": kind,
            "metadata": {"name": "n", "namespace": "ns", "labels": {"a": "b"}},
            "spec": spec,
            "status": status,
        })
    };
    let core = |kind: &str, spec: Value, status: Value| object(kind, "cluster.x-k8s.io", spec, status);
    let ipam = |kind: &str, spec: Value, status: Value| object(kind, "ipam.cluster.x-k8s.io", spec, status);
    vec![
        core(
            "Cluster",
            json!({
                "paused": true,
                "clusterNetwork": {"apiServerPort": 6443, "services": {"cidrBlocks": ["10.0.0.0/16"]}, "pods": {"cidrBlocks": ["10.1.0.0/16"]}},
                "controlPlaneEndpoint": {"host": "h", "port": 6443},
                "controlPlaneRef": &reference,
                "infrastructureRef": &reference,
                "topology": {"classRef": {"name": "cc", "namespace": "x"}, "version": "v1.36.3", "variables": [{"name": "v", "value": {"deep": [1]}}]},
            }),
            json!({
                "conditions": [&condition],
                "initialization": {"infrastructureProvisioned": true, "controlPlaneInitialized": false},
                "failureDomains": [{"name": "a", "controlPlane": true, "attributes": {"k": "v"}}, {"name": "b"}],
                "phase": "Provisioned",
            }),
        ),
        core(
            "Machine",
            machine.clone(),
            json!({
                "conditions": [&condition],
                "initialization": {"infrastructureProvisioned": true, "bootstrapDataSecretCreated": true},
                "nodeRef": {"name": "node"},
                "addresses": [{"type": "InternalIP", "address": "10.0.0.9"}],
                "failureDomain": "a",
                "phase": "Running",
            }),
        ),
        core(
            "MachineSet",
            json!({"clusterName": "c", "replicas": 3, "template": {"metadata": {"labels": {"a": "b"}}, "spec": &machine}}),
            replicas.clone(),
        ),
        core(
            "MachineDeployment",
            json!({"clusterName": "c", "replicas": 3, "paused": false, "template": {"spec": &machine}}),
            replicas.clone(),
        ),
        core(
            "MachinePool",
            json!({"clusterName": "c", "replicas": 3, "template": {"spec": &machine}, "providerIDList": ["foo://1"], "failureDomains": ["a"]}),
            json!({"conditions": [&condition], "replicas": 3, "initialization": {"infrastructureProvisioned": true}}),
        ),
        core(
            "MachineHealthCheck",
            json!({"clusterName": "c", "selector": {"matchLabels": {"a": "b"}}, "remediation": {"templateRef": &versioned, "triggerIf": {"unhealthyInRange": "[1-2]"}}}),
            json!({"expectedMachines": 1}),
        ),
        core(
            "ClusterClass",
            json!({
                "infrastructure": {"templateRef": &versioned},
                "controlPlane": {"templateRef": &versioned, "machineInfrastructure": {"templateRef": &versioned}},
                "workers": {
                    "machineDeployments": [{"class": "w", "bootstrap": {"templateRef": &versioned}, "infrastructure": {"templateRef": &versioned}}],
                    "machinePools": [{"class": "p", "bootstrap": {"templateRef": &versioned}, "infrastructure": {"templateRef": &versioned}}],
                },
                "patches": [{"name": "p"}],
            }),
            json!({"variables": [{"name": "v"}]}),
        ),
        ipam(
            "IPAddressClaim",
            json!({"clusterName": "c", "poolRef": &reference}),
            json!({"conditions": [&condition], "addressRef": {"name": "a"}}),
        ),
        ipam(
            "IPAddress",
            json!({"claimRef": {"name": "c"}, "poolRef": &reference, "address": "10.0.0.9", "prefix": 24, "gateway": "10.0.0.1"}),
            json!({}),
        ),
    ]
}

fn through<T: Serialize + DeserializeOwned>(value: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(value.clone()).unwrap()).unwrap()
}

fn through_view(value: &Value) -> Value {
    match value["kind"].as_str().unwrap() {
        "Cluster" => through::<Cluster>(value),
        "Machine" => through::<Machine>(value),
        "MachineSet" => through::<MachineSet>(value),
        "MachineDeployment" => through::<MachineDeployment>(value),
        "MachinePool" => through::<MachinePool>(value),
        "MachineHealthCheck" => through::<MachineHealthCheck>(value),
        "ClusterClass" => through::<ClusterClass>(value),
        "IPAddressClaim" => through::<IpAddressClaim>(value),
        "IPAddress" => through::<IpAddress>(value),
        other => panic!("no view of {other}"),
    }
}

/// Absent and empty count as the same, so both sides lose nulls and empty lists and objects before they are compared.
fn pruned(value: &Value) -> Value {
    let empty = |value: &Value| {
        value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty)
    };
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), pruned(value))).filter(|(_, value)| !empty(value)).collect()
        }
        Value::Array(items) => items.iter().map(pruned).collect(),
        other => other.clone(),
    }
}

/// Places fields no view knows into the object and into every object below spec and status that is not of a closed Kubernetes shape.
fn sprinkle(value: &mut Value, extra: &Value, at: &str) {
    const CLOSED: [&str; 8] =
        ["conditions", "failureDomains", "addresses", "controlPlaneEndpoint", "selector", "metadata", "labels", "attributes"];
    if CLOSED.contains(&at) {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                sprinkle(value, extra, name);
            }
            fields.insert("xUnknown".into(), extra.clone());
        }
        Value::Array(items) => items.iter_mut().for_each(|item| sprinkle(item, extra, at)),
        _ => {}
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from), "[a-z]{0,4}".prop_map(Value::from),];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,3}", inner, 0..3).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Drops each field of spec and status with the given choice, to reach objects with any subset of optional fields.
fn thin(value: &mut Value, keep: &mut impl Iterator<Item = bool>) {
    const REQUIRED: [&str; 15] = [
        "spec",
        "clusterName",
        "bootstrap",
        "infrastructureRef",
        "template",
        "selector",
        "infrastructure",
        "controlPlane",
        "classRef",
        "version",
        "templateRef",
        "poolRef",
        "claimRef",
        "address",
        "class",
    ];
    if let Value::Object(fields) = value {
        fields.retain(|name, _| REQUIRED.contains(&name.as_str()) || keep.next().unwrap_or(true));
    }
}

proptest! {
    #[test]
    fn reading_and_writing_loses_nothing(extra in any_json(), keep in proptest::collection::vec(any::<bool>(), 16)) {
        for mut object in samples() {
            let mut keep = keep.iter().copied().cycle();
            thin(&mut object["spec"], &mut keep);
            thin(&mut object["status"], &mut keep);
            sprinkle(&mut object, &extra, "");
            prop_assert_eq!(pruned(&through_view(&object)), pruned(&object));
        }
    }
}

#[test]
fn every_sample_is_read_whole() {
    for object in samples() {
        assert_eq!(pruned(&through_view(&object)), pruned(&object));
    }
}

#[test]
fn typed_fields_are_typed() {
    let all = samples();
    let cluster: Cluster = serde_json::from_value(all[0].clone()).unwrap();
    assert!(cluster.infrastructure_provisioned() && !cluster.control_plane_initialized());
    assert_eq!(cluster.spec.control_plane_endpoint.to_string(), "h:6443");
    assert_eq!(cluster.spec.topology.unwrap().class_ref.name, "cc");
    let status = cluster.status.unwrap();
    assert!(status.conditions.is_true(kind::READY));
    assert_eq!(status.failure_domains.iter().count(), 2);
    let machine: Machine = serde_json::from_value(all[1].clone()).unwrap();
    assert_eq!(machine.spec.bootstrap.data_secret_name.as_deref(), Some("s"));
    assert_eq!(machine.spec.provider_id.unwrap().to_string(), "foo://m");
    assert!(machine.spec.infrastructure_ref.is_kind("infrastructure.cluster.x-k8s.io", "FooMachine"));
    let pool: MachinePool = serde_json::from_value(all[4].clone()).unwrap();
    let status = pool.status.unwrap();
    assert_eq!(status.replicas.replicas, Some(3));
    assert!(status.replicas.conditions.is_true(kind::READY));
}

#[test]
fn another_version_or_kind_is_refused() {
    let mut object = samples().remove(0);
    object["apiVersion"] = "cluster.x-k8s.io/v1beta1".into();
    let error = serde_json::from_value::<Cluster>(object.clone()).unwrap_err();
    assert_eq!(error.to_string(), "apiVersion is cluster.x-k8s.io/v1beta1, not cluster.x-k8s.io/v1beta2");
    object["apiVersion"] = "cluster.x-k8s.io/v1beta2".into();
    object["kind"] = "Machine".into();
    let error = serde_json::from_value::<Cluster>(object.clone()).unwrap_err();
    assert_eq!(error.to_string(), "kind is Machine, not Cluster");
    // A list's items may come without both; writing names them.
    let fields = object.as_object_mut().unwrap();
    fields.remove("apiVersion");
    fields.remove("kind");
    let written = through::<Cluster>(&object);
    assert_eq!(written["kind"], "Cluster");
    assert_eq!(written["apiVersion"], "cluster.x-k8s.io/v1beta2");
}

/// Bound as `kube::Api` and its watchers bind a kind.
fn path<K>() -> String
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
{
    K::url_path(&(), Some("ns"))
}

#[test]
fn kinds_are_found_where_core_serves_them() {
    assert_eq!(path::<Cluster>(), "/apis/cluster.x-k8s.io/v1beta2/namespaces/ns/clusters");
    assert_eq!(path::<IpAddress>(), "/apis/ipam.cluster.x-k8s.io/v1beta2/namespaces/ns/ipaddresses");
    // The plural names follow the rule of the contract.
    for (kind, path) in [
        ("Machine", path::<Machine>()),
        ("MachineSet", path::<MachineSet>()),
        ("MachineDeployment", path::<MachineDeployment>()),
        ("MachinePool", path::<MachinePool>()),
        ("MachineHealthCheck", path::<MachineHealthCheck>()),
        ("ClusterClass", path::<ClusterClass>()),
        ("IPAddressClaim", path::<IpAddressClaim>()),
        ("IPAddress", path::<IpAddress>()),
    ] {
        let plural = crate::plural::pluralize(&kind.to_lowercase());
        assert!(path.ends_with(&format!("/{plural}")), "{path} {plural}");
    }
}
