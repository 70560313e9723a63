//! Telling the API server whom to trust: `caBundle` in webhook configurations and in conversions of CRDs, and nothing else.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use capstead_reconcile::Plan;
use json_patch::Patch as JsonPatch;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::Client;
use kube::api::ApiResource;
use kube::api::DynamicObject;
use kube::api::Patch;
use kube::api::PatchParams;
use serde_json::Value;
use serde_json::json;
use tokio::sync::watch;
use tracing::info;
use tracing::warn;

use super::Certificates;

/// How often the resource versions of the targets are looked at.
const POLL: Duration = Duration::from_secs(10);

/// An object that tells the API server to call a webhook, by name. `clientConfig` may have a `url` or a `service`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A `MutatingWebhookConfiguration`.
    Mutating(String),
    /// A `ValidatingWebhookConfiguration`.
    Validating(String),
    /// A `CustomResourceDefinition`; it is left alone while its conversion is not by webhook.
    Crd(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.resource().kind, self.name())
    }
}

impl Target {
    fn name(&self) -> &str {
        match self {
            Self::Mutating(name) | Self::Validating(name) | Self::Crd(name) => name,
        }
    }

    fn resource(&self) -> ApiResource {
        match self {
            Self::Mutating(_) => ApiResource::erase::<MutatingWebhookConfiguration>(&()),
            Self::Validating(_) => ApiResource::erase::<ValidatingWebhookConfiguration>(&()),
            Self::Crd(_) => ApiResource::erase::<CustomResourceDefinition>(&()),
        }
    }

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        Api::all_with(client.clone(), &self.resource())
    }
}

/// Why a target was not told.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {target}")]
pub struct InjectError {
    /// `get` or `patch`.
    verb: &'static str,
    /// The object.
    target: Target,
    /// Why.
    source: kube::Error,
}

/// Makes one target trust the bundle.
#[derive(Clone, Debug, PartialEq)]
struct Inject {
    target: Target,
    /// Tests that the object is still as observed, and writes `caBundle`.
    patch: JsonPatch,
}

/// What must be written so that every target trusts `bundle` (PEM). A target that is `None` does not exist.
fn plan(observed: &[(Target, Option<Value>)], bundle: &str) -> Plan<Inject> {
    let bundle = STANDARD.encode(bundle);
    let mut plan = Plan::settled();
    for (target, object) in observed {
        let Some(object) = object else {
            plan = plan.waiting(target.to_string(), "does not exist");
            continue;
        };
        let patch = patch(target, object, &bundle);
        if !patch.0.is_empty() {
            plan = plan.then(Inject { target: target.clone(), patch });
        }
    }
    plan
}

fn patch(target: &Target, object: &Value, bundle: &str) -> JsonPatch {
    let mut changes = Vec::new();
    let mut change = |guard: (String, &Value), config: String| {
        if object.pointer(&config).is_some_and(|config| config["caBundle"] != bundle) {
            changes.push(json!({"op": "test", "path": guard.0, "value": guard.1}));
            changes.push(json!({"op": "add", "path": format!("{config}/caBundle"), "value": bundle}));
        }
    };
    match target {
        Target::Mutating(_) | Target::Validating(_) => {
            for (i, webhook) in object["webhooks"].as_array().into_iter().flatten().enumerate() {
                change((format!("/webhooks/{i}/name"), &webhook["name"]), format!("/webhooks/{i}/clientConfig"));
            }
        }
        Target::Crd(_) => {
            let strategy = "/spec/conversion/strategy";
            if object.pointer(strategy).is_some_and(|strategy| strategy == "Webhook") {
                change((strategy.into(), &json!("Webhook")), "/spec/conversion/webhook/clientConfig".into());
            }
        }
    }
    // Every operation above is well-formed.
    serde_json::from_value(Value::Array(changes)).unwrap_or_default()
}

/// Keeps targets trusting what [`Certificates`] serves. A settled state writes nothing and reads metadata only.
pub struct Injector {
    client: Client,
    targets: Vec<Target>,
    trust: watch::Receiver<Option<String>>,
    /// The bundle of the last look.
    trusted: Option<String>,
    /// Resource versions of targets that trust it.
    done: HashMap<Target, String>,
    settled: watch::Sender<bool>,
}

impl fmt::Debug for Injector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Injector").field("targets", &self.targets).finish_non_exhaustive()
    }
}

impl Injector {
    /// For these targets. Needs `get` and `patch` on them.
    #[must_use]
    pub fn new(client: Client, targets: Vec<Target>, certificates: &Certificates) -> Self {
        Self { client, targets, trust: certificates.trust(), trusted: None, done: HashMap::new(), settled: watch::channel(false).0 }
    }

    /// Whether every target exists and trusts the bundle, as of the last look.
    #[must_use]
    pub fn settled(&self) -> watch::Receiver<bool> {
        self.settled.subscribe()
    }

    /// One look at every target, and what follows from it. Returns the targets that were written.
    ///
    /// # Errors
    /// When a target cannot be read or written, or changed between the two. Those before it are done.
    pub async fn pass(&mut self) -> Result<Vec<Target>, InjectError> {
        let bundle = self.trust.borrow_and_update().clone();
        let Some(bundle) = bundle else {
            // Whoever made the files has told the API server.
            self.settled.send_replace(true);
            return Ok(Vec::new());
        };
        if self.trusted.as_ref() != Some(&bundle) {
            self.done.clear();
            self.trusted = Some(bundle.clone());
        }
        let mut observed = Vec::new();
        for target in &self.targets {
            let fault = |source| InjectError { verb: "get", target: target.clone(), source };
            let api = target.api(&self.client);
            if let Some(done) = self.done.get(target) {
                let metadata = api.get_metadata_opt(target.name()).await.map_err(fault)?;
                if metadata.and_then(|object| object.metadata.resource_version).as_ref() == Some(done) {
                    continue;
                }
            }
            let object = api.get_opt(target.name()).await.map_err(fault)?;
            let version = object.as_ref().and_then(|object| object.metadata.resource_version.clone());
            let object = object.map(|object| object.data);
            self.done.remove(target);
            if let (Some(object), Some(version)) = (&object, version)
                && patch(target, object, &STANDARD.encode(&bundle)).0.is_empty()
            {
                self.done.insert(target.clone(), version);
            }
            observed.push((target.clone(), object));
        }
        let plan = plan(&observed, &bundle);
        let mut written = Vec::new();
        for Inject { target, patch } in plan.steps {
            let api = target.api(&self.client);
            let answer = api.patch(target.name(), &PatchParams::default(), &Patch::Json::<()>(patch)).await;
            let object = answer.map_err(|source| InjectError { verb: "patch", target: target.clone(), source })?;
            info!(%target, "told the API server whom to trust");
            if let Some(version) = object.metadata.resource_version {
                self.done.insert(target.clone(), version);
            }
            written.push(target);
        }
        self.settled.send_replace(plan.waits.is_empty());
        Ok(written)
    }

    /// Looks whenever the bundle changes, and every ten seconds; ends when the [`Certificates`] are gone.
    pub async fn run(mut self) {
        loop {
            if let Err(error) = self.pass().await {
                self.settled.send_replace(false);
                warn!(error = &error as &dyn std::error::Error, "the API server does not yet trust this webhook server");
            }
            if let Ok(Err(_)) = tokio::time::timeout(POLL, self.trust.changed()).await {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
