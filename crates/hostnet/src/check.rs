//! Rules for what a spec says about networks. Pure: no device is looked at.
//!
//! They are flintlock's, and beyond them those without which a guest would be left without a network and no one would say why.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde::Serialize;

use crate::mac::Mac;
use crate::name;

/// Longest id (uid, instance, name of a LAN, device id) in bytes; four of them fit into an alias.
pub const LONGEST_ID: usize = 56;
/// The most name servers of one interface.
pub const NAME_SERVERS: usize = 16;

/// A field breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}, and is {value:?}")]
pub struct Invalid {
    /// Which field, as the spec names it.
    pub field: String,
    /// What it must be: "must …".
    pub rule: String,
    /// What it is, cut to a readable length.
    pub value: String,
}

fn invalid(field: &str, rule: impl Into<String>, value: impl fmt::Display) -> Invalid {
    Invalid { field: field.into(), rule: rule.into(), value: value.to_string().chars().take(80).collect() }
}

fn ensure(holds: bool, field: &str, rule: &str, value: impl fmt::Display) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(invalid(field, rule, value)) }
}

/// A uid, instance or name of a LAN: it becomes part of file names and aliases.
///
/// # Errors
/// It is empty, longer than [`LONGEST_ID`], or has other characters than letters, digits, `-` and `_`.
pub fn id(field: &str, value: &str) -> Result<(), Invalid> {
    let shape = !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    ensure(shape && value.len() <= LONGEST_ID, field, "must be 1 to 56 letters, digits, '-' and '_'", value)
}

/// An interface's `device_id`.
///
/// # Errors
/// It does not match `^[a-z][a-z0-9_]*$` (flintlock's rule), or is longer than [`LONGEST_ID`].
pub fn device_id(field: &str, value: &str) -> Result<(), Invalid> {
    let shape = value.starts_with(|c: char| c.is_ascii_lowercase())
        && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let rule = "must be a lower-case letter, followed by lower-case letters, digits and '_', 56 at most";
    ensure(shape && value.len() <= LONGEST_ID, field, rule, value)
}

/// The name of an interface of the host: a bridge or a parent.
///
/// # Errors
/// The kernel would not take it as a name (`dev_valid_name`), or would take it for a template.
pub fn interface_name(field: &str, value: &str) -> Result<(), Invalid> {
    let characters = value.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'%'));
    let shape = (1..=name::LONGEST).contains(&value.len()) && characters && value != "." && value != "..";
    ensure(shape, field, "must be the name of an interface: 1 to 15 characters without spaces, '/', ':' and '%'", value)
}

/// A guest's MAC.
///
/// # Errors
/// It is none, stands for a group, or is all zeros.
pub fn mac(field: &str, value: &str) -> Result<Mac, Invalid> {
    let mac: Mac = value.parse().map_err(|rule: crate::mac::NotAMac| invalid(field, rule.to_string(), value))?;
    ensure(!mac.is_multicast(), field, "must be a unicast address (its first byte is even)", value)?;
    ensure(mac.0 != [0; 6], field, "must not be all zeros", value)?;
    Ok(mac)
}

/// An MTU in bytes.
///
/// # Errors
/// It is out of range: 68 to 65535, and from 1280 where IPv6 is used (RFC 791, RFC 8200).
pub fn mtu(field: &str, value: u32, ipv6: bool) -> Result<(), Invalid> {
    if ipv6 {
        ensure((1280..=65535).contains(&value), field, "must be 1280 to 65535, as IPv6 is used", value)
    } else {
        ensure((68..=65535).contains(&value), field, "must be 68 to 65535", value)
    }
}

/// What a spec says about an interface's address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticAddress {
    /// Address and prefix: `10.0.0.2/24`.
    pub address: String,
    /// The gateway, with a prefix too, as flintlock has it: `10.0.0.1/24`.
    pub gateway: Option<String>,
    /// Addresses of name servers, without prefix.
    pub nameservers: Vec<String>,
}

/// An address that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Address and prefix.
    pub address: IpNet,
    /// The gateway, in the same network.
    pub gateway: Option<IpAddr>,
    /// The name servers.
    pub nameservers: Vec<IpAddr>,
}

/// An interface's address, its gateway and name servers. `field` is the name of the whole: `interfaces[0].address`.
///
/// # Errors
/// The first field that breaks a rule, and the rule.
pub fn static_address(field: &str, value: &StaticAddress) -> Result<Address, Invalid> {
    let address = host(&format!("{field}.address"), &value.address)?;
    let gateway = value.gateway.as_deref().map(|gateway| self::gateway(&format!("{field}.gateway"), gateway, address)).transpose()?;
    let count = value.nameservers.len();
    ensure(count <= NAME_SERVERS, &format!("{field}.nameservers"), "must be 16 at most", count)?;
    let servers = value.nameservers.iter().enumerate().map(|(n, server)| nameserver(&format!("{field}.nameservers[{n}]"), server));
    Ok(Address { address, gateway, nameservers: servers.collect::<Result<_, _>>()? })
}

fn cidr(field: &str, value: &str, example: &str) -> Result<IpNet, Invalid> {
    let parsed = value.split_once('/').and_then(|(address, prefix)| {
        let digits = prefix.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| IpNet::new(address.parse().ok()?, prefix.parse().ok()?).ok())?
    });
    parsed.ok_or_else(|| invalid(field, format!("must be an address with a prefix, such as {example}"), value))
}

/// An address with prefix that a host can have.
fn host(field: &str, value: &str) -> Result<IpNet, Invalid> {
    let net = cidr(field, value, "10.0.0.2/24 or fd00::2/64")?;
    unicast(field, net.addr(), value)?;
    // In a network of two (/31, /127: RFC 3021, RFC 6164) and of one, every address is a host's.
    if net.max_prefix_len() - net.prefix_len() >= 2 {
        ensure(net.addr() != net.network(), field, "must be a host's address, not the network's own", value)?;
        let broadcast = matches!(net, IpNet::V4(_)) && net.addr() == net.broadcast();
        ensure(!broadcast, field, "must be a host's address, not the network's broadcast address", value)?;
    }
    Ok(net)
}

fn unicast(field: &str, address: IpAddr, value: &str) -> Result<(), Invalid> {
    let reserved = match address {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().is_some(),
    };
    let usable = !(reserved || address.is_unspecified() || address.is_loopback() || address.is_multicast());
    ensure(usable, field, "must be a host's address, not a loopback, multicast, broadcast, mapped or unspecified one", value)
}

fn gateway(field: &str, value: &str, address: IpNet) -> Result<IpAddr, Invalid> {
    let net = cidr(field, value, "10.0.0.1/24 or fd00::1/64; the prefix is not used")?;
    let gateway = net.addr();
    unicast(field, gateway, value)?;
    let same = gateway.is_ipv4() == address.addr().is_ipv4();
    ensure(same, field, "must be of the same family (IPv4 or IPv6) as the address", value)?;
    ensure(gateway != address.addr(), field, "must not be the interface's own address", value)?;
    let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
    ensure(link_local || address.contains(&gateway), field, &format!("must be in the network of the address, {}", address.trunc()), value)?;
    // Not a network's own nor its broadcast address, by the address's prefix.
    if !link_local {
        let seen = IpNet::new(gateway, address.prefix_len()).unwrap_or(net);
        host(field, &seen.to_string()).map_err(|wrong| Invalid { value: value.into(), ..wrong })?;
    }
    Ok(gateway)
}

fn nameserver(field: &str, value: &str) -> Result<IpAddr, Invalid> {
    let server: IpAddr = value.parse().map_err(|_| invalid(field, "must be an IP address without prefix", value))?;
    ensure(!server.is_unspecified() && !server.is_multicast(), field, "must be a host's address", value)?;
    Ok(server)
}

/// The interfaces of one microVM together: how many there are, and that names and MACs are used once.
///
/// # Errors
/// The first field that breaks a rule, and the rule.
pub fn interfaces<'a>(all: impl IntoIterator<Item = (&'a str, Option<Mac>)>) -> Result<(), Invalid> {
    let mut seen: Vec<(&str, Option<Mac>)> = Vec::new();
    for (device_id, mac) in all {
        let at = format!("interfaces[{}]", seen.len());
        ensure(seen.len() < name::POSITIONS.into(), "interfaces", "must be 16 at most", seen.len() + 1)?;
        self::device_id(&format!("{at}.device_id"), device_id)?;
        ensure(seen.iter().all(|(other, _)| *other != device_id), &format!("{at}.device_id"), "must be used once", device_id)?;
        if let Some(mac) = mac {
            ensure(seen.iter().all(|(_, other)| *other != Some(mac)), &format!("{at}.guest_mac"), "must be used once", mac)?;
        }
        seen.push((device_id, mac));
    }
    ensure(!seen.is_empty(), "interfaces", "must be one at least", 0)
}

#[cfg(test)]
mod tests;
