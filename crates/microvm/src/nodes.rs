//! Nodes: what they say of their machines' addresses, for machines of which neither spec nor host says any.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use capstead_capi::types::{MachineAddress, MachineAddressType};
use capstead_engine::{Name, error_chain};
use capstead_provider::Wake;
use capstead_reconcile::Backoff;
use k8s_openapi::api::core::v1::{Node, Secret};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Between looks at a Node that says no address, and at one that does: an address hardly ever changes.
const LOOKS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));
/// Between tries at a cluster that does not answer, the first and the longest.
const TRIES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// How long one look may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// The key of the kubeconfig in its Secret.
const VALUE: &str = "value";

/// The Nodes of all machines: one task and one client for each cluster, so that one which is dead slows no other.
pub(crate) struct Nodes {
    client: Client,
    wake: Wake,
    random: RandomState,
    clusters: Mutex<HashMap<Name, Watch>>,
}

impl std::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nodes").field("clusters", &self.clusters).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Watch {
    machines: Arc<Machines>,
    task: AbortHandle,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The machines of one cluster.
#[derive(Debug, Default)]
struct Machines {
    known: Mutex<HashMap<Name, Known>>,
    changed: Notify,
}

#[derive(Debug)]
struct Known {
    node: String,
    addresses: Vec<MachineAddress>,
    /// When it is looked at next.
    due: Instant,
}

impl Nodes {
    pub(crate) fn new(client: Client, wake: Wake) -> Self {
        Self { client, wake, random: RandomState::new(), clusters: Mutex::default() }
    }

    fn clusters(&self) -> MutexGuard<'_, HashMap<Name, Watch>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses that the machine's Node was last seen to say. The first time a look begins, after which the machine is woken; where addresses are `told`
    /// already there is no haste, so that a manager that starts does not ask all Nodes at once.
    pub(crate) fn look(&self, cluster: &Name, machine: &Name, node: &str, told: bool) -> Vec<MachineAddress> {
        let mut clusters = self.clusters();
        let watch = clusters.entry(cluster.clone()).or_insert_with(|| self.watch(cluster));
        let mut known = watch.machines.known();
        if let Some(known) = known.get(machine).filter(|known| known.node == node) {
            return known.addresses.clone();
        }
        let wait = if told { LOOKS.1.mul_f64(self.share(machine)) } else { Duration::ZERO };
        known.insert(machine.clone(), Known { node: node.to_owned(), addresses: Vec::new(), due: Instant::now() + wait });
        watch.machines.changed.notify_one();
        Vec::new()
    }

    /// The machine is gone, and with its last one the cluster.
    pub(crate) fn forget(&self, machine: &Name) {
        self.clusters().retain(|_, watch| {
            let mut known = watch.machines.known();
            known.remove(machine);
            !known.is_empty()
        });
    }

    fn share(&self, name: &Name) -> f64 {
        (self.random.hash_one(name) % 1024) as f64 / 1024.0
    }

    fn watch(&self, cluster: &Name) -> Watch {
        let machines = Arc::new(Machines::default());
        let backoff = Backoff::new(TRIES.0, TRIES.1, self.random.hash_one(cluster));
        let task = watch(self.client.clone(), cluster.clone(), Arc::clone(&machines), self.wake.clone(), backoff);
        Watch { machines, task: tokio::spawn(task).abort_handle() }
    }
}

impl Machines {
    fn known(&self) -> MutexGuard<'_, HashMap<Name, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine that is looked at next, its Node, and when.
    fn next(&self) -> Option<(Name, String, Instant)> {
        let known = self.known();
        let (machine, next) = known.iter().min_by_key(|(_, known)| known.due)?;
        Some((machine.clone(), next.node.clone(), next.due))
    }

    /// Takes in what was seen at `now`: no addresses take none back. Returns whether it is news.
    fn seen(&self, machine: &Name, node: &str, addresses: Vec<MachineAddress>, now: Instant) -> bool {
        let mut known = self.known();
        let Some(known) = known.get_mut(machine).filter(|known| known.node == node) else { return false };
        known.due = now + if addresses.is_empty() { LOOKS.0 } else { LOOKS.1 };
        let news = !addresses.is_empty() && addresses != known.addresses;
        if news {
            known.addresses = addresses;
        }
        news
    }
}

/// Looks at the Nodes of one cluster, one at a time, for ever.
async fn watch(client: Client, cluster: Name, machines: Arc<Machines>, wake: Wake, mut backoff: Backoff) {
    let mut nodes = None;
    loop {
        let Some((machine, node, due)) = machines.next() else {
            machines.changed.notified().await;
            continue;
        };
        tokio::select! {
            () = sleep_until(due) => (),
            () = machines.changed.notified() => continue,
        }
        match timeout(DEADLINE, look(&client, &cluster, &mut nodes, &node)).await.unwrap_or(Err(LookError::Late)) {
            Ok(addresses) => {
                backoff.reset();
                if machines.seen(&machine, &node, addresses, Instant::now()) {
                    wake.wake(machine);
                }
            }
            Err(error) => {
                tracing::debug!(%cluster, node, cause = error_chain(&error), "a Node's addresses cannot be read");
                // By what the Secret then says; and another machine's Node first.
                nodes = None;
                machines.seen(&machine, &node, Vec::new(), Instant::now());
                sleep(backoff.failed()).await;
            }
        }
    }
}

/// Why a Node could not be looked at. What a kubeconfig holds is in no text, so what is wrong with one is not either.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("Secret {secret} cannot be read")]
    Secret { secret: String, source: kube::Error },
    #[error("Secret {secret} holds no kubeconfig under key {VALUE} that can be used")]
    Kubeconfig { secret: String },
    #[error("the cluster does not say")]
    Node(#[source] kube::Error),
    #[error("nobody answers within {} s", DEADLINE.as_secs())]
    Late,
}

/// What a Node says, which is nothing where it is gone. `nodes` is the way to the cluster, once there is one.
async fn look(client: &Client, cluster: &Name, nodes: &mut Option<Api<Node>>, node: &str) -> Result<Vec<MachineAddress>, LookError> {
    let nodes = match nodes {
        Some(nodes) => nodes,
        None => nodes.insert(Api::all(connect(client, cluster).await?)),
    };
    let found = nodes.get_opt(node).await.map_err(LookError::Node)?;
    Ok(found.as_ref().map(addresses).unwrap_or_default())
}

/// The client of a workload cluster, by the Secret that the contract names for it.
async fn connect(client: &Client, cluster: &Name) -> Result<Client, LookError> {
    let secret = format!("{}-kubeconfig", cluster.name);
    let read = Api::<Secret>::namespaced(client.clone(), &cluster.namespace).get(&secret).await;
    let data = match read {
        Ok(read) => read.data.unwrap_or_default().remove(VALUE),
        Err(source) => return Err(LookError::Secret { secret, source }),
    };
    let text = data.and_then(|value| String::from_utf8(value.0).ok());
    let Some(kubeconfig) = text.and_then(|text| Kubeconfig::from_yaml(&text).ok()).map(inline) else {
        return Err(LookError::Kubeconfig { secret });
    };
    let Ok(config) = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await else {
        return Err(LookError::Kubeconfig { secret });
    };
    Client::try_from(config).map_err(|_| LookError::Kubeconfig { secret })
}

/// A kubeconfig without what reaches beyond it: whoever may write a Secret must neither run programs here nor have files read.
fn inline(mut kubeconfig: Kubeconfig) -> Kubeconfig {
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        cluster.certificate_authority = None;
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        let AuthInfo { username, password, token, client_certificate_data, client_key_data, .. } = std::mem::take(user);
        *user = AuthInfo { username, password, token, client_certificate_data, client_key_data, ..AuthInfo::default() };
    }
    kubeconfig
}

/// The addresses that a Node says, as the contract takes them: of types it knows, with 1 to 256 characters, each once, at most 256.
fn addresses(node: &Node) -> Vec<MachineAddress> {
    let said = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
    let mut known = BTreeSet::new();
    let taken = said.filter_map(|said| {
        let type_: StrDeserializer<'_, ValueError> = said.type_.as_str().into_deserializer();
        let type_ = MachineAddressType::deserialize(type_).ok()?;
        let is_new = (1..=256).contains(&said.address.chars().count()) && known.insert((type_, &said.address));
        is_new.then(|| MachineAddress::new(type_, &said.address))
    });
    taken.take(256).collect()
}

#[cfg(test)]
mod tests;
