//! The command line of `capstead demo`.

use std::path::PathBuf;

use clap::Args;

use super::Binaries;

const EXAMPLES: &str = "Examples:
  capstead demo --simulated                    a plane, two simulated hosts, a cluster of microVMs on them
  capstead demo --simulated --hosts 5 --workers 10
  capstead down --name demo --purge            take it down";

/// `capstead demo`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Demo {
    /// On simulated hosts, whose machines read their bootstrap data and act as nodes; no container runs
    #[arg(long)]
    pub simulated: bool,
    /// The plane's name
    #[arg(long, default_value = "demo")]
    pub name: String,
    /// How many hosts
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub hosts: u16,
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
