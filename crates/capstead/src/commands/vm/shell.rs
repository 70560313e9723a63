//! `vm ssh`: becomes the user's ssh.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Context;
use anyhow::bail;
use capstead_flintlock::types::MicroVm;
use capstead_flintlock::types::micro_vm_status::MicroVmState;

use super::access;
use super::find;
use super::name;
use super::state;
use super::table;
use super::uid;
use crate::cli::vm::VmSsh;

/// The guest's port.
const SSH: &str = "22";

/// Where a guest's ssh is reached.
#[derive(Debug, PartialEq, Eq)]
pub struct Door {
    /// An address.
    pub address: String,
    /// Its port.
    pub port: String,
    /// It is a port of the host's machine, which nobody reaches from elsewhere.
    pub on_host: bool,
}

/// Becomes ssh.
pub async fn run(args: VmSsh) -> anyhow::Result<()> {
    let client = access::client(&args.host)?;
    let microvm = find::one(&client, &args.target.microvm, args.target.namespace.as_deref()).await?;
    let name = name(&microvm);
    if let Some(state) = state(&microvm).filter(|state| *state != MicroVmState::Created) {
        bail!("microVM {name} does not run: it is {}; `capstead vm get {name}` tells why", state.as_str_name());
    }
    let Some(door) = door(&microvm) else {
        bail!(
            "it is not known where {name} is reached: it has neither a static address nor a port of its host; one that got its address by DHCP may tell it \
             on its console, `capstead vm console {name}`"
        )
    };
    if door.on_host && !is_this_machine(&args.host.host) {
        let Door { address, port, .. } = &door;
        let machine = args.host.host.rsplit_once(':').map_or(args.host.host.as_str(), |(machine, _)| machine);
        bail!(
            "microVM {name} is reached by a port of its host's machine only: run this there, or ssh -J {machine} -p {port} {user}@{address}",
            user = args.user
        );
    }
    let ssh = arguments(&args, &door, uid(&microvm));
    // exec only returns if it fails.
    Err(Command::new("ssh").args(ssh).exec()).context("cannot run ssh; install it (Debian: openssh-client)")
}

/// A port of the host is as good as an address, and is there where the guest's own network is not.
pub fn door(microvm: &MicroVm) -> Option<Door> {
    let forward = table::forwards(microvm).find_map(|forward| {
        let (outside, inside) = forward.split_once("->")?;
        let (address, port) = outside.rsplit_once(':').filter(|_| inside == SSH)?;
        Some(Door { address: address.to_owned(), port: port.to_owned(), on_host: true })
    });
    forward.or_else(|| {
        let mut interfaces = microvm.spec.iter().flat_map(|spec| &spec.interfaces);
        let address = interfaces.find_map(table::static_address)?;
        Some(Door { address: address.to_owned(), port: SSH.to_owned(), on_host: false })
    })
}

/// Whether a host's address means this machine.
fn is_this_machine(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn arguments(args: &VmSsh, door: &Door, uid: &str) -> Vec<OsString> {
    // MicroVMs come and go behind one address or port; each has a host key of its own.
    let alias = format!("HostKeyAlias={uid}");
    let mut all: Vec<OsString> = ["-o", &alias, "-o", "StrictHostKeyChecking=accept-new", "-p", &door.port, "-l", &args.user]
        .into_iter()
        .map(OsString::from)
        .collect();
    if let Some(identity) = &args.identity {
        all.push("-i".into());
        all.push(identity.into());
    }
    // ssh takes flags behind the address, too, and then a command.
    all.push(door.address.clone().into());
    all.extend(args.args.iter().cloned());
    all
}

#[cfg(test)]
mod tests;
