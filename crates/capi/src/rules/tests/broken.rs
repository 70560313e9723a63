//! Broken providers, each by one edit of the good one.

use serde_json::{Value, json};

use crate::rules::Role::{
    self, InfraCluster, InfraClusterTemplate, InfraMachine, InfraMachinePool, InfraMachinePoolTemplate, InfraMachineTemplate,
};

pub struct Case {
    pub rule: &'static str,
    pub role: Role,
    pub edit: Edit,
    /// Where the rule must find it.
    pub at: &'static str,
}

/// Sets the value at a JSON pointer; null removes it.
#[derive(Debug)]
pub enum Edit {
    /// In the CRD.
    Crd(String, Value),
    /// In the object of this index.
    Object(usize, &'static str, Value),
}

impl Case {
    pub fn apply(&self, crd: &mut Value, objects: &mut [Value]) {
        match &self.edit {
            Edit::Crd(pointer, value) => put(crd, pointer, value),
            Edit::Object(index, pointer, value) => put(&mut objects[*index], pointer, value),
        }
    }
}

fn put(root: &mut Value, pointer: &str, value: &Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = root.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {parent}"));
    let key = key.replace("~1", "/");
    match (parent, value) {
        (Value::Array(items), value) => items[key.parse::<usize>().unwrap()] = value.clone(),
        (parent, Value::Null) => drop(parent.as_object_mut().unwrap().remove(&key).unwrap_or_else(|| panic!("nothing at {pointer}"))),
        (parent, value) => drop(parent.as_object_mut().unwrap().insert(key, value.clone())),
    }
}

/// The JSON pointer of a schema: `name[]` goes into a list's items, `name{}` into a map's values, a last `!keyword` names a keyword of it.
fn schema(version: usize, path: &str) -> String {
    let (path, keyword) = path.split_once('!').map_or((path, None), |(path, keyword)| (path, Some(keyword)));
    let mut pointer = format!("/spec/versions/{version}/schema/openAPIV3Schema");
    for name in path.split('.').filter(|name| !name.is_empty()) {
        let (name, below) = match (name.strip_suffix("[]"), name.strip_suffix("{}")) {
            (Some(name), _) => (name, "/items"),
            (_, Some(name)) => (name, "/additionalProperties"),
            _ => (name, ""),
        };
        pointer += &format!("/properties/{name}{below}");
    }
    keyword.map_or(pointer.clone(), |keyword| format!("{pointer}/{keyword}"))
}

fn crd(rule: &'static str, role: Role, pointer: &str, value: Value, at: &'static str) -> Case {
    Case { rule, role, edit: Edit::Crd(pointer.into(), value), at }
}

/// An edit of the schema for contract v1beta2.
fn new(rule: &'static str, role: Role, path: &str, value: Value, at: &'static str) -> Case {
    crd(rule, role, &schema(0, path), value, at)
}

/// An edit of the schema for contract v1beta1.
fn old(rule: &'static str, role: Role, path: &str, value: Value, at: &'static str) -> Case {
    crd(rule, role, &schema(1, path), value, at)
}

/// An edit of an object: 0 is of the version for contract v1beta2, 1 of that for v1beta1.
fn object(rule: &'static str, role: Role, index: usize, pointer: &'static str, value: Value, at: &'static str) -> Case {
    Case { rule, role, edit: Edit::Object(index, pointer, value), at }
}

pub fn cases() -> Vec<Case> {
    [common(), status(), cluster(), machine(), pool(), template()].into_iter().flatten().collect()
}

const V1BETA2: &str = "/metadata/labels/cluster.x-k8s.io~1v1beta2";
const V1BETA1: &str = "/metadata/labels/cluster.x-k8s.io~1v1beta1";
const LABEL2: &str = "metadata.labels[cluster.x-k8s.io/v1beta2]";
const LABEL1: &str = "metadata.labels[cluster.x-k8s.io/v1beta1]";

fn common() -> Vec<Case> {
    let mut cases = vec![
        crd("crd.name", InfraMachine, "/metadata/name", json!("foomachine.infrastructure.example.com"), "metadata.name"),
        crd("crd.name", InfraCluster, "/spec/names/plural", json!("fooclusterz"), "spec.names.plural"),
        crd("crd.name", InfraCluster, "/spec/names/kind", json!("FooProxy"), "metadata.name"),
        crd("crd.name", InfraCluster, "/spec/group", Value::Null, "spec"),
        crd("crd.list-kind", InfraMachine, "/spec/names/listKind", json!("FooMachines"), "spec.names.listKind"),
        new("crd.object-meta", InfraMachine, "metadata!type", json!("string"), "v1: metadata"),
        old("crd.object-meta", InfraMachineTemplate, "kind!type", json!("integer"), "v1alpha1: kind"),
        crd("crd.contract-label", InfraCluster, "/metadata/labels", json!({"cluster.x-k8s.io/v1alpha4": "v1"}), "metadata.labels"),
        crd("crd.contract-label", InfraCluster, "/metadata/labels", json!({"cluster.x-k8s.io/v1beta2": ""}), "metadata.labels"),
        crd("crd.contract-label-v1beta2", InfraMachinePool, V1BETA2, Value::Null, "metadata.labels"),
        crd("crd.contract-label-syntax", InfraMachine, V1BETA2, json!("v1,v1alpha1"), LABEL2),
        crd("crd.contract-label-syntax", InfraMachine, V1BETA2, json!("v1__v1alpha1"), LABEL2),
        crd("crd.contract-label-syntax", InfraMachine, V1BETA1, json!("v1alpha1_v1alpha1"), LABEL1),
        crd("crd.contract-label-syntax", InfraMachine, V1BETA1, json!(["v1alpha1"; 8].join("_")), LABEL1),
        crd("crd.contract-label-versions", InfraMachine, V1BETA2, json!("v1_v2"), LABEL2),
        crd("crd.contract-label-versions", InfraMachine, "/spec/versions/1/served", json!(false), LABEL1),
        crd("crd.status-subresource", InfraMachine, "/spec/versions/0/subresources", json!({}), "v1: status"),
        crd("crd.status-subresource", InfraCluster, "/spec/versions/1/subresources", Value::Null, "v1alpha1: status"),
    ];
    for role in Role::ALL {
        cases.push(crd("crd.scope", role, "/spec/scope", json!("Cluster"), "spec.scope"));
    }
    cases
}

fn status() -> Vec<Case> {
    let mut cases = Vec::new();
    for role in [InfraCluster, InfraMachine, InfraMachinePool] {
        let provisioned = "v1: status.initialization.provisioned";
        let conditions = "v1: status.conditions";
        cases.extend([
            new("status.initialization", role, "status.initialization", Value::Null, provisioned),
            new("status.initialization", role, "status.initialization.provisioned!type", json!("string"), provisioned),
            old("status.ready", role, "status.ready", Value::Null, "v1alpha1: status.ready"),
            old("status.ready", role, "status.ready!type", json!("string"), "v1alpha1: status.ready"),
            new("status.conditions", role, "status.conditions", Value::Null, conditions),
            new("status.conditions", role, "status.conditions!type", json!("object"), conditions),
            new("status.conditions", role, "status.conditions[].type", Value::Null, "v1: status.conditions[].type"),
            new("status.conditions", role, "status.conditions[].status!enum", json!(["Yes"]), "v1: status.conditions[].status"),
            new("status.conditions", role, "status.conditions[].status!type", json!("boolean"), "v1: status.conditions[].status"),
            old("status.conditions", role, "status.conditions[].reason!type", json!("integer"), "v1alpha1: status.conditions[].reason"),
            new("status.conditions-keys", role, "status.conditions!x-kubernetes-list-type", Value::Null, conditions),
            new("status.conditions-keys", role, "status.conditions!x-kubernetes-list-map-keys", json!(["reason"]), conditions),
            object("status.conditions-values", role, 0, "/status/conditions/1/status", json!("no"), "v1: status.conditions[1].status"),
            object("status.conditions-values", role, 1, "/status/conditions/0/type", Value::Null, "v1alpha1: status.conditions[0].type"),
            object("status.ready-condition", role, 0, "/status/conditions/0/type", json!("Other"), "v1: status.conditions"),
            object("status.paused-condition", role, 0, "/status/conditions/1/type", json!("Other"), "v1: status.conditions[Paused]"),
            object("status.paused-condition", role, 0, "/status/conditions/1/reason", json!("Paused"), "v1: status.conditions[Paused]"),
            object("status.paused-condition", role, 0, "/status/conditions/1/status", json!("True"), "v1: status.conditions[Paused]"),
            object("status.paused-condition", role, 0, "/status/conditions/1/status", json!("Unknown"), "v1: status.conditions[Paused]"),
            object(
                "status.paused-condition",
                role,
                0,
                "/metadata/annotations",
                json!({"cluster.x-k8s.io/paused": ""}),
                "v1: status.conditions[Paused]",
            ),
            new("status.terminal-failures", role, "status.failureReason", json!({"type": "string"}), "v1: status.failureReason"),
            new("status.terminal-failures", role, "status.failureMessage", json!({"type": "string"}), "v1: status.failureMessage"),
        ]);
    }
    cases
}

fn cluster() -> Vec<Case> {
    const EP: &str = "v1: spec.controlPlaneEndpoint";
    const HOST: &str = "v1: spec.controlPlaneEndpoint.host";
    const PORT: &str = "v1: spec.controlPlaneEndpoint.port";
    const FD: &str = "v1: status.failureDomains";
    let c = InfraCluster;
    vec![
        new("infra-cluster.endpoint", c, "spec.controlPlaneEndpoint!type", json!("string"), EP),
        new("infra-cluster.endpoint", c, "spec.controlPlaneEndpoint.host", Value::Null, HOST),
        old(
            "infra-cluster.endpoint",
            c,
            "spec.controlPlaneEndpoint.port!type",
            json!("string"),
            "v1alpha1: spec.controlPlaneEndpoint.port",
        ),
        new("infra-cluster.endpoint-optional", c, "spec.controlPlaneEndpoint!required", json!(["port"]), EP),
        new("infra-cluster.endpoint-optional", c, "spec.controlPlaneEndpoint!minProperties", Value::Null, EP),
        new("infra-cluster.endpoint-optional", c, "spec.controlPlaneEndpoint.host!maxLength", json!(513), HOST),
        new("infra-cluster.endpoint-optional", c, "spec.controlPlaneEndpoint.host!minLength", json!(0), HOST),
        new("infra-cluster.endpoint-optional", c, "spec.controlPlaneEndpoint.port!maximum", json!(65536), PORT),
        new("infra-cluster.endpoint-optional", c, "spec.controlPlaneEndpoint.port!minimum", json!(0), PORT),
        object("infra-cluster.endpoint-values", c, 0, "/spec/controlPlaneEndpoint/port", Value::Null, EP),
        object("infra-cluster.endpoint-values", c, 0, "/spec/controlPlaneEndpoint/host", json!(""), EP),
        object(
            "infra-cluster.endpoint-values",
            c,
            1,
            "/spec/controlPlaneEndpoint/port",
            json!(70_000),
            "v1alpha1: spec.controlPlaneEndpoint",
        ),
        new("infra-cluster.failure-domains", c, "status.failureDomains!type", json!("object"), FD),
        new("infra-cluster.failure-domains", c, "status.failureDomains[].name", Value::Null, "v1: status.failureDomains[].name"),
        new(
            "infra-cluster.failure-domains",
            c,
            "status.failureDomains[].controlPlane!type",
            json!("string"),
            "v1: status.failureDomains[].controlPlane",
        ),
        new(
            "infra-cluster.failure-domains",
            c,
            "status.failureDomains[].attributes{}!type",
            json!("integer"),
            "v1: status.failureDomains[].attributes{}",
        ),
        new("infra-cluster.failure-domains-keys", c, "status.failureDomains!x-kubernetes-list-type", json!("atomic"), FD),
        old("infra-cluster.failure-domains-v1beta1", c, "status.failureDomains!type", json!("array"), "v1alpha1: status.failureDomains"),
        old(
            "infra-cluster.failure-domains-v1beta1",
            c,
            "status.failureDomains{}!type",
            json!("boolean"),
            "v1alpha1: status.failureDomains{}",
        ),
        object("infra-cluster.failure-domains-values", c, 0, "/status/failureDomains", json!({"a": {}}), FD),
        object("infra-cluster.failure-domains-values", c, 0, "/status/failureDomains", json!([{"name": "a"}, {"name": "a"}]), FD),
        object("infra-cluster.failure-domains-values", c, 0, "/status/failureDomains/0/name", json!(""), FD),
        object("infra-cluster.failure-domains-values", c, 1, "/status/failureDomains", json!([]), "v1alpha1: status.failureDomains"),
        object(
            "infra-cluster.failure-domains-values",
            c,
            0,
            "/status/failureDomains",
            (0..101).map(|n| json!({"name": n.to_string()})).collect(),
            FD,
        ),
        object(
            "infra-cluster.managed-by",
            c,
            0,
            "/metadata",
            json!({"name": "v1", "labels": {"cluster.x-k8s.io/managed-by": "other"}}),
            "v1: metadata.labels",
        ),
    ]
}

fn machine() -> Vec<Case> {
    const ID: &str = "v1: spec.providerID";
    let m = InfraMachine;
    vec![
        new("infra-machine.provider-id", m, "spec.providerID", Value::Null, ID),
        new("infra-machine.provider-id", m, "spec.providerID!type", json!("object"), ID),
        old("infra-machine.provider-id", m, "spec!required", json!(["providerID"]), "v1alpha1: spec"),
        new("infra-machine.provider-id-limits", m, "spec.providerID!maxLength", json!(513), ID),
        new("infra-machine.provider-id-limits", m, "spec.providerID!minLength", Value::Null, ID),
        object("infra-machine.provider-id-values", m, 0, "/spec/providerID", Value::Null, ID),
        object("infra-machine.provider-id-values", m, 0, "/spec/providerID", json!("x".repeat(513)), ID),
        object("infra-machine.provider-id-values", m, 1, "/spec/providerID", json!(""), "v1alpha1: spec.providerID"),
        new("infra-machine.failure-domain", m, "status.failureDomain!type", json!("array"), "v1: status.failureDomain"),
        old("infra-machine.failure-domain-v1beta1", m, "spec.failureDomain!type", json!("array"), "v1alpha1: spec.failureDomain"),
        new("infra-machine.no-failure-domain-in-spec", m, "spec.failureDomain", json!({"type": "string"}), "v1: spec.failureDomain"),
        new("infra-machine.addresses", m, "status.addresses!type", json!("object"), "v1: status.addresses"),
        new("infra-machine.addresses", m, "status.addresses[].address", Value::Null, "v1: status.addresses[].address"),
        old("infra-machine.addresses", m, "status.addresses[].type!enum", json!(["NodeIP"]), "v1alpha1: status.addresses[].type"),
        object("infra-machine.addresses-values", m, 0, "/status/addresses/0/type", json!("NodeIP"), "v1: status.addresses[0].type"),
        object("infra-machine.addresses-values", m, 1, "/status/addresses/0/address", json!(""), "v1alpha1: status.addresses[0].address"),
        new("infra-machine.interruptible", m, "status.interruptible!type", json!("string"), "v1: status.interruptible"),
    ]
}

fn pool() -> Vec<Case> {
    const IDS: &str = "v1: spec.providerIDList";
    let p = InfraMachinePool;
    vec![
        new("infra-machine-pool.provider-id-list", p, "spec.providerIDList", Value::Null, IDS),
        new("infra-machine-pool.provider-id-list", p, "spec.providerIDList[]!type", json!("integer"), "v1: spec.providerIDList[]"),
        old("infra-machine-pool.provider-id-list", p, "spec!required", json!(["providerIDList"]), "v1alpha1: spec"),
        object("infra-machine-pool.provider-id-list-values", p, 0, "/spec/providerIDList", json!([]), IDS),
        object("infra-machine-pool.provider-id-list-values", p, 1, "/spec/providerIDList", Value::Null, "v1alpha1: spec.providerIDList"),
        object("infra-machine-pool.provider-id-list-values", p, 0, "/spec/providerIDList/0", json!(""), "v1: spec.providerIDList[0]"),
        new("infra-machine-pool.replicas", p, "status.replicas", Value::Null, "v1: status.replicas"),
        old("infra-machine-pool.replicas", p, "status.replicas!type", json!("string"), "v1alpha1: status.replicas"),
        new("infra-machine-pool.ready", p, "status.ready", Value::Null, "v1: status.ready"),
        object("infra-machine-pool.ready-values", p, 0, "/status/ready", json!(false), "v1: status.ready"),
        object("infra-machine-pool.ready-values", p, 0, "/status/ready", Value::Null, "v1: status.ready"),
        new("infra-machine-pool.provider-id", p, "spec.providerID!type", json!("array"), "v1: spec.providerID"),
        new("infra-machine-pool.instances", p, "status.instances!type", json!("object"), "v1: status.instances"),
        new(
            "infra-machine-pool.machine-kind",
            p,
            "status.infrastructureMachineKind!type",
            json!("object"),
            "v1: status.infrastructureMachineKind",
        ),
    ]
}

fn template() -> Vec<Case> {
    const META: &str = "v1: spec.template.metadata";
    let mut cases = Vec::new();
    for role in [InfraClusterTemplate, InfraMachineTemplate, InfraMachinePoolTemplate] {
        cases.extend([
            crd("template.kind", role, "/spec/names/kind", json!("FooThing"), "spec.names.kind"),
            new("template.spec", role, "spec.template", Value::Null, "v1: spec.template.spec"),
            old("template.spec", role, "spec.template.spec!type", json!("string"), "v1alpha1: spec.template.spec"),
            new("template.metadata", role, "spec.template.metadata!type", json!("string"), META),
            new("template.metadata", role, "spec.template.metadata.labels", Value::Null, "v1: spec.template.metadata.labels"),
            new(
                "template.metadata",
                role,
                "spec.template.metadata.annotations{}!type",
                json!("boolean"),
                "v1: spec.template.metadata.annotations{}",
            ),
        ]);
    }
    let immutable = json!([{"rule": "self == oldSelf"}]);
    for role in [InfraMachineTemplate, InfraMachinePoolTemplate] {
        cases.extend([
            new("template.dry-run", role, "spec!x-kubernetes-validations", immutable.clone(), "v1: spec"),
            old(
                "template.dry-run",
                role,
                "spec.template.spec.size!x-kubernetes-validations",
                immutable.clone(),
                "v1alpha1: spec.template.spec.size",
            ),
        ]);
    }
    let t = InfraMachineTemplate;
    cases.extend([
        new("infra-machine-template.capacity", t, "status.capacity!type", json!("array"), "v1: status.capacity"),
        new("infra-machine-template.capacity", t, "status.capacity{}", json!({"type": "boolean"}), "v1: status.capacity{}"),
        object("infra-machine-template.capacity-values", t, 0, "/status/capacity/memory", Value::Null, "v1: status.capacity.memory"),
        object("infra-machine-template.capacity-values", t, 1, "/status/capacity/cpu", json!("many"), "v1alpha1: status.capacity.cpu"),
        new("infra-machine-template.node-info", t, "status.nodeInfo!type", json!("string"), "v1: status.nodeInfo"),
        new(
            "infra-machine-template.node-info",
            t,
            "status.nodeInfo.architecture!enum",
            json!(["x86_64"]),
            "v1: status.nodeInfo.architecture",
        ),
    ]);
    cases
}
