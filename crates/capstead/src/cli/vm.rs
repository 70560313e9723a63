//! The command line of `capstead vm`.

mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::Subcommand;
use clap::ValueEnum;

pub use values::{Attachment, Network, Pair, VolumeArg, VolumeSource, mebibytes, memory};

use super::lab::duration;

const CREATE: &str = "Examples:
  capstead vm create m1 --ssh-key ~/.ssh/id_ed25519.pub --wait    upstream's kernel and Ubuntu, then: capstead vm ssh m1
  capstead vm create m1 --root registry:5000/os:1 --root-size 10G --kernel registry:5000/kernel:6 --kernel-file boot/vmlinux
  capstead vm create m1 --network user --user-data cloud-config.yaml --volume data=registry:5000/data:1,mount=/data
  capstead vm create m1 --network tap:br0,ip=10.0.0.5/24,gateway=10.0.0.1,dns=10.0.0.1 --vcpu 4 --memory 8G
  capstead vm create -f spec.yaml --host host-2:9090              a spec by protobuf's mapping to JSON, as JSON or YAML; flags change it
  capstead vm create m1 --dry-run -o yaml > spec.yaml             to begin with

A network is WHERE[,name=NAME][,mac=MAC][,ip=CIDR][,gateway=IP][,dns=IP]..., and WHERE is one of
  tap          the host's default: its bridge, or its VMM's own NAT where it has none
  tap:BRIDGE   a bridge of the host
  user         the VMM's own NAT, with a port of the host that leads to the guest's ssh
  passt        the same by passt
  user-lan     a LAN of microVMs on a host without privileges; user-lan:NAME is another
  macvtap      on the host's parent interface
Without an ip the guest asks by DHCP. Interfaces are called eth1, eth2... unless they are named.

A volume is ID=IMAGE[,mount=FOLDER][,size=SIZE][,ro], or ID=virtiofs:FOLDER[,mount=FOLDER] for a folder of the host.
Sizes are in MiB, or 512M, 10G, 1T (powers of 1024).";

const LS: &str = "Examples:
  capstead vm ls
  capstead vm ls -n team -o wide --host host-2:9090
  capstead vm ls -o json | jq '.[] | {name: .spec.id, uid: .spec.uid}'";

const GET: &str = "Examples:
  capstead vm get m1
  capstead vm get team/m1 -o yaml
  capstead vm get 01J8Z3T9V5K7QW2N4B6D8F0GHA -o json";

const DELETE: &str = "Examples:
  capstead vm delete m1 team/m2
  capstead vm delete --all -n team --yes
  capstead vm delete m1 --no-wait";

const CONSOLE: &str = "Examples:
  capstead vm console m1                                      Ctrl-] leaves it
  printf 'root\\n\\035' | capstead vm console m1                what is typed may come from a pipe; the last byte is Ctrl-]

It works on the host's own machine, as the user that runs the host, and with QEMU: Firecracker's and Cloud Hypervisor's consoles can only be read, by
`capstead vm logs`.";

const LOGS: &str = "Examples:
  capstead vm logs m1 -f
  capstead vm logs m1 --tail 20
  capstead vm logs m1 --vmm                                   what QEMU itself has to say

It works on the host's own machine, as the user that runs the host.";

const SSH: &str = "Examples:
  capstead vm ssh m1
  capstead vm ssh m1 -l ubuntu -i ~/.ssh/key -- uname -a
  capstead vm ssh m1 -- -L 8080:localhost:80                  what is behind -- goes to ssh: its flags, or a command

It runs your ssh. A microVM with a static address is reached by that; one behind the VMM's own NAT by a port of the host's machine, so only from there.";

/// `capstead vm`.
#[derive(Debug, Subcommand)]
pub enum Vm {
    /// Have a microVM made
    #[command(after_help = CREATE)]
    Create(Box<VmCreate>),
    /// List microVMs
    #[command(after_help = LS)]
    Ls(VmLs),
    /// Show one microVM
    #[command(after_help = GET)]
    Get(VmGet),
    /// Have microVMs deleted
    #[command(after_help = DELETE)]
    Delete(VmDelete),
    /// Sit at a microVM's serial console
    #[command(after_help = CONSOLE)]
    Console(VmConsole),
    /// Show what a microVM has written to its serial console
    #[command(after_help = LOGS)]
    Logs(VmLogs),
    /// Log in to a microVM with ssh
    #[command(after_help = SSH)]
    Ssh(VmSsh),
}

/// Which host, and how it is reached.
#[derive(Debug, Clone, Args)]
pub struct HostArgs {
    /// The host: any that speaks flintlock's protocol
    #[arg(long, env = "CAPSTEAD_HOST", default_value = "localhost:9090", value_name = "HOST:PORT")]
    pub host: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub access: AccessArgs,
}

/// How a host is reached that does not take everybody.
#[derive(Debug, Clone, Default, Args)]
pub struct AccessArgs {
    /// The token that the host wants (its --basic-auth-token)
    #[arg(long, env = "CAPSTEAD_HOST_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Reach it by TLS, and trust whom this system trusts; the further --tls flags imply this
    #[arg(long, env = "CAPSTEAD_HOST_TLS")]
    pub tls: bool,
    /// Who vouches for the host's certificate, in PEM
    #[arg(long, env = "CAPSTEAD_HOST_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// The certificate to show to the host, in PEM
    #[arg(long, env = "CAPSTEAD_HOST_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its key
    #[arg(long, env = "CAPSTEAD_HOST_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The name in the host's certificate, where it is not the one in --host
    #[arg(long, env = "CAPSTEAD_HOST_TLS_SERVER_NAME", value_name = "NAME")]
    pub tls_server_name: Option<String>,
}

/// Where a host on this machine keeps things.
#[derive(Debug, Clone, Args)]
pub struct HostFolders {
    /// The host's --state-dir [default: as in flintlockd's configuration, else /var/lib/flintlock]
    #[arg(long, env = "FLINTLOCKD_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Where VMMs have their sockets and logs.
#[derive(Debug, Clone, Args)]
pub struct RunFolders {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub folders: HostFolders,
    /// The host's --run-dir [default: as in flintlockd's configuration, else run in --state-dir]
    #[arg(long, env = "FLINTLOCKD_RUN_DIR", value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
}

/// Which microVM.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Its name, NAMESPACE/NAME, or its uid
    #[arg(value_name = "MICROVM")]
    pub microvm: String,
    /// Its namespace [default: any, as long as only one microVM has the name]
    #[arg(long, short, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
}

/// How to print microVMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VmOutput {
    /// For people
    Table,
    /// The same with more columns
    Wide,
    /// For programs, by protobuf's mapping, fields under the protocol's names
    Json,
    /// The same as YAML
    Yaml,
}

/// `capstead vm create`.
#[derive(Debug, Args)]
pub struct VmCreate {
    /// Its name [default: the file's, else one is made up]
    pub name: Option<String>,
    /// The spec to begin with; `-` is standard input
    #[arg(long, short, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Its namespace [default: default]
    #[arg(long, short, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Virtual processors [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=64))]
    pub vcpu: Option<i32>,
    /// Memory [default: 1G]
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub memory: Option<i32>,
    /// The image that the kernel is in [default: ghcr.io/liquidmetal-dev/kernel-bin:5.10.77]
    #[arg(long, value_name = "IMAGE")]
    pub kernel: Option<String>,
    /// The kernel's file in that image [default: boot/vmlinux]
    #[arg(long, value_name = "PATH")]
    pub kernel_file: Option<String>,
    /// A kernel parameter; can be given several times
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub cmdline: Vec<String>,
    /// The image that the initial RAM disk is in
    #[arg(long, value_name = "IMAGE")]
    pub initrd: Option<String>,
    /// The RAM disk's file in that image
    #[arg(long, value_name = "PATH")]
    pub initrd_file: Option<String>,
    /// The image of the root disk [default: ghcr.io/liquidmetal-dev/ubuntu:22.04]
    #[arg(long, value_name = "IMAGE")]
    pub root: Option<String>,
    /// The size of the root disk [default: what suits the image]
    #[arg(long, value_name = "SIZE", value_parser = mebibytes)]
    pub root_size: Option<i32>,
    /// A further disk, see below; can be given several times
    #[arg(long, value_name = "ID=IMAGE[,...]")]
    pub volume: Vec<VolumeArg>,
    /// A network interface, see below; can be given several times [default: tap]
    #[arg(long, value_name = "WHERE[,...]")]
    pub network: Vec<Network>,
    /// What cloud-init shall do in the guest: a cloud-config, or a script
    #[arg(long, value_name = "FILE")]
    pub user_data: Option<PathBuf>,
    /// A public key that may log in: to the image's default user, and without --user-data to root; can be given several times
    #[arg(long, value_name = "FILE")]
    pub ssh_key: Vec<PathBuf>,
    /// The guest's host name [default: the microVM's name]
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// A further document for the guest, such as vendor-data=FILE; can be given several times
    #[arg(long, value_name = "KEY=FILE")]
    pub metadata: Vec<Pair>,
    /// A label; can be given several times
    #[arg(long, short, value_name = "KEY=VALUE")]
    pub label: Vec<Pair>,
    /// What shall run it: qemu, firecracker, cloudhypervisor [default: the host's choice]
    #[arg(long, value_name = "PROVIDER")]
    pub provider: Option<String>,
    /// Wait until it runs, or has failed
    #[arg(long)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub timeout: Duration,
    /// Print the spec, and ask for nothing
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,
    /// How to print what was made
    #[arg(long, short, default_value = "table")]
    pub output: VmOutput,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub host: HostArgs,
}

/// `capstead vm ls`.
#[derive(Debug, Args)]
pub struct VmLs {
    /// Only those of one namespace
    #[arg(long, short, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// How to print them
    #[arg(long, short, default_value = "table")]
    pub output: VmOutput,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub host: HostArgs,
}

/// `capstead vm get`.
#[derive(Debug, Args)]
pub struct VmGet {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub target: Target,
    /// How to print it
    #[arg(long, short, default_value = "table")]
    pub output: VmOutput,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub host: HostArgs,
}

/// `capstead vm delete`.
#[derive(Debug, Args)]
pub struct VmDelete {
    /// Which: names, NAMESPACE/NAME, or uids
    #[arg(value_name = "MICROVM", required_unless_present = "all")]
    pub microvms: Vec<String>,
    /// Their namespace [default: any, as long as only one microVM has the name]
    #[arg(long, short, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// All in --namespace
    #[arg(long, requires = "namespace", conflicts_with = "microvms")]
    pub all: bool,
    /// With --all: yes, all of them
    #[arg(long, short, requires = "all")]
    pub yes: bool,
    /// One that is not there is as good
    #[arg(long)]
    pub ignore_not_found: bool,
    /// Return at once, while the host works on it
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait until they are gone
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub host: HostArgs,
}

/// `capstead vm console`.
#[derive(Debug, Args)]
pub struct VmConsole {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub target: Target,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub folders: RunFolders,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub host: HostArgs,
}

/// `capstead vm logs`.
#[derive(Debug, Args)]
pub struct VmLogs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub target: Target,
    /// Go on with what is written from now on
    #[arg(long, short)]
    pub follow: bool,
    /// Begin with the last N lines [default: all]
    #[arg(long, value_name = "N")]
    pub tail: Option<usize>,
    /// What the VMM itself has written, in place of its guest
    #[arg(long)]
    pub vmm: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub folders: RunFolders,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub host: HostArgs,
}

/// `capstead vm ssh`.
#[derive(Debug, Args)]
pub struct VmSsh {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub target: Target,
    /// The user in the guest
    #[arg(long, short = 'l', default_value = "root", value_name = "USER")]
    pub user: String,
    /// Your private key
    #[arg(long, short, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// What to pass on to ssh
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<OsString>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub host: HostArgs,
}

#[cfg(test)]
mod tests;
