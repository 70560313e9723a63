//! The command line of `capstead lab fault`.

use std::str::FromStr;

use capstead_lab::fault::Kind;
use capstead_lab::flintlock::FaultKind;
use clap::Args;
use clap::Subcommand;
use jiff::SignedDuration;

use crate::cli::Output;
use crate::cli::Which;

const ADD_EXAMPLES: &str = "Examples:
  capstead lab fault add api-silent --name demo --for 2m
  capstead lab fault add node-vanishes --name demo --machine demo-md-0-x7k2p-9wq5v
  capstead lab fault add boot-hangs --address 127.0.0.1:9100 --cluster blue --rate 30%
  capstead lab fault add clock-skew --name demo --by=-1h
  capstead lab fault add unavailable --name demo --rate 5%

Faults of clusters and their machines, until they end or are removed:
  boot-hangs       a machine that boots comes no further
  never-joins      kubeadm of a machine that boots fails, and is not run again
  node-vanishes    a machine is off; it boots again when this ends
  partition        a machine runs, but neither its cluster nor its peers hear it
  api-silent       the API server takes requests, and answers none
  api-slow         the API server answers late, by --by (2s)
  unreachable      connections to the control plane endpoint are refused
  etcd-unhealthy   as many members of etcd as the quorum can spare, at least one, do not hear their peers
  quorum-lost      the majority of etcd's members is down
  clock-skew       the cluster's clocks are ahead by --by, or behind as with --by=-1h

Faults of hosts, each with a --rate, of calls or of microVMs:
  unavailable, slow, lost-reply, late-create, failed, vanished    see `capstead lab flintlock --help`";

/// `capstead lab fault`.
#[derive(Debug, Subcommand)]
pub enum FaultCommand {
    /// Show what goes wrong at the moment
    #[command(after_help = "Examples:
  capstead lab fault ls --name demo
  capstead lab fault ls --address 127.0.0.1:9100 -o json")]
    Ls(FaultLs),
    /// Let something go wrong from now on
    #[command(after_help = ADD_EXAMPLES)]
    Add(FaultAdd),
    /// End faults
    #[command(after_help = "Examples:
  capstead lab fault rm --name demo 3
  capstead lab fault rm --name demo unavailable
  capstead lab fault rm --name demo --all")]
    Rm(FaultRm),
}

/// Which simulator.
#[derive(Debug, Clone, Args)]
pub struct Simulator {
    /// The simulator's control server (its --metrics-address) [default: that of the plane's simulated hosts]
    #[arg(long, env = "CAPSTEAD_LAB", value_name = "HOST:PORT", conflicts_with = "name")]
    pub address: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub which: Which,
}

/// `capstead lab fault ls`.
#[derive(Debug, Args)]
pub struct FaultLs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub simulator: Simulator,
    /// How to print
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

/// `capstead lab fault add`.
#[derive(Debug, Args)]
pub struct FaultAdd {
    /// What goes wrong; see below
    pub kind: AnyKind,
    /// Only in the cluster with this name, or at this control plane endpoint (HOST:PORT)
    #[arg(long)]
    pub cluster: Option<String>,
    /// Only for the machine whose Node has this name
    #[arg(long, value_name = "NODE")]
    pub machine: Option<String>,
    /// For which part of the machines, clusters, calls or microVMs, as 0.3 or 30%; the seed settles which
    #[arg(long, value_parser = rate, default_value = "100%")]
    pub rate: f64,
    /// How late answers are, or how far clocks are ahead, as 300ms, 10s or -1h
    #[arg(long, value_name = "D", allow_hyphen_values = true)]
    pub by: Option<SignedDuration>,
    /// How long it lasts [default: until it is removed]
    #[arg(long = "for", value_name = "D")]
    pub lasting: Option<SignedDuration>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub simulator: Simulator,
    /// How to print what was added
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

/// `capstead lab fault rm`.
#[derive(Debug, Args)]
pub struct FaultRm {
    /// The number of a fault, or the kind of a host's fault, as `ls` shows them
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "ID")]
    pub ids: Vec<String>,
    /// All of them
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub simulator: Simulator,
}

/// A fault of clusters, or of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnyKind {
    /// Of clusters and their machines.
    Cluster(Kind),
    /// Of hosts and their microVMs.
    Host(FaultKind),
}

impl FromStr for AnyKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let host = || text.parse().map(Self::Host);
        text.parse().map(Self::Cluster).or_else(|_| host()).map_err(|_| {
            let all = Kind::ALL.map(Kind::as_str).into_iter().chain(FaultKind::ALL.map(FaultKind::as_str));
            format!("there are {}", all.collect::<Vec<_>>().join(", "))
        })
    }
}

fn rate(text: &str) -> Result<f64, String> {
    capstead_lab::flintlock::rate(text).map_err(|error| error.to_string())
}
