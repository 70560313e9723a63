//! One client, and so one connection, per host.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::AddressError;
use crate::Client;
use crate::Limits;

/// The clients of all hosts, each made when first asked for.
#[derive(Debug, Default)]
pub struct Pool {
    limits: Limits,
    clients: Mutex<HashMap<String, Client>>,
}

impl Pool {
    /// A pool whose clients all keep to `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, clients: Mutex::default() }
    }

    /// The client of the host at `address` (`HOST:PORT`). Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When `address` cannot be one.
    pub fn client(&self, address: &str) -> Result<Client, AddressError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(address) {
            return Ok(client.clone());
        }
        let client = Client::new(address, self.limits)?;
        clients.insert(address.to_owned(), client.clone());
        Ok(client)
    }

    /// Forgets every host that `keep` does not want any more; connections close when the last call on them ends.
    pub fn retain(&self, mut keep: impl FnMut(&str) -> bool) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).retain(|address, _| keep(address));
    }
}
