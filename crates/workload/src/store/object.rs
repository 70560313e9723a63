//! One version of one object.

use std::sync::Arc;

use serde_json::Value;

use super::metadata;

/// One version of one object, as JSON text and what is asked of it often.
#[derive(Debug)]
pub struct Object {
    resource: Arc<str>,
    namespace: Box<str>,
    name: Box<str>,
    uid: Box<str>,
    revision: u64,
    owners: Box<[Box<str>]>,
    terminating: bool,
    node: Box<str>,
    phase: Box<str>,
    ready: bool,
    json: Box<str>,
}

impl Object {
    pub(super) fn new(resource: Arc<str>, revision: u64, value: &Value) -> Self {
        Self {
            resource,
            namespace: metadata::text(value, "namespace").into(),
            name: metadata::text(value, "name").into(),
            uid: metadata::text(value, "uid").into(),
            revision,
            owners: metadata::owners(value).map(Into::into).collect(),
            terminating: metadata::get(value, "deletionTimestamp").is_some(),
            node: value["spec"]["nodeName"].as_str().unwrap_or_default().into(),
            phase: value["status"]["phase"].as_str().unwrap_or_default().into(),
            ready: is_ready(value),
            json: value.to_string().into(),
        }
    }

    /// As the store calls it: `pods`, `deployments.apps`.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    pub(super) fn resource_shared(&self) -> &Arc<str> {
        &self.resource
    }

    /// Empty for cluster-wide resources.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// `metadata.resourceVersion`.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The uids in `metadata.ownerReferences`.
    pub fn owners(&self) -> impl Iterator<Item = &str> {
        self.owners.iter().map(|uid| &**uid)
    }

    /// Whether it has a `metadata.deletionTimestamp`.
    #[must_use]
    pub fn terminating(&self) -> bool {
        self.terminating
    }

    /// `spec.nodeName`, empty if there is none.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// `status.phase`, empty if there is none.
    #[must_use]
    pub fn phase(&self) -> &str {
        &self.phase
    }

    /// Whether its condition Ready is True.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.ready
    }

    /// The whole object.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The whole object, parsed.
    #[must_use]
    pub fn value(&self) -> Value {
        // It was written by this process from a value.
        serde_json::from_str(&self.json).unwrap_or_default()
    }
}

fn is_ready(value: &Value) -> bool {
    let conditions = value["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
