//! What the life cycles of clusters and machines share.

use capstead_reconcile::{Plan, Timestamp, Wait};

use crate::condition::{self, Conditions, Report, kind, reason};
use crate::crd::ContractKind;
use crate::meta;
use crate::ownership::{Claim, FORCE_RELEASE, Grounds};

/// The facts of an infrastructure object that its life cycle looks at. Read from a cache: it may be old, so every write that follows from it is under a
/// precondition on its uid and resourceVersion.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it carries the provider's finalizer.
    pub finalizer: bool,
    /// Whether it passes the manager's watch filter.
    pub watched: bool,
    /// Whether another system manages it.
    pub externally_managed: bool,
    /// Whether its own annotation pauses it.
    pub paused: bool,
    /// Whether a person lets it go by force.
    pub forced: bool,
    /// Its claim.
    pub claim: Option<Claim>,
}

impl Object {
    /// Reads the facts. `filter` is the manager's watch filter, empty for none.
    #[must_use]
    pub fn of<K: ContractKind>(object: &K, filter: &str) -> Self {
        Self {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            deleting: object.meta().deletion_timestamp.is_some(),
            finalizer: meta::has_finalizer(object, K::FINALIZER),
            watched: meta::matches_watch_filter(object, filter),
            externally_managed: meta::externally_managed(object),
            paused: meta::has_paused_annotation(object),
            forced: object.annotations().contains_key(FORCE_RELEASE),
            claim: Claim::read(object),
        }
    }
}

/// An object that this one refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Referred<T> {
    /// The reference is not set yet.
    NotSet,
    /// The reference is not set, and will not be before somebody does something.
    Astray {
        /// What is wrong. Predicate, of the object that should be referred to.
        why: String,
    },
    /// It names an object that does not exist.
    Missing {
        /// The name.
        name: String,
    },
    /// It is there.
    Found(T),
}

/// How the last pass over the object went wrong; kept by the process, forgotten with the next pass that does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// What went wrong, in words that are the same at every try: each new text is a write.
    pub cause: String,
}

/// Something the provider waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Blocked {
    /// The reason of the Ready condition, in CamelCase.
    pub reason: String,
    /// What is waited for. Subject.
    pub on: String,
    /// Why. Predicate: the two read as one sentence.
    pub why: String,
}

impl Blocked {
    /// Waits for `on`, which `why`.
    #[must_use]
    pub fn new(reason: impl Into<String>, on: impl Into<String>, why: impl Into<String>) -> Self {
        Self { reason: reason.into(), on: on.into(), why: why.into() }
    }

    pub(crate) fn message(&self) -> String {
        format!("{} {}", self.on, self.why)
    }
}

/// What a provider finds of what an object should own outside; `F` says what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Present<F, S> {
    /// The look shows nothing that the object owns; the plan makes it. Whether that look is good enough to make anything is not the provider's to judge.
    Nothing(Plan<S>),
    /// Something is there; the plan completes it.
    Something(F, Plan<S>),
    /// It cannot be told.
    Unknown(Blocked),
}

/// What a provider finds of what a deleted object owns outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent<S> {
    /// The look shows nothing that the object owns. Whether that look is good enough to let go is not the provider's to judge.
    Nothing,
    /// There is something; the plan takes it away or waits for it to go.
    Something(Plan<S>),
    /// It cannot be told, or can no longer be told: a host that does not answer, one that is no longer known, credentials that are gone. A provider
    /// whose last look failed says this and not `Nothing`, so that a person can decide.
    Unknown(Blocked),
}

/// One effect on an infrastructure object. Every write is under a precondition on the uid and resourceVersion of the object as the pass last knew it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step<S, N, T> {
    /// Store finalizer, token and placement in one write.
    Claim(Claim),
    /// Put the finalizer back on a claimed object that lost it.
    Hold,
    /// Read the object from the API server itself, and go on only if it is the one the plan was made from.
    Confirm,
    /// A provider's step that brings something into being: [`Grounds::sending`] before it.
    Make(S),
    /// Another step of the provider's.
    Change(S),
    /// Store what the contract wants in the spec, because status does not survive a move: providerID or endpoint.
    Store(N),
    /// Tell the status. An event goes with it when Ready changes.
    Tell(T),
    /// Remove the finalizer.
    Release {
        /// What letting go costs when it is by force: the text of a warning event.
        cost: Option<String>,
    },
}

/// The conditions of `told`, sorted, without times.
pub(crate) fn reports(told: &Conditions) -> Vec<Report> {
    let mut reports: Vec<Report> = told
        .iter()
        .map(|known| Report::new(known.type_.clone(), known.status, known.reason.clone()).message(known.message.clone()))
        .collect();
    reports.sort_by(|a, b| a.type_.cmp(&b.type_));
    reports
}

/// Sets these conditions and drops all others.
pub(crate) fn write(reports: &[Report], told: &mut Conditions, generation: Option<i64>, now: Timestamp) {
    let types: Vec<String> = told.iter().map(|known| known.type_.clone()).collect();
    for type_ in types.iter().filter(|type_| reports.iter().all(|report| report.type_ != **type_)) {
        told.remove(type_);
    }
    for report in reports {
        told.set(report.clone(), generation, now);
    }
}

/// Sets a condition among sorted ones.
pub(crate) fn set(reports: &mut Vec<Report>, report: Report) {
    match reports.binary_search_by(|known| known.type_.cmp(&report.type_)) {
        Ok(at) => reports[at] = report,
        Err(at) => reports.insert(at, report),
    }
}

/// Whether every condition was found for this generation.
#[must_use]
pub fn current(told: &Conditions, generation: Option<i64>) -> bool {
    told.iter().all(|known| known.observed_generation == generation)
}

/// A Ready condition.
pub(crate) fn ready(status: condition::Status, reason: &str, message: impl Into<String>) -> Report {
    Report::new(kind::READY, status, reason).message(message)
}

/// A provider's findings as conditions. Ready and Paused are the life cycle's own.
pub(crate) fn findings<S>(plan: &Plan<S>) -> impl Iterator<Item = Report> {
    plan.findings.iter().filter(|finding| finding.about != kind::READY && finding.about != kind::PAUSED).map(Report::from)
}

/// Waits as one text.
pub(crate) fn sentence(waits: &[Wait]) -> String {
    waits.iter().map(|wait| format!("{} {}", wait.on, wait.why)).collect::<Vec<_>>().join("; ")
}

/// The same plan without its steps.
pub(crate) fn without_steps<S, T>(plan: Plan<S>) -> Plan<T> {
    Plan { steps: Vec::new(), waits: plan.waits, findings: Vec::new(), again: plan.again }
}

/// What to do about a deleted object.
pub(crate) struct Leaving<S> {
    /// Provider steps.
    pub steps: Vec<S>,
    /// Whether the finalizer goes after them; with what it costs, when forced.
    pub release: Option<Option<String>>,
    /// Reason and message of Ready meanwhile.
    pub told: Option<(String, String)>,
    pub plan: Plan<()>,
}

/// Decides how a deleted object comes to its end. `absent` is asked only when something may be there.
pub(crate) fn leave<S>(
    object: &Object,
    grounds: Grounds,
    looked: Option<Timestamp>,
    failure: Option<&Failure>,
    now: Timestamp,
    absent: impl FnOnce(&Claim) -> Absent<S>,
) -> Leaving<S> {
    let mut leaving = Leaving { steps: Vec::new(), release: None, told: None, plan: Plan::settled() };
    // Without a claim nothing was ever made: the claim comes first, and a deleted object gets none.
    let Some(claim) = &object.claim else {
        leaving.release = Some(None);
        return leaving;
    };
    if grounds == Grounds::NothingMade {
        leaving.release = Some(None);
        return leaving;
    }
    let place = if claim.placement.is_empty() { String::new() } else { format!(" at {}", claim.placement) };
    let cost = format!(
        "let go by force: whatever still carries token {}{place} keeps running, and nobody will remove it; remove it by hand",
        claim.token
    );
    let advice = format!(
        "; if it is gone for good, annotation {FORCE_RELEASE} lets this object go, and whatever still carries token {}{place} is then left behind",
        claim.token
    );
    let (reason, message) = match absent(claim) {
        Absent::Nothing if grounds.cover(looked) => {
            leaving.release = Some(None);
            return leaving;
        }
        Absent::Nothing => {
            let (on, why) = ("a look at the outside", "must begin after the last thing made for this object could have landed");
            leaving.plan = leaving.plan.waiting(on, why).look_at(grounds.look_at(now));
            (reason::DELETING.to_owned(), format!("{on} {why}"))
        }
        Absent::Unknown(_) if object.forced && looked.is_some() => {
            leaving.release = Some(Some(cost));
            return leaving;
        }
        Absent::Unknown(blocked) => {
            let message = blocked.message() + &advice;
            leaving.plan = leaving.plan.waiting(blocked.on, blocked.why);
            // A process that has not looked yet knows no news.
            if looked.is_none() {
                return leaving;
            }
            (blocked.reason, message)
        }
        Absent::Something(mut plan) => {
            // Nobody waits without a word, whatever the provider says.
            if plan.is_settled() {
                plan = plan.waiting("what it owns outside", "is still there");
            }
            // By force means after one honest try.
            if object.forced && (plan.steps.is_empty() || failure.is_some()) {
                leaving.release = Some(Some(cost));
            }
            let message = sentence(&plan.waits);
            leaving.steps = plan.steps;
            leaving.plan.waits = plan.waits;
            leaving.plan.again = plan.again;
            match failure {
                _ if leaving.release.is_some() => {
                    leaving.steps.clear();
                    return leaving;
                }
                Some(Failure { cause }) => (reason::DELETION_FAILED.to_owned(), format!("{cause}{advice}")),
                // What is quickly done is not worth a write.
                None if leaving.plan.waits.is_empty() => return leaving,
                None => (reason::DELETING.to_owned(), message),
            }
        }
    };
    leaving.told = Some((reason, message));
    leaving
}
