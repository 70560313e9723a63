//! What a machine is to be, from a file and flags.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use anyhow::bail;
use capstead_preflight::Network;
use capstead_preflight::Runtime;
use capstead_preflight::Wish;

use crate::cli::host::preflight::NetworkArg;
use crate::cli::host::preflight::RuntimeArg;
use crate::cli::host::preflight::WishArgs;

/// Largest file, in bytes.
const LARGEST: u64 = 1 << 20;

/// The file's wish, and what flags change of it.
pub fn wish(args: &WishArgs) -> anyhow::Result<Wish> {
    let mut wish = args.config.as_deref().map(read).transpose()?.unwrap_or_default();
    let args = args.clone();
    wish.runtime = args.runtime.map_or(wish.runtime, |runtime| match runtime {
        RuntimeArg::Capstead => Runtime::Capstead,
        RuntimeArg::Flintlock => Runtime::Flintlock,
    });
    wish.network = args.network.map_or(wish.network, |network| match network {
        NetworkArg::Bridge => Network::Bridge,
        NetworkArg::Macvtap => Network::Macvtap,
        NetworkArg::User => Network::User,
    });
    // Else it would be passed over, and the host be another one than was meant.
    if args.bridge_name.is_some() && wish.network != Network::Bridge {
        bail!("--bridge-name: there is a bridge with --network bridge only");
    }
    if args.parent_iface.is_some() && wish.network == Network::User {
        bail!("--parent-iface: it takes --network bridge or --network macvtap");
    }
    wish.bridge_name = args.bridge_name.unwrap_or(wish.bridge_name);
    wish.grpc_endpoint = args.grpc_endpoint.unwrap_or(wish.grpc_endpoint);
    wish.state_dir = args.state_dir.unwrap_or(wish.state_dir);
    wish.parent_iface = args.parent_iface.or(wish.parent_iface);
    wish.subnet = args.subnet.or(wish.subnet);
    wish.dhcp = args.dhcp.unwrap_or(wish.dhcp);
    wish.nat_via = args.nat_via.or(wish.nat_via);
    wish.vip = args.vip.or(wish.vip);
    wish.daemon = args.daemon.or(wish.daemon);
    wish.packages = args.packages.unwrap_or(wish.packages);
    if !args.images.is_empty() {
        wish.images = args.images;
    }
    if !args.registries.is_empty() {
        wish.registries = args.registries;
    }
    Ok(wish)
}

fn read(path: &Path) -> anyhow::Result<Wish> {
    let mut text = String::new();
    let cannot = || format!("--config: cannot read {}", path.display());
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text)).with_context(cannot)?;
    if text.len() as u64 > LARGEST {
        bail!("--config: {} has more than {LARGEST} bytes", path.display());
    }
    let wish: Option<Wish> =
        yaml_serde::from_str(&text).with_context(|| format!("--config: {} does not say what a host is to be", path.display()))?;
    Ok(wish.unwrap_or_default())
}

#[cfg(test)]
mod tests;
