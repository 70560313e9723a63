//! Finding core's objects: what the watches know, and the API server's word before one is called missing.

use std::fmt::Debug;
use std::sync::Arc;

use capstead_capi::lifecycle::Referred;
use capstead_engine::{Name, Store};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

/// What became of a search.
pub(crate) enum Sought<V> {
    Known(Referred<Arc<V>>),
    /// It is there, but the watch has not brought it yet.
    Soon,
    Failed(String),
}

/// The object of this name, and of this uid if one is given. `sure` says whether it matters that a missing one is truly missing.
pub(crate) async fn find<K, V>(
    client: &Client,
    store: &Store<V>,
    name: &Name,
    uid: Option<&str>,
    uid_of: impl Fn(&V) -> &str,
    sure: bool,
) -> Sought<V>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    if let Some(value) = store.get(name).filter(|value| uid.is_none_or(|uid| uid_of(value) == uid)) {
        return Sought::Known(Referred::Found(value));
    }
    if sure {
        match Api::<K>::namespaced(client.clone(), &name.namespace).get_metadata_opt(&name.name).await {
            Ok(Some(live)) if uid.is_none_or(|uid| live.uid().as_deref() == Some(uid)) => return Sought::Soon,
            Ok(_) => (),
            Err(error) => return Sought::Failed(capstead_engine::error_chain(&error)),
        }
    }
    Sought::Known(Referred::Missing { name: name.name.clone() })
}
