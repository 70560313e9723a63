//! Writing to one object, under a precondition on what it was.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use capstead_reconcile::Outcome;
use kube::api::{Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Error, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Name;
use crate::store::{Store, Version};

/// A kind the engine can write.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

/// One object as a pass knows it. Every write holds only for this uid and resourceVersion, and its reply is what the next one goes by.
#[derive(Debug)]
pub struct Object<K> {
    api: Api<K>,
    store: Arc<Store<K>>,
    name: Name,
    manager: &'static str,
    current: Arc<K>,
}

impl<K: Kind> Object<K> {
    /// The object as `store` has it; `None` when it has none. `manager` is the field manager of all writes.
    #[must_use]
    pub fn of(client: &Client, store: &Arc<Store<K>>, name: &Name, manager: &'static str) -> Option<Self> {
        let current = store.get(name)?;
        let api = Api::namespaced(client.clone(), &name.namespace);
        Some(Self { api, store: Arc::clone(store), name: name.clone(), manager, current })
    }

    /// The object as last heard of.
    #[must_use]
    pub fn current(&self) -> &Arc<K> {
        &self.current
    }

    /// Changes metadata and spec by a JSON merge patch.
    pub async fn merge(&mut self, mut patch: Value) -> Outcome {
        let meta = self.current.meta();
        // What is sent here is a precondition: another uid or resourceVersion is a conflict.
        patch["metadata"]["uid"] = json!(meta.uid);
        patch["metadata"]["resourceVersion"] = json!(meta.resource_version);
        let params = PatchParams { field_manager: Some(self.manager.into()), ..PatchParams::default() };
        let reply = self.api.patch(&self.name.name, &params, &Patch::Merge(&patch)).await;
        self.heard(reply)
    }

    /// Makes `status` the whole of what our field manager says, by server-side apply.
    pub async fn apply_status(&mut self, status: &Value) -> Outcome {
        let meta = self.current.meta();
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid, "resourceVersion": meta.resource_version},
            "status": status,
        });
        let params = PatchParams::apply(self.manager).force();
        let reply = self.api.patch_status(&self.name.name, &params, &Patch::Apply(&patch)).await;
        self.heard(reply)
    }

    /// Reads the object from the API server itself; done only if nothing changed.
    pub async fn confirm(&mut self) -> Outcome {
        let known = Version::read(self.current.meta().resource_version.as_deref());
        let uid = self.current.uid();
        let outcome = match self.api.get(&self.name.name).await {
            Ok(live) if live.uid() == uid && Version::read(live.meta().resource_version.as_deref()) == known => return Outcome::Done,
            reply => self.heard(reply),
        };
        if outcome == Outcome::Done { Outcome::Gone } else { outcome }
    }

    fn heard(&mut self, reply: kube::Result<K>) -> Outcome {
        match reply {
            Ok(mut object) => {
                object.managed_fields_mut().clear();
                let version = Version::read(object.meta().resource_version.as_deref());
                self.current = Arc::new(object);
                self.store.wrote(&self.name, version, &self.current.uid().unwrap_or_default(), Arc::clone(&self.current));
                Outcome::Done
            }
            Err(error) => outcome(&error),
        }
    }
}

/// What a failed request to the API server means for a step.
#[must_use]
pub fn outcome(error: &Error) -> Outcome {
    let cause = || crate::error_chain(error);
    match error {
        Error::Api(status) => match status.code {
            404 | 409 => Outcome::Gone,
            429 | 500.. => {
                let after = status.details.as_ref().map(|details| Duration::from_secs(details.retry_after_seconds.into()));
                Outcome::Transient { cause: status.message.clone(), after }
            }
            _ => Outcome::terminal(status.message.clone()),
        },
        _ => Outcome::transient(cause()),
    }
}
