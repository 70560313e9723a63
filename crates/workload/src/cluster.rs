//! The life of one cluster: what there is in its API and in its etcd, as its machines come, go down, come back and go.
//!
//! # Design
//!
//! [`Cluster`] is a synchronous state machine. It has no clock: every call says what time it is, and [`Cluster::next`] says when it wants the next
//! [`Cluster::advance`]. It has no network: who serves its [`Shared`] store and its [`Etcd`] asks [`Cluster::answers`] whether the API is up, and
//! [`Cluster::member`] where a port-forward to a pod of etcd goes. Nothing polls, and at rest nothing is written: there are no heartbeats.
//!
//! ```text
//! guest::boot ─► init / join ─┐                     ┌─► store: nodes, pods, kubeadm's objects
//! machine down, up, gone ─────┼─► Cluster: machines ┼─► etcd: members, learners, health
//! suffer troubles ────────────┤                     │
//! store changed ─► observe ───┤      + agenda       └─► next: when something is due by itself
//! time ─► advance ────────────┘
//! ```
//!
//! **What a machine brings.** `init` makes the namespaces and all that kubeadm leaves behind: ConfigMaps kubeadm-config, kubelet-config, cluster-info, the
//! `kubeadm:*` roles, bootstrap tokens, kube-proxy and CoreDNS. Every machine brings its Node, a control plane machine also its static pods and, unless etcd
//! is elsewhere, a member of etcd (a learner that is promoted, as kubeadm does it). The shell waits as long as kubeadm shall take, and then calls; after
//! [`Settings::ready`] the Node and its pods are Ready.
//!
//! **Joining** asks the cluster as it is then: the version in ConfigMap kubeadm-config (which KubeadmControlPlane raises before it replaces machines, so an
//! upgrade needs nothing of its own), and the tokens in the Secrets of kube-system. [`discovery::check`] judges. [`JoinError::may_pass`] says whether
//! kubeadm would go on trying.
//!
//! **The API answers** while one control plane machine is up and etcd has a leader (with external etcd: always). While it does not, nobody can write, so
//! what is due waits: a Node does not turn Unknown in a cluster without quorum.
//!
//! **A machine that goes down** stops its member at once. Its Node keeps its last word for [`Settings::grace`] (40 s in a real cluster), then its conditions are
//! Unknown, the taints `unreachable` are on it, and its pods are not Ready. After [`Settings::toleration`] its movable pods are deleted, and stay Terminating,
//! as nobody there ends them. If it comes back it is Ready again; if its Node was deleted meanwhile, it registers again. While it runs, it does not: a
//! kubelet registers when it starts. A machine that is gone for good leaves its member behind, for KubeadmControlPlane to remove.
//!
//! **[`Cluster::rebuild`]** makes a cluster from machines that were its nodes when all else was lost: what they know, and kubeadm's own objects. What others had
//! written to its API is not there any more.
//!
//! **[`Troubles`]** come from outside, as a whole and as often as one likes: a machine that is off or cut off is not heard, as one that is down.
//!
//! **Small controllers** ([`controllers`]) run on every change of the store, level-triggered: DaemonSets, Deployments, scheduling, kubelets (start pods, end
//! those that terminate), and the collection of pods whose Node is gone. So a drain moves CoreDNS, while static and daemon pods stay; a new image in
//! kube-proxy's or CoreDNS's template replaces their pods; what people apply by ClusterResourceSets runs too.
//!
//! **Leases** are there, but their time is what they were made with: who serves them renders the time when they are read.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::Timestamp;
use semver::Version;
use serde_json::Value;

use crate::etcd;
use crate::etcd::Etcd;
use crate::etcd::EtcdError;
use crate::etcd::Health;
use crate::fault::Victim;
use crate::guest::Boot;
use crate::guest::discovery;
use crate::guest::discovery::Told;
use crate::guest::kubeadm;
use crate::guest::kubeadm::Certificates;
use crate::guest::kubeadm::Endpoint;
use crate::guest::kubeadm::Init;
use crate::guest::kubeadm::Role;
use crate::number::number;
use crate::store::Shared;
use crate::store::Store;

mod admission;
pub mod controllers;
mod kubeadm_objects;
mod machine;
mod nodes;
mod pods;
#[cfg(test)]
mod tests;
mod tokens;

pub use admission::InitError;
pub use admission::JoinError;
pub use machine::Host;
pub use machine::MachineId;
pub use machine::Trouble;
pub use machine::Troubles;

use machine::Machine;
use machine::urls;

/// How long things take. The defaults are a real cluster's; a test compresses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From a Node's registration until it is Ready.
    pub ready: Duration,
    /// From a machine's end until its Node is Unknown.
    pub grace: Duration,
    /// From then until its pods are evicted.
    pub toleration: Duration,
    /// How long a call to etcd waits for a majority.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { ready: seconds(1), grace: seconds(40), toleration: seconds(300), patience: etcd::PATIENCE }
    }
}

/// One cluster.
#[derive(Debug)]
pub struct Cluster {
    settings: Settings,
    name: String,
    endpoint: Endpoint,
    stable_endpoint: bool,
    certificates: Certificates,
    network: Network,
    store: Shared,
    etcd: Option<Etcd>,
    machines: BTreeMap<MachineId, Machine>,
    /// What happens by itself, by time and then in the order it was settled.
    agenda: BTreeMap<(Timestamp, u64), Due>,
    settled: u64,
    /// The store's revision, and the Nodes that were heard, when the controllers had nothing left to do.
    observed: Option<(u64, BTreeSet<String>)>,
    /// How far its clocks are ahead.
    clock: SignedDuration,
}

/// Subnets, as far as objects name them.
#[derive(Clone, Debug)]
struct Network {
    pods: Option<std::net::Ipv4Addr>,
    joined: u32,
}

#[derive(Debug)]
enum Due {
    Ready { machine: MachineId, round: u64 },
    Unknown { machine: MachineId, round: u64 },
    Evict { machine: MachineId, round: u64 },
}

impl Cluster {
    /// Begins a cluster on the machine that ran kubeadm init. The same seed and endpoint make the same uids.
    ///
    /// # Errors
    ///
    /// When the machine did not.
    pub fn init(id: MachineId, boot: &Boot, host: Host, settings: Settings, seed: u64, now: Timestamp) -> Result<Self, InitError> {
        let Role::Init(init) = &boot.role else { return Err(InitError::NotInit) };
        Self::found(id, init, boot, host, settings, seed, now)
    }

    /// Makes a cluster again from machines that were its nodes, whatever became of the one that began it. The same seed makes the same uids.
    ///
    /// # Errors
    ///
    /// When there is no control plane machine among them.
    pub fn rebuild(mut machines: Vec<(MachineId, Boot, Host)>, settings: Settings, seed: u64, now: Timestamp) -> Result<Self, InitError> {
        // Who began it knows most of it; workers know nothing.
        machines.sort_by_key(|(_, boot, _)| match &boot.role {
            Role::Init(_) => 0,
            Role::Join(join) if join.control_plane.is_some() => 1,
            Role::Join(_) => 2,
        });
        let mut machines = machines.into_iter();
        let (id, boot, host) = machines.next().ok_or(InitError::NotInit)?;
        let init = admission::founding(&boot).ok_or(InitError::NotInit)?;
        let mut cluster = Self::found(id, &init, &boot, host, settings, seed, now)?;
        for (id, boot, host) in machines {
            let control_plane = match &boot.role {
                Role::Init(init) => Some(init.bind_port),
                Role::Join(join) => join.control_plane.as_ref().map(|control_plane| control_plane.bind_port),
            };
            let kubelet = boot.kubernetes.clone().or_else(|| cluster.kubernetes()).ok_or(InitError::NotInit)?;
            let member = cluster.member_for(&boot, &host, control_plane.is_some()).unwrap_or_default();
            cluster.add(id, &boot, host, kubelet, control_plane, member, now);
        }
        Ok(cluster)
    }

    /// Begins it with what kubeadm init knows.
    fn found(
        id: MachineId,
        init: &Init,
        boot: &Boot,
        host: Host,
        settings: Settings,
        seed: u64,
        now: Timestamp,
    ) -> Result<Self, InitError> {
        let version = boot.kubernetes.clone().or_else(|| crate::guest::version(&init.cluster.kubernetes_version));
        let kubelet = version.ok_or(InitError::NotInit)?;
        let local = matches!(init.certificates.etcd, kubeadm::Etcd::Local(_));
        let (etcd, member) = if local {
            let (peers, clients) = urls(&host);
            let cluster = etcd::Cluster::new(&format!("{seed}/{}", init.endpoint), &boot.node.name, peers, clients);
            let member = cluster.named(&boot.node.name);
            (Some(Etcd::new(cluster, settings.patience)), member)
        } else {
            (None, None)
        };
        let pods = init.cluster.networking.pod_subnet.split(['/', ',']).next().and_then(|address| address.parse().ok());
        let mut cluster = Self {
            settings,
            name: init.cluster.cluster_name.clone(),
            endpoint: init.endpoint.clone(),
            stable_endpoint: !init.cluster.control_plane_endpoint.is_empty(),
            certificates: init.certificates.clone(),
            network: Network { pods, joined: 0 },
            store: Shared::new(Store::new(own(seed, &init.endpoint))),
            etcd,
            machines: BTreeMap::new(),
            agenda: BTreeMap::new(),
            settled: 0,
            observed: None,
            clock: SignedDuration::ZERO,
        };
        kubeadm_objects::make(&mut cluster.store.lock(), init, &boot.skipped, now);
        cluster.add(id, boot, host, kubelet, Some(init.bind_port), member, now);
        Ok(cluster)
    }

    /// Lets a machine join that ran kubeadm join, as far as the cluster lets it.
    ///
    /// # Errors
    ///
    /// Whatever keeps a real machine out; see [`JoinError::may_pass`].
    pub fn join(&mut self, id: MachineId, boot: &Boot, host: Host, now: Timestamp) -> Result<(), JoinError> {
        let Role::Join(join) = &boot.role else { return Err(JoinError::NotJoin) };
        if !self.answers() {
            return Err(JoinError::NoAnswer(join.discovery.endpoint().clone()));
        }
        let (version, tokens, taken) = {
            let store = self.store.lock();
            let version = kubeadm_objects::version(&store).ok_or(JoinError::NoConfiguration)?;
            let taken = store.get("nodes", "", &boot.node.name).is_some_and(|node| nodes::is_ready(&node.value()));
            (version, tokens::known(&store), taken)
        };
        let etcd_authority = match &self.certificates.etcd {
            kubeadm::Etcd::Local(pair) => Some(pair.certificate.as_str()),
            kubeadm::Etcd::External => None,
        };
        let told = Told {
            authority: &self.certificates.authority.certificate,
            etcd_authority,
            tokens: &tokens,
            kubernetes: &version,
            stable_endpoint: self.stable_endpoint,
        };
        discovery::check(join, boot.kubernetes.as_ref(), &told, now.saturating_add(self.clock).unwrap_or(now))?;
        if taken {
            return Err(JoinError::NameTaken(boot.node.name.clone()));
        }
        let member = self.member_for(boot, &host, join.control_plane.is_some())?;
        let kubelet = boot.kubernetes.clone().unwrap_or(version);
        let bind_port = join.control_plane.as_ref().map(|control_plane| control_plane.bind_port);
        self.add(id, boot, host, kubelet, bind_port, member, now);
        Ok(())
    }

    /// A machine's own member of etcd, if it is to have one.
    fn member_for(&self, boot: &Boot, host: &Host, control_plane: bool) -> Result<Option<u64>, EtcdError> {
        let Some(etcd) = self.etcd.as_ref().filter(|_| control_plane) else { return Ok(None) };
        let (peers, clients) = urls(host);
        let added = etcd.change(|etcd| {
            let id = etcd.add(peers, true)?;
            etcd.start(id, &boot.node.name, clients)?;
            etcd.promote(id)?;
            Ok(id)
        });
        added.map(Some)
    }

    #[allow(clippy::too_many_arguments, reason = "what init and join have in common")]
    fn add(
        &mut self,
        id: MachineId,
        boot: &Boot,
        host: Host,
        kubelet: Version,
        control_plane: Option<u16>,
        member: Option<u64>,
        now: Timestamp,
    ) {
        let pod_cidr = self.network.pods.map(|base| {
            let base = u32::from(base).wrapping_add(self.network.joined << 8);
            format!("{}/24", std::net::Ipv4Addr::from(base))
        });
        self.network.joined += 1;
        let (node, trouble) = (boot.node.clone(), Trouble::default());
        let machine =
            Machine { node, host, kubelet, control_plane, member, pod_cidr, up: true, gone: false, trouble, well: true, round: 0 };
        nodes::register(&mut self.store.lock(), &machine, now);
        self.settle(now, self.settings.ready, Due::Ready { machine: id.clone(), round: 0 });
        self.machines.insert(id, machine);
        self.observe(now);
    }

    /// The machine stops: power is off, or its host is.
    pub fn down(&mut self, id: &str, now: Timestamp) {
        self.turn(id, |machine| machine.up = false, now);
    }

    /// A machine that was down boots again. It does not run kubeadm again.
    pub fn up(&mut self, id: &str, now: Timestamp) {
        self.turn(id, |machine| machine.up = !machine.gone, now);
    }

    /// From now on these are the cluster's troubles, and no others.
    pub fn suffer(&mut self, troubles: &Troubles, now: Timestamp) {
        self.clock = troubles.clock;
        for id in self.machines.keys().cloned().collect::<Vec<_>>() {
            let trouble = troubles.machines.get(&id).copied().unwrap_or_default();
            self.turn(&id, |machine| machine.trouble = trouble, now);
        }
    }

    /// Lets a machine's state change, and follow what follows.
    fn turn(&mut self, id: &str, change: impl FnOnce(&mut Machine), now: Timestamp) {
        let Some(machine) = self.machines.get_mut(id) else { return };
        let (heard, health) = (machine.heard(), machine.health());
        change(machine);
        if machine.health() != health {
            let (member, health) = (machine.member, machine.health());
            self.set_health(member, health);
        }
        let Some(machine) = self.machines.get_mut(id).filter(|machine| machine.heard() != heard) else { return };
        machine.round += 1;
        let (machine, round) = (id.to_owned(), machine.round);
        if heard {
            self.settle(now, self.settings.grace, Due::Unknown { machine, round });
        } else {
            self.settle(now, self.settings.ready, Due::Ready { machine, round });
        }
    }

    /// The machine is destroyed. Its Node and its member of etcd stay, until somebody removes them.
    pub fn gone(&mut self, id: &str, now: Timestamp) {
        self.down(id, now);
        if let Some(machine) = self.machines.get_mut(id) {
            machine.gone = true;
        }
        self.forget();
    }

    /// What was destroyed is forgotten with its Node.
    fn forget(&mut self) {
        let store = self.store.lock();
        self.machines.retain(|_, machine| !machine.gone || store.get("nodes", "", &machine.node.name).is_some());
    }

    /// When something happens by itself next, if the API answers until then.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.agenda.keys().next().map(|(at, _)| *at).filter(|_| self.answers())
    }

    /// Lets everything happen that is due by now.
    pub fn advance(&mut self, now: Timestamp) {
        let mut happened = false;
        while self.answers()
            && let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now)
        {
            let due = entry.remove();
            self.happen(&due, now);
            happened = true;
        }
        if happened {
            self.observe(now);
        }
    }

    fn happen(&mut self, due: &Due, now: Timestamp) {
        let (Due::Ready { machine: id, round } | Due::Unknown { machine: id, round } | Due::Evict { machine: id, round }) = due;
        let Some(machine) = self.machines.get_mut(id).filter(|machine| machine.round == *round) else { return };
        match due {
            Due::Ready { .. } => {
                machine.well = true;
                let mut store = self.store.lock();
                // A kubelet that starts registers, whether its Node is there or not.
                nodes::register(&mut store, machine, now);
                nodes::ready(&mut store, machine, now);
            }
            Due::Unknown { .. } => {
                nodes::unknown(&mut self.store.lock(), &machine.node.name, now);
                self.settle(now, self.settings.toleration, Due::Evict { machine: id.clone(), round: *round });
            }
            Due::Evict { .. } => controllers::evict(&mut self.store.lock(), &machine.node.name, now),
        }
    }

    /// Lets the controllers and kubelets see what changed in the store. To be called after every change that is not the cluster's own.
    pub fn observe(&mut self, now: Timestamp) {
        if !self.answers() {
            return;
        }
        let heard = self.nodes_up();
        let mut store = self.store.lock();
        // The controllers' own writes wake who waits for changes, too, and are no news to them.
        if self.observed.as_ref().is_none_or(|(revision, before)| *revision != store.revision() || *before != heard) {
            let up = self.heard().map(|machine| (machine.node.name.as_str(), machine.host.address)).collect();
            let at_rest = controllers::run(&mut store, &up, now);
            self.observed = at_rest.then(|| (store.revision(), heard));
        }
        drop(store);
        self.probe(now);
        self.forget();
    }

    /// Whether the API answers: a control plane machine is up, and etcd has a leader.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.heard().any(|machine| machine.control_plane.is_some())
            && self.etcd.as_ref().is_none_or(|etcd| etcd.read(|etcd| etcd.leader().is_some()))
    }

    /// What kubeadm's configuration calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the API is.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What its trust rests on.
    #[must_use]
    pub const fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Its objects.
    #[must_use]
    pub const fn store(&self) -> &Shared {
        &self.store
    }

    /// Its etcd, unless that is elsewhere.
    #[must_use]
    pub const fn etcd(&self) -> Option<&Etcd> {
        self.etcd.as_ref()
    }

    /// The member of etcd on a node, whether it is up or not.
    #[must_use]
    pub fn member(&self, node: &str) -> Option<u64> {
        self.machines.values().find(|machine| machine.node.name == node)?.member
    }

    /// Lets kubelets probe what depends on their machine's member of etcd.
    fn probe(&mut self, now: Timestamp) {
        let Some(etcd) = &self.etcd else { return };
        for machine in self.machines.values_mut().filter(|machine| machine.heard()) {
            let member = machine.member.and_then(|member| etcd.read(|etcd| etcd.members().get(&member).map(|member| member.health)));
            let well = member.is_none_or(|health| health == Health::Running);
            if machine.well != well {
                machine.well = well;
                pods::probe(&mut self.store.lock(), &machine.node.name, well, now);
            }
        }
    }

    /// The version of the API server: the oldest there is, as a balancer might lead to it.
    #[must_use]
    pub fn kubernetes(&self) -> Option<Version> {
        let control_plane = self.heard().filter(|machine| machine.control_plane.is_some());
        control_plane.map(|machine| machine.kubelet.clone()).min()
    }

    /// The Nodes whose kubelets are heard.
    #[must_use]
    pub fn nodes_up(&self) -> BTreeSet<String> {
        self.heard().map(|machine| machine.node.name.clone()).collect()
    }

    /// Whether the kubelet of that Node is heard.
    #[must_use]
    pub fn is_up(&self, node: &str) -> bool {
        self.heard().any(|machine| machine.node.name == node)
    }

    fn heard(&self) -> impl Iterator<Item = &Machine> {
        self.machines.values().filter(|machine| machine.heard())
    }

    /// Its machines as faults see them, without those that are gone.
    pub fn victims(&self) -> impl Iterator<Item = Victim> {
        let alive = self.machines.iter().filter(|(_, machine)| !machine.gone);
        alive.map(|(id, machine)| Victim { id: id.clone(), node: machine.node.name.clone(), etcd: machine.member.is_some() })
    }

    fn settle(&mut self, now: Timestamp, after: Duration, due: Due) {
        let at = now + SignedDuration::try_from(after).unwrap_or(SignedDuration::ZERO);
        self.settled += 1;
        self.agenda.insert((at, self.settled), due);
    }

    /// A member that was removed meanwhile has no health.
    fn set_health(&self, member: Option<u64>, health: Health) {
        if let (Some(etcd), Some(member)) = (&self.etcd, member) {
            let _ = etcd.change(|etcd| etcd.set_health(member, health));
        }
    }
}

/// The cluster's own seed: two clusters of one seed differ in their uids.
fn own(seed: u64, endpoint: &Endpoint) -> u64 {
    number(&[&seed.to_string(), &endpoint.to_string()])
}

/// Creates an object; one that is there already stays as it is.
fn put(store: &mut Store, resource: &str, object: Value, now: Timestamp) {
    if let Err(error) = store.create(resource, object, now) {
        tracing::debug!(resource, %error, "not created");
    }
}
