//! The command line of `capstead lab fleet`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::Binaries;
use super::Output;
use super::lab::duration;

const EXAMPLES: &str = "Examples:
  capstead lab fleet                                            10 clusters of one control plane machine and 3 workers
  capstead lab fleet --clusters 50 --report fleet.html --report fleet.json
  capstead lab fleet --clusters 5 --control-plane 3 --workers 10 --boot-delay 10s
  capstead lab fleet --clusters 20 --churn scale=10/m,delete=2/m --churn-for 5m --seed 7
  capstead lab fleet --clusters 200 --settle 10m                what a fleet costs in which nothing happens
  capstead lab fleet --clusters 3 --keep                        to look at it afterwards:
    capstead kubectl --name fleet get clusters -n fleet

Exit code 1 if not all clusters became available, with what each of them waits for.";

/// `capstead lab fleet`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Fleet {
    /// How many clusters
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub clusters: u16,
    /// Control plane machines of each cluster: 1, 3, 5 or 7
    #[arg(long, value_name = "M", default_value_t = 1, value_parser = members)]
    pub control_plane: u32,
    /// Workers of each cluster
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=500))]
    pub workers: u32,
    /// How many simulated hosts
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub hosts: u16,
    /// How many clusters come up at once: the next is applied when one of them has become available
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub concurrency: u16,
    /// From a microVM's creation until it runs, as 300ms, 3s or 1m
    #[arg(long, value_name = "D", default_value = "2s", value_parser = duration)]
    pub boot_delay: Duration,
    /// From then until its kubeadm init or join
    #[arg(long, value_name = "D", default_value = "2s", value_parser = duration)]
    pub kubeadm_delay: Duration,
    /// Once all are available, let this happen to workers: scale=RATE,delete=RATE, each as 10/m (s, m or h)
    #[arg(long, value_name = "KIND=RATE,…", requires = "churn_for")]
    pub churn: Option<Churn>,
    /// For so long; then all must become available again
    #[arg(long, value_name = "D", value_parser = duration, requires = "churn")]
    pub churn_for: Option<Duration>,
    /// The same seed makes the same churn
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Last, leave the fleet alone for so long, and tell what it writes and uses meanwhile
    #[arg(long, value_name = "D", value_parser = duration)]
    pub settle: Option<Duration>,
    /// How long the plane may take to become ready, and again the fleet to become available
    #[arg(long, value_name = "D", default_value = "20m", value_parser = duration)]
    pub timeout: Duration,
    /// Write a report into this file: .json, or .html for a page with plots; can be given several times
    #[arg(long, value_name = "FILE", value_parser = report)]
    pub report: Vec<PathBuf>,
    /// Leave the fleet and its plane up
    #[arg(long)]
    pub keep: bool,
    /// The name of the plane, which is made for this fleet
    #[arg(long, default_value = "fleet")]
    pub name: String,
    /// The folder that planes are kept in [default: $XDG_STATE_HOME/capstead/planes]
    #[arg(long, env = "CAPSTEAD_DATA_DIR", value_name = "D")]
    pub data_dir: Option<PathBuf>,
    /// The folder that binaries are kept in [default: $XDG_CACHE_HOME/capstead]
    #[arg(long, env = "CAPSTEAD_CACHE_DIR", value_name = "D")]
    pub cache_dir: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub binaries: Binaries,
    /// How to print the summary
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

/// What happens to a fleet, in times a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Churn {
    /// The workers of a cluster get another number.
    pub scale: f64,
    /// A worker's Machine is deleted.
    pub delete: f64,
}

/// More often than this, nothing is told apart.
const MOST_A_SECOND: f64 = 100.0;

impl FromStr for Churn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut churn = Self::default();
        for part in text.split(',') {
            let (kind, rate) = part.split_once('=').ok_or_else(|| format!("{part:?} is no KIND=RATE"))?;
            let place = match kind {
                "scale" => &mut churn.scale,
                "delete" => &mut churn.delete,
                _ => return Err(format!("there is no churn {kind:?}; there are scale and delete")),
            };
            if *place > 0.0 {
                return Err(format!("{kind} stands twice"));
            }
            *place = self::rate(rate)?;
        }
        Ok(churn)
    }
}

/// Times a second.
fn rate(text: &str) -> Result<f64, String> {
    let (count, unit) = text.split_once('/').ok_or_else(|| format!("{text:?} is no rate, as 10/m"))?;
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit:?} is no unit of a rate: s, m or h")),
    };
    let rate = count.parse::<f64>().map_err(|_| format!("{count:?} is no number"))? / seconds;
    if rate > 0.0 && rate <= MOST_A_SECOND { Ok(rate) } else { Err(format!("{text} is not above 0 and at most {MOST_A_SECOND}/s")) }
}

/// etcd wants an odd number of members.
fn members(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(count @ (1 | 3 | 5 | 7)) => Ok(count),
        _ => Err("1, 3, 5 or 7 is expected".into()),
    }
}

fn report(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json" | "html") => Ok(path),
        _ => Err("a file that ends in .json or .html is expected".into()),
    }
}

#[cfg(test)]
mod tests;
