//! Hosts: one connection and one cache each, and one task that looks for all machines at once.

pub(crate) mod cache;

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use capstead_capi::types::{MachineAddress, MachineAddressType};
use capstead_engine::{Name, error_chain};
use capstead_flintlock::types::{MicroVm, MicroVmSpec, MicroVmStatus};
use capstead_flintlock::{Access, CallError, Client, Limits, Listed};
use capstead_provider::Wake;
use capstead_reconcile::Timestamp;
use futures::StreamExt;
use futures::stream;
use tokio::sync::Notify;

use crate::access::Reach;
use crate::machine::{Microvm, Observed, State};
use crate::secrets::Secrets;
use crate::spec;
use crate::validate::cidr;
pub(crate) use cache::Own;
use cache::{Cache, Errand, Got, Held};

/// Characters of what a host tells of a microVM's state: conditions and events repeat it.
const LONGEST_CAUSE: usize = 500;

/// All hosts that machines are on.
#[derive(Debug)]
pub(crate) struct Hosts {
    secrets: Arc<Secrets>,
    wake: Wake,
    /// By address; more than one of an address where clusters reach it in different ways.
    hosts: Mutex<HashMap<String, Vec<Arc<Host>>>>,
}

/// One host.
#[derive(Debug)]
struct Host {
    address: String,
    reach: Reach,
    secrets: Arc<Secrets>,
    /// The client, and what it was made of.
    client: Mutex<Option<(Access, Client)>>,
    cache: Mutex<Cache>,
    changed: Notify,
    random: RandomState,
}

/// Where a machine's host is, and how it is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    pub(crate) address: &'a str,
    pub(crate) reach: &'a Reach,
}

/// Why a host did not do what it was asked.
#[derive(Debug)]
pub(crate) enum HostError {
    /// It cannot even be asked; why was told to the cache.
    Unreachable,
    Call(CallError),
}

/// Single looks at once.
const LOOKS: usize = 16;

impl Hosts {
    pub(crate) fn new(secrets: Secrets, wake: Wake) -> Self {
        Self { secrets: Arc::new(secrets), wake, hosts: Mutex::default() }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Host>>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn host(&self, at: At<'_>) -> Arc<Host> {
        let mut hosts = self.all();
        let same = hosts.entry(at.address.to_owned()).or_default();
        if let Some(host) = same.iter().find(|host| host.reach == *at.reach) {
            return Arc::clone(host);
        }
        let host = Arc::new(Host {
            address: at.address.to_owned(),
            reach: at.reach.clone(),
            secrets: Arc::clone(&self.secrets),
            client: Mutex::default(),
            cache: Mutex::default(),
            changed: Notify::new(),
            random: RandomState::new(),
        });
        same.push(Arc::clone(&host));
        tokio::spawn(Arc::clone(&host).watch(self.wake.clone()));
        host
    }

    /// What is there of a machine, and when that look began; `None` when a look is under way, after which the machine is woken.
    pub(crate) fn look(&self, at: At<'_>, name: &Name, own: Own<'_>, not_before: Option<Timestamp>) -> Option<(Timestamp, Observed)> {
        let host = self.host(at);
        // Its cluster may have changed how the host is reached.
        let others: Vec<Arc<Host>> = match self.all().get(at.address) {
            Some(same) if same.len() > 1 => same.iter().filter(|other| other.reach != *at.reach).cloned().collect(),
            _ => Vec::new(),
        };
        others.iter().for_each(|other| other.cache().forget(name));
        let seen = host.cache().look(name, own, not_before);
        host.changed.notify_one();
        seen
    }

    /// Why the host does not answer, if that is known: of one that no machine is on nothing is.
    pub(crate) fn down(&self, at: At<'_>) -> Option<String> {
        let host = self.all().get(at.address)?.iter().find(|host| host.reach == *at.reach).cloned()?;
        host.cache().down().map(str::to_owned)
    }

    /// Has a microVM made.
    pub(crate) async fn create(&self, at: At<'_>, name: &Name, microvm: MicroVmSpec) -> Result<(), HostError> {
        let host = self.host(at);
        let token = microvm.metadata.get(spec::TOKEN).cloned().unwrap_or_default();
        let began = Timestamp::now();
        let answer = match host.client_for(began).await?.create(microvm).await {
            Ok(made) => {
                host.cache().created(name, Held { token, microvm: told(made) }, Timestamp::now());
                Ok(())
            }
            Err(error) => Err(host.failed(error, began)),
        };
        host.changed.notify_one();
        answer.map_err(HostError::Call)
    }

    /// Has a microVM deleted; one that is gone already is what was wanted.
    pub(crate) async fn delete(&self, at: At<'_>, name: &Name, uid: &str) -> Result<(), HostError> {
        let host = self.host(at);
        let began = Timestamp::now();
        let answer = match host.client_for(began).await?.delete(uid).await {
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
        answer.map_err(HostError::Call)
    }

    /// Forgets a machine, wherever it was.
    pub(crate) fn forget(&self, name: &Name) {
        for host in self.all().values().flatten() {
            host.cache().forget(name);
        }
    }
}

impl Host {
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client, made anew when what it is made of changed.
    async fn client(&self) -> Result<Client, String> {
        let access = self.secrets.access(&self.reach, &self.address).await?;
        let mut known = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = known.as_ref().filter(|(of, _)| *of == access) {
            return Ok(client.clone());
        }
        let client = Client::with_access(&self.address, &access, Limits::default()).map_err(|error| error_chain(&error))?;
        *known = Some((access, client.clone()));
        Ok(client)
    }

    /// The client for a change that begins now. Where there is none, whoever waits hears that the host is down.
    async fn client_for(&self, began: Timestamp) -> Result<Client, HostError> {
        self.client().await.map_err(|cause| {
            tracing::debug!(host = self.address, cause, "a host cannot be asked");
            self.cache().doubted(began);
            self.changed.notify_one();
            HostError::Unreachable
        })
    }

    /// A little more than `wait` while the host fails: hosts that went down together are not tried together.
    fn jittered(&self, wait: Duration) -> Duration {
        if self.cache().down().is_none() {
            return wait;
        }
        let share = self.random.hash_one(Timestamp::now()) % 256;
        wait + wait.mul_f64(share as f64 / 1024.0)
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
                        () = tokio::time::sleep(self.jittered(wait).max(Duration::from_millis(1))) => (),
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
        let answer = match self.client().await {
            Ok(client) => client.list(&namespaces).await.map_err(|error| error_chain(&error)),
            Err(cause) => Err(cause),
        };
        let answer = answer.map(|listed| listed.into_iter().map(held).collect());
        if let Err(cause) = &answer {
            tracing::warn!(host = self.address, cause, "a host cannot be looked at");
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
        let Ok(client) = self.client().await else { return Got::Failed };
        match client.get(uid).await {
            // It was asked for by its uid: an answer without one names no other.
            Ok(microvm) => Got::There(Microvm { uid: uid.to_owned(), ..told(microvm) }),
            Err(CallError::NotFound { .. }) => Got::Gone,
            Err(error) => {
                tracing::debug!(cause = error_chain(&error), "a microVM cannot be looked at");
                Got::Failed
            }
        }
    }

    /// All microVMs of that name; `None` if the host does not say.
    async fn find(&self, name: &Name) -> Option<Vec<Held>> {
        match self.client().await.ok()?.find(&name.namespace, &name.name).await {
            Ok(listed) => Some(listed.into_iter().map(held).map(|(_, held)| held).collect()),
            Err(error) => {
                tracing::debug!(cause = error_chain(&error), "a machine's microVMs cannot be looked at");
                None
            }
        }
    }
}

fn held(listed: Listed) -> (Name, Held) {
    let token = listed.metadata.get(spec::TOKEN).cloned().unwrap_or_default();
    let addresses = addresses(listed.addresses.iter().map(String::as_str));
    let microvm = Microvm { uid: listed.uid, state: State::of(listed.status.state), addresses, cause: cause(&listed.status) };
    (Name::new(listed.namespace, listed.name), Held { token, microvm })
}

fn told(microvm: MicroVm) -> Microvm {
    let spec = microvm.spec.unwrap_or_default();
    let of_interfaces = spec.interfaces.iter().filter_map(|interface| Some(interface.address.as_ref()?.address.as_str()));
    let addresses = addresses(of_interfaces);
    let (state, cause) = microvm.status.map_or((State::Unknown, String::new()), |status| (State::of(status.state), cause(&status)));
    Microvm { uid: spec.uid.unwrap_or_default(), state, addresses, cause }
}

/// What a host tells of a microVM's state, no longer than a condition's message should be.
fn cause(status: &MicroVmStatus) -> String {
    status.cause.chars().take(LONGEST_CAUSE).collect()
}

/// Addresses that a host tells. Nobody reaches a machine by a link-local one: that is how it reaches a metadata service.
fn addresses<'a>(told: impl Iterator<Item = &'a str>) -> Vec<MachineAddress> {
    let is_local = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let reached = told.filter_map(cidr).filter(|address| !is_local(address));
    reached.map(|address| MachineAddress::new(MachineAddressType::InternalIp, address.to_string())).collect()
}

#[cfg(test)]
mod tests;
