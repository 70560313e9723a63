//! cloud-init's network configuration, version 2.

use std::net::IpAddr;

use yaml_serde::{Mapping, Value};

use super::{GuestDataError, print};

/// A network interface of a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name in the configuration.
    pub name: String,
    /// Its MAC address, by which the guest knows it; without one it is known by its name.
    pub mac: Option<String>,
    /// Its address; without one it asks by DHCP.
    pub address: Option<StaticAddress>,
}

/// An address that is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticAddress {
    /// With its prefix length, such as `192.168.1.2/24`.
    pub address: String,
    /// The way out; a prefix length, as flintlock demands it, is taken off.
    pub gateway: Option<String>,
    /// Name servers' addresses.
    pub nameservers: Vec<String>,
}

/// The configuration of interfaces.
///
/// # Errors
/// When an address is none, or two interfaces have one name.
pub fn network_config(interfaces: &[Interface]) -> Result<String, GuestDataError> {
    let mut ethernets = Mapping::new();
    for interface in interfaces {
        if ethernets.insert(interface.name.as_str().into(), Value::Mapping(ethernet(interface)?)).is_some() {
            return Err(GuestDataError::Duplicate { interface: interface.name.clone() });
        }
    }
    Ok(print(&map([("version", 2.into()), ("ethernets", Value::Mapping(ethernets))])))
}

fn ethernet(interface: &Interface) -> Result<Mapping, GuestDataError> {
    let known_by = match &interface.mac {
        Some(mac) => ("macaddress", mac.to_lowercase().into()),
        None => ("name", interface.name.as_str().into()),
    };
    let mut ethernet = map([("match", Value::Mapping(map([known_by])))]);
    let Some(fixed) = &interface.address else {
        // Machines cloned from one image have one machine-id, and must not get one address.
        ethernet.extend(map([("dhcp4", true.into()), ("dhcp6", true.into()), ("dhcp-identifier", "mac".into())]));
        return Ok(ethernet);
    };
    let wrong =
        |address: &str, expected| GuestDataError::Address { interface: interface.name.clone(), address: address.to_owned(), expected };
    let cidr = "an address with a prefix length, such as 192.168.1.2/24";
    parse_cidr(&fixed.address).ok_or_else(|| wrong(&fixed.address, cidr))?;
    ethernet.extend(map([("addresses", Value::Sequence(vec![fixed.address.as_str().into()]))]));
    if let Some(gateway) = &fixed.gateway {
        let address = parse_cidr(gateway).or_else(|| gateway.parse().ok()).ok_or_else(|| wrong(gateway, "an address"))?;
        let key = if address.is_ipv4() { "gateway4" } else { "gateway6" };
        ethernet.insert(key.into(), address.to_string().into());
    }
    if !fixed.nameservers.is_empty() {
        let mut servers = Vec::new();
        for server in &fixed.nameservers {
            let address: IpAddr = server.parse().map_err(|_| wrong(server, "an address"))?;
            servers.push(Value::from(address.to_string()));
        }
        ethernet.insert("nameservers".into(), Value::Mapping(map([("addresses", Value::Sequence(servers))])));
    }
    ethernet.extend(map([("dhcp4", false.into()), ("dhcp6", false.into())]));
    Ok(ethernet)
}

fn parse_cidr(text: &str) -> Option<IpAddr> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    (length.len() <= 3 && length.bytes().all(|byte| byte.is_ascii_digit()) && length.parse::<u8>().ok()? <= longest).then_some(address)
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Mapping {
    pairs.into_iter().map(|(key, value)| (Value::from(key), value)).collect()
}
