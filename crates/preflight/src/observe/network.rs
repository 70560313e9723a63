//! Interfaces, sockets and the packet filter.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::Ipv4Addr;

use ipnet::IpNet;
use serde::Deserialize;

use super::Filter;
use super::Link;
use super::Listener;
use super::Range;
use super::Seen;
use super::system::garbled;
use crate::machine::Answers;
use crate::prepare::ALIAS;

/// As `ip -j -d addr` tells it.
#[derive(Deserialize)]
struct IpLink {
    ifname: String,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    mtu: u32,
    #[serde(default)]
    address: String,
    master: Option<String>,
    ifalias: Option<String>,
    linkinfo: Option<IpInfo>,
    #[serde(default)]
    addr_info: Vec<IpAddress>,
}

#[derive(Deserialize)]
struct IpInfo {
    #[serde(default)]
    info_kind: String,
}

#[derive(Deserialize)]
struct IpAddress {
    local: Option<IpAddr>,
    prefixlen: Option<u8>,
    #[serde(default)]
    dynamic: bool,
}

pub(super) fn links(answers: &Answers) -> Seen<BTreeMap<String, Link>> {
    let out = answers.out("links")?;
    // An old iproute2 leaves empty objects where an option hides a link.
    let values: Vec<serde_json::Value> = serde_json::from_str(out).map_err(|_| garbled(out))?;
    let wireless: BTreeSet<&str> = answers.out("wireless").unwrap_or_default().lines().map(str::trim).collect();
    let links = values.into_iter().filter_map(|value| serde_json::from_value::<IpLink>(value).ok()).map(|link| {
        let has = |flag: &str| link.flags.iter().any(|own| own == flag);
        let (up, carrier) = (has("UP"), has("LOWER_UP"));
        let net = |info: &IpAddress| IpNet::new(info.local?, info.prefixlen?).ok();
        let addresses: Vec<IpNet> = link.addr_info.iter().filter_map(net).collect();
        let fixed = link.addr_info.iter().filter(|info| !info.dynamic).filter_map(net).filter(|net| net.addr().is_ipv4()).collect();
        let kind = link.linkinfo.map(|info| info.info_kind).unwrap_or_default();
        let wireless = wireless.contains(link.ifname.as_str());
        let (name, mac) = (link.ifname, link.address);
        let ours = link.ifalias.as_deref() == Some(ALIAS);
        let link = Link { name, kind, up, carrier, wireless, ours, master: link.master, mtu: link.mtu, mac, addresses, fixed };
        (link.name.clone(), link)
    });
    Ok(links.collect())
}

/// Interface and router of the default route with the least metric.
pub(super) fn default_route(answers: &Answers) -> Seen<(Option<String>, Option<IpAddr>)> {
    #[derive(Deserialize)]
    struct Route {
        dev: Option<String>,
        gateway: Option<IpAddr>,
        #[serde(default)]
        metric: u32,
    }
    let out = answers.out("routes")?;
    let routes: Vec<Route> = if out.trim().is_empty() { Vec::new() } else { serde_json::from_str(out).map_err(|_| garbled(out))? };
    Ok(routes.into_iter().min_by_key(|route| route.metric).map_or((None, None), |route| (route.dev, route.gateway)))
}

/// The MAC behind the VIP, if the host has heard of one.
pub(super) fn neighbour(answers: &Answers) -> Seen<Option<String>> {
    #[derive(Deserialize)]
    struct Neighbour {
        lladdr: Option<String>,
    }
    let out = answers.out("neighbour")?;
    let all: Vec<Neighbour> = if out.trim().is_empty() { Vec::new() } else { serde_json::from_str(out).map_err(|_| garbled(out))? };
    Ok(all.into_iter().find_map(|neighbour| neighbour.lladdr))
}

/// The interface of the route to the VIP; none where no route leads there.
pub(super) fn vip_link(answers: &Answers) -> Seen<Option<String>> {
    #[derive(Deserialize)]
    struct Route {
        dev: Option<String>,
    }
    let out = answers.out("vip-route")?;
    let routes: Vec<Route> = if out.trim().is_empty() { Vec::new() } else { serde_json::from_str(out).map_err(|_| garbled(out))? };
    Ok(routes.into_iter().find_map(|route| route.dev))
}

/// Lines of `ss -Htulnp`: protocol, state, two queues, own address, the other's, processes.
pub(super) fn listeners(answers: &Answers) -> Seen<Vec<Listener>> {
    let listener = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let (address, port) = words.get(4)?.rsplit_once(':')?;
        let (address, on) = match address.split_once('%') {
            Some((address, on)) => (address, Some(on.to_owned())),
            None => (address, None),
        };
        let process = words.get(6).and_then(|text| text.split('"').nth(1)).map(str::to_owned);
        let address: Option<IpAddr> = address.trim_matches(['[', ']']).parse().ok().filter(|address: &IpAddr| !address.is_unspecified());
        Some(Listener { udp: words[0] == "udp", address, on, port: port.parse().ok()?, process })
    };
    Ok(answers.out("listeners")?.lines().filter_map(listener).collect())
}

/// From `nft list ruleset`, `iptables-save`, or both.
pub(super) fn filter(answers: &Answers) -> Seen<Filter> {
    let out = answers.out("filter")?;
    let mut filter = Filter::default();
    let (mut table, mut chain, mut forwards) = ("", "", false);
    for line in out.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("table ") {
            table = name.trim_end_matches(" {");
        } else if let Some(name) = line.strip_prefix("chain ") {
            (chain, forwards) = (name.trim_end_matches(" {"), false);
        }
        if line.contains("masquerade") || line.contains("MASQUERADE") || line.contains(" snat to ") || line.contains("-j SNAT") {
            filter.masquerades.push(line.to_owned());
        }
        forwards |= line.contains("hook forward");
        if line.contains("hook forward") && line.contains("policy drop") {
            filter.dropping.push(format!("{table} {chain}"));
        } else if line.starts_with(":FORWARD DROP") {
            filter.dropping.push("iptables FORWARD".into());
        }
        // Who is let through: an interface named by a rule of a chain for forwarding that accepts.
        let accepts = (forwards || chain.contains("FORWARD") || chain == "DOCKER-USER") && line.contains(" accept")
            || (line.starts_with("-A FORWARD") || line.starts_with("-A DOCKER-USER")) && line.ends_with("-j ACCEPT");
        if accepts {
            let words: Vec<_> = line.split_whitespace().collect();
            let named = words.windows(2).filter(|pair| matches!(pair[0], "iifname" | "oifname" | "iif" | "oif" | "-i" | "-o"));
            filter.accepting.extend(named.map(|pair| pair[1].trim_matches('"').to_owned()));
        }
    }
    Ok(filter)
}

/// `dhcp-range=` of dnsmasq, the only server whose configuration is read.
pub(super) fn ranges(answers: &Answers) -> Seen<Vec<Range>> {
    let out = answers.out("dhcp")?;
    let range = |line: &str| {
        let addresses: Vec<Ipv4Addr> =
            line.trim().strip_prefix("dhcp-range=")?.split(',').filter_map(|word| word.trim().parse().ok()).collect();
        let [first, last, ..] = addresses.as_slice() else { return None };
        Some(Range { first: *first, last: *last })
    };
    Ok(out.lines().filter_map(range).collect())
}
