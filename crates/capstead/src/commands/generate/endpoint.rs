//! What is wrong with a control plane's address by the objects alone. What a network says about it is for `host check --vip`.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

/// Sentences about the address of a cluster's control plane; none if nothing speaks against it.
pub fn doubts(objects: &[Value]) -> Vec<String> {
    let Some(infrastructure) = objects.iter().find(|object| object["kind"] == "MicrovmCluster") else { return Vec::new() };
    let host = infrastructure["spec"]["controlPlaneEndpoint"]["host"].as_str().unwrap_or_default();
    let Ok(address) = host.parse::<IpAddr>() else { return not_an_address(host).into_iter().collect() };
    let mut doubts = Vec::new();
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::from([255; 4]) {
        doubts.push(format!("{address} is no address of a machine"));
    }
    let network = objects.iter().find(|object| object["kind"] == "Cluster").map(|cluster| &cluster["spec"]["clusterNetwork"]);
    for part in ["pods", "services"] {
        let blocks = network.and_then(|network| network[part]["cidrBlocks"].as_array()).into_iter().flatten();
        let nets = blocks.filter_map(|block| block.as_str()?.parse::<IpNet>().ok());
        for net in nets.filter(|net| net.contains(&address)) {
            doubts.push(format!("{address} lies in the network of {part}, {net}, where machines do not look for it"));
        }
    }
    let hosts = infrastructure["spec"]["placement"]["staticPool"]["hosts"].as_array().into_iter().flatten();
    let endpoints = hosts.filter_map(|host| host["endpoint"].as_str());
    for endpoint in endpoints.filter(|endpoint| of(endpoint) == Some(address)) {
        doubts.push(format!("{address} is the host's own, {endpoint}: a microVM is to take it, so it must be nobody's"));
    }
    doubts
}

/// A name is none either, and may be right: only what looks like an address is doubted.
fn not_an_address(host: &str) -> Option<String> {
    let looks = host.contains('/') || host.contains(':') || host.chars().all(|c| c.is_ascii_digit() || c == '.');
    looks.then(|| format!("{host:?} is no address; one without prefix and port is expected, as 10.0.0.10"))
}

fn of(endpoint: &str) -> Option<IpAddr> {
    endpoint.rsplit_once(':')?.0.trim_matches(['[', ']']).parse().ok()
}

#[cfg(test)]
mod tests;
