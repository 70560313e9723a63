//! The command line of `capstead debug`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::host::preflight::PrintArgs;
use super::manager::duration;
use super::vm::AccessArgs;
use super::vm::RunFolders;

/// Examples and exit codes.
pub const HELP: &str = "Examples:
  capstead debug one-control-plane-abcde                       a Machine or MicrovmMachine of the management cluster that kubectl finds
  capstead debug -n team one-md-0-abcde --ssh-key ~/.ssh/key -l ubuntu
  capstead debug team/m1 --host host-2:9090                    a microVM of a host, by its name or uid
  capstead debug 10.42.0.17 -i ~/.ssh/key                      an address; ssh://USER@HOST:PORT is one, too
  capstead debug m1 --jump root@host-2                         where only the host reaches the guest
  capstead debug demo-control-plane-abcde --name demo          of a plane of this machine, and from within its network
  capstead debug m1 --artefacts ./m1                           keep all that was gathered, without secrets

It asks the guest by your ssh: cloud-init, kubelet and containerd with their journals, containers and their logs, static pods, the VIP, clock, disk, names.
None of it needs an API server. Where ssh does not answer, it reads the console that the host has kept, if the host runs on this machine. It changes nothing.
With a name that no --host goes with, the management cluster is asked first, then the host at localhost:9090. A token, and TLS, are only used for --host.

Exit codes:
  0  nothing is wrong; what is harmless or passes by itself is told as a note
  1  something is wrong; the likely cause comes first
  2  nothing wrong was seen, but not everything could be looked at; or nothing could";

/// `capstead debug`.
#[derive(Debug, Args)]
pub struct Debug {
    /// A Machine, a MicrovmMachine, a microVM's name or uid (each as NAME or NAMESPACE/NAME), or an address
    #[arg(value_name = "MACHINE")]
    pub machine: String,
    /// Its namespace [default: any, as long as only one has the name]
    #[arg(long, short, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The management cluster's kubeconfig [default: as kubectl finds it]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// A plane of this machine in the kubeconfig's place; where its microVMs have a network of their own, they are asked from within
    #[arg(long, value_name = "PLANE", conflicts_with = "kubeconfig")]
    pub name: Option<String>,
    /// The folder that planes are kept in [default: $XDG_STATE_HOME/capstead/planes]
    #[arg(long, env = "CAPSTEAD_DATA_DIR", value_name = "D")]
    pub data_dir: Option<PathBuf>,
    /// The host that has the microVM; without --kubeconfig the management cluster is not asked then
    #[arg(long, env = "CAPSTEAD_HOST", value_name = "HOST:PORT")]
    pub host: Option<String>,
    /// Where the guest's ssh is reached, as ADDRESS or ADDRESS:PORT [default: as its host or its Machine tells]
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<String>,
    /// The user in the guest; without root's rights, or sudo that takes no password, less is seen
    #[arg(long, short = 'l', default_value = "root", value_name = "USER")]
    pub user: String,
    /// Your private key
    #[arg(long, short = 'i', value_name = "FILE")]
    pub ssh_key: Option<PathBuf>,
    /// A machine to go through, as ssh -J takes it
    #[arg(long, value_name = "[USER@]HOST")]
    pub jump: Option<String>,
    /// Keep all that was gathered in this folder, each text in a file of its own
    #[arg(long, alias = "artifacts", value_name = "DIR")]
    pub artefacts: Option<PathBuf>,
    /// How long it may take, whatever is broken
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub print: PrintArgs,
    #[command(flatten, next_help_heading = "For consoles of microVMs on this machine")]
    #[allow(missing_docs)]
    pub folders: RunFolders,
    /// Of the hosts of the plane that is named
    #[arg(skip)]
    pub run_dirs: Vec<PathBuf>,
    #[command(flatten, next_help_heading = "For --host")]
    #[allow(missing_docs)]
    pub access: AccessArgs,
}
