//! The command line of `capstead e2e`: the options of upstream's acceptance suite, and ours.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction;
use clap::Args;

use super::Binaries;
use super::Output;
use super::lab::duration;

const EXAMPLES: &str = "Examples:
  capstead e2e -e2e.use-flintlock-mock                            on simulated hosts: a minute or two, nothing else needed
  capstead e2e --own-hosts 2                                      on microVMs of this machine, in a network of their own
  capstead e2e -e2e.flintlock-hosts 10.0.0.1:9090,10.0.0.2:9090 -e2e.capmvm.vip-address=10.0.0.100
  capstead e2e -e2e.use-flintlock-mock -e2e.skip-cleanup --name look    leave all up, to look at it:
    source _artefacts/e2e-management-cluster.env; export KUBECONFIG=$E2E_MANAGEMENT_KUBECONFIG
    capstead down --name look --purge
  capstead e2e -e2e.existing-cluster -e2e.flintlock-hosts 10.0.0.1:9090 --junit e2e.xml

Options may be spelled as Go's (-e2e.config=F) or with two dashes. The environment: E2E_FLINTLOCK_HOSTS stands in for -e2e.flintlock-hosts where no
simulated hosts are asked for, E2E_FLINTLOCK_HOST is the address of this machine that simulated hosts listen on [default: 127.0.0.1].

The suite makes a cluster for each version of the provider's API, waits for its nodes, checks that every host is used, deploys nginx, deletes the
cluster and looks that nothing is left on the hosts. The page `how-to/acceptance-tests` has the configuration file and what the artefacts are.

Exit codes: 1 if a stage failed; 2 if the options or the configuration are wrong; 3 if the management plane cannot become ready.";

/// `capstead e2e`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct E2e {
    /// Addresses of flintlock hosts, all of which must be used; comma-separated, or given several times
    #[arg(long = "e2e.flintlock-hosts", value_name = "HOST:PORT", value_delimiter = ',')]
    pub flintlock_hosts: Vec<String>,
    /// Use simulated hosts, whose machines act as nodes
    #[arg(long = "e2e.use-flintlock-mock", value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true, value_parser = boolean, action = ArgAction::Set)]
    pub use_flintlock_mock: bool,
    /// Start so many hosts of ours beside the management cluster, all in a network of their own: real microVMs, and no root. Images are built the first time
    #[arg(long, value_name = "N", conflicts_with = "use_flintlock_mock", value_parser = clap::value_parser!(u16).range(1..=10))]
    pub own_hosts: Option<u16>,
    /// Let the microVMs of --own-hosts reach nothing outside their own network: all that they need is in their images
    #[arg(long, requires = "own_hosts")]
    pub isolated: bool,
    /// The control plane's address: free, in the machines' network, and reachable from the management cluster [default: 192.168.1.25; an own one on
    /// simulated hosts]
    #[arg(long = "e2e.capmvm.vip-address", value_name = "IP", env = "E2E_CAPMVM_VIP")]
    pub vip_address: Option<IpAddr>,
    /// The clusters' version of Kubernetes [default: the plane's own, which is the newest]
    #[arg(long = "e2e.capmvm.kubernetes-version", value_name = "V")]
    pub kubernetes_version: Option<String>,
    /// Where to put manifests, logs, events and objects
    #[arg(long = "e2e.artefact-dir", value_name = "DIR", default_value = "_artefacts")]
    pub artefact_dir: PathBuf,
    /// The suite's configuration
    #[arg(long = "e2e.config", value_name = "FILE", env = "E2E_CONFIG")]
    pub config: Option<PathBuf>,
    /// Use the current context's cluster as management cluster; it must have Cluster API and the provider
    #[arg(long = "e2e.existing-cluster", value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true, value_parser = boolean, action = ArgAction::Set)]
    pub existing_cluster: bool,
    /// Leave clusters and management plane up
    #[arg(long = "e2e.skip-cleanup", value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true, value_parser = boolean, action = ArgAction::Set)]
    pub skip_cleanup: bool,
    /// Write a report for CI into this file, as JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// How long each stage may take, as 90s or 30m [default: as the configuration says, else 30m]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// The name of the plane, which is made for this run [default: e2e- and something random]
    #[arg(long, conflicts_with = "existing_cluster")]
    pub name: Option<String>,
    /// The folder that planes are kept in [default: $XDG_STATE_HOME/capstead/planes]
    #[arg(long, env = "CAPSTEAD_DATA_DIR", value_name = "D")]
    pub data_dir: Option<PathBuf>,
    /// The folder that binaries are kept in [default: $XDG_CACHE_HOME/capstead]
    #[arg(long, env = "CAPSTEAD_CACHE_DIR", value_name = "D")]
    pub cache_dir: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub binaries: Binaries,
    /// How to print the stages with their times
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

/// As Go reads the values of its flags.
fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("true or false is expected".into()),
    }
}

/// A command line as clap reads it, from one with long options as Go spells them: `-e2e.config=F` becomes `--e2e.config=F`. Words that are empty,
/// as a variable of make leaves them, are dropped.
pub fn from_go(args: Vec<OsString>) -> Vec<OsString> {
    let word = |arg: OsString| match arg.to_str() {
        Some(text) if text.starts_with("-e2e.") => format!("-{text}").into(),
        _ => arg,
    };
    args.into_iter().filter(|arg| !arg.is_empty()).map(word).collect()
}

#[cfg(test)]
mod tests;
