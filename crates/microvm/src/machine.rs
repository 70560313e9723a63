//! What this provider adds to the life cycle of a machine: one microVM on one host.

use std::time::Duration;

use capstead_capi::lifecycle::{Absent, Blocked, Present};
use capstead_capi::machine::{Found, MachineProvider, Subject};
use capstead_capi::ownership::Claim;
use capstead_capi::provider::InfraObject;
use capstead_capi::types::{MachineAddress, MachineAddressType, ProviderId};
use capstead_engine::Violation;
use capstead_flintlock::types::micro_vm_status::MicroVmState;
use capstead_reconcile::Plan;

use crate::api::v1alpha2::{MicrovmCluster, MicrovmMachine, Strategy, VmState};
use crate::placement::{Load, choose};
use crate::validate::{cidr, validate_cluster, validate_machine};

/// The scheme of provider ids: `microvm://<host>/<uid>`.
pub const SCHEME: &str = "microvm";

/// The reason of Ready when the host does not answer.
pub const HOST_UNREACHABLE: &str = "HostUnreachable";
/// The reason of Ready when no host can take the machine.
pub const NO_HOST: &str = "NoHost";
/// The reason of Ready when the MicrovmCluster or MicrovmMachine breaks a rule.
pub const INVALID_SPEC: &str = "InvalidSpec";

/// The field that lists the hosts.
pub(crate) const POOL: &str = "spec.placement.staticPool.hosts of the MicrovmCluster";

/// The provider of machines.
#[derive(Debug)]
pub struct Microvms;

/// What is asked of this provider for one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The pool.
    pub hosts: Vec<Host>,
    /// How one of it is chosen.
    pub strategy: Strategy,
    /// The host that was booked, or why none could be; chosen by the name alone when `None`.
    pub booked: Option<Result<String, Blocked>>,
    /// The addresses the guest is given.
    pub addresses: Vec<MachineAddress>,
    /// The addresses that were told before.
    pub told: Vec<MachineAddress>,
    /// What is wrong with it all; the field says of which object.
    pub violations: Vec<Violation>,
}

/// A host of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// Its `HOST:PORT`, which is its name, too.
    pub endpoint: String,
    /// Whether control plane machines may be placed here.
    pub control_plane_allowed: bool,
    /// The most machines that are placed here.
    pub most: Option<usize>,
}

impl Wish {
    /// What the two objects ask for.
    #[must_use]
    pub fn of(machine: &MicrovmMachine, cluster: Option<&MicrovmCluster>) -> Self {
        let Some(cluster) = cluster else {
            let violation = Violation::new("spec.infrastructureRef of the Cluster", "names no MicrovmCluster that exists");
            return Self { violations: vec![violation], ..Self::default() };
        };
        let of = |kind: &str, violations: Vec<Violation>| -> Vec<Violation> {
            let name = |known: Violation| Violation::new(format!("{} of the {kind}", known.field), known.rule);
            violations.into_iter().map(name).collect()
        };
        let mut violations = of("MicrovmCluster", validate_cluster(cluster));
        violations.extend(of("MicrovmMachine", validate_machine(machine, None)));
        let statics = machine.spec.vm.network_interfaces.iter().filter_map(|interface| cidr(interface.address.as_deref()?));
        let addresses = statics.map(|address| MachineAddress::new(MachineAddressType::InternalIp, address.to_string())).collect();
        let told = machine.contract_status().map(|status| status.addresses.clone()).unwrap_or_default();
        let strategy = cluster.spec.placement.static_pool.as_ref().and_then(|pool| pool.strategy).unwrap_or_default();
        Self { hosts: hosts(cluster), strategy, booked: None, addresses, told, violations }
    }
}

/// The hosts of a cluster's pool.
#[must_use]
pub fn hosts(cluster: &MicrovmCluster) -> Vec<Host> {
    let pool = cluster.spec.placement.static_pool.iter().flat_map(|pool| &pool.hosts);
    let most = |most: i32| usize::try_from(most).unwrap_or_default();
    let host = |host: &crate::api::v1alpha2::Host| Host {
        endpoint: host.endpoint.clone(),
        control_plane_allowed: host.controlplane_allowed,
        most: host.max_microvms.map(most),
    };
    pool.map(host).collect()
}

/// What was seen at the claim's host, or without a claim at the host where the machine would be placed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Observed {
    /// Nobody looked yet.
    #[default]
    Unseen,
    /// The host did not answer.
    Unreachable {
        /// Why not, in words that are the same at every try.
        cause: String,
    },
    /// The microVMs that carry the object's token, namespace and name; it takes a fault for there to be more than one.
    Seen(Vec<Microvm>),
}

/// A microVM.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Microvm {
    /// The host's id for it.
    pub uid: String,
    /// What the host says of it.
    pub state: State,
    /// Its addresses as the host says, or else its Node.
    pub addresses: Vec<MachineAddress>,
    /// Why it is in that state, if its host tells: ours do, in a field that flintlock's protocol has not.
    pub cause: String,
}

/// What a host says of a microVM, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Its VMM was started. That the guest booted is not known.
    Created,
    /// It is being made.
    Pending,
    /// A state this provider does not know.
    Unknown,
    /// The host gave up.
    Failed,
    /// It is being deleted.
    Deleting,
}

impl State {
    /// The state by its number in the protocol.
    #[must_use]
    pub fn of(number: i32) -> Self {
        match MicroVmState::try_from(number) {
            Ok(MicroVmState::Pending) => Self::Pending,
            Ok(MicroVmState::Created) => Self::Created,
            Ok(MicroVmState::Failed) => Self::Failed,
            Ok(MicroVmState::Deleting) => Self::Deleting,
            Err(_) => Self::Unknown,
        }
    }
}

impl From<State> for VmState {
    fn from(state: State) -> Self {
        match state {
            State::Created => Self::Running,
            State::Pending => Self::Pending,
            State::Failed => Self::Failed,
            State::Deleting => Self::Deleted,
            State::Unknown => Self::Unknown,
        }
    }
}

/// One call to a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Have the microVM made.
    Create {
        /// Where.
        host: String,
    },
    /// Have a microVM deleted.
    Delete {
        /// Where.
        host: String,
        /// Which.
        uid: String,
    },
}

/// The provider id of a microVM, byte for byte what kubelet is told in the guest; `None` if the contract takes no such text.
#[must_use]
pub fn provider_id(host: &str, uid: &str) -> Option<ProviderId> {
    format!("{SCHEME}://{host}/{uid}").parse().ok()
}

/// Host and uid of a provider id; `None` of another provider's.
#[must_use]
pub fn parts(id: &ProviderId) -> Option<(&str, &str)> {
    id.as_str().strip_prefix(SCHEME)?.strip_prefix("://")?.rsplit_once('/')
}

/// The microVM that is the machine: the one it is known by, or else the one furthest on, of these the oldest (uids grow with time).
#[must_use]
pub fn chosen<'a>(host: &str, known_by: Option<&ProviderId>, seen: &'a [Microvm]) -> Option<&'a Microvm> {
    let known = seen.iter().find(|microvm| known_by.is_some() && provider_id(host, &microvm.uid).as_ref() == known_by);
    known.or_else(|| seen.iter().min_by_key(|microvm| (microvm.state, &microvm.uid)))
}

impl MachineProvider for Microvms {
    type Wish = Wish;
    type Observed = Observed;
    type Step = Step;

    /// A create is given up after 10 s ([`capstead_flintlock::Limits`]), which the host is told. The rest is for what is on its way then: a host stores
    /// the microVM before it answers, so a create that reached it in time is in a listing at once, but it may reach it late, by retransmission.
    const LANDING: Duration = Duration::from_secs(10 + 20);

    fn makes(step: &Step) -> bool {
        matches!(step, Step::Create { .. })
    }

    /// Where the Machine says; or else what was booked; or else what is chosen by the name.
    fn place(subject: &Subject<'_>, wish: &Wish, _: &Observed) -> Result<String, Blocked> {
        if let Some(violation) = wish.violations.first() {
            return Err(invalid(violation));
        }
        if let Some(wanted) = subject.failure_domain {
            let known = wish.hosts.iter().any(|host| host.endpoint == wanted);
            let blocked = || {
                let on = format!("its Machine's spec.failureDomain {wanted}");
                Blocked::new(NO_HOST, on, format!("is a host that does not exist: it is not in {POOL}"))
            };
            return if known { Ok(wanted.to_owned()) } else { Err(blocked()) };
        }
        wish.booked.clone().unwrap_or_else(|| choose(subject, wish, |_| Load::default()))
    }

    /// Upstream's machines: their hosts made the uid, and no other microVM ever has it.
    fn adopt(id: &ProviderId) -> Option<String> {
        let (host, uid) = parts(id)?;
        (!host.is_empty() && !uid.is_empty()).then(|| host.to_owned())
    }

    fn present(subject: &Subject<'_>, claim: &Claim, wish: &Wish, seen: &Observed) -> Present<Found, Step> {
        let host = claim.placement.as_str();
        let seen = match look(host, seen) {
            Ok(seen) => seen,
            Err(blocked) => return Present::Unknown(blocked),
        };
        let Some(microvm) = chosen(host, subject.provider_id, seen) else {
            return nothing(subject, host, wish);
        };
        let id = provider_id(host, &microvm.uid);
        let mut found = Found { provider_id: id.clone(), failure_domain: Some(host.to_owned()), ..Found::default() };
        // Another than the machine is known by: the life cycle says so, and nothing is deleted on a doubt.
        let is_it = subject.provider_id.is_none() || subject.provider_id == id.as_ref();
        let twins = seen.iter().filter(|twin| is_it && twin.uid != microvm.uid);
        let mut plan = twins.fold(Plan::settled(), |plan, twin| delete(plan, host, twin));
        let on = || format!("microVM {} on host {host}", microvm.uid);
        match microvm.state {
            State::Created => {
                found.provisioned = true;
                // A process that knows of none yet takes back none that an earlier one told.
                let known = [&wish.addresses, &microvm.addresses, &wish.told].into_iter().find(|known| !known.is_empty());
                found.addresses = known.cloned().unwrap_or_default();
            }
            State::Failed if microvm.cause.is_empty() => {
                found.failed = Some(format!("{} failed; its host tells no cause, that host's log may", on()));
            }
            State::Failed => found.failed = Some(format!("{} failed: {}", on(), microvm.cause)),
            State::Pending if microvm.cause.is_empty() => plan = plan.waiting(on(), "is being made by the host"),
            State::Pending => plan = plan.waiting(on(), format!("is being made by the host: {}", microvm.cause)),
            State::Deleting => plan = plan.waiting(on(), "is being deleted, which this object did not ask for"),
            State::Unknown => plan = plan.waiting(on(), "is in a state that this provider does not know"),
        }
        Present::Something(found, plan)
    }

    fn absent(_: &Subject<'_>, claim: &Claim, _: &Wish, seen: &Observed) -> Absent<Step> {
        let host = claim.placement.as_str();
        match look(host, seen) {
            Err(blocked) => Absent::Unknown(blocked),
            Ok([]) => Absent::Nothing,
            Ok(seen) => Absent::Something(seen.iter().fold(Plan::settled(), |plan, microvm| delete(plan, host, microvm))),
        }
    }
}

fn look<'a>(host: &str, seen: &'a Observed) -> Result<&'a [Microvm], Blocked> {
    let blocked = |why: String| Blocked::new(HOST_UNREACHABLE, format!("host {host}"), why);
    match seen {
        Observed::Unseen => Err(blocked("was not asked yet".into())),
        Observed::Unreachable { cause } => Err(blocked(format!("does not answer: {cause}"))),
        Observed::Seen(seen) => Ok(seen),
    }
}

/// The host has no microVM of the machine: one is made, if it ever can be.
fn nothing(subject: &Subject<'_>, host: &str, wish: &Wish) -> Present<Found, Step> {
    let create = Present::Nothing(Plan::settled().then(Step::Create { host: host.to_owned() }));
    // It had one, and the life cycle says what becomes of that.
    if subject.provider_id.is_some() {
        return create;
    }
    if let Some(violation) = wish.violations.first() {
        return Present::Unknown(invalid(violation));
    }
    if wish.hosts.iter().all(|known| known.endpoint != host) {
        let why = format!("is no longer in {POOL}: put it back, or delete the Machine");
        return Present::Unknown(Blocked::new(NO_HOST, format!("host {host}, where the machine was placed,"), why));
    }
    create
}

fn invalid(violation: &Violation) -> Blocked {
    Blocked::new(INVALID_SPEC, violation.field.clone(), violation.rule.clone())
}

/// Deletes a microVM, unless its host is at it, and waits.
fn delete(plan: Plan<Step>, host: &str, microvm: &Microvm) -> Plan<Step> {
    let uid = &microvm.uid;
    let plan = plan.waiting(format!("microVM {uid} on host {host}"), "is being deleted by the host");
    match microvm.state {
        State::Deleting => plan,
        _ => plan.then(Step::Delete { host: host.to_owned(), uid: uid.clone() }),
    }
}

#[cfg(test)]
mod tests;
