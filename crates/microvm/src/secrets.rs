//! Secrets that are looked up by name when they are needed, and again after a while: whoever rotates one need not restart anything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use capstead_engine::error_chain;
use capstead_flintlock::Access;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::time::Instant;

use crate::access::{Data, Reach};

/// For so long what was read is taken for what is there: a rotated Secret counts after this time at the latest.
const KEPT: Duration = Duration::from_secs(10);

/// What was read of Secrets, and when.
type Read = HashMap<(String, String), (Instant, Arc<Data>)>;

/// Reads Secrets by name; they are neither listed nor watched.
pub(crate) struct Secrets {
    client: Client,
    read: Mutex<Read>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, read: Mutex::default() }
    }

    /// How the host at `address` is reached now.
    ///
    /// # Errors
    /// What keeps it from being reached, in words that are the same at every try.
    pub(crate) async fn access(&self, reach: &Reach, address: &str) -> Result<Access, String> {
        let tls = self.get(reach, reach.tls.as_deref(), "spec.tlsSecretRef").await?;
        let tokens = self.get(reach, reach.tokens.as_deref(), "spec.placement.staticPool.basicAuthSecret").await?;
        reach.access(address, tls.as_deref(), tokens.as_deref())
    }

    async fn get(&self, reach: &Reach, name: Option<&str>, field: &str) -> Result<Option<Arc<Data>>, String> {
        let Some(name) = name else { return Ok(None) };
        let key = (reach.namespace.clone(), name.to_owned());
        let read = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let known = read().get(&key).filter(|(at, _)| at.elapsed() < KEPT).map(|(_, data)| Arc::clone(data));
        let data = match known {
            Some(data) => data,
            None => {
                let secret = Api::<Secret>::namespaced(self.client.clone(), &reach.namespace).get_opt(name).await;
                let secret =
                    secret.map_err(|error| format!("Secret {name}, which {field} names, cannot be read: {}", error_chain(&error)))?;
                // One that is missing is looked for at each try: somebody is about to make it.
                let Some(secret) = secret else {
                    read().remove(&key);
                    return Err(format!("Secret {name}, which {field} names, does not exist"));
                };
                let data = Arc::new(secret.data.unwrap_or_default());
                read().insert(key, (Instant::now(), Arc::clone(&data)));
                data
            }
        };
        Ok(Some(data))
    }
}
