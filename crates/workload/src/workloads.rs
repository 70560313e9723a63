//! All clusters of a process: machines boot into them, their APIs are served where their bootstrap data says, and time passes for them.
//!
//! This is the shell around [`guest`] and [`Cluster`]: it waits, listens and keeps the tasks; all decisions are theirs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::Weak;
use std::time::Duration;

use jiff::Timestamp;
use semver::Version;
use serde_json::Map;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;
use tracing::warn;

use crate::cluster;
use crate::cluster::Cluster;
use crate::cluster::Host;
use crate::cluster::MachineId;
use crate::fault::Active;
use crate::fault::Fault;
use crate::fault::FaultError;
use crate::fault::Faults;
use crate::fault::Kind;
use crate::fault::Place;
use crate::guest;
use crate::guest::Boot;
use crate::guest::BootError;
use crate::guest::kubeadm::Endpoint;
use crate::guest::kubeadm::Role;
use served::Served;
pub use served::View;

mod served;

/// How kubeadm's patience ends: it tries to join for so long.
const JOINING: Duration = Duration::from_secs(300);
/// Between its attempts.
const ATTEMPT: Duration = Duration::from_millis(500);

/// How long things take, and what may be listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From a machine's boot until kubeadm goes to the network.
    pub kubeadm: Duration,
    /// Of every cluster.
    pub cluster: cluster::Settings,
    /// Serve control plane endpoints that are not loopback, too.
    pub beyond_loopback: bool,
    /// The same seed and the same machines make the same uids, and the same faults the same victims.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { kubeadm: Duration::from_secs(2), cluster: cluster::Settings::default(), beyond_loopback: false, seed: 0 }
    }
}

/// A machine that boots.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What its maker calls it.
    pub id: MachineId,
    /// The bootstrap data.
    pub user_data: Vec<u8>,
    /// What its maker adds to them.
    pub vendor_data: Vec<u8>,
    /// What the datasource tells of it.
    pub meta_data: Map<String, Value>,
    /// The version of Kubernetes in its image, if known.
    pub kubernetes: Option<Version>,
    /// What it is made of.
    pub host: Host,
}

/// The clusters of a process. They end when this is dropped.
#[derive(Debug)]
pub struct Workloads {
    world: Arc<World>,
}

#[derive(Debug)]
struct World {
    settings: Settings,
    clusters: Mutex<BTreeMap<String, Arc<Served>>>,
    machines: Mutex<BTreeMap<MachineId, Machinery>>,
    faults: watch::Sender<Faults>,
}

/// A machine, and the cluster it is in.
#[derive(Debug)]
struct Machinery {
    /// Which makes a node of it; none if it was one already.
    task: Option<JoinHandle<()>>,
    cluster: Weak<Served>,
}

impl Workloads {
    /// No cluster yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let faults = watch::Sender::new(Faults::new(settings.seed));
        Self { world: Arc::new(World { settings, clusters: Mutex::default(), machines: Mutex::default(), faults }) }
    }

    /// A machine boots, and becomes a node if its bootstrap data lets it; if not, a warning says why. Must be called within a Tokio runtime.
    pub fn boot(&self, machine: Machine) {
        let mut machines = lock(&self.world.machines);
        let id = machine.id.clone();
        let task = tokio::spawn(live(Arc::downgrade(&self.world), machine));
        machines.insert(id, Machinery { task: Some(task), cluster: Weak::new() });
    }

    /// Machines that were nodes boot again, after their clusters were forgotten: the clusters are made anew from them, see [`Cluster::rebuild`]. What has no
    /// control plane machine boots as if it had never been a node. Must be called within a Tokio runtime.
    pub fn resume(&self, machines: Vec<Machine>) {
        let mut clusters: BTreeMap<String, Vec<(Machine, Boot)>> = BTreeMap::new();
        for machine in machines {
            match read(&machine) {
                Ok(boot) => {
                    let endpoint = match &boot.role {
                        Role::Init(init) => init.endpoint.to_string(),
                        Role::Join(join) => join.discovery.endpoint().to_string(),
                    };
                    clusters.entry(endpoint).or_default().push((machine, boot));
                }
                Err(error) => warn!(machine = machine.id, error = chain(&error), "is no node"),
            }
        }
        for (endpoint, machines) in clusters {
            let nodes = machines.iter().map(|(machine, boot)| (machine.id.clone(), boot.clone(), machine.host.clone())).collect();
            match self.world.rebuild(&endpoint, nodes) {
                Ok(served) => {
                    let mut all = lock(&self.world.machines);
                    all.extend(
                        machines.into_iter().map(|(machine, _)| (machine.id, Machinery { task: None, cluster: Arc::downgrade(&served) })),
                    );
                }
                Err(cause) => {
                    warn!(endpoint, cause, "is not made again; its machines boot anew");
                    machines.into_iter().for_each(|(machine, _)| self.boot(machine));
                }
            }
        }
    }

    /// A machine is no more. Its Node stays until somebody deletes it.
    pub fn end(&self, id: &str) {
        let Some(machine) = lock(&self.world.machines).remove(id) else { return };
        if let Some(task) = machine.task {
            task.abort();
        }
        let Some(served) = machine.cluster.upgrade() else { return };
        served.change(|cluster| cluster.gone(id, Timestamp::now()));
        // What has no machine any more is gone, with all its objects.
        let mut clusters = lock(&self.world.clusters);
        let inhabited = lock(&self.world.machines).values().any(|other| other.cluster.ptr_eq(&Arc::downgrade(&served)));
        if !inhabited {
            clusters.retain(|_, other| !Arc::ptr_eq(other, &served));
        }
    }

    /// From now on this goes wrong, too. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When it is no fault; nothing changes then.
    pub fn add_fault(&self, fault: Fault) -> Result<Active, FaultError> {
        let mut added = Err(FaultError::TooMany);
        self.world.faults.send_if_modified(|faults| {
            added = faults.add(fault, Timestamp::now());
            added.is_ok()
        });
        let active = added?;
        if let Some(lasting) = active.fault.lasting.and_then(|lasting| Duration::try_from(lasting).ok()) {
            let (world, id) = (Arc::downgrade(&self.world), active.id);
            tokio::spawn(async move {
                tokio::time::sleep(lasting).await;
                if let Some(world) = world.upgrade() {
                    world.faults.send_if_modified(|faults| faults.remove(id));
                }
            });
        }
        info!(id = active.id, kind = %active.fault.kind, "a fault begins");
        Ok(active)
    }

    /// A fault ends. `false` if there is none with that number.
    pub fn remove_fault(&self, id: u64) -> bool {
        self.world.faults.send_if_modified(|faults| faults.remove(id))
    }

    /// All faults end.
    pub fn clear_faults(&self) {
        self.world.faults.send_modify(Faults::clear);
    }

    /// The faults that hold, the oldest first.
    #[must_use]
    pub fn faults(&self) -> Vec<Active> {
        self.world.faults.borrow().iter().cloned().collect()
    }

    /// The clusters, by endpoint.
    #[must_use]
    pub fn clusters(&self) -> Vec<View> {
        let clusters: Vec<Arc<Served>> = lock(&self.world.clusters).values().cloned().collect();
        clusters.iter().map(|served| served.view()).collect()
    }

    /// How many clusters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.world.clusters).len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Workloads {
    fn drop(&mut self) {
        for task in lock(&self.world.machines).values().filter_map(|machine| machine.task.as_ref()) {
            task.abort();
        }
        lock(&self.world.clusters).clear();
    }
}

/// What a machine makes of its bootstrap data.
fn read(machine: &Machine) -> Result<Boot, BootError> {
    guest::boot(&guest::Machine {
        user_data: &machine.user_data,
        vendor_data: &machine.vendor_data,
        meta_data: &machine.meta_data,
        environment: &BTreeMap::new(),
        kubernetes: machine.kubernetes.as_ref(),
    })
}

/// A machine's life until it is a node.
async fn live(world: Weak<World>, machine: Machine) {
    let boot = match read(&machine) {
        Ok(boot) => boot,
        Err(error) => return warn!(machine = machine.id, error = chain(&error), "never becomes a node"),
    };
    let Machine { id, host, .. } = machine;
    let Some(wait) = world.upgrade().map(|world| world.settings.kubeadm) else { return };
    tokio::time::sleep(wait).await;
    let Some(mut faults) = world.upgrade().map(|world| world.faults.subscribe()) else { return };
    let place = || world.upgrade().and_then(|world| world.place(&boot));
    let suffers = |faults: &Faults, kind| faults.machine(kind, place().as_ref(), &id, &boot.node.name);
    if faults.wait_for(|faults| !suffers(faults, Kind::BootHangs)).await.is_err() {
        return;
    }
    if suffers(&faults.borrow(), Kind::NeverJoins) {
        return warn!(machine = id, node = boot.node.name, "never becomes a node: a fault keeps it from that");
    }
    drop(faults);
    let began = tokio::time::Instant::now();
    loop {
        let Some(world) = world.upgrade() else { return };
        let tried = match &boot.role {
            Role::Init(init) => world.init(&id, &boot, &init.endpoint, &host),
            Role::Join(join) => world.join(&id, &boot, join.discovery.endpoint(), &host),
        };
        match tried {
            Ok(()) => return info!(machine = id, node = boot.node.name, "is a node"),
            Err(why) if why.passing && began.elapsed() < JOINING => (),
            Err(why) => return warn!(machine = id, node = boot.node.name, error = why.cause, "never becomes a node"),
        }
        drop(world);
        tokio::time::sleep(ATTEMPT).await;
    }
}

/// Why kubeadm did not get through.
struct Failed {
    cause: String,
    /// It would try again.
    passing: bool,
}

impl World {
    /// The cluster in which the machine is, or will be.
    fn place(&self, boot: &Boot) -> Option<Place> {
        match &boot.role {
            Role::Init(init) => Some(Place { name: init.cluster.cluster_name.clone(), endpoint: init.endpoint.to_string() }),
            Role::Join(join) => lock(&self.clusters).get(&join.discovery.endpoint().to_string()).map(|served| served.place().clone()),
        }
    }

    fn init(&self, id: &str, boot: &Boot, endpoint: &Endpoint, host: &Host) -> Result<(), Failed> {
        let fails = |cause| Failed { cause, passing: false };
        let mut clusters = lock(&self.clusters);
        if clusters.contains_key(&endpoint.to_string()) {
            return Err(fails(format!("another cluster answers at {endpoint} already")));
        }
        let cluster = Cluster::init(id.to_owned(), boot, host.clone(), self.settings.cluster, self.settings.seed, Timestamp::now());
        let cluster = cluster.map_err(|error| fails(chain(&error)))?;
        let served =
            Served::start(cluster, self.settings.beyond_loopback, self.faults.subscribe()).map_err(|error| fails(chain(&error)))?;
        // A cluster whose only machine ended meanwhile is none.
        if self.settle(id, &served) {
            clusters.insert(endpoint.to_string(), served);
        }
        Ok(())
    }

    fn rebuild(&self, endpoint: &str, nodes: Vec<(MachineId, Boot, Host)>) -> Result<Arc<Served>, String> {
        let cluster =
            Cluster::rebuild(nodes, self.settings.cluster, self.settings.seed, Timestamp::now()).map_err(|error| chain(&error))?;
        let served = Served::start(cluster, self.settings.beyond_loopback, self.faults.subscribe()).map_err(|error| chain(&error))?;
        lock(&self.clusters).insert(endpoint.to_owned(), Arc::clone(&served));
        info!(endpoint, "a cluster is made again");
        Ok(served)
    }

    fn join(&self, id: &str, boot: &Boot, endpoint: &Endpoint, host: &Host) -> Result<(), Failed> {
        let Some(served) = lock(&self.clusters).get(&endpoint.to_string()).cloned() else {
            return Err(Failed { cause: format!("nobody answers at {endpoint}"), passing: true });
        };
        if served.is_silent() {
            return Err(Failed { cause: format!("{endpoint} does not answer"), passing: true });
        }
        let joined = served.change(|cluster| cluster.join(id.to_owned(), boot, host.clone(), Timestamp::now()));
        joined.map_err(|error| Failed { cause: chain(&error), passing: error.may_pass() })?;
        if !self.settle(id, &served) {
            served.change(|cluster| cluster.gone(id, Timestamp::now()));
        }
        Ok(())
    }

    /// The machine is in this cluster now. `false` if it has ended, which its task may hear of only later.
    fn settle(&self, id: &str, served: &Arc<Served>) -> bool {
        let mut machines = lock(&self.machines);
        let machine = machines.get_mut(id);
        machine.map(|machine| machine.cluster = Arc::downgrade(served)).is_some()
    }
}

/// An error with all of its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
