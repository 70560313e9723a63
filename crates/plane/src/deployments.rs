//! Deployments of providers, run as processes: what `clusterctl init` installs comes to life on a plane that has no pods.
//!
//! ```text
//! Deployment of a known image ─► component (its process, ports, certificates, kubeconfig)
//! Service of its webhooks     ─► URL on loopback, for as long as the process is wished
//! Certificate, Issuer         ─► Secret signed by the plane's authority
//! ```
//!
//! - [`component()`] and [`Keeping`] are pure: which components are wished, and what the API server must be told.
//! - [`pass`]: one look and what follows from it, in a process of its own, since it reads megabytes of definitions.
//! - `follow`: when to look again; told by watches of metadata alone.

mod component;
mod follow;
pub mod pass;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstead_reconcile::Plan;
use capstead_reconcile::Reconciler;
use capstead_reconcile::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

pub use component::NotRun;
pub use component::component;
pub(crate) use follow::FIRST;
pub(crate) use follow::follow;

use crate::component::Component;

/// The label by which clusterctl marks all that belongs to a provider.
pub const PROVIDER: &str = "cluster.x-k8s.io/provider";
/// The Services that a definition or a webhook configuration called before they were URLs.
const SERVICES: &str = "capstead.io/webhook-services";

/// What a component's process is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// It may be running.
    pub running: bool,
    /// It is ready.
    pub ready: bool,
}

/// What the plane can do for Deployments.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Components of known images.
    pub known: Vec<Component>,
    /// Names that other components of the plane have.
    pub taken: BTreeSet<String>,
    /// The port that stands for a component's webhooks, once it has one.
    pub webhooks: BTreeMap<String, u16>,
    /// The plane's authority, PEM.
    pub authority: String,
}

/// What is in the API and what runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Deployments of providers, by namespace and name.
    pub deployments: Vec<Deployment>,
    /// Their Services.
    pub services: Vec<Service>,
    /// Certificates and Issuers.
    pub certificates: Vec<Value>,
    /// Secrets of Certificates that are there, by namespace and name.
    pub secrets: BTreeSet<(String, String)>,
    /// Definitions and webhook configurations.
    pub callers: Vec<Value>,
    /// Processes, by component.
    pub processes: BTreeMap<String, Process>,
}

/// Something to tell the API server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Write the Secret of a Certificate.
    Issue {
        /// Namespace of both.
        namespace: String,
        /// The Secret.
        secret: String,
        /// DNS names to be valid for.
        names: Vec<String>,
    },
    /// Change where webhooks are called, by JSON patch.
    Call {
        /// apiVersion, kind and name.
        object: Object,
        /// The patch, which holds for the object as it was seen.
        patch: Value,
    },
    /// Change a status, by merge patch.
    Tell {
        /// apiVersion, kind and name.
        object: Object,
        /// The patch.
        patch: Value,
    },
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// Its apiVersion.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty if it has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Object {
    fn of(object: &Value) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { api_version: text("/apiVersion"), kind: text("/kind"), namespace: text("/metadata/namespace"), name: text("/metadata/name") }
    }
}

/// A Deployment, and what runs for it.
#[derive(Debug)]
struct Program<'a> {
    deployment: &'a Deployment,
    /// Scaled to 0, or being deleted.
    off: bool,
    component: Result<Component, NotRun>,
}

impl Program<'_> {
    fn name(&self) -> &str {
        self.deployment.metadata.name.as_deref().unwrap_or_default()
    }

    fn wished(&self) -> Option<&Component> {
        self.component.as_ref().ok().filter(|_| !self.off)
    }

    /// Whether the Service leads to its pods.
    fn is_behind(&self, service: &Service) -> bool {
        let labels = self.deployment.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref()?.labels.as_ref());
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref()).filter(|selector| !selector.is_empty());
        let (Some(labels), Some(selector)) = (labels, selector) else { return false };
        service.metadata.namespace == self.deployment.metadata.namespace
            && selector.iter().all(|(name, value)| labels.get(name) == Some(value))
    }
}

fn programs<'a>(wish: &Wish, seen: &'a Observed) -> Vec<Program<'a>> {
    let mut taken = wish.taken.clone();
    let program = |deployment: &'a Deployment| {
        let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas);
        let off = replicas == Some(0) || deployment.metadata.deletion_timestamp.is_some();
        let component = component(deployment, &wish.known);
        let component = component
            .and_then(|component| if taken.insert(component.name.clone()) { Ok(component) } else { Err(NotRun::Taken(component.name)) });
        Program { deployment, off, component }
    };
    seen.deployments.iter().map(program).collect()
}

/// The components that Deployments ask for.
#[must_use]
pub fn wished(wish: &Wish, seen: &Observed) -> Vec<Component> {
    programs(wish, seen).iter().filter_map(Program::wished).cloned().collect()
}

/// What stands behind a Service.
enum Behind {
    /// A process, on this port.
    Port(u16),
    /// A process that is coming or going.
    Process,
    /// Nothing of ours.
    Nothing,
}

/// Keeps the API server told of what runs.
#[derive(Debug)]
pub enum Keeping {}

impl Reconciler for Keeping {
    type Wish = Wish;
    type Observed = Observed;
    type Step = Step;

    fn plan(wish: &Wish, seen: &Observed, now: Timestamp) -> Plan<Step> {
        let programs = programs(wish, seen);
        let certificates = seen.certificates.iter().flat_map(|certificate| certify(certificate, seen, now));
        let calls = seen.callers.iter().filter_map(|caller| {
            let patch = called(caller, &wish.authority, |service| behind(wish, seen, &programs, service))?;
            Some(Step::Call { object: Object::of(caller), patch })
        });
        // clusterctl scales a Deployment down and goes on when it is told to be at 0. So that is told only after its definitions call their
        // Services again, and they call a URL only after it was told to be at 1.
        let (coming, going): (Vec<&Program<'_>>, Vec<_>) = programs.iter().partition(|program| program.wished().is_some());
        let told = |programs: Vec<&Program<'_>>| programs.into_iter().filter_map(|program| status(program, seen, now)).collect::<Vec<_>>();
        let steps = certificates.chain(told(coming)).chain(calls).chain(told(going));
        steps.fold(Plan::settled(), Plan::then)
    }
}

/// A Certificate gets its Secret, and both it and an Issuer are ready.
fn certify(object: &Value, seen: &Observed, now: Timestamp) -> Vec<Step> {
    let mut steps = Vec::new();
    let about = Object::of(object);
    if let Some(secret) = object.pointer("/spec/secretName").and_then(Value::as_str) {
        let names = object["spec"]["dnsNames"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        if !seen.secrets.contains(&(about.namespace.clone(), secret.to_owned())) {
            steps.push(Step::Issue { namespace: about.namespace.clone(), secret: secret.to_owned(), names });
        }
    }
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    if !object["status"]["conditions"].as_array().is_some_and(|conditions| conditions.iter().any(ready)) {
        let condition = json!({
            "type": "Ready", "status": "True", "reason": "Ready", "message": "signed by the plane's authority",
            "lastTransitionTime": seconds(now), "observedGeneration": object["metadata"]["generation"],
        });
        steps.push(Step::Tell { object: about, patch: json!({"status": {"conditions": [condition]}}) });
    }
    steps
}

fn behind(wish: &Wish, seen: &Observed, programs: &[Program<'_>], service: &Value) -> Behind {
    let is = |found: &Service| {
        found.metadata.name.as_deref() == service["name"].as_str() && found.metadata.namespace.as_deref() == service["namespace"].as_str()
    };
    let service = seen.services.iter().find(|found| is(found));
    let Some(program) = service.and_then(|service| programs.iter().find(|program| program.is_behind(service))) else {
        return Behind::Nothing;
    };
    let port = program.wished().map(|component| wish.webhooks.get(&component.name).copied());
    let running = seen.processes.get(program.name()).is_some_and(|process| process.running);
    match port {
        Some(Some(port)) => Behind::Port(port),
        Some(None) => Behind::Process,
        None if running => Behind::Process,
        None => Behind::Nothing,
    }
}

/// The places of an object that say where a webhook is, each with a name that stays.
fn places(caller: &Value) -> Vec<(String, String)> {
    if caller["kind"] == "CustomResourceDefinition" {
        return vec![("conversion".into(), "/spec/conversion/webhook/clientConfig".into())];
    }
    let hooks = caller["webhooks"].as_array().into_iter().flatten().enumerate();
    hooks.filter_map(|(at, hook)| Some((hook["name"].as_str()?.to_owned(), format!("/webhooks/{at}/clientConfig")))).collect()
}

/// What must change in an object for its Services to be URLs, or to be Services again: clusterctl merges the Service into a definition
/// that is there, and the API server takes no more than one of the two.
fn called(caller: &Value, authority: &str, behind: impl Fn(&Value) -> Behind) -> Option<Value> {
    let annotation = caller["metadata"]["annotations"][SERVICES].as_str();
    let before: BTreeMap<String, Value> = annotation.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut after = BTreeMap::new();
    let mut patch = Vec::new();
    for (name, place) in places(caller) {
        let Some(config) = caller.pointer(&place) else { continue };
        let Some(service) = config.get("service").or_else(|| before.get(&name)) else { continue };
        let is_url = config.get("url").is_some();
        let wanted = match behind(service) {
            Behind::Port(port) => {
                after.insert(name, service.clone());
                let path = service["path"].as_str().unwrap_or("/");
                json!({"url": format!("https://127.0.0.1:{port}{path}"), "caBundle": BASE64.encode(authority)})
            }
            Behind::Process => {
                if is_url {
                    after.insert(name, service.clone());
                }
                continue;
            }
            Behind::Nothing if is_url => json!({"service": service}),
            Behind::Nothing => continue,
        };
        if *config != wanted {
            patch.push(json!({"op": "replace", "path": place, "value": wanted}));
        }
    }
    if after != before {
        if !caller["metadata"]["annotations"].is_object() {
            patch.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
        }
        let place = format!("/metadata/annotations/{}", SERVICES.replace('/', "~1"));
        patch.push(match serde_json::to_string(&after) {
            Ok(text) if !after.is_empty() => json!({"op": "add", "path": place, "value": text}),
            _ => json!({"op": "remove", "path": place}),
        });
    }
    if patch.is_empty() {
        return None;
    }
    patch.insert(0, json!({"op": "test", "path": "/metadata/resourceVersion", "value": caller["metadata"]["resourceVersion"]}));
    Some(patch.into())
}

/// The Deployment's status as a cluster with pods would tell it, if it is not so yet.
fn status(program: &Program<'_>, seen: &Observed, now: Timestamp) -> Option<Step> {
    let Deployment { metadata, status, .. } = program.deployment;
    let process = seen.processes.get(program.name()).copied().filter(|_| program.component.is_ok()).unwrap_or_default();
    let wished = program.wished().is_some();
    let ready = process.ready && wished;
    // As pods that crash are counted: they are there.
    let there = process.running || wished;
    let count = |so: bool| i32::from(so);
    let conditions = [
        match (ready, program.off) {
            (true, _) => ("Available", "True", "MinimumReplicasAvailable", "The process is ready.".to_owned()),
            (false, true) => ("Available", "True", "MinimumReplicasAvailable", "No process is wished.".to_owned()),
            (false, false) => ("Available", "False", "MinimumReplicasUnavailable", "The process is not ready.".to_owned()),
        },
        match &program.component {
            Ok(component) => ("Progressing", "True", "Process", format!("Runs as the component {} of the plane.", component.name)),
            Err(why) => ("Progressing", "False", "NotRun", format!("The plane does not run it: {why}.")),
        },
    ];
    let status = status.clone().unwrap_or_default();
    let told = |(kind, truth, reason, message): &(&str, &str, &str, String)| {
        let mut conditions = status.conditions.iter().flatten();
        conditions
            .find(|told| told.type_ == *kind)
            .filter(|told| told.status == *truth && told.reason.as_deref() == Some(*reason) && told.message.as_deref() == Some(message))
    };
    let same = status.observed_generation == metadata.generation
        && status.replicas.unwrap_or_default() == count(there)
        && status.updated_replicas.unwrap_or_default() == count(there)
        && status.ready_replicas.unwrap_or_default() == count(ready)
        && status.available_replicas.unwrap_or_default() == count(ready)
        && conditions.iter().all(|condition| told(condition).is_some());
    if same {
        return None;
    }
    let condition = |condition: &(&str, &str, &str, String)| {
        let (kind, truth, reason, message) = condition;
        let before = status.conditions.iter().flatten().find(|told| told.type_ == *kind && told.status == *truth);
        let since = before.and_then(|told| told.last_transition_time.as_ref()).map_or_else(|| json!(seconds(now)), |time| json!(time));
        json!({
            "type": kind, "status": truth, "reason": reason, "message": message,
            "lastTransitionTime": since, "lastUpdateTime": seconds(now),
        })
    };
    let patch = json!({"status": {
        "observedGeneration": metadata.generation,
        "replicas": count(there),
        "updatedReplicas": count(there),
        "readyReplicas": count(ready),
        "availableReplicas": count(ready),
        "unavailableReplicas": count(!ready && !program.off),
        "conditions": conditions.iter().map(condition).collect::<Vec<_>>(),
    }});
    let object = Object {
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: program.name().to_owned(),
    };
    Some(Step::Tell { object, patch })
}

/// As the API server writes times.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests;
