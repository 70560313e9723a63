//! The command line of `capstead generate`, named as clusterctl's users know it.

use std::path::PathBuf;

use clap::Args;
use clap::Subcommand;

use super::Output;

const EXAMPLES: &str = "Examples:
  capstead generate cluster edge --provider microvm --kubernetes-version v1.34.1 --set CONTROL_PLANE_VIP=10.0.0.10
  capstead generate cluster edge --provider microvm --list-variables
  capstead generate cluster edge --from my-template.yaml -n team --worker-machine-count 3 | capstead kubectl apply -f -
  MVM_HOSTS='[{endpoint: \"10.0.0.1:9090\"}, {endpoint: \"10.0.0.2:9090\"}]' capstead generate cluster edge --provider microvm ...

Values come from the flags, then from the environment, then from the file given with --config.";

/// `capstead generate`.
#[derive(Debug, Subcommand)]
pub enum Generate {
    /// Print the objects of a cluster, ready for `kubectl apply -f -`, as `clusterctl generate cluster` does
    #[command(after_help = EXAMPLES)]
    Cluster(GenerateCluster),
}

/// `capstead generate cluster`.
#[derive(Debug, Args)]
pub struct GenerateCluster {
    /// The cluster's name: the variable CLUSTER_NAME
    #[arg(required_unless_present = "list_variables")]
    pub name: Option<String>,
    /// The infrastructure provider whose template is used
    #[arg(long, short = 'i', visible_alias = "infrastructure", value_name = "PROVIDER", required_unless_present = "from")]
    pub provider: Option<String>,
    /// Which of the provider's templates [default: the one without a flavor]
    #[arg(long, short, value_name = "FLAVOR", requires = "provider")]
    pub flavor: Option<String>,
    /// A template of your own; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "provider")]
    pub from: Option<PathBuf>,
    /// Set a variable; can be given several times
    #[arg(long, value_name = "VAR=VALUE")]
    pub set: Vec<String>,
    /// The Kubernetes version, as v1.34.1: the variable KUBERNETES_VERSION
    #[arg(long, value_name = "V")]
    pub kubernetes_version: Option<String>,
    /// How many control plane machines, at least 1 [default: the variable CONTROL_PLANE_MACHINE_COUNT, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub control_plane_machine_count: Option<u32>,
    /// How many workers [default: the variable WORKER_MACHINE_COUNT, else 0]
    #[arg(long, value_name = "N")]
    pub worker_machine_count: Option<u32>,
    /// The namespace of all objects: the variable NAMESPACE
    #[arg(long, short = 'n', alias = "namespace", value_name = "NAMESPACE", default_value = "default")]
    pub target_namespace: String,
    /// A clusterctl configuration file, whose variables the environment overrides
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// List the template's variables instead
    #[arg(long)]
    pub list_variables: bool,
    /// How to print the variables
    #[arg(long, short, default_value = "table", requires = "list_variables")]
    pub output: Output,
}
