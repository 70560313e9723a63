//! The contract's rules as data, to judge any provider by its CRDs and live objects.
//!
//! A [`Rule`] looks at one [`Subject`]: the CRD of a kind core interacts with, in JSON as the API server returns it, and perhaps objects of
//! that kind. Rules about fields look at every API version that the CRD's contract labels list, each by the contract it is listed under,
//! because that is how core reads it. What only shows in behaviour (order of work, pausing, deletion) is for life tests, not for rules.

mod cluster;
mod common;
mod machine;
mod pool;
mod schema;
mod status;
mod template;

use std::fmt;

use serde_json::Value;

use crate::{Contract, contract};
use schema::Schema;

/// What a kind is to core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// What a cluster's machines share.
    InfraCluster,
    /// The template of an InfraCluster, for ClusterClasses.
    InfraClusterTemplate,
    /// The infrastructure of one machine.
    InfraMachine,
    /// The template of an InfraMachine.
    InfraMachineTemplate,
    /// A pool of machines the infrastructure scales.
    InfraMachinePool,
    /// The template of an InfraMachinePool, for ClusterClasses.
    InfraMachinePoolTemplate,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] = [
        Self::InfraCluster,
        Self::InfraClusterTemplate,
        Self::InfraMachine,
        Self::InfraMachineTemplate,
        Self::InfraMachinePool,
        Self::InfraMachinePoolTemplate,
    ];
}

/// How much a failed rule matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The contract demands it: without it core does not work with the provider, or only by luck.
    Mandatory,
    /// Core works, but people or a later release suffer.
    Recommended,
    /// The rule belongs to a feature a provider may leave out; left out the rule does not apply, but what is there must be right.
    Optional,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: a path in the CRD, or a field of an API version or object.
    pub at: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Finding {
    fn new(at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { at: at.into(), problem: problem.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.problem)
    }
}

/// What a rule says of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The rule holds.
    Pass,
    /// The rule is broken, at least once.
    Fail(Vec<Finding>),
    /// The rule says nothing of this subject, and why.
    NotApplicable(&'static str),
}

impl Verdict {
    /// Whether the rule is broken.
    #[must_use]
    pub const fn is_fail(&self) -> bool {
        matches!(self, Self::Fail(_))
    }

    /// Of two looks at one subject: all findings, or else a pass if either passed.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Fail(mut findings), Self::Fail(more)) => {
                findings.extend(more);
                Self::Fail(findings)
            }
            (fail @ Self::Fail(_), _) | (_, fail @ Self::Fail(_)) => fail,
            (Self::Pass, _) | (_, Self::Pass) => Self::Pass,
            (why @ Self::NotApplicable(_), Self::NotApplicable(_)) => why,
        }
    }
}

impl From<Vec<Finding>> for Verdict {
    fn from(findings: Vec<Finding>) -> Self {
        if findings.is_empty() { Self::Pass } else { Self::Fail(findings) }
    }
}

/// What is judged: a CRD in a role, and objects of its kind.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What the kind is to core.
    pub role: Role,
    /// The CustomResourceDefinition (`apiextensions.k8s.io/v1`).
    pub crd: &'a Value,
    /// Live objects of the kind, of any version; may be empty.
    pub objects: &'a [Value],
}

impl<'a> Subject<'a> {
    fn label(&self, contract: Contract) -> Option<&'a str> {
        self.crd["metadata"]["labels"][contract.label()].as_str().filter(|value| !value.is_empty())
    }

    fn lists(&self, contract: Contract, version: &str) -> bool {
        self.label(contract).is_some_and(|value| contract::listed(value).any(|listed| listed == version))
    }

    fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let versions = self.crd["spec"]["versions"].as_array();
        versions.into_iter().flatten().filter_map(|entry| Some((entry["name"].as_str()?, entry)))
    }

    /// The API versions listed under this contract that the CRD really has.
    fn versions(&self, contract: Contract) -> impl Iterator<Item = VersionView<'a>> {
        self.entries()
            .filter(move |(name, _)| self.lists(contract, name))
            .map(move |(name, entry)| VersionView { entry, schema: Schema::root(name, &entry["schema"]["openAPIV3Schema"]) })
    }

    /// The contract core reads an object by: the newest that lists its version.
    fn contract_of(&self, object: &Value) -> Option<Contract> {
        let (_, version) = object["apiVersion"].as_str()?.split_once('/')?;
        Contract::ALL.into_iter().find(|contract| self.lists(*contract, version))
    }
}

/// An API version a contract label lists.
struct VersionView<'a> {
    entry: &'a Value,
    schema: Schema<'a>,
}

/// A live object, judged by one contract.
struct ObjectView<'a> {
    contract: Contract,
    value: &'a Value,
}

impl<'a> ObjectView<'a> {
    /// The field at a dotted path, when it is set.
    fn field(&self, path: &str) -> Option<&'a Value> {
        path.split('.').try_fold(self.value, |value, name| value.get(name)).filter(|value| !value.is_null())
    }

    /// A finding about a field of the object.
    fn finding(&self, path: &str, problem: impl Into<String>) -> Finding {
        let name = self.value["metadata"]["name"].as_str().unwrap_or("?");
        Finding::new(format!("{name}: {path}"), problem)
    }

    /// Whether the object says that its infrastructure is provisioned.
    fn provisioned(&self) -> bool {
        self.field(self.provisioned_path()) == Some(&Value::Bool(true))
    }

    fn provisioned_path(&self) -> &'static str {
        match self.contract {
            Contract::V1Beta1 => "status.ready",
            Contract::V1Beta2 => "status.initialization.provisioned",
        }
    }
}

/// A rule of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, for ever: `<what>.<aspect>`.
    pub id: &'static str,
    /// What it demands, in one sentence.
    pub title: &'static str,
    /// How much breaking it matters.
    pub level: Level,
    /// The kinds it is about.
    pub applies_to: &'static [Role],
    /// The contracts it belongs to.
    pub contracts: &'static [Contract],
    /// Where it is written: a page of the contract (`infra-cluster`, `infra-machine`, `infra-machinepool`) and its section, or a source file
    /// of core v1.14 where no page says it.
    pub source: &'static str,
    check: Check,
}

#[derive(Clone, Copy, Debug)]
enum Check {
    /// Looks at the definition as a whole.
    Crd(fn(&Subject) -> Verdict),
    /// Looks at each API version listed under one of the rule's contracts.
    Version(fn(&VersionView) -> Verdict),
    /// Looks at each object whose version is listed under one of the rule's contracts.
    Object(fn(&ObjectView) -> Verdict),
}

impl Rule {
    /// Judges a subject.
    #[must_use]
    pub fn judge(&self, subject: &Subject) -> Verdict {
        if !self.applies_to.contains(&subject.role) {
            return Verdict::NotApplicable("another kind's rule");
        }
        match self.check {
            Check::Crd(check) => check(subject),
            Check::Version(check) => self
                .contracts
                .iter()
                .flat_map(|contract| subject.versions(*contract))
                .map(|version| check(&version))
                .reduce(Verdict::and)
                .unwrap_or(Verdict::NotApplicable("no version is labelled with the rule's contract")),
            Check::Object(check) => subject
                .objects
                .iter()
                .filter_map(|value| {
                    let contract = subject.contract_of(value)?;
                    self.contracts.contains(&contract).then_some(ObjectView { contract, value })
                })
                .map(|object| check(&object))
                .reduce(Verdict::and)
                .unwrap_or(Verdict::NotApplicable("no object of a version labelled with the rule's contract")),
        }
    }
}

/// All rules, in a stable order.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [common::RULES, status::RULES, cluster::RULES, machine::RULES, pool::RULES, template::RULES].into_iter().flatten()
}

const BOTH: &[Contract] = &[Contract::V1Beta2, Contract::V1Beta1];
const V1BETA2: &[Contract] = &[Contract::V1Beta2];
const V1BETA1: &[Contract] = &[Contract::V1Beta1];

#[cfg(test)]
mod tests;
