//! One pass over an infrastructure object, whatever its kind: observe, plan, apply.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use capstead_capi::condition::{Report, Status, kind};
use capstead_capi::crd::ContractKind;
use capstead_capi::lifecycle::{Failure, Step};
use capstead_capi::ownership::{Claim, Grounds, PLACEMENT, TOKEN};
use capstead_capi::provider::{InfraObject, InfraStatus};
use capstead_engine::{Controller, Events, Kind, Name, News, Object, Passed, Store};
use capstead_reconcile::{Again, Backoff, Effects, Ended, Look, Outcome, Plan, Reconciler, Timestamp, execute, later};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tracing::Instrument;

/// What differs between an InfraMachine and an InfraCluster.
pub(crate) trait Life: Send + Sync + 'static {
    type Object: InfraObject + Kind;
    type Effect: Clone + Debug + Eq + Hash + Send + Sync;
    type Stored: Clone + Debug + Eq + Hash + Send + Sync;
    type Told: Clone + Debug + Eq + Hash + Send + Sync;
    type Wish: Send + Sync;
    type Observed: Send + Sync;
    type Cycle: Reconciler<Wish = Self::Wish, Observed = Self::Observed, Step = StepOf<Self>>;
    /// What effects need to know.
    type Scope: Send + Sync;

    /// How long after it was sent a making step may still land.
    const LANDING: Duration;

    /// Looks at everything.
    fn observe(&self, object: &Arc<Self::Object>, known: &Known) -> impl Future<Output = Sight<Self>> + Send;

    /// Performs a step of the provider's.
    fn effect(&self, scope: &Self::Scope, claim: &Claim, step: &Self::Effect) -> impl Future<Output = Outcome> + Send;

    /// How long that may take.
    fn deadline(&self, step: &Self::Effect) -> Duration;

    /// What to tell people of a step that was done.
    fn news(&self, claim: &Claim, step: &Self::Effect) -> Option<News>;

    /// Whether nothing was ever made for an object without a claim: one that was taken over from another has something already.
    fn is_new(_object: &Self::Object) -> bool {
        true
    }

    /// The change of metadata and spec that stores this.
    fn stored(stored: &Self::Stored) -> Value;

    /// Writes what is told into the object's status.
    fn write(scope: &Self::Scope, told: &Self::Told, object: &mut Self::Object, now: Timestamp);

    /// The conditions of what is told.
    fn conditions(told: &Self::Told) -> &[Report];

    /// The object is gone.
    fn forget(&self, name: &Name);
}

pub(crate) type StepOf<L> = Step<<L as Life>::Effect, <L as Life>::Stored, <L as Life>::Told>;

/// What came of looking.
pub(crate) enum Sight<L: Life + ?Sized> {
    /// Everything was seen.
    Scene(Box<Scene<L>>),
    /// Somebody looks, and asks for the object again when that is over.
    UnderWay,
    /// A cache has not caught up yet.
    Soon,
    /// The API server could not be asked.
    Failed(String),
}

/// What a pass goes by.
pub(crate) struct Scene<L: Life + ?Sized> {
    pub(crate) wish: L::Wish,
    pub(crate) seen: L::Observed,
    pub(crate) scope: L::Scope,
    /// When the look at the outside began.
    pub(crate) looked: Option<Timestamp>,
    /// When something is waited for that nobody watches: how often to look.
    pub(crate) poll: Option<Duration>,
}

/// What this process knows of one object beside what the API server holds. Lost with the process.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    uid: String,
    pub(crate) grounds: Grounds,
    pub(crate) failure: Option<Failure>,
    /// The look that the last plan wanted.
    again: Option<Again>,
    backoff: Backoff,
}

impl Known {
    /// A look at the outside that began before this time is not good enough.
    pub(crate) fn not_before(&self, now: Timestamp) -> Option<Timestamp> {
        self.again.and_then(|again| again.not_before(now))
    }
}

/// Looks after all objects of one kind.
pub(crate) struct Keeper<L: Life> {
    pub(crate) life: L,
    pub(crate) client: Client,
    pub(crate) store: Arc<Store<L::Object>>,
    pub(crate) events: Events,
    /// The field manager.
    pub(crate) manager: &'static str,
    /// When this process became the only one to act.
    pub(crate) since: Timestamp,
    known: Mutex<HashMap<Name, Known>>,
    random: RandomState,
}

/// How long a write to the API server may take.
const WRITE: Duration = Duration::from_secs(15);
/// Waits between tries, the first and the longest.
const TRIES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// After a conflict: the watch brings the news sooner, as a rule.
const CONFLICT: Duration = Duration::from_millis(500);
/// Until a cache that was seen to be behind is asked again.
const SOON: Duration = Duration::from_millis(100);
/// A look that is under way always ends, and asks again; this is for the day it does not.
const UNDER_WAY: Duration = Duration::from_secs(60);

impl<L: Life> Keeper<L> {
    pub(crate) fn new(
        life: L,
        client: Client,
        store: Arc<Store<L::Object>>,
        events: Events,
        manager: &'static str,
        since: Timestamp,
    ) -> Self {
        Self { life, client, store, events, manager, since, known: Mutex::default(), random: RandomState::new() }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Name, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the object; nothing, for one that was made again under the name.
    fn recall(&self, name: &Name, uid: &str) -> Known {
        let known = self.known().get(name).filter(|known| known.uid == uid).cloned();
        known.unwrap_or_else(|| Known {
            uid: uid.to_owned(),
            grounds: Grounds::unknown(self.since, L::LANDING),
            failure: None,
            again: None,
            backoff: Backoff::new(TRIES.0, TRIES.1, self.random.hash_one(uid)),
        })
    }
}

impl<L: Life> Controller for Keeper<L> {
    async fn pass(&self, name: &Name) -> Passed {
        let Some(object) = Object::of(&self.client, &self.store, name, self.manager) else {
            self.known().remove(name);
            self.life.forget(name);
            return Passed { look: Look::OnChange, failed: false };
        };
        let mut known = self.recall(name, &object.current().uid().unwrap_or_default());
        let (wait, failed) = match self.life.observe(object.current(), &known).await {
            Sight::Scene(scene) => {
                let passed = self.plan_and_apply(name, object, *scene, &mut known).await;
                self.known().insert(name.clone(), known);
                return passed;
            }
            Sight::UnderWay => (UNDER_WAY, false),
            Sight::Soon => (SOON, false),
            Sight::Failed(cause) => {
                tracing::warn!(object = %name, kind = %L::Object::kind(&()), cause, "cannot look");
                (known.backoff.failed(), true)
            }
        };
        self.known().insert(name.clone(), known);
        Passed { look: Look::At(later(Timestamp::now(), wait)), failed }
    }
}

impl<L: Life> Keeper<L> {
    async fn plan_and_apply(&self, name: &Name, object: Object<L::Object>, scene: Scene<L>, known: &mut Known) -> Passed {
        let plan = L::Cycle::plan(&scene.wish, &scene.seen, Timestamp::now());
        tracing::debug!(object = %name, kind = %L::Object::kind(&()), steps = ?plan.steps, waits = ?plan.waits, "planned");
        let mut hands = Hands { keeper: self, object, scope: scene.scope, known: &mut *known };
        let report = execute(plan.steps.clone(), &mut hands).await;
        let released = matches!(report.applied.last(), Some(Step::Release { .. }));
        let passed = judge(&plan, &report, scene.looked, known, name);
        if released && !passed.failed {
            // Nothing is left to do, and the reply to the write that ends an object is not newer than the object.
            return Passed { look: Look::OnChange, failed: false };
        }
        match (passed.look, scene.poll) {
            (Look::OnChange, Some(poll)) => Passed { look: Look::At(later(Timestamp::now(), poll)), ..passed },
            _ => passed,
        }
    }
}

/// What a pass leaves behind: what failed, and when to look again.
fn judge<S: Debug + PartialEq>(
    plan: &Plan<S>,
    report: &capstead_reconcile::Report<S>,
    looked: Option<Timestamp>,
    known: &mut Known,
    name: &Name,
) -> Passed {
    known.again = Again::of(plan, looked);
    match &report.ended {
        // What only waits has not mended anything yet.
        Ended::Finished if report.applied.is_empty() && !plan.is_settled() => (),
        Ended::Finished => known.failure = None,
        Ended::Gone => tracing::debug!(object = %name, "changed meanwhile"),
        Ended::Transient { step, cause, .. } | Ended::Terminal { step, cause } => {
            tracing::warn!(object = %name, ?step, cause, "a step failed");
        }
    }
    let now = Timestamp::now();
    let look = match report.look(plan, now, &mut known.backoff) {
        Look::Now if report.ended == Ended::Gone => Look::At(later(now, CONFLICT)),
        // What was refused for good is told by the next pass, and tried again only long after that.
        Look::At(_) if refused_anew(&report.ended, known) => Look::At(later(now, TRIES.0)),
        look => look,
    };
    if let Ended::Transient { cause, .. } | Ended::Terminal { cause, .. } = &report.ended {
        known.failure = Some(Failure { cause: cause.clone() });
    }
    Passed { look, failed: matches!(report.ended, Ended::Transient { .. } | Ended::Terminal { .. }) }
}

/// Whether a step was refused for good, and nobody was told why yet.
fn refused_anew<S>(ended: &Ended<S>, known: &Known) -> bool {
    match ended {
        Ended::Terminal { cause, .. } => known.failure.as_ref().is_none_or(|failure| failure.cause != *cause),
        _ => false,
    }
}

/// Carries out the steps of one pass, and decides nothing.
struct Hands<'a, L: Life> {
    keeper: &'a Keeper<L>,
    object: Object<L::Object>,
    scope: L::Scope,
    known: &'a mut Known,
}

impl<L: Life> Hands<'_, L> {
    fn claim(&self) -> Option<Claim> {
        Claim::read(&**self.object.current())
    }

    fn finalizers(&self, ours: bool) -> Vec<String> {
        let mut finalizers = self.object.current().finalizers().to_vec();
        finalizers.retain(|known| known != L::Object::FINALIZER);
        if ours {
            finalizers.push(L::Object::FINALIZER.to_owned());
        }
        finalizers
    }

    async fn store_claim(&mut self, claim: &Claim) -> Outcome {
        let annotations = json!({TOKEN: claim.token, PLACEMENT: claim.placement});
        let outcome = self.object.merge(json!({"metadata": {"finalizers": self.finalizers(true), "annotations": annotations}})).await;
        if outcome == Outcome::Done && L::is_new(self.object.current()) {
            // The object had no claim, or one that nothing was made under, and the one it has now was stored by this very write: nothing can carry it yet.
            self.known.grounds = Grounds::NothingMade;
        }
        outcome
    }

    async fn effect(&mut self, step: &L::Effect) -> Outcome {
        let Some(claim) = self.claim() else {
            return Outcome::Gone;
        };
        let outcome = self.keeper.life.effect(&self.scope, &claim, step).await;
        if outcome == Outcome::Done
            && let Some(news) = self.keeper.life.news(&claim, step)
        {
            self.tell_news(news);
        }
        outcome
    }

    async fn make(&mut self, step: &L::Effect) -> Outcome {
        let before = self.known.grounds;
        self.known.grounds = before.sending(Timestamp::now(), L::LANDING);
        let outcome = self.effect(step).await;
        match outcome {
            // Without an answer it may still land.
            Outcome::Transient { .. } => (),
            // An answer as well: never sent, or refused because what the step addressed is not as it was seen.
            Outcome::Gone => self.known.grounds = Grounds::refused(before, Timestamp::now()),
            _ => self.known.grounds = self.known.grounds.heard(Timestamp::now()),
        }
        outcome
    }

    async fn tell(&mut self, told: &L::Told) -> Outcome {
        let before = ready(self.object.current().contract_status().map(|status| status.conditions()));
        let mut object = L::Object::clone(self.object.current());
        L::write(&self.scope, told, &mut object, Timestamp::now());
        let status = match serde_json::to_value(&object) {
            Ok(mut value) => value["status"].take(),
            Err(error) => return Outcome::terminal(format!("the status cannot be written: {error}")),
        };
        let outcome = self.object.apply_status(&status).await;
        if outcome == Outcome::Done
            && let Some(report) = L::conditions(told).iter().find(|report| report.type_ == kind::READY)
            && before.as_ref() != Some(&(report.status, report.reason.clone()))
        {
            let warning = report.reason.ends_with("Failed") || before.is_some_and(|(status, _)| status == Status::True);
            self.tell_news(News { warning, reason: report.reason.clone(), note: report.message.clone() });
        }
        outcome
    }

    fn tell_news(&self, news: News) {
        let object = self.object.current();
        tracing::info!(object = %Name::of(&**object), kind = %L::Object::kind(&()), reason = news.reason, "{}", news.note);
        self.keeper.events.tell(news, object.object_ref(&()));
    }
}

/// Status and reason of the Ready condition.
fn ready(conditions: Option<&capstead_capi::condition::Conditions>) -> Option<(Status, String)> {
    conditions?.get(kind::READY).map(|ready| (ready.status, ready.reason.clone()))
}

impl<L: Life> Hands<'_, L> {
    async fn perform(&mut self, step: &StepOf<L>) -> Outcome {
        match step {
            Step::Claim(claim) => self.store_claim(claim).await,
            Step::Hold => self.object.merge(json!({"metadata": {"finalizers": self.finalizers(true)}})).await,
            Step::Confirm => self.object.confirm().await,
            Step::Make(step) => self.make(step).await,
            Step::Change(step) => self.effect(step).await,
            Step::Store(stored) => self.object.merge(L::stored(stored)).await,
            Step::Tell(told) => self.tell(told).await,
            Step::Release { cost } => {
                if let Some(cost) = cost {
                    self.tell_news(News { warning: true, reason: "ReleasedByForce".into(), note: cost.clone() });
                }
                self.object.merge(json!({"metadata": {"finalizers": self.finalizers(false)}})).await
            }
        }
    }
}

impl<L: Life> Effects<StepOf<L>> for Hands<'_, L> {
    async fn apply(&mut self, step: &StepOf<L>) -> Outcome {
        self.perform(step).instrument(tracing::debug_span!("apply", ?step)).await
    }

    fn deadline(&self, step: &StepOf<L>) -> Duration {
        match step {
            Step::Make(step) | Step::Change(step) => self.keeper.life.deadline(step),
            _ => WRITE,
        }
    }
}

#[cfg(test)]
mod tests;
