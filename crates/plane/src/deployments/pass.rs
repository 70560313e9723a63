//! One look at Deployments and all around them, and what follows from it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstead_reconcile::Effects;
use capstead_reconcile::Ended;
use capstead_reconcile::Outcome;
use capstead_reconcile::Reconciler;
use capstead_reconcile::Timestamp;
use capstead_reconcile::execute;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::Client;
use kube::api::DynamicObject;
use kube::api::ListParams;
use kube::api::Patch;
use kube::api::PatchParams;
use kube::core::ApiResource;
use kube::core::GroupVersionKind;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::json;

use super::Keeping;
use super::Object;
use super::Observed;
use super::PROVIDER;
use super::Process;
use super::Step;
use super::Wish;
use super::wished;
use crate::Layout;
use crate::Plane;
use crate::PlaneError;
use crate::builtin;
use crate::builtin::BuiltinError;
use crate::component::Authority;
use crate::component::Component;
use crate::component::Usage;
use crate::pki::Pki;
use crate::pki::PkiError;
use crate::pki::Subject;
use crate::supervisor::SupervisorError;
use crate::supervisor::administrator_client;

/// Field manager of what a pass writes.
const MANAGER: &str = "capstead-deployments";
/// Kinds whose change is a reason to look.
pub(super) const KINDS: [(&str, &str, &str); 7] = [
    ("apps", "v1", "Deployment"),
    ("", "v1", "Service"),
    ("cert-manager.io", "v1", "Certificate"),
    ("cert-manager.io", "v1", "Issuer"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration"),
];

/// A pass failed.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The plane cannot be read.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// Certificates cannot be read.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// No client can be made.
    #[error(transparent)]
    Client(#[from] SupervisorError),
    /// The known components cannot be read: a defect of this build.
    #[error(transparent)]
    Builtin(#[from] BuiltinError),
    /// The API server cannot tell.
    #[error("cannot list {kind}s")]
    List {
        /// The kind.
        kind: String,
        /// Why. Boxed: it is large.
        source: Box<kube::Error>,
    },
}

/// What a pass found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// Components that Deployments ask for.
    pub components: Vec<Component>,
    /// What could not be told to the API server; it is worth another look soon.
    pub trouble: Option<String>,
}

/// Looks, and tells the API server what must be told.
///
/// # Errors
/// The plane or its API server cannot be read.
pub async fn pass(layout: &Layout, processes: BTreeMap<String, Process>) -> Result<Found, PassError> {
    let plane = Plane::load(layout)?;
    let pki = Pki::open(layout.pki())?;
    let client = administrator_client(layout, &plane, &pki)?;
    let fixed = plane.components.iter().filter(|component| !plane.deployed.contains(&component.name));
    let webhooks = plane.components.iter().filter_map(|component| {
        let port = plane.port(&component.name, component.webhook_port.as_deref()?)?;
        Some((component.name.clone(), port))
    });
    let wish = Wish {
        known: builtin::runnable()?,
        taken: fixed.map(|component| component.name.clone()).collect(),
        webhooks: webhooks.filter(|(name, _)| plane.deployed.contains(name)).collect(),
        authority: pki.read(Authority::Cluster)?,
    };
    let seen = observe(&client, processes).await?;
    let plan = Keeping::plan(&wish, &seen, Timestamp::now());
    let report = execute(plan.steps, &mut Writer { client, pki, authority: wish.authority.clone() }).await;
    let trouble = match report.ended {
        Ended::Finished => None,
        Ended::Gone => Some("something vanished while it was looked at".to_owned()),
        Ended::Transient { cause, .. } | Ended::Terminal { cause, .. } => Some(cause),
    };
    Ok(Found { components: wished(&wish, &seen), trouble })
}

async fn observe(client: &Client, processes: BTreeMap<String, Process>) -> Result<Observed, PassError> {
    let mut seen = Observed { processes, ..Observed::default() };
    for (group, version, kind) in KINDS {
        let found = list(client, &GroupVersionKind::gvk(group, version, kind)).await?;
        match kind {
            "Deployment" => seen.deployments = typed::<Deployment>(found),
            "Service" => seen.services = typed::<Service>(found),
            "Certificate" | "Issuer" => seen.certificates.extend(found),
            _ => seen.callers.extend(found),
        }
    }
    seen.secrets = secrets(client, &seen.certificates).await?;
    Ok(seen)
}

/// All of a kind that belong to a provider. Kinds of cert-manager may not be served yet; that the others are not is no reason to end anything.
async fn list(client: &Client, gvk: &GroupVersionKind) -> Result<Vec<Value>, PassError> {
    let api = Api::<DynamicObject>::all_with(client.clone(), &ApiResource::from_gvk(gvk));
    let found = match api.list(&ListParams::default().labels(PROVIDER)).await {
        Ok(found) => found.items,
        Err(kube::Error::Api(status)) if status.code == 404 && gvk.group == "cert-manager.io" => Vec::new(),
        Err(source) => return Err(PassError::List { kind: gvk.kind.clone(), source: Box::new(source) }),
    };
    // A list's items leave out what kind they are.
    let whole = |object: DynamicObject| {
        let mut value = serde_json::to_value(object).unwrap_or_default();
        value["apiVersion"] = json!(gvk.api_version());
        value["kind"] = json!(gvk.kind);
        value
    };
    Ok(found.into_iter().map(whole).collect())
}

fn typed<T: DeserializeOwned>(objects: Vec<Value>) -> Vec<T> {
    objects.into_iter().filter_map(|object| serde_json::from_value(object).ok()).collect()
}

/// Which Secrets of Certificates are there.
async fn secrets(client: &Client, certificates: &[Value]) -> Result<BTreeSet<(String, String)>, PassError> {
    let mut there = BTreeSet::new();
    for certificate in certificates {
        let text = |pointer: &str| certificate.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let (Some(namespace), Some(name)) = (text("/metadata/namespace"), text("/spec/secretName")) else { continue };
        let found = Api::<Secret>::namespaced(client.clone(), &namespace).get_metadata_opt(&name).await;
        if found.map_err(|source| PassError::List { kind: "Secret".into(), source: Box::new(source) })?.is_some() {
            there.insert((namespace, name));
        }
    }
    Ok(there)
}

struct Writer {
    client: Client,
    pki: Pki,
    authority: String,
}

impl Writer {
    fn api(&self, object: &Object) -> Api<DynamicObject> {
        let (group, version) = object.api_version.rsplit_once('/').unwrap_or(("", &object.api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &object.kind));
        match object.namespace.as_str() {
            "" => Api::all_with(self.client.clone(), &resource),
            namespace => Api::namespaced_with(self.client.clone(), namespace, &resource),
        }
    }

    async fn issue(&self, namespace: &str, secret: &str, names: &[String]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let common_name = names.first().map_or(secret, String::as_str);
        let subject = Subject { common_name, organization: None, usages: &[Usage::Server, Usage::Client], names };
        let pair = self.pki.issue(Authority::Cluster, &subject)?;
        let data = [("tls.crt", &pair.certificate), ("tls.key", &pair.key), ("ca.crt", &self.authority)];
        let data: BTreeMap<&str, String> = data.into_iter().map(|(name, text)| (name, BASE64.encode(text))).collect();
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": secret, "namespace": namespace}, "data": data,
        });
        let api = Api::<Secret>::namespaced(self.client.clone(), namespace);
        api.patch(secret, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object)).await?;
        Ok(())
    }

    async fn call(&self, object: &Object, patch: &Value) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let patch = Patch::Json::<()>(serde_json::from_value(patch.clone())?);
        self.api(object)
            .patch(&object.name, &PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() }, &patch)
            .await?;
        Ok(())
    }

    async fn tell(&self, object: &Object, patch: &Value) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        self.api(object).patch_status(&object.name, &params, &Patch::Merge(patch)).await?;
        Ok(())
    }
}

impl Effects<Step> for Writer {
    async fn apply(&mut self, step: &Step) -> Outcome {
        let (what, done) = match step {
            Step::Issue { namespace, secret, names } => {
                (format!("write the Secret {namespace}/{secret}"), self.issue(namespace, secret, names).await)
            }
            Step::Call { object, patch } => {
                (format!("say in the {} {} where it is called", object.kind, object.name), self.call(object, patch).await)
            }
            Step::Tell { object, patch } => {
                (format!("tell how the {} {}/{} is", object.kind, object.namespace, object.name), self.tell(object, patch).await)
            }
        };
        match done {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::transient(format!("cannot {what}: {}", crate::actor::chain(error.as_ref()))),
        }
    }

    fn deadline(&self, _: &Step) -> Duration {
        Duration::from_secs(10)
    }
}
