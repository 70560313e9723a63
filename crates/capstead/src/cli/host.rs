//! The command line of `capstead host`. That of the daemon has flintlockd's flags, so that replacing it is replacing one file.

pub mod preflight;

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction;
use clap::Args;
use clap::Subcommand;

use super::manager::LogFormat;
use super::manager::duration;
use preflight::HostCheck;
use preflight::HostPrepare;
use preflight::HostRestore;

/// What the command is called as where it stands in for flintlockd.
pub const FLINTLOCKD: &str = "flintlockd";

const RUN: &str = "Examples:
  capstead host run                                            on localhost:9090, microVMs with QEMU's own NAT
  capstead host run --bridge-name br0 --grpc-endpoint 10.0.0.5:9090 --tls-cert host.pem --tls-key host-key.pem
  capstead host run --enable-http --basic-auth-token \"$(cat token)\"
  ln -s capstead /usr/local/bin/flintlockd && flintlockd run   in flintlockd's place: flags, configuration and environment are the same

Each flag may also stand in config.yaml (in /etc/opt/flintlockd, else $XDG_CONFIG_HOME/flintlockd or ~/.config/flintlockd), under its name without dashes in
front, or in the environment, as FLINTLOCKD_ and its name in capitals (FLINTLOCKD_BRIDGE_NAME). A flag comes before the environment, that before the file.";

const CHECK: &str = "Examples:
  capstead host check                                          this machine
  sudo capstead host check --network bridge --subnet 10.42.0.0/24 --dhcp --nat-via eth0
  capstead host check --host ssh://root@mvm-1 --config host.yaml
  capstead host check --host mvm-1:9090 --tls-ca ca.pem        what a client of its daemon sees
  capstead host check --json | jq '.checks[] | select(.status == \"fail\") | {id, found, fix}'

It changes nothing. Over ssh nothing is installed there, and sudo is used where it needs no password.

Exit codes:
  0  all that is required passes
  1  something that is required fails
  2  the host could not be asked, or something that is required could not be told";

const PREPARE: &str = "Examples:
  sudo capstead host prepare --dry-run -- --insecure           what a host without a network of its own takes
  sudo capstead host prepare --network bridge --subnet 10.42.0.0/24 --dhcp --nat-via wlp2s0 --vip 10.42.0.2 -- --insecure
  capstead host prepare --host ssh://root@mvm-1 --config host.yaml
  capstead host prepare --host ssh://root@mvm-1 --runtime flintlock --network bridge --images ghcr.io/a/kernel:1

It shows what is to change, changes it, and looks again. A second run changes nothing. How things were is written down on the host before,
so `capstead host restore` brings them back.
The daemon's program must be on the host. What stands behind -- goes to it; secrets belong into /etc/opt/flintlockd/config.yaml.";

const RESTORE: &str = "Examples:
  sudo capstead host restore --dry-run
  capstead host restore --host ssh://root@mvm-1

Packages, loaded kernel modules, images and the daemon's state stay.";

/// `capstead host`.
#[derive(Debug, Subcommand)]
pub enum Host {
    /// Serve the flintlock protocol, and run microVMs
    #[command(after_help = RUN)]
    Run(Box<HostRun>),
    /// Say whether a machine is a microVM host, and what to do about what is not as it should be
    #[command(after_help = CHECK)]
    Check(Box<HostCheck>),
    /// Make a machine into a microVM host
    #[command(after_help = PREPARE)]
    Prepare(Box<HostPrepare>),
    /// Take back what prepare has changed
    #[command(after_help = RESTORE)]
    Restore(HostRestore),
    /// Carry out a request within the namespaces of a LAN; for the daemon itself
    #[command(hide = true)]
    LanAgent,
    /// Print the version
    #[command(hide = true)]
    Version {
        /// With details
        #[arg(long, conflicts_with = "short")]
        long: bool,
        /// The bare number
        #[arg(long)]
        short: bool,
    },
}

/// `capstead host run`.
#[derive(Debug, Args)]
pub struct HostRun {
    /// Where the gRPC service listens
    #[arg(long, default_value = "localhost:9090", value_name = "HOST:PORT")]
    pub grpc_endpoint: String,
    /// Serve the HTTP gateway, too
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = ArgAction::Set, hide_default_value = true, hide_possible_values = true, value_name = "BOOL")]
    pub enable_http: bool,
    /// Where the HTTP gateway listens
    #[arg(long, default_value = "localhost:8090", value_name = "HOST:PORT")]
    pub http_endpoint: String,
    /// Where /metrics and /healthz are served; empty for nowhere
    #[arg(long, default_value = "", hide_default_value = true, value_name = "HOST:PORT")]
    pub debug_endpoint: String,
    /// Where records, disks and images are kept
    #[arg(long, default_value = "/var/lib/flintlock", value_name = "DIR")]
    pub state_dir: PathBuf,
    /// How long a guest may take to shut down before its VMM is killed
    #[arg(long = "deleteMicroVM-timeout", default_value = "10s", value_parser = duration, value_name = "DURATION")]
    pub delete_timeout: Duration,
    /// A token that callers must send
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    pub basic_auth_token: Option<String>,
    /// Serve beyond loopback although everyone who reaches it may do anything
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = ArgAction::Set, hide_default_value = true, hide_possible_values = true, value_name = "BOOL")]
    pub insecure: bool,
    /// The certificate to serve TLS with, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Clients must have a certificate of --tls-client-ca
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = ArgAction::Set, hide_default_value = true, hide_possible_values = true, value_name = "BOOL")]
    pub tls_client_validate: bool,
    /// Of whom clients must have a certificate
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// What runs microVMs whose spec names no provider [default: the best that works here]
    #[arg(long, value_name = "PROVIDER")]
    pub default_provider: Option<String>,
    /// QEMU; empty for none
    #[arg(long, default_value = "qemu-system-x86_64", value_name = "PROGRAM")]
    pub qemu_bin: String,
    /// Firecracker; empty for none
    #[arg(long, default_value = "firecracker", value_name = "PROGRAM")]
    pub firecracker_bin: String,
    /// Cloud Hypervisor; empty for none
    #[arg(long, default_value = "cloud-hypervisor-static", value_name = "PROGRAM")]
    pub cloudhypervisor_bin: String,
    /// The bridge that taps join, unless an interface names another; without one, and where `user` is named, the VMM's own NAT; `passt` for passt; `user-lan` for a LAN of microVMs without root, `user-lan:NAME` for another
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    pub bridge_name: String,
    /// The interface that macvtaps are made on
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    pub parent_iface: String,
    /// Let images be files below this folder (oci:DIR, oci-archive:F, docker-archive:F, file:F): who may create microVMs may read them
    #[arg(long, value_name = "DIR")]
    pub local_images: Option<PathBuf>,
    /// Let microVMs share folders below this one by virtiofs: who may create microVMs may read and write them; can be given several times
    #[arg(long, value_delimiter = ',', value_name = "DIR")]
    pub virtiofs_allow: Vec<PathBuf>,
    /// virtiofsd, which serves shared folders: found on the search path or where distributions put it; empty for none
    #[arg(long, default_value = "virtiofsd", value_name = "PROGRAM")]
    pub virtiofs_bin: String,
    /// Ask a registry through another address, as ghcr.io=http://127.0.0.1:5000; can be given several times
    #[arg(long, value_delimiter = ',', value_name = "REGISTRY=ADDRESS")]
    pub registry_mirror: Vec<String>,
    /// Where sockets and logs of VMMs are kept [default: run in --state-dir]; its path must be short
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Who VMMs run as, where the daemon is root: NAME or UID, either with :GID; root for root [default: capstead-vmm, if there is such a user]
    #[arg(long, value_name = "USER")]
    pub vmm_user: Option<String>,
    /// How much is logged: 0 what happens, 2 what is decided, 9 everything
    #[arg(short, long, default_value_t = 0, value_name = "LEVEL")]
    pub verbosity: u8,
    /// The form of the log
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Where the log goes: stderr, stdout or a file
    #[arg(long, default_value = "stderr", value_name = "WHERE")]
    pub log_output: String,
    /// After how many failures in a row a microVM is given up
    #[arg(long, default_value_t = 10, hide = true)]
    pub maximum_retry: u32,
    /// What flintlockd knows, and means nothing here.
    #[command(flatten)]
    pub meaningless: Meaningless,
}

/// Flags of flintlockd that mean nothing here: there is no containerd, and VMMs always outlive the daemon.
#[derive(Debug, Args)]
#[command(next_help_heading = "Accepted, without meaning here")]
pub struct Meaningless {
    /// There is no containerd
    #[arg(long, value_name = "PATH")]
    pub containerd_socket: Option<String>,
    /// There is no containerd
    #[arg(long, value_name = "NAME")]
    pub containerd_kernel_ss: Option<String>,
    /// There is no containerd
    #[arg(long, value_name = "NAMESPACE")]
    pub containerd_ns: Option<String>,
    /// VMMs always outlive the daemon
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true, value_name = "BOOL")]
    pub firecracker_detach: Option<bool>,
    /// VMMs always outlive the daemon
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true, value_name = "BOOL")]
    pub cloudhypervisor_detach: Option<bool>,
    /// What happens to a VMM is heard at once
    #[arg(long, value_name = "DURATION")]
    pub resync_period: Option<String>,
    /// Never disabled
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = ArgAction::Set, hide_default_value = true, hide_possible_values = true, value_name = "BOOL", hide = true)]
    pub disable_reconcile: bool,
    /// Never disabled
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = ArgAction::Set, hide_default_value = true, hide_possible_values = true, value_name = "BOOL", hide = true)]
    pub disable_api: bool,
}

impl Meaningless {
    /// Those that were given.
    #[must_use]
    pub fn given(&self) -> Vec<&'static str> {
        let flags = [
            ("--containerd-socket", self.containerd_socket.is_some()),
            ("--containerd-kernel-ss", self.containerd_kernel_ss.is_some()),
            ("--containerd-ns", self.containerd_ns.is_some()),
            ("--resync-period", self.resync_period.is_some()),
            ("--firecracker-detach", self.firecracker_detach.is_some()),
            ("--cloudhypervisor-detach", self.cloudhypervisor_detach.is_some()),
            ("--disable-reconcile", self.disable_reconcile),
            ("--disable-api", self.disable_api),
        ];
        flags.into_iter().filter_map(|(name, given)| given.then_some(name)).collect()
    }
}
