//! The life cycle of one component: pure.
//!
//! ```text
//!            fetch      write     (what it needs is ready)   install objects    start
//!  nothing ────────► ─────────► ───────────────────────────► ──────────────► ──────────► starting
//!     ▲                                                                                      │ answers
//!     │ stop (what needs it is gone)                                                         ▼
//!     └─────────────────────────────────── ready ◄──────────────── install webhooks ──── answering
//! ```
//!
//! A process that is found running and carries the plane's mark is *adopted*; one that runs with another command than wished is stopped and started.
//! Identity comes first: the mark is stored with the plane before anything starts, travels in the environment of each process, and a lock that each process
//! inherits makes a second one impossible. So nothing depends on what the supervisor remembers.

use std::time::Duration;

use capstead_reconcile::Finding;
use capstead_reconcile::Plan;
use capstead_reconcile::Reconciler;
use capstead_reconcile::Timestamp;
use capstead_reconcile::Truth;

/// How often a ready component is asked whether it still is.
pub const READY_INTERVAL: Duration = Duration::from_secs(2);
/// How often a starting one is asked.
pub const STARTING_INTERVAL: Duration = Duration::from_millis(50);
/// The longest wait between restarts.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(20);
/// Failed starts in a row after which a component counts as failing.
pub const FAILING_AFTER: u32 = 4;

/// What one component should be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wish {
    /// Whether it should run.
    pub run: bool,
    /// Whether it brings objects to install before its start.
    pub objects: bool,
    /// Whether it brings webhooks or an inventory entry to install once it is ready.
    pub webhooks: bool,
}

/// What one component is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Observed {
    /// Its binary is at hand.
    pub binary: bool,
    /// Its certificates and kubeconfig are there and will stay valid for a while.
    pub files: bool,
    /// Processes that carry this plane's and component's mark. More than one is never meant to be.
    pub processes: Vec<Process>,
    /// How its processes ended lately.
    pub exits: Exits,
    /// A port of its that somebody else listens on; looked for only when no process runs.
    pub taken: Option<Taken>,
    /// Its objects.
    pub objects: Installed,
    /// Its webhooks and inventory entry.
    pub webhooks: Installed,
    /// Components it needs that are not ready.
    pub unready: Vec<String>,
    /// Components whose objects it needs and that are not there.
    pub without_objects: Vec<String>,
    /// Components that need it and still run.
    pub dependents: Vec<String>,
}

/// A process of the component.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// The supervisor holds it and hears of its end.
    pub held: bool,
    /// It runs the command that is wished.
    pub current: bool,
    /// It says that it is ready.
    pub ready: bool,
}

/// Ends of processes, as far as remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Exits {
    /// Ends in a row without a good spell between them.
    pub failures: u32,
    /// The last one.
    pub last: Option<Timestamp>,
}

/// Somebody else's listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taken {
    /// The port.
    pub port: u16,
    /// Who, as far as can be seen: `nginx (pid 123)`.
    pub by: String,
}

/// Whether something is in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Installed {
    /// The wished content is there.
    Yes,
    /// It is not.
    No,
    /// The API cannot be asked now.
    Unknown,
}

/// An effect on one component.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Bring its binary.
    Fetch,
    /// Write its certificates and kubeconfig.
    Write,
    /// Apply its objects and wait until they are served.
    InstallObjects,
    /// Start its process.
    Start,
    /// Hold a process that was found running.
    Adopt(u32),
    /// Apply its webhooks and inventory entry.
    InstallWebhooks,
    /// End a process, and wait until it has ended.
    Stop(u32),
}

/// The life cycle.
#[derive(Debug)]
pub enum Lifecycle {}

impl Reconciler for Lifecycle {
    type Wish = Wish;
    type Observed = Observed;
    type Step = Step;

    fn plan(wish: &Wish, seen: &Observed, now: Timestamp) -> Plan<Step> {
        match (wish.run, &seen.processes[..]) {
            (false, []) => Plan::settled(),
            (false, processes) => stop(seen, processes),
            (true, []) => start(wish, seen, now),
            (true, [process]) => keep(wish, seen, process, now),
            (true, processes) => twins(processes),
        }
    }
}

fn stop(seen: &Observed, processes: &[Process]) -> Plan<Step> {
    let plan = Plan::settled();
    if seen.dependents.is_empty() {
        processes.iter().fold(plan, |plan, process| plan.then(Step::Stop(process.pid)))
    } else {
        seen.dependents.iter().fold(plan, |plan, name| plan.waiting(name, "still runs and needs it"))
    }
}

/// Keeps the best process and ends the others.
fn twins(processes: &[Process]) -> Plan<Step> {
    let best = processes.iter().max_by_key(|process| (process.current, process.held, std::cmp::Reverse(process.pid)));
    processes.iter().filter(|process| Some(*process) != best).fold(Plan::settled(), |plan, process| plan.then(Step::Stop(process.pid)))
}

fn start(wish: &Wish, seen: &Observed, now: Timestamp) -> Plan<Step> {
    let mut plan = Plan::settled();
    if !seen.binary {
        plan = plan.then(Step::Fetch);
    }
    if !seen.files {
        plan = plan.then(Step::Write);
    }
    if seen.exits.failures >= FAILING_AFTER {
        let message = format!("ended {} times in a row soon after its start", seen.exits.failures);
        plan = plan.finding(finding("Failing", Truth::True, "CrashLoop", message));
    }
    if !seen.unready.is_empty() {
        return seen.unready.iter().fold(plan, |plan, name| plan.waiting(name, "must be ready first"));
    }
    if let Some(Taken { port, by }) = &seen.taken {
        let message =
            format!("port {port} is taken by {by}; stop that process, or take the plane down and up again, which picks another port");
        return plan
            .waiting(format!("port {port}"), format!("is taken by {by}"))
            .finding(finding("Failing", Truth::True, "PortTaken", message))
            .look_at(after(now, Duration::from_secs(1)));
    }
    if let Some(at) = seen.exits.last.map(|last| after(last, backoff(seen.exits.failures))).filter(|at| *at > now) {
        return plan.waiting("its next start", "is put off, since it ended soon after the last").look_at(at);
    }
    if wish.objects {
        match seen.objects {
            Installed::Yes => (),
            Installed::No => plan = plan.then(Step::InstallObjects),
            Installed::Unknown => {
                return plan.waiting("the API server", "cannot tell whether its objects are there").look_at(after(now, STARTING_INTERVAL));
            }
        }
    }
    if !seen.without_objects.is_empty() {
        return seen.without_objects.iter().fold(plan, |plan, name| plan.waiting(name, "must have its objects installed first"));
    }
    plan.then(Step::Start)
}

fn keep(wish: &Wish, seen: &Observed, process: &Process, now: Timestamp) -> Plan<Step> {
    let plan = Plan::settled();
    if !process.held {
        return plan.then(Step::Adopt(process.pid));
    }
    if !seen.files {
        return plan.then(Step::Write);
    }
    if !seen.binary {
        return plan.then(Step::Fetch);
    }
    if !process.current {
        return plan.then(Step::Stop(process.pid));
    }
    // An API server that lost its data, which an ephemeral plane may: the process needs its objects all the same.
    if wish.objects && seen.objects == Installed::No {
        return plan.then(Step::InstallObjects);
    }
    if !process.ready {
        return plan.waiting("its process", "does not say yet that it is ready").look_at(after(now, STARTING_INTERVAL));
    }
    if wish.webhooks {
        match seen.webhooks {
            Installed::Yes => (),
            Installed::No => return plan.then(Step::InstallWebhooks),
            Installed::Unknown => {
                return plan.waiting("the API server", "cannot tell whether its webhooks are there").look_at(after(now, READY_INTERVAL));
            }
        }
    }
    plan.look_at(after(now, READY_INTERVAL))
}

/// How long after its `failures`-th end in a row a process is started again. The first time at once.
fn backoff(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        n => Duration::from_millis(500).saturating_mul(1 << (n - 2).min(10)).min(LONGEST_BACKOFF),
    }
}

fn after(time: Timestamp, wait: Duration) -> Timestamp {
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}

fn finding(about: &str, truth: Truth, reason: &str, message: String) -> Finding {
    Finding { about: about.into(), truth, reason: reason.into(), message }
}

#[cfg(test)]
mod tests;
