//! Hosts: one connection and one cache each, and one task that looks for all machines at once.

pub(crate) mod cache;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use capstead_engine::{Name, error_chain};
use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::{AddressError, CallError, Client, Listed, Pool};
use capstead_provider::Wake;
use capstead_reconcile::Timestamp;
use futures::StreamExt;
use futures::stream;
use tokio::sync::Notify;

use crate::machine::{Microvm, Observed, State};
use crate::spec;
use cache::{Cache, Errand, Got, Held};

/// All hosts that machines are on.
#[derive(Debug)]
pub(crate) struct Hosts {
    pool: Pool,
    wake: Wake,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

/// One host.
#[derive(Debug)]
struct Host {
    client: Client,
    cache: Mutex<Cache>,
    changed: Notify,
}

/// Single looks at once.
const LOOKS: usize = 16;

impl Hosts {
    pub(crate) fn new(pool: Pool, wake: Wake) -> Self {
        Self { pool, wake, hosts: Mutex::default() }
    }

    fn host(&self, address: &str) -> Result<Arc<Host>, AddressError> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(address) {
            return Ok(Arc::clone(host));
        }
        let host = Arc::new(Host { client: self.pool.client(address)?, cache: Mutex::default(), changed: Notify::new() });
        hosts.insert(address.to_owned(), Arc::clone(&host));
        tokio::spawn(Arc::clone(&host).watch(self.wake.clone()));
        Ok(host)
    }

    /// What is there of a machine, and when that look began; `None` when a look is under way, after which the machine is woken.
    pub(crate) fn look(&self, address: &str, name: &Name, token: &str, not_before: Option<Timestamp>) -> Option<(Timestamp, Observed)> {
        match self.host(address) {
            Err(error) => Some((Timestamp::now(), Observed::Unreachable { cause: error_chain(&error) })),
            Ok(host) => {
                let seen = host.cache().look(name, token, not_before);
                host.changed.notify_one();
                seen
            }
        }
    }

    /// Has a microVM made.
    pub(crate) async fn create(&self, address: &str, name: &Name, microvm: MicroVmSpec) -> Result<Result<(), CallError>, AddressError> {
        let host = self.host(address)?;
        let token = microvm.metadata.get(spec::TOKEN).cloned().unwrap_or_default();
        let began = Timestamp::now();
        let answer = match host.client.create(microvm).await {
            Ok(made) => {
                let state = made.status.map_or(State::Unknown, |status| State::of(status.state));
                let uid = made.spec.and_then(|spec| spec.uid).unwrap_or_default();
                host.cache().created(name, Held { token, microvm: Microvm { uid, state } }, Timestamp::now());
                Ok(())
            }
            Err(error) => Err(host.failed(error, began)),
        };
        host.changed.notify_one();
        Ok(answer)
    }

    /// Has a microVM deleted; one that is gone already is what was wanted.
    pub(crate) async fn delete(&self, address: &str, name: &Name, uid: &str) -> Result<Result<(), CallError>, AddressError> {
        let host = self.host(address)?;
        let began = Timestamp::now();
        let answer = match host.client.delete(uid).await {
            Ok(()) => {
                host.cache().deleting(name, uid);
                Ok(())
            }
            Err(CallError::NotFound { .. }) => {
                host.cache().got(name, uid, began, Got::Gone);
                Ok(())
            }
            Err(error) => Err(host.failed(error, began)),
        };
        host.changed.notify_one();
        Ok(answer)
    }

    /// Forgets a machine, wherever it was.
    pub(crate) fn forget(&self, name: &Name) {
        for host in self.hosts.lock().unwrap_or_else(PoisonError::into_inner).values() {
            host.cache().forget(name);
        }
    }
}

impl Host {
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A change failed. Whoever waits to try again would otherwise not hear that the host is down.
    fn failed(&self, error: CallError, began: Timestamp) -> CallError {
        if matches!(error, CallError::Transient { .. } | CallError::Unsent { .. }) {
            self.cache().doubted(began);
        }
        error
    }

    /// Looks whenever somebody waits for it, and tells whom it concerns. Runs as long as the process.
    async fn watch(self: Arc<Self>, wake: Wake) {
        loop {
            let errand = self.cache().errand(Timestamp::now());
            match errand {
                Errand::Rest(None) => self.changed.notified().await,
                Errand::Rest(Some(until)) => {
                    let wait = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
                    tokio::select! {
                        () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => (),
                        () = self.changed.notified() => (),
                    }
                }
                Errand::List(namespaces) => self.list(namespaces, &wake).await,
                Errand::Get(waiting) => {
                    let looks = stream::iter(waiting).for_each_concurrent(LOOKS, |(name, uid)| self.one(name, uid, &wake));
                    looks.await;
                }
            }
        }
    }

    async fn list(&self, namespaces: BTreeSet<String>, wake: &Wake) {
        let began = Timestamp::now();
        let answer = self.client.list(&namespaces).await;
        let answer = answer.map(|listed| listed.into_iter().filter_map(held).collect()).map_err(|error| error_chain(&error));
        if let Err(cause) = &answer {
            tracing::warn!(cause, "a host cannot be looked at");
        }
        let concerned = self.cache().listed(namespaces, began, Timestamp::now(), answer);
        concerned.into_iter().for_each(|name| wake.wake(name));
    }

    async fn one(&self, name: Name, uid: Option<String>, wake: &Wake) {
        let began = Timestamp::now();
        let concerned = match uid {
            Some(uid) => {
                let got = self.get(&uid).await;
                self.cache().got(&name, &uid, began, got)
            }
            None => {
                let found = self.find(&name).await;
                self.cache().found(&name, began, found)
            }
        };
        if concerned {
            wake.wake(name);
        }
    }

    async fn get(&self, uid: &str) -> Got {
        match self.client.get(uid).await {
            Ok(microvm) => Got::There(microvm.status.map_or(State::Unknown, |status| State::of(status.state))),
            Err(CallError::NotFound { .. }) => Got::Gone,
            Err(error) => {
                tracing::debug!(cause = error_chain(&error), "a microVM cannot be looked at");
                Got::Failed
            }
        }
    }

    /// All microVMs of that name; `None` if the host does not say.
    async fn find(&self, name: &Name) -> Option<Vec<Held>> {
        match self.client.find(&name.namespace, &name.name).await {
            Ok(listed) => Some(listed.into_iter().filter_map(held).map(|(_, held)| held).collect()),
            Err(error) => {
                tracing::debug!(cause = error_chain(&error), "a machine's microVMs cannot be looked at");
                None
            }
        }
    }
}

/// A listed microVM, if it carries a token at all: others are nobody's here.
fn held(listed: Listed) -> Option<(Name, Held)> {
    let token = listed.metadata.get(spec::TOKEN)?.clone();
    let microvm = Microvm { uid: listed.uid, state: State::of(listed.status.state) };
    Some((Name::new(listed.namespace, listed.name), Held { token, microvm }))
}
