//! An upgrade by clusterctl explored: the plane keeps the API server told while clusterctl scales down, deletes, merges definitions and installs anew;
//! with crashes of a pass and of the process at any point.

use std::sync::LazyLock;

use capstead_reconcile::Outcome;
use capstead_reconcile::explore::Broken;
use capstead_reconcile::explore::Limits;
use capstead_reconcile::explore::World;
use capstead_reconcile::explore::explore;

use super::*;

const NAME: &str = "capi-controller-manager";

static BEFORE: LazyLock<Observed> = LazyLock::new(|| {
    let mut seen = seen(CORE);
    seen.certificates.clear();
    seen.callers.truncate(1);
    seen
});
static WISH: LazyLock<Wish> = LazyLock::new(|| {
    let mut wish = wish();
    wish.known.retain(|component| component.name == "capi-core");
    wish.webhooks.insert(NAME.into(), 12_345);
    wish
});

/// What differs from the shipped way, to prove that the exploration would see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Spoilt {
    No,
    /// All Deployments are told how they are before definitions change.
    TellFirst,
    /// The other way round.
    CallFirst,
}

/// How far clusterctl is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Installed,
    ScaledDown,
    Deleted,
    Merged,
    Upgraded,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cluster {
    spoilt: Spoilt,
    stage: Stage,
    status: Value,
    definition: Value,
    process: bool,
}

#[derive(Clone, Debug)]
enum Event {
    Starts,
    Ends,
    Clusterctl,
}

impl Cluster {
    fn new(spoilt: Spoilt) -> Self {
        let definition = BEFORE.callers[0].clone();
        Self { spoilt, stage: Stage::Installed, status: Value::Null, definition, process: false }
    }

    /// As the Deployment says; `None` when there is none.
    fn replicas(&self) -> Option<i32> {
        match self.stage {
            Stage::Installed | Stage::Upgraded => Some(1),
            Stage::ScaledDown => Some(0),
            Stage::Deleted | Stage::Merged => None,
        }
    }

    fn seen(&self) -> Observed {
        let mut seen = BEFORE.clone();
        seen.callers = vec![self.definition.clone()];
        seen.processes.insert(NAME.into(), Process { running: self.process, ready: self.process });
        match self.replicas() {
            None => (seen.deployments, seen.services) = (Vec::new(), Vec::new()),
            replicas => {
                seen.deployments[0].spec.as_mut().unwrap().replicas = replicas;
                seen.deployments[0].status = serde_json::from_value(self.status.clone()).unwrap();
            }
        }
        seen
    }

    fn config(&mut self) -> &mut Value {
        self.definition.pointer_mut("/spec/conversion/webhook/clientConfig").unwrap()
    }

    /// Any write changes it.
    fn written(&mut self) {
        let version = &mut self.definition["metadata"]["resourceVersion"];
        *version = json!((version.as_str().unwrap().parse::<u32>().unwrap() + 1).to_string());
    }
}

impl World for Cluster {
    type Actor = ();
    type Memory = ();
    type Step = Step;
    type Event = Event;

    fn actors(&self) -> Vec<()> {
        vec![()]
    }

    fn plan(&self, (): (), (): &mut (), _: usize) -> Plan<Step> {
        let mut plan = Keeping::plan(&WISH, &self.seen(), Timestamp::UNIX_EPOCH);
        let is_call = |step: &Step| matches!(step, Step::Call { .. });
        match self.spoilt {
            Spoilt::No => (),
            Spoilt::TellFirst => plan.steps.sort_by_key(is_call),
            Spoilt::CallFirst => plan.steps.sort_by_key(|step| !is_call(step)),
        }
        plan
    }

    fn apply(&mut self, (): (), (): &mut (), step: &Step) -> Outcome {
        match step {
            Step::Issue { .. } => unreachable!("there is no Certificate"),
            Step::Tell { .. } if self.replicas().is_none() => return Outcome::transient("gone"),
            Step::Tell { patch, .. } => self.status = patch["status"].clone(),
            Step::Call { patch, .. } => {
                let patch = patch.as_array().unwrap();
                if patch[0]["value"] != self.definition["metadata"]["resourceVersion"] {
                    return Outcome::transient("changed meanwhile");
                }
                patch.iter().for_each(|operation| change(&mut self.definition, operation));
                self.written();
            }
        }
        Outcome::Done
    }

    fn events(&self) -> Vec<Event> {
        let wished = self.replicas() == Some(1);
        let clusterctl = match self.stage {
            Stage::ScaledDown => self.status["replicas"].as_i64().unwrap_or_default() == 0,
            stage => stage != Stage::Upgraded,
        };
        let all = [(wished && !self.process, Event::Starts), (!wished && self.process, Event::Ends), (clusterctl, Event::Clusterctl)];
        all.into_iter().filter_map(|(may, event)| may.then_some(event)).collect()
    }

    fn faults(&self) -> Vec<Event> {
        if self.process { vec![Event::Ends] } else { Vec::new() }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Starts => self.process = true,
            Event::Ends => self.process = false,
            Event::Clusterctl => {
                self.stage = match self.stage {
                    Stage::Installed => Stage::ScaledDown,
                    Stage::ScaledDown => Stage::Deleted,
                    Stage::Deleted => {
                        let service = BEFORE.callers[0].pointer("/spec/conversion/webhook/clientConfig/service").unwrap();
                        self.config()["service"] = service.clone();
                        self.written();
                        Stage::Merged
                    }
                    Stage::Merged | Stage::Upgraded => {
                        self.status = Value::Null;
                        Stage::Upgraded
                    }
                };
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        let config = self.definition.pointer("/spec/conversion/webhook/clientConfig").unwrap();
        if config["service"].is_object() && config["url"].is_string() {
            return Err("the API server refuses a definition that calls a Service and a URL".into());
        }
        Ok(())
    }

    fn goal(&self) -> Result<(), String> {
        let url = self.definition.pointer("/spec/conversion/webhook/clientConfig/url").is_some();
        let told = (self.status["replicas"].as_i64(), self.status["readyReplicas"].as_i64());
        if self.stage == Stage::Upgraded && self.process && url && told == (Some(1), Some(1)) {
            return Ok(());
        }
        Err(format!("{self:?}"))
    }
}

#[test]
fn an_upgrade_goes_through_whatever_crashes() {
    let explored = explore(Cluster::new(Spoilt::No), Limits::default()).unwrap_or_else(|broken| panic!("{broken}"));
    assert!(explored.states > 100, "{explored}");
}

#[test]
fn another_order_would_leave_clusterctl_with_a_definition_that_is_refused() {
    for spoilt in [Spoilt::TellFirst, Spoilt::CallFirst] {
        let broken = explore(Cluster::new(spoilt), Limits::default()).expect_err("it is seen");
        assert!(matches!(broken.broken, Broken::Check), "{broken}");
    }
}
