//! A provider's components YAML, made fit for processes: Services become URLs, cert-manager's injection becomes the plane's authority,
//! and what only pods need is left out.

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::component::Provider;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Whether an object only matters where pods and cert-manager run. The plane has neither.
#[must_use]
pub fn left_out(api_version: &str, kind: &str) -> bool {
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    matches!(
        (group, kind),
        ("apps", "Deployment")
            | ("", "Service")
            | ("cert-manager.io", "Certificate" | "Issuer")
            | ("networking.k8s.io", "NetworkPolicy")
            | ("policy", "PodDisruptionBudget")
    )
}

/// The objects of one component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// Namespaces first, then CRDs, then the rest: to be there before the component starts.
    pub before: Vec<Value>,
    /// Webhook configurations and the inventory entry: to be there once it is ready.
    pub after: Vec<Value>,
}

/// Where webhooks answer, and who vouches for them.
#[derive(Clone, Copy, Debug)]
pub struct Webhooks<'a> {
    /// The port on loopback.
    pub port: u16,
    /// The authority's certificate, PEM.
    pub authority: &'a str,
}

/// Objects cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A document is no YAML.
    #[error("document {number} is not YAML")]
    Parse {
        /// Counted from 1.
        number: usize,
        /// Why.
        source: yaml_serde::Error,
    },
    /// A document is no Kubernetes object.
    #[error("document {number} has no {field}")]
    NoObject {
        /// Counted from 1.
        number: usize,
        /// What it lacks.
        field: &'static str,
    },
    /// A webhook needs a port that the component does not name.
    #[error("{kind} {name} calls a Service, but the component names no webhookPort that could stand for it")]
    NoPort {
        /// The object's kind.
        kind: String,
        /// Its name.
        name: String,
    },
}

/// Reads `text` and makes its objects ready for the plane.
///
/// # Errors
/// A document is not fit; the message says which.
pub fn prepare(text: &str, webhooks: Option<Webhooks<'_>>, provider: Option<(&Provider, &str)>) -> Result<Objects, ManifestError> {
    let mut objects = Objects::default();
    for (n, document) in yaml_serde::Deserializer::from_str(text).enumerate() {
        let number = n + 1;
        let mut object = Value::deserialize(document).map_err(|source| ManifestError::Parse { number, source })?;
        if object.is_null() {
            continue;
        }
        let field = |field: &'static str, found: Option<&str>| found.map(str::to_owned).ok_or(ManifestError::NoObject { number, field });
        let kind = field("kind", object["kind"].as_str())?;
        let api_version = field("apiVersion", object["apiVersion"].as_str())?;
        let name = field("metadata.name", object["metadata"]["name"].as_str())?;
        if left_out(&api_version, &kind) {
            continue;
        }
        label(&mut object, provider.map(|(provider, _)| provider));
        let mut unserved = 0;
        for config in client_configs(&mut object) {
            match webhooks {
                Some(webhooks) => redirect(config, webhooks),
                None => unserved += 1,
            }
        }
        if unserved > 0 {
            return Err(ManifestError::NoPort { kind, name });
        }
        if matches!(kind.as_str(), "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") {
            objects.after.push(object);
        } else {
            objects.before.push(object);
        }
    }
    objects.before.sort_by_key(rank);
    if let Some((provider, version)) = provider {
        objects.after.push(inventory(provider, version));
    }
    Ok(objects)
}

/// What must be there before others.
fn rank(object: &Value) -> u8 {
    match object["kind"].as_str() {
        Some("Namespace") => 0,
        Some("CustomResourceDefinition") => 1,
        _ => 2,
    }
}

fn label(object: &mut Value, provider: Option<&Provider>) {
    let labels = &mut object["metadata"]["labels"];
    if !labels.is_object() {
        *labels = json!({});
    }
    // As clusterctl does at init; its move and delete go by these.
    labels["clusterctl.cluster.x-k8s.io"] = json!("");
    if let Some(provider) = provider {
        labels["cluster.x-k8s.io/provider"] = json!(provider.label());
    }
}

/// Every `clientConfig` that names a Service.
fn client_configs(object: &mut Value) -> Vec<&mut Value> {
    let configs: Vec<&mut Value> = match object["kind"].as_str() {
        Some("CustomResourceDefinition") => object.pointer_mut("/spec/conversion/webhook/clientConfig").into_iter().collect(),
        Some("MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
            let hooks = object.get_mut("webhooks").and_then(Value::as_array_mut);
            hooks.into_iter().flatten().filter_map(|hook| hook.get_mut("clientConfig")).collect()
        }
        _ => Vec::new(),
    };
    configs.into_iter().filter(|config| config.get("service").is_some()).collect()
}

fn redirect(config: &mut Value, webhooks: Webhooks<'_>) {
    let path = config["service"]["path"].as_str().unwrap_or("/").to_owned();
    *config = json!({
        "url": format!("https://127.0.0.1:{}{path}", webhooks.port),
        "caBundle": BASE64.encode(webhooks.authority.as_bytes()),
    });
}

/// clusterctl's inventory entry, as its init writes it.
fn inventory(provider: &Provider, version: &str) -> Value {
    json!({
        "apiVersion": "clusterctl.cluster.x-k8s.io/v1alpha3",
        "kind": "Provider",
        "metadata": {
            "name": provider.label(),
            "namespace": provider.namespace,
            "labels": {
                "clusterctl.cluster.x-k8s.io": "",
                "clusterctl.cluster.x-k8s.io/core": "inventory",
                "cluster.x-k8s.io/provider": provider.label(),
            },
        },
        "providerName": provider.name,
        "type": provider.kind,
        "version": version,
    })
}

#[cfg(test)]
mod tests;
