//! The command line of `capstead demo`.

use std::path::PathBuf;

use clap::Args;

use super::Binaries;

const EXAMPLES: &str = "Examples:
  capstead demo                                a plane, a host, and a cluster of two real nodes on it; minutes
  capstead demo --down                         take all of that down
  capstead demo --simulated                    a plane, two simulated hosts, a cluster of microVMs on them
  capstead demo --simulated --hosts 5 --workers 10
  capstead down --name demo --purge            take the simulated one down";

/// `capstead demo`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Demo {
    /// On simulated hosts, whose machines read their bootstrap data and act as nodes; no container runs
    #[arg(long)]
    pub simulated: bool,
    /// Go on with the cluster of an earlier run, rather than make it anew
    #[arg(long, conflicts_with = "simulated")]
    pub keep: bool,
    /// Take all of it down: plane, microVMs, network, files. What was built stays in the cache
    #[arg(long, conflicts_with_all = ["simulated", "keep"])]
    pub down: bool,
    /// Let the machines reach nothing outside their own network: all that they need is in their images
    #[arg(long, conflicts_with = "simulated")]
    pub isolated: bool,
    /// The plane's name
    #[arg(long, default_value = "demo")]
    pub name: String,
    /// How many hosts [default: 1; 2 simulated ones]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub hosts: Option<u16>,
    /// How many workers, beside the one control plane machine
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub workers: u32,
    /// The folder that planes are kept in [default: $XDG_STATE_HOME/capstead/planes]
    #[arg(long, env = "CAPSTEAD_DATA_DIR", value_name = "D")]
    pub data_dir: Option<PathBuf>,
    /// The folder that binaries are kept in [default: $XDG_CACHE_HOME/capstead]
    #[arg(long, env = "CAPSTEAD_CACHE_DIR", value_name = "D")]
    pub cache_dir: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub binaries: Binaries,
    /// How long the plane may take to become ready, and again the first machine, in seconds
    #[arg(long, default_value_t = 180, value_name = "S")]
    pub timeout: u64,
}
