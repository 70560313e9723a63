//! The command line of `capstead host check`, `prepare` and `restore`.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use capstead_preflight::wish::Ipv4Net;
use capstead_preflight::wish::Packages;
use clap::Args;
use clap::ValueEnum;

use crate::cli::Output;
use crate::cli::manager::duration;
use crate::cli::vm::AccessArgs;

/// The port of a host that names none.
const PORT: u16 = 9090;

/// A machine, and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// All of it, by the user's ssh.
    Ssh(String),
    /// What a client of its daemon sees: `HOST:PORT`.
    Daemon(String),
}

/// Reads a place.
///
/// # Errors
/// It is none.
pub fn place(text: &str) -> Result<Place, String> {
    if text.contains("://") {
        return destination(text).map(Place::Ssh);
    }
    let bare = text.rsplit_once(':').is_none_or(|(_, port)| port.ends_with(']'));
    let address = if bare { format!("{text}:{PORT}") } else { text.to_owned() };
    capstead_flintlock::check_address(&address).map_err(|_| "HOST, HOST:PORT or ssh://[USER@]HOST[:PORT] is expected".to_owned())?;
    Ok(Place::Daemon(address))
}

fn destination(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("ssh://").unwrap_or_default();
    let plain = |c: char| c.is_ascii_graphic() && !"/\\'\"`$;&|<>(){}*?".contains(c);
    if rest.is_empty() || rest.starts_with('-') || !rest.chars().all(plain) {
        return Err("ssh://[USER@]HOST[:PORT] is expected".to_owned());
    }
    Ok(text.to_owned())
}

/// How to print.
#[derive(Debug, Clone, Args)]
pub struct PrintArgs {
    /// How to print it
    #[arg(long, short, default_value = "table")]
    pub output: Output,
    /// The same as -o json
    #[arg(long, conflicts_with = "output")]
    pub json: bool,
}

impl PrintArgs {
    /// As asked, by either flag.
    #[must_use]
    pub fn form(&self) -> Output {
        if self.json { Output::Json } else { self.output }
    }
}

/// What runs microVMs on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RuntimeArg {
    /// Capstead's own daemon
    Capstead,
    /// Upstream's flintlockd, with a containerd and a thin pool of its own
    Flintlock,
}

/// How microVMs reach the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NetworkArg {
    /// Taps on a bridge
    Bridge,
    /// Macvtaps on --parent-iface
    Macvtap,
    /// The VMM's own NAT, or a LAN without privileges
    User,
}

/// What a machine is to be.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What the host is to be")]
pub struct WishArgs {
    /// The same as YAML, in keys named like the flags below, which come before it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What runs microVMs [default: capstead]
    #[arg(long)]
    pub runtime: Option<RuntimeArg>,
    /// How they reach the network [default: user]
    #[arg(long)]
    pub network: Option<NetworkArg>,
    /// The bridge for taps [default: br-mvm]
    #[arg(long, value_name = "NAME")]
    pub bridge_name: Option<String>,
    /// The parent of macvtaps; with --network bridge, the interface that is to be a port of the bridge
    #[arg(long, value_name = "NAME")]
    pub parent_iface: Option<String>,
    /// The microVMs' network, as 10.42.0.0/24; the host has its first address
    #[arg(long, value_name = "CIDR")]
    pub subnet: Option<Ipv4Net>,
    /// The host gives addresses of the subnet by DHCP
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub dhcp: Option<bool>,
    /// The interface through which the subnet reaches the world, by NAT
    #[arg(long, value_name = "NAME")]
    pub nat_via: Option<String>,
    /// A virtual address of the subnet that DHCP leaves alone
    #[arg(long, value_name = "ADDRESS")]
    pub vip: Option<Ipv4Addr>,
    /// Where the daemon serves gRPC [default: 0.0.0.0:9090]
    #[arg(long, value_name = "HOST:PORT")]
    pub grpc_endpoint: Option<String>,
    /// The daemon's program on the host [default: capstead or flintlockd in /usr/local/bin]
    #[arg(long, value_name = "FILE")]
    pub daemon: Option<String>,
    /// Where the daemon keeps its state [default: /var/lib/flintlock]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<String>,
    /// Images that are to be on the host; can be given several times
    #[arg(long, value_delimiter = ',', value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Registries that the host is to reach, as ghcr.io; can be given several times
    #[arg(long, value_delimiter = ',', value_name = "HOST[:PORT]")]
    pub registries: Vec<String>,
    /// Where packages come from: manager, none, or a folder of .deb files on the host [default: manager]
    #[arg(long, value_name = "FROM")]
    pub packages: Option<Packages>,
}

/// `capstead host check`.
#[derive(Debug, Args)]
pub struct HostCheck {
    /// Another machine: all of it by ssh (ssh://USER@HOST), or what a client of its daemon sees (HOST or HOST:PORT) [default: all of this machine]
    #[arg(long, value_name = "WHERE", value_parser = place)]
    pub host: Option<Place>,
    /// How long it may take, whatever is broken
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub print: PrintArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub wish: WishArgs,
    #[command(flatten, next_help_heading = "For HOST[:PORT]")]
    #[allow(missing_docs)]
    pub access: AccessArgs,
}

/// `capstead host prepare`.
#[derive(Debug, Args)]
pub struct HostPrepare {
    /// Further flags of the daemon
    #[arg(last = true, value_name = "FLAG")]
    pub daemon_flags: Vec<String>,
    /// Another machine, by ssh [default: this one]
    #[arg(long, value_name = "ssh://USER@HOST", value_parser = destination)]
    pub host: Option<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub print: PrintArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub wish: WishArgs,
}

/// `capstead host restore`.
#[derive(Debug, Args)]
pub struct HostRestore {
    /// Another machine, by ssh [default: this one]
    #[arg(long, value_name = "ssh://USER@HOST", value_parser = destination)]
    pub host: Option<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub print: PrintArgs,
}

#[cfg(test)]
mod tests;
