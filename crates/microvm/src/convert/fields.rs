//! What plain conversion makes of each kind's fields.

use capstead_capi::condition::{self, Conditions, Polarity, reason};
use capstead_capi::provider::{InfraClusterStatus, InfraMachineStatus, Initialization, Template, TemplateMetadata, TemplateSpec};
use capstead_capi::types::{ApiEndpoint, FailureDomain};

use super::{Body, Versions};
use crate::api::{v1alpha1, v1alpha2};

/// The most failure domains that contract `v1beta2` takes.
const MOST_DOMAINS: usize = 100;
/// The most addresses that contract `v1beta2` takes.
const MOST_ADDRESSES: usize = 256;

/// MicrovmCluster.
pub(super) struct Cluster;
/// MicrovmClusterTemplate.
pub(super) struct ClusterTemplate;
/// MicrovmMachine.
pub(super) struct Machine;
/// MicrovmMachineTemplate.
pub(super) struct MachineTemplate;
/// ExternalLoadBalancer.
pub(super) struct LoadBalancer;

impl Versions for Cluster {
    type Old = Body<v1alpha1::MicrovmClusterSpec, v1alpha1::MicrovmClusterStatus>;
    type New = Body<v1alpha2::MicrovmClusterSpec, v1alpha2::MicrovmClusterStatus>;

    fn up(old: Self::Old) -> Self::New {
        let status = old.status.map(|old| {
            let domains = old
                .failure_domains
                .into_iter()
                .filter(|(name, _)| (1..=256).contains(&name.chars().count()))
                .take(MOST_DOMAINS)
                .map(|(name, old)| FailureDomain { name, control_plane: old.control_plane, attributes: old.attributes })
                .collect();
            let contract = InfraClusterStatus {
                initialization: initialization(old.ready),
                failure_domains: domains,
                conditions: conditions_up(old.conditions),
            };
            v1alpha2::MicrovmClusterStatus { contract }
        });
        Body { spec: cluster_up(old.spec), status }
    }

    fn down(new: Self::New) -> Self::Old {
        let status = new.status.map(|v1alpha2::MicrovmClusterStatus { contract: new }| v1alpha1::MicrovmClusterStatus {
            ready: is_provisioned(new.initialization.as_ref()),
            conditions: conditions_down(&new.conditions),
            failure_domains: new
                .failure_domains
                .iter()
                .cloned()
                .map(|new| {
                    let domain = v1alpha1::FailureDomain { control_plane: new.control_plane, attributes: new.attributes };
                    (new.name, domain)
                })
                .collect(),
        });
        Body { spec: cluster_down(new.spec), status }
    }
}

impl Versions for ClusterTemplate {
    type Old = Body<v1alpha1::MicrovmClusterTemplateSpec, serde_json::Value>;
    type New = Body<v1alpha2::MicrovmClusterTemplateSpec, serde_json::Value>;

    fn up(old: Self::Old) -> Self::New {
        let contract = TemplateSpec { template: template_up(old.spec.template, cluster_up) };
        Body { spec: v1alpha2::MicrovmClusterTemplateSpec { contract }, status: None }
    }

    fn down(new: Self::New) -> Self::Old {
        let template = template_down(new.spec.contract.template, cluster_down);
        Body { spec: v1alpha1::MicrovmClusterTemplateSpec { template }, status: None }
    }
}

impl Versions for Machine {
    type Old = Body<v1alpha1::MicrovmMachineSpec, v1alpha1::MicrovmMachineStatus>;
    type New = Body<v1alpha2::MicrovmMachineSpec, v1alpha2::MicrovmMachineStatus>;

    fn up(old: Self::Old) -> Self::New {
        let status = old.status.map(|old| {
            let contract = InfraMachineStatus {
                initialization: initialization(old.ready),
                failure_domain: None,
                addresses: old.addresses.into_iter().take(MOST_ADDRESSES).collect(),
                conditions: conditions_up(old.conditions),
            };
            let word = |word: String| STATES.iter().find(|(known, _)| *known == word).map(|(_, state)| *state);
            v1alpha2::MicrovmMachineStatus { contract, vm_state: old.vm_state.and_then(word) }
        });
        Body { spec: machine_up(old.spec), status }
    }

    fn down(new: Self::New) -> Self::Old {
        let status = new.status.map(|v1alpha2::MicrovmMachineStatus { contract: new, vm_state }| v1alpha1::MicrovmMachineStatus {
            ready: is_provisioned(new.initialization.as_ref()),
            vm_state: vm_state.and_then(|state| STATES.iter().find(|(_, known)| *known == state)).map(|(word, _)| (*word).into()),
            addresses: new.addresses,
            failure_reason: None,
            failure_message: None,
            conditions: conditions_down(&new.conditions),
        });
        Body { spec: machine_down(new.spec), status }
    }
}

impl Versions for MachineTemplate {
    type Old = Body<v1alpha1::MicrovmMachineTemplateSpec, serde_json::Value>;
    type New = Body<v1alpha2::MicrovmMachineTemplateSpec, v1alpha2::MicrovmMachineTemplateStatus>;

    fn up(old: Self::Old) -> Self::New {
        let contract = TemplateSpec { template: template_up(old.spec.template, machine_up) };
        Body { spec: v1alpha2::MicrovmMachineTemplateSpec { contract }, status: None }
    }

    fn down(new: Self::New) -> Self::Old {
        let template = template_down(new.spec.contract.template, machine_down);
        Body { spec: v1alpha1::MicrovmMachineTemplateSpec { template }, status: None }
    }
}

impl Versions for LoadBalancer {
    type Old = Body<v1alpha1::ExternalLoadBalancerSpec, v1alpha1::ExternalLoadBalancerStatus>;
    type New = Body<v1alpha2::ExternalLoadBalancerSpec, v1alpha2::ExternalLoadBalancerStatus>;

    fn up(old: Self::Old) -> Self::New {
        let v1alpha1::ExternalLoadBalancerSpec { endpoint, cluster_name } = old.spec;
        let status = |old: v1alpha1::ExternalLoadBalancerStatus| v1alpha2::ExternalLoadBalancerStatus {
            ready: old.ready,
            conditions: conditions_up(old.conditions),
        };
        Body { spec: v1alpha2::ExternalLoadBalancerSpec { endpoint, cluster_name }, status: old.status.map(status) }
    }

    fn down(new: Self::New) -> Self::Old {
        let v1alpha2::ExternalLoadBalancerSpec { endpoint, cluster_name } = new.spec;
        let status = |new: v1alpha2::ExternalLoadBalancerStatus| v1alpha1::ExternalLoadBalancerStatus {
            ready: new.ready,
            conditions: conditions_down(&new.conditions),
        };
        Body { spec: v1alpha1::ExternalLoadBalancerSpec { endpoint, cluster_name }, status: new.status.map(status) }
    }
}

/// What `v1alpha1` calls the states.
const STATES: [(&str, v1alpha2::VmState); 5] = [
    ("pending", v1alpha2::VmState::Pending),
    ("running", v1alpha2::VmState::Running),
    ("failed", v1alpha2::VmState::Failed),
    ("deleted", v1alpha2::VmState::Deleted),
    ("unknown", v1alpha2::VmState::Unknown),
];

fn template_up<A, B>(old: v1alpha1::Template<A>, up: fn(A) -> B) -> Template<B> {
    let metadata = old.metadata.map(|old| TemplateMetadata { labels: old.labels, annotations: old.annotations });
    // Contract v1beta2 wants at least one of the two, or nothing.
    let metadata = metadata.filter(|metadata| *metadata != TemplateMetadata::default());
    Template { metadata, spec: up(old.spec) }
}

fn template_down<A, B>(new: Template<A>, down: fn(A) -> B) -> v1alpha1::Template<B> {
    let metadata = new.metadata.map(|new| v1alpha1::TemplateMetadata { labels: new.labels, annotations: new.annotations });
    v1alpha1::Template { metadata, spec: down(new.spec) }
}

fn cluster_up(old: v1alpha1::MicrovmClusterSpec) -> v1alpha2::MicrovmClusterSpec {
    let v1alpha1::MicrovmClusterSpec { control_plane_endpoint, ssh_public_keys, placement, microvm_proxy, tls_secret_ref } = old;
    let control_plane_endpoint = control_plane_endpoint
        .map(|old| ApiEndpoint { host: old.host, port: u16::try_from(old.port).unwrap_or_default() })
        .filter(|endpoint| !endpoint.is_unset());
    v1alpha2::MicrovmClusterSpec { control_plane_endpoint, ssh_public_keys, placement, microvm_proxy, tls_secret_ref }
}

fn cluster_down(new: v1alpha2::MicrovmClusterSpec) -> v1alpha1::MicrovmClusterSpec {
    let v1alpha2::MicrovmClusterSpec { control_plane_endpoint, ssh_public_keys, placement, microvm_proxy, tls_secret_ref } = new;
    let control_plane_endpoint = control_plane_endpoint.map(|new| v1alpha1::ApiEndpoint { host: new.host, port: new.port.into() });
    v1alpha1::MicrovmClusterSpec { control_plane_endpoint, ssh_public_keys, placement, microvm_proxy, tls_secret_ref }
}

fn machine_up(old: v1alpha1::MicrovmMachineSpec) -> v1alpha2::MicrovmMachineSpec {
    v1alpha2::MicrovmMachineSpec { vm: old.vm, provider_id: old.provider_id.and_then(|id| id.parse().ok()) }
}

fn machine_down(new: v1alpha2::MicrovmMachineSpec) -> v1alpha1::MicrovmMachineSpec {
    v1alpha1::MicrovmMachineSpec { vm: new.vm, provider_id: new.provider_id.map(String::from) }
}

/// Absent, not false: core takes back neither.
fn initialization(ready: bool) -> Option<Initialization> {
    ready.then_some(Initialization { provisioned: Some(true) })
}

fn is_provisioned(marks: Option<&Initialization>) -> bool {
    marks.is_some_and(|marks| marks.provisioned == Some(true))
}

fn conditions_up(old: Vec<v1alpha1::Condition>) -> Conditions {
    old.into_iter()
        .filter_map(|old| {
            let status = [condition::Status::True, condition::Status::False, condition::Status::Unknown];
            let status = status.into_iter().find(|status| status.as_str() == old.status)?;
            is_type(&old.type_).then(|| condition::Condition {
                type_: old.type_,
                status,
                observed_generation: None,
                last_transition_time: old.last_transition_time,
                reason: old.reason.filter(|reason| is_reason(reason)).unwrap_or_else(|| reason::NO_REASON_REPORTED.into()),
                message: old.message.unwrap_or_default(),
            })
        })
        .take(32)
        .collect()
}

fn conditions_down(new: &Conditions) -> Vec<v1alpha1::Condition> {
    new.iter()
        .filter(|new| (1..=256).contains(&new.type_.chars().count()))
        .map(|new| v1alpha1::Condition {
            type_: new.type_.clone(),
            status: new.status.as_str().into(),
            severity: severity(new).map(Into::into),
            last_transition_time: new.last_transition_time.clone(),
            reason: cut(&new.reason, 256),
            message: cut(&new.message, 10_240),
        })
        .collect()
}

/// How bad it is. Contract `v1beta1` wants it exactly where a condition is False.
fn severity(new: &condition::Condition) -> Option<&'static str> {
    if new.status != condition::Status::False || Polarity::of(&new.type_) == Polarity::Negative {
        return None;
    }
    let errors = [
        reason::MACHINE_FAILED,
        reason::MACHINE_VANISHED,
        reason::PROVIDER_ID_MISMATCH,
        reason::PROVISIONING_FAILED,
        reason::DELETION_FAILED,
        reason::INVALID_BOOTSTRAP_DATA,
    ];
    Some(if errors.contains(&new.reason.as_str()) { "Error" } else { "Info" })
}

/// At most so many characters; nothing of an empty text.
fn cut(text: &str, characters: usize) -> Option<String> {
    Some(text.chars().take(characters).collect()).filter(|text: &String| !text.is_empty())
}

/// Whether metav1 takes it as a condition's type.
fn is_type(text: &str) -> bool {
    text.len() <= 316
        && text.matches('/').count() <= 1
        && text.split('/').all(|part| part.starts_with(alphanumeric) && part.ends_with(alphanumeric))
        && text.chars().all(|c| alphanumeric(c) || "-_./".contains(c))
}

/// Whether metav1 takes it as a condition's reason.
fn is_reason(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !text.ends_with([',', ':'])
        && text.chars().all(|c| alphanumeric(c) || "_,:".contains(c))
}

fn alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric()
}
