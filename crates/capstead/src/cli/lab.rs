//! The command line of `capstead lab`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use capstead_lab::flintlock::Fault;
use capstead_lab::flintlock::Provider;
use clap::Args;
use clap::Subcommand;

use super::Fleet;
use super::Output;

mod fault;

pub use fault::{AnyKind, FaultAdd, FaultCommand, FaultLs, FaultRm, Simulator};

const EXAMPLES: &str = "Examples:
  capstead lab flintlock                                        one host on 127.0.0.1:9090
  capstead lab flintlock --hosts 3                              three hosts, on ports 9090, 9091 and 9092
  capstead lab flintlock --listen 127.0.0.1:7001 --listen 127.0.0.1:7007
  capstead lab flintlock --listen 127.0.0.1:0 -o json           on a free port, told as JSON
  capstead lab flintlock --boot-delay 300ms --seed 7 --fault unavailable=5% --fault late-create=1%
  capstead lab flintlock --metrics-address 127.0.0.1:9100       with metrics, and control while it runs:
    curl -X PUT 127.0.0.1:9100/hosts/1/down
    capstead lab fault add api-silent --address 127.0.0.1:9100 --cluster blue --for 2m
  grpcurl -plaintext 127.0.0.1:9090 list

Faults, each KIND=RATE with a rate of 0 to 1 or 0% to 100%:
  unavailable   a call, listings included, is answered with code Unavailable; nothing is done
  slow          a call, listings included, is answered late (--slow-delay)
  lost-reply    a create or delete is carried out, and answered with code Unavailable
  late-create   a create is answered with an error; the microVM appears some seconds later (8 at most)
  failed        a microVM becomes FAILED instead of CREATED
  vanished      a CREATED microVM disappears by itself, within 30 seconds";

/// `capstead lab`.
#[derive(Debug, Subcommand)]
pub enum Lab {
    /// Simulate flintlock hosts, whose microVMs become nodes of simulated clusters, until Ctrl-C
    #[command(after_help = EXAMPLES)]
    Flintlock(Flintlock),
    /// Let things go wrong in a running simulation, and end it
    #[command(subcommand)]
    Fault(FaultCommand),
    /// Measure a fleet of simulated clusters: make it on a plane of its own, watch it, report, and take it down
    Fleet(Box<Fleet>),
}

/// `capstead lab flintlock`.
#[derive(Debug, Args)]
pub struct Flintlock {
    /// A host's address; can be given several times
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    pub listen: Vec<SocketAddr>,
    /// How many hosts for each address; each further one has the next port, and with port 0 each has a free one
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub hosts: usize,
    /// What runs microVMs whose spec names no provider: firecracker (refuses macvtap) or cloudhypervisor
    #[arg(long, value_name = "P", default_value_t)]
    pub default_provider: Provider,
    /// From a create to CREATED, as 300ms, 3s or 1m
    #[arg(long, value_name = "D", default_value = "1s", value_parser = duration)]
    pub boot_delay: Duration,
    /// From a delete to gone
    #[arg(long, value_name = "D", default_value = "1s", value_parser = duration)]
    pub delete_delay: Duration,
    /// From a create to its answer; the microVM is there from the beginning
    #[arg(long, value_name = "D", default_value = "0s", value_parser = duration)]
    pub create_delay: Duration,
    /// From CREATED until a microVM's kubeadm init or join, after which it is a node
    #[arg(long, value_name = "D", default_value = "2s", value_parser = duration)]
    pub kubeadm_delay: Duration,
    /// About how late a slow answer is: a half to one and a half of this
    #[arg(long, value_name = "D", default_value = "3s", value_parser = duration)]
    pub slow_delay: Duration,
    /// The same seed and the same calls in the same order bring the same faults
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Let this go wrong, as unavailable=5%; can be given several times
    #[arg(long, value_name = "KIND=RATE")]
    pub fault: Vec<Fault>,
    /// Keep what the hosts hold in this folder, so that it is there again after a restart; needs ports that stay the same
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Serve metrics and control over HTTP
    #[arg(long, value_name = "ADDR")]
    pub metrics_address: Option<SocketAddr>,
    /// Listen on addresses that are not loopback, although there is no authentication
    #[arg(long)]
    pub insecure: bool,
    /// How to print where the hosts listen
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text.parse().map_err(|error| format!("{error}; 300ms, 3s or 1m is expected"))?;
    Duration::try_from(parsed).map_err(|_| "it cannot be negative".to_owned())
}
