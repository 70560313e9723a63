//! The command line.

mod debug;
mod demo;
mod doctor;
pub mod e2e;
mod fleet;
mod generate;
pub mod host;
pub mod image;
mod lab;
pub mod layered;

pub mod manager;
pub mod vm;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

pub use debug::Debug;
pub use demo::Demo;
pub use doctor::Doctor;
pub use e2e::E2e;
pub use fleet::{Churn, Fleet};
pub use generate::{Generate, GenerateCluster};
pub use lab::{AnyKind, FaultAdd, FaultCommand, FaultLs, FaultRm, Flintlock, Lab, Simulator};

/// A plane is not ready.
pub const EXIT_NOT_READY: u8 = 3;
/// There is no such plane.
pub const EXIT_NO_PLANE: u8 = 4;

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  failed; the message says what, on what, and what to do
  2  wrong command line
  3  the plane is not ready
  4  there is no such plane

Defaults can be set in the file $XDG_CONFIG_HOME/capstead/config.yaml (~/.config/capstead/config.yaml), in keys named like the flags
(name, dataDir, cacheDir, source, binDir, capiVersion, registryMirrors, kubernetes, debianMirrors); the environment overrides the file, flags override both.";

/// Kubernetes clusters on hardware you own or rent, through Cluster API.
#[derive(Debug, Parser)]
#[command(name = "capstead", version, after_help = EXIT_CODES, max_term_width = 120, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring up a management plane: etcd, kube-apiserver, kube-controller-manager and Cluster API, as plain processes
    #[command(after_help = "Examples:
  capstead up                                  in the foreground; Ctrl-C takes it down, objects are kept
  capstead up --detach                         in the background; returns when all is ready
  capstead up --name ci --ephemeral --detach   a second one beside it, fast rather than durable
  capstead up --detach --capi-version 1.13     with an older Cluster API
  capstead up --source path --bin-dir ./bin    from binaries at hand, fetching nothing
  capstead up --detach                         again: what it was made with is kept; flags change it while it is down
  capstead up --detach --provider microvm      with the provider of microVMs
  capstead up --component provider.yaml        with a further provider; `docs/reference/components` has the form")]
    Up(Up),
    /// Take a plane down; its objects are kept unless --purge is given
    #[command(after_help = "Examples:
  capstead down
  capstead down --name ci --purge              and remove every file of it")]
    Down(Down),
    /// Show what a plane is doing; exit code 3 if it is not ready
    #[command(after_help = "Examples:
  capstead status
  capstead status -o json | jq '.components[] | {name, restarts}'")]
    Status(StatusArgs),
    /// Show what a component has written
    #[command(after_help = "Examples:
  capstead logs capi-core
  capstead logs kube-apiserver -f
  capstead logs supervisor --tail 20")]
    Logs(Logs),
    /// Print the administrator's kubeconfig, or merge it into your own
    #[command(after_help = "Examples:
  capstead kubeconfig > plane.kubeconfig
  capstead kubeconfig --merge                  into the first file of $KUBECONFIG, else ~/.kube/config
  export KUBECONFIG=$(capstead kubeconfig --path)")]
    Kubeconfig(Kubeconfig),
    /// Run kubectl against a plane
    #[command(after_help = "Examples:
  capstead kubectl get clusters -A
  capstead kubectl --name ci apply -f cluster.yaml")]
    Kubectl(Kubectl),
    /// Run clusterctl against a plane
    #[command(after_help = "Examples:
  capstead clusterctl describe cluster my-cluster
  capstead clusterctl generate yaml --from template.yaml")]
    Clusterctl(Kubectl),
    /// List planes
    #[command(after_help = "Examples:
  capstead ls
  capstead ls -o json")]
    Ls(Ls),
    /// Fetch binaries before they are needed: the components of a plane, kubectl, clusterctl
    #[command(after_help = "Examples:
  capstead fetch                               everything a plane and its tools need
  capstead fetch kubectl -o json
  capstead fetch --source go --capi-version 1.13")]
    Fetch(Fetch),
    /// Run an infrastructure provider's controllers and webhooks against a cluster
    #[command(after_help = "Examples:
  capstead manager --provider microvm --kubeconfig ~/.kube/config --diagnostics-address 0
  capstead manager --provider microvm --leader-elect --log-format json
  capstead up --detach --provider microvm      as a component of a plane")]
    Manager(manager::Manager),
    /// Run microVMs on this machine, in flintlockd's place; check a machine for it, and prepare it
    #[command(subcommand)]
    Host(host::Host),
    /// Make, look at and delete microVMs of a host, and get into them
    #[command(subcommand)]
    Vm(vm::Vm),
    /// Look after the images that a host on this machine makes microVMs of, and build them
    #[command(subcommand)]
    Image(image::Image),
    /// Say why clusters of microVMs do not come up: from symptoms to causes, and what to do
    #[command(after_help = doctor::HELP)]
    Doctor(Box<Doctor>),
    /// Look into one guest, and say why it does not become a node
    #[command(after_help = debug::HELP)]
    Debug(Box<Debug>),
    /// Make the objects of a cluster from a template
    #[command(subcommand)]
    Generate(Generate),
    /// Show a cluster come up: a plane, the microVM provider, hosts, and machines that become nodes; real ones, or simulated
    Demo(Demo),
    /// Run the acceptance suite: clusters come up on flintlock hosts, real or simulated, are used, and go again
    E2e(Box<E2e>),
    /// Work with cluster templates
    #[command(subcommand)]
    Template(Template),
    /// Simulate what providers talk to, with faults: nothing behind it is real
    #[command(subcommand)]
    Lab(Lab),
    /// Print a completion script
    #[command(after_help = "Examples:
  capstead completion bash > ~/.local/share/bash-completion/completions/capstead
  capstead completion zsh > ~/.zfunc/_capstead
  capstead completion fish > ~/.config/fish/completions/capstead.fish")]
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write man pages into a folder
    #[command(after_help = "Examples:
  capstead man ~/.local/share/man/man1 && man capstead-up")]
    Man {
        /// The folder; made if it is not there.
        dir: PathBuf,
    },
    /// Look after a plane; `up` starts this
    #[command(hide = true, name = capstead_plane::status::SUPERVISE)]
    Supervise(Which),
    /// Install objects of a component; the supervisor runs this
    #[command(hide = true)]
    Install(Install),
    /// Look once at Deployments of providers, and say what should run for them; the supervisor runs this
    #[command(hide = true)]
    Deployments(Which),
    /// Let ports of the loopback address be reached at another address of this machine; the demo's plane runs this in its network
    #[command(hide = true)]
    Relay(Relay),
}

/// `relay`.
#[derive(Debug, Args)]
pub struct Relay {
    /// The address.
    #[arg(long)]
    pub address: IpAddr,
    /// A port; can be given several times.
    #[arg(long = "port", required = true)]
    pub ports: Vec<u16>,
}

/// Which plane.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// The plane's name [default: default]
    #[arg(long, env = "CAPSTEAD_NAME")]
    pub name: Option<String>,
    /// The folder that planes are kept in [default: $XDG_STATE_HOME/capstead/planes]
    #[arg(long, env = "CAPSTEAD_DATA_DIR", value_name = "D")]
    pub data_dir: Option<PathBuf>,
    /// The folder that binaries are kept in [default: $XDG_CACHE_HOME/capstead]
    #[arg(long, env = "CAPSTEAD_CACHE_DIR", value_name = "D")]
    pub cache_dir: Option<PathBuf>,
}

/// Where binaries come from.
#[derive(Debug, Clone, Args)]
pub struct Sources {
    /// Where binaries come from [default: auto, which is: --bin-dir and PATH, the cache, OCI images, a Go build]
    #[arg(long, env = "CAPSTEAD_SOURCE")]
    pub source: Option<SourceArg>,
    /// A folder of binaries, looked at first
    #[arg(long, env = "CAPSTEAD_BIN_DIR", value_name = "D")]
    pub bin_dir: Option<PathBuf>,
    /// Ask a registry through another address, as registry.k8s.io=http://127.0.0.1:5000; can be given several times
    #[arg(long, env = "CAPSTEAD_REGISTRY_MIRRORS", value_delimiter = ',', value_name = "REGISTRY=ADDRESS")]
    pub registry_mirror: Vec<String>,
}

/// A plane's binaries.
#[derive(Debug, Clone, Args)]
pub struct Binaries {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub sources: Sources,
    /// The Cluster API version, as v1.14.2 or 1.13 [default: the newest built in]
    #[arg(long, env = "CAPSTEAD_CAPI_VERSION", value_name = "V")]
    pub capi_version: Option<String>,
}

/// Where binaries come from.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum SourceArg {
    /// Whatever works first
    Auto,
    /// Only --bin-dir and PATH
    Path,
    /// The components' OCI images
    Oci,
    /// A build from pinned Go modules
    Go,
}

/// `capstead up`.
#[derive(Debug, Args)]
pub struct Up {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub which: Which,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub binaries: Binaries,
    /// Return when all is ready, and leave the plane running
    #[arg(long, short)]
    pub detach: bool,
    /// Trade durability for speed: etcd does not wait for the disk
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub ephemeral: Option<bool>,
    /// Leave out a component; can be given several times; an empty one (--without=) leaves out none
    #[arg(long, value_name = "COMPONENT", value_delimiter = ',')]
    pub without: Vec<String>,
    /// One of Capstead's own infrastructure providers; can be given several times; an empty one (--provider=) takes none
    #[arg(long, value_name = "PROVIDER", value_delimiter = ',')]
    pub provider: Vec<String>,
    /// The file of a further component; can be given several times
    #[arg(long, value_name = "FILE")]
    pub component: Vec<PathBuf>,
    /// Run the Deployments of known providers as processes, so that clusterctl can install and upgrade them
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub deployments: Option<bool>,
    /// How long the plane may take to become ready once its binaries are there, in seconds
    #[arg(long, default_value_t = 180, value_name = "S")]
    pub timeout: u64,
}

/// `capstead down`.
#[derive(Debug, Args)]
pub struct Down {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub which: Which,
    /// Remove every file of the plane, its objects with them
    #[arg(long)]
    pub purge: bool,
}

/// `capstead install`, which only the supervisor runs.
#[derive(Debug, Args)]
pub struct Install {
    /// The component.
    pub component: String,
    /// Which part.
    #[arg(value_parser = ["objects", "webhooks"])]
    pub part: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub which: Which,
}

/// `capstead status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub which: Which,
    /// How to print it
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

/// `capstead ls`.
#[derive(Debug, Args)]
pub struct Ls {
    /// The folder that planes are kept in [default: $XDG_STATE_HOME/capstead/planes]
    #[arg(long, env = "CAPSTEAD_DATA_DIR", value_name = "D")]
    pub data_dir: Option<PathBuf>,
    /// How to print it
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

/// `capstead logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// The component, or `supervisor`
    pub component: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub which: Which,
    /// Go on with what is written from now on
    #[arg(long, short)]
    pub follow: bool,
    /// Begin with the last N lines [default: all]
    #[arg(long, value_name = "N")]
    pub tail: Option<usize>,
}

/// `capstead kubeconfig`.
#[derive(Debug, Args)]
pub struct Kubeconfig {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub which: Which,
    /// Merge it into your kubeconfig and make its context the current one
    #[arg(long)]
    pub merge: bool,
    /// Print the file's path instead
    #[arg(long, conflicts_with = "merge")]
    pub path: bool,
}

/// `capstead kubectl` and `capstead clusterctl`.
#[derive(Debug, Args)]
pub struct Kubectl {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub which: Which,
    /// What to pass on, from the first word that is not one of the flags above
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub args: Vec<std::ffi::OsString>,
}

/// `capstead fetch`.
#[derive(Debug, Args)]
pub struct Fetch {
    /// What to fetch; everything if not given
    pub names: Vec<String>,
    /// Build the node image and the kernel as well that `demo` and `e2e --own-hosts` boot: some ten minutes the first time
    #[arg(long)]
    pub nodes: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub binaries: Binaries,
    /// The folder that binaries are kept in [default: $XDG_CACHE_HOME/capstead]
    #[arg(long, env = "CAPSTEAD_CACHE_DIR", value_name = "D")]
    pub cache_dir: Option<PathBuf>,
    /// How to print what was fetched
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

/// `capstead template`.
#[derive(Debug, Subcommand)]
pub enum Template {
    /// Fill in a template's variables, as `clusterctl generate yaml` does
    #[command(after_help = "Examples:
  CLUSTER_NAME=a capstead template render cluster-template.yaml
  capstead template render - --set CLUSTER_NAME=a < cluster-template.yaml")]
    Render(Render),
    /// List a template's variables and their defaults
    #[command(after_help = "Examples:
  capstead template variables cluster-template.yaml -o json")]
    Variables(Variables),
}

/// `capstead template render`.
#[derive(Debug, Args)]
pub struct Render {
    /// The file; `-` is standard input
    pub file: PathBuf,
    /// Set a variable; wins over the environment
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// A clusterctl configuration file, whose variables the environment overrides
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `capstead template variables`.
#[derive(Debug, Args)]
pub struct Variables {
    /// The file; `-` is standard input
    pub file: PathBuf,
    /// How to print them
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For programs
    Json,
    /// For programs and people
    Yaml,
}
