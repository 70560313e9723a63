//! The suite's configuration: which clusters are made, of what, and how long each stage may take.
//!
//! The keys `variables` and `intervals` are those of Cluster API's own e2e configurations, so that such a file can be taken as it is.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::version;

/// What a stage may take, where nothing else is said.
pub const LIMIT: Duration = Duration::from_secs(30 * 60);
/// Machines of one cluster, at most.
const MOST_MACHINES: u32 = 200;

/// Why a configuration cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A field breaks its rule.
    #[error("{field}: {rule}")]
    Field {
        /// The field.
        field: String,
        /// Its rule.
        rule: String,
    },
}

/// The configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// The clusters, one after another.
    pub flows: Vec<Flow>,
    /// Control plane machines of each: an odd number.
    pub control_plane_machines: u32,
    /// Workers of each; as many as it takes to use every host, if not given.
    pub workers: Option<u32>,
    /// Simulated hosts, where they are asked for.
    pub mock_hosts: u16,
    /// What is deployed.
    pub nginx: Nginx,
    /// Variables of the template, such as `MVM_ROOT_IMAGE`. The environment overrides them.
    pub variables: BTreeMap<String, Value>,
    /// How long what may take: `default/wait-control-plane: ["25m", "10s"]`. The second is ignored: what is looked at is looked at often.
    pub intervals: BTreeMap<String, Vec<String>>,
    /// Of Cluster API's own configurations, and not used.
    pub management_cluster_name: Value,
    /// As `management_cluster_name`.
    pub images: Value,
    /// As `management_cluster_name`.
    pub providers: Value,
}

/// A cluster that is made, used and deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Flow {
    /// What reports call it.
    pub name: String,
    /// The version of the provider's API that its objects are written and looked at in.
    pub api_version: String,
    /// The provider's template; that without a flavor if empty.
    #[serde(default)]
    pub flavor: String,
    /// The version of Kubernetes that it comes up with, to be raised to the suite's; it is that one from the beginning if empty.
    #[serde(default)]
    pub upgrade_from: String,
    /// Whether a worker loses its microVM and must be replaced, by a MachineHealthCheck.
    #[serde(default)]
    pub replaces: bool,
}

/// What is deployed to a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Nginx {
    /// Its image.
    pub image: String,
    /// Its pods.
    pub replicas: u32,
    /// Whether it must answer through its Service; nobody does on simulated hosts.
    pub answers: bool,
}

impl Flow {
    /// The version that it comes up with, as objects have it, where it is another than the suite's.
    #[must_use]
    pub fn upgrade_from(&self) -> Option<String> {
        version::checked(&self.upgrade_from).ok()
    }
}

impl Default for Nginx {
    fn default() -> Self {
        Self { image: "docker.io/library/nginx:1.14.2".into(), replicas: 2, answers: true }
    }
}

impl Default for Config {
    fn default() -> Self {
        let flow = |version: &str| Flow { name: version.into(), api_version: version.into(), ..Flow::default() };
        Self {
            flows: vec![flow("v1alpha1"), flow("v1alpha2")],
            control_plane_machines: 1,
            workers: None,
            mock_hosts: 3,
            nginx: Nginx::default(),
            variables: BTreeMap::new(),
            intervals: BTreeMap::new(),
            management_cluster_name: Value::Null,
            images: Value::Null,
            providers: Value::Null,
        }
    }
}

impl Config {
    /// Checks each field.
    ///
    /// # Errors
    /// Names the first field that breaks a rule, and the rule.
    pub fn check(&self) -> Result<(), ConfigError> {
        let rule = |field: &str, holds: bool, rule: &str| match holds {
            true => Ok(()),
            false => Err(ConfigError::Field { field: field.into(), rule: rule.into() }),
        };
        rule("flows", (1..=10).contains(&self.flows.len()), "1 to 10 are expected")?;
        for (n, flow) in self.flows.iter().enumerate() {
            let name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let named = !flow.name.is_empty() && flow.name.len() <= 30 && flow.name.bytes().all(name);
            rule(&format!("flows[{n}].name"), named, "1 to 30 lower-case letters, digits and '-' are expected")?;
            let alone = !self.flows.iter().take(n).any(|other| other.name == flow.name);
            rule(&format!("flows[{n}].name"), alone, "another flow has this name")?;
            let known = matches!(flow.api_version.as_str(), "v1alpha1" | "v1alpha2");
            rule(&format!("flows[{n}].apiVersion"), known, "v1alpha1 or v1alpha2 is expected")?;
            if !flow.upgrade_from.is_empty() {
                let wrong = version::checked(&flow.upgrade_from).err().map(|error| error.to_string());
                rule(&format!("flows[{n}].upgradeFrom"), wrong.is_none(), wrong.as_deref().unwrap_or_default())?;
            }
        }
        let odd = matches!(self.control_plane_machines, 1 | 3 | 5 | 7);
        rule("controlPlaneMachines", odd, "1, 3, 5 or 7 is expected: etcd wants an odd number of members")?;
        rule(
            "workers",
            self.workers.is_none_or(|count| (1..=MOST_MACHINES).contains(&count)),
            "1 to 200 are expected: nginx runs on them",
        )?;
        rule("mockHosts", (1..=100).contains(&self.mock_hosts), "1 to 100 are expected")?;
        rule("nginx.replicas", (1..=100).contains(&self.nginx.replicas), "1 to 100 are expected")?;
        rule("nginx.image", !self.nginx.image.is_empty(), "it is empty")?;
        for (name, value) in &self.variables {
            let scalar = matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
            rule(&format!("variables.{name}"), scalar, "text, a number, true or false is expected")?;
        }
        for (name, waits) in &self.intervals {
            let limit = waits.first().and_then(|text| duration(text));
            rule(&format!("intervals.{name}"), limit.is_some(), "[\"30m\", \"10s\"] is expected: the longest wait, and between looks")?;
        }
        Ok(())
    }

    /// The variables as texts.
    pub fn variables(&self) -> impl Iterator<Item = (&str, String)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    }

    /// What a stage of a flow may take, if it is said: for the flow, or by default.
    #[must_use]
    pub fn limit(&self, flow: &str, stage: &str) -> Option<Duration> {
        let wait = match stage {
            "plane" => "wait-controllers",
            "apply" => "wait-cluster",
            "control-plane" => "wait-control-plane",
            "workers" => "wait-worker-nodes",
            "nginx" | "settled" => "wait-deployment",
            "service" | "service-after" => "wait-service",
            "upgrade" | "upgrade-workers" => "wait-machine-upgrade",
            "replace" => "wait-machine-remediation",
            "delete" => "wait-delete-cluster",
            _ => return None,
        };
        let of = |whose: &str| self.intervals.get(&format!("{whose}/{wait}")).and_then(|waits| duration(waits.first()?));
        of(flow).or_else(|| of("default"))
    }

    /// Keys that are taken and not used, for a warning.
    pub fn unused(&self) -> impl Iterator<Item = &'static str> {
        let all = [("managementClusterName", &self.management_cluster_name), ("images", &self.images), ("providers", &self.providers)];
        all.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name)
    }
}

/// `30m`, `90s`, `1h30m`; none that is negative.
fn duration(text: &str) -> Option<Duration> {
    Duration::try_from(text.parse::<jiff::SignedDuration>().ok()?).ok()
}

#[cfg(test)]
mod tests;
