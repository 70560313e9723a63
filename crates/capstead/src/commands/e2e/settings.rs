//! What the suite shall do: from options, environment and configuration file.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use anyhow::ensure;
use capstead_flintlock::check_address;
use capstead_journeys::Config;
use capstead_journeys::config::Flow;
use capstead_journeys::config::LIMIT;
use capstead_journeys::place::PlaceError;
use capstead_journeys::place::workers_for;
use capstead_journeys::stage::Wish;
use capstead_journeys::version;
use capstead_journeys::version::is_older;
use capstead_plane::builtin;

use crate::cli::E2e;

/// Where upstream's suite has its control plane.
const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 25));
/// Largest configuration, in bytes.
const LARGEST: u64 = 1 << 20;

/// Where the hosts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// At these addresses.
    Given(Vec<String>),
    /// Nowhere yet: so many of ours are started, beside the management cluster.
    Own {
        /// How many.
        count: u16,
    },
    /// Nowhere yet: so many are simulated, and listen here.
    Simulated {
        /// How many.
        count: u16,
        /// Where.
        address: IpAddr,
    },
}

/// What the suite shall do.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Clusters and limits.
    pub config: Config,
    /// Where the hosts are.
    pub hosts: Hosts,
    /// The control plane's address; simulated hosts bring their own.
    pub vip: Option<IpAddr>,
    /// The clusters' version of Kubernetes.
    pub version: String,
    /// What each cluster is to have, whatever its flow.
    pub wish: Wish,
    /// What is not as one might think.
    pub warnings: Vec<String>,
    /// What each stage may take, whatever the configuration says.
    pub timeout: Option<Duration>,
}

impl Settings {
    /// Reads and checks all, with this environment.
    pub fn new(args: &E2e, env: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let config = args.config.as_deref().map_or_else(|| Ok(Config::default()), read)?;
        let mut warnings: Vec<String> = config.unused().map(|key| format!("the configuration's {key} is not used")).collect();
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        let hosts = hosts(args, &config, env)?;
        let count = match &hosts {
            Hosts::Given(addresses) => addresses.len(),
            Hosts::Own { count } | Hosts::Simulated { count, .. } => usize::from(*count),
        };
        let simulated = matches!(hosts, Hosts::Simulated { .. });
        let vip = match (simulated, args.vip_address) {
            (false, vip) if matches!(hosts, Hosts::Own { .. }) => {
                warnings.extend(
                    vip.map(|vip| format!("the address {vip} is not used: clusters on hosts of ours have addresses of their network")),
                );
                None
            }
            (false, vip) => Some(vip.unwrap_or(VIP)),
            (true, Some(vip)) if vip.is_loopback() => Some(vip),
            (true, vip) => {
                warnings.extend(vip.map(|vip| format!("the address {vip} is not used: on simulated hosts control planes are on loopback")));
                None
            }
        };
        let version = match &args.kubernetes_version {
            Some(version) => version::checked(version).context("-e2e.capmvm.kubernetes-version")?,
            None => newest()?,
        };
        for flow in &config.flows {
            if let Some(from) = flow.upgrade_from().filter(|from| !is_older(from, &version)) {
                bail!("the flow {}: upgradeFrom {from} is not older than {version}, which its cluster would be raised to", flow.name);
            }
        }
        let control_plane = usize::try_from(config.control_plane_machines)?;
        let workers = config.workers.map(usize::try_from).transpose()?.unwrap_or_else(|| workers_for(count, control_plane));
        let machines = control_plane + workers;
        ensure!(count <= machines, PlaceError::TooMany { hosts: count, machines });
        let wish = Wish { control_plane, workers, answers: config.nginx.answers && !simulated, upgrade: None, replaces: false };
        if let Some(folder) = args.junit.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty()) {
            ensure!(folder.is_dir(), "--junit: there is no folder {}", folder.display());
        }
        Ok(Self { config, hosts, vip, version, wish, warnings, timeout: args.timeout })
    }

    /// Whether no container runs.
    pub fn simulated(&self) -> bool {
        matches!(self.hosts, Hosts::Simulated { .. })
    }

    /// All versions of Kubernetes that machines of the suite have.
    pub fn versions(&self) -> BTreeSet<String> {
        let older = self.config.flows.iter().filter_map(Flow::upgrade_from);
        older.chain([self.version.clone()]).collect()
    }

    /// What a stage may take.
    pub fn limit(&self, flow: &str, stage: &str) -> Duration {
        self.timeout.or_else(|| self.config.limit(flow, stage)).unwrap_or(LIMIT)
    }
}

fn hosts(args: &E2e, config: &Config, env: impl Fn(&str) -> Option<String>) -> anyhow::Result<Hosts> {
    if args.use_flintlock_mock {
        ensure!(args.flintlock_hosts.is_empty(), "-e2e.flintlock-hosts and -e2e.use-flintlock-mock: give one of them");
        let address = env("E2E_FLINTLOCK_HOST").map(|text| {
            text.parse().with_context(|| format!("E2E_FLINTLOCK_HOST={text}: an IP address of this machine is expected, without a port"))
        });
        return Ok(Hosts::Simulated { count: config.mock_hosts, address: address.transpose()?.unwrap_or(Ipv4Addr::LOCALHOST.into()) });
    }
    if let Some(count) = args.own_hosts {
        ensure!(args.flintlock_hosts.is_empty(), "-e2e.flintlock-hosts and --own-hosts: give one of them");
        ensure!(!args.existing_cluster, "--own-hosts: they are started with a management cluster, not for an existing one");
        return Ok(Hosts::Own { count });
    }
    let listed = match args.flintlock_hosts.is_empty() {
        true => env("E2E_FLINTLOCK_HOSTS").unwrap_or_default(),
        false => args.flintlock_hosts.join(","),
    };
    let mut addresses: Vec<String> = Vec::new();
    for address in listed.split(',').map(str::trim).filter(|address| !address.is_empty()) {
        check_address(address).with_context(|| format!("-e2e.flintlock-hosts: {address}"))?;
        ensure!(!addresses.iter().any(|other| other == address), "-e2e.flintlock-hosts: {address} stands twice");
        addresses.push(address.to_owned());
    }
    ensure!(
        !addresses.is_empty(),
        "no hosts: give addresses with -e2e.flintlock-hosts HOST:PORT,… or E2E_FLINTLOCK_HOSTS, start some on this machine with --own-hosts N, or simulate them with -e2e.use-flintlock-mock"
    );
    Ok(Hosts::Given(addresses))
}

/// The plane's own version of Kubernetes: clusters may have it, and none that is newer.
fn newest() -> anyhow::Result<String> {
    let components = builtin::components(None)?;
    let server = components.into_iter().find(|component| component.name == "kube-apiserver").context("the plane has no API server")?;
    Ok(server.binary.version)
}

fn read(path: &Path) -> anyhow::Result<Config> {
    let cannot = || format!("-e2e.config: cannot read {}", path.display());
    let size = std::fs::metadata(path).with_context(cannot)?.len();
    ensure!(size <= LARGEST, "-e2e.config: {} has more than {LARGEST} bytes", path.display());
    let text = std::fs::read_to_string(path).with_context(cannot)?;
    let config: Option<Config> =
        yaml_serde::from_str(&text).with_context(|| format!("-e2e.config: {} is not a configuration of the suite", path.display()))?;
    let config = config.unwrap_or_default();
    config.check().with_context(|| format!("-e2e.config: {}", path.display()))?;
    Ok(config)
}

#[cfg(test)]
mod tests;
