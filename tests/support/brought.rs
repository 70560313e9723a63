//! What machines bring into their cluster's API when they become nodes. It was recorded of real ones (`CAPSTEAD_RECORD=FILE cargo test --test real_nodes`
//! does it again), and what the lab's simulated nodes bring is compared with that.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// One control plane and one worker of Kubernetes v1.36.3, by kubeadm.
pub const RECORDED: &str = include_str!("brought-1.36.3.txt");

/// When each object was made, in seconds, and by whom; by kind and name.
pub type Brought = BTreeMap<String, (i64, String)>;

/// Reads the suite's `workload-objects.txt`, or a recording. Chance is taken out of names, and what is no machine's left out: the API server's own roles, network plugin, nginx.
pub fn read(text: &str) -> Brought {
    let mut brought = Brought::new();
    let lines: Vec<[&str; 4]> = text.lines().filter_map(|line| line.split(' ').collect::<Vec<_>>().try_into().ok()).collect();
    let nodes: Vec<&str> = lines.iter().filter(|[_, _, kind, _]| *kind == "Node").map(|[.., name]| *name).collect();
    let first = lines.iter().map(|[made, ..]| seconds(made)).min().unwrap_or_default();
    for [made, by, kind, name] in lines {
        let role = nodes.iter().fold(name.to_owned(), |name, node| {
            name.replace(node, if node.to_lowercase().contains("control-plane") { "CONTROL-PLANE" } else { "WORKER" })
        });
        let Some(name) = plain(kind, &role) else { continue };
        let made = seconds(made) - first;
        // Of several that are called the same, the first.
        let known = brought.entry(format!("{kind} {name}")).or_insert((made, by.to_owned()));
        known.0 = known.0.min(made);
    }
    brought
}

/// A recording of it.
pub fn record(brought: &Brought) -> String {
    let mut lines: Vec<(i64, String)> = brought.iter().map(|(name, (made, by))| (*made, format!("{made} {by} {name}\n"))).collect();
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

fn seconds(text: &str) -> i64 {
    text.parse().unwrap_or_else(|_| text.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("{text}: {error}")).as_second())
}

/// A name without chance; `None` where it is no machine's.
fn plain(kind: &str, name: &str) -> Option<String> {
    let own = |name: &str| name.rsplit('/').next().unwrap().to_owned();
    let last = own(name);
    let rule = kind.ends_with("Role") || kind.ends_with("RoleBinding");
    let default = ["cluster-admin", "admin", "edit", "view"].contains(&last.as_str()) || last.starts_with("system:");
    // Each controller of kube-controller-manager has one, at some time.
    let controllers_own =
        kind == "ServiceAccount" && name.starts_with("kube-system/") && !["coredns", "default", "kube-proxy"].contains(&last.as_str());
    if controllers_own || (rule && default && last != "system:coredns") || name.contains("flannel") || name.contains("nginx") {
        return None;
    }
    let cut = |name: &str, count: usize| format!("{}-*", name.rsplitn(count + 1, '-').last().unwrap());
    let random = |text: &str| text.len() == 5 && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    Some(match kind {
        _ if last.contains("CONTROL-PLANE") || last.contains("WORKER") => name.to_owned(),
        "Pod" if last.split('-').count() > 2 && last.rsplit('-').nth(1).unwrap().len() > 7 => cut(name, 2),
        "Pod" | "EndpointSlice" | "CertificateSigningRequest" if random(last.rsplit('-').next().unwrap()) => cut(name, 1),
        "ReplicaSet" => cut(name, 1),
        "Secret" if last.starts_with("bootstrap-token-") => cut(name, 1),
        "Lease" if last.starts_with("apiserver-") => cut(name, 1),
        _ => name.to_owned(),
    })
}

/// What one has and the other has not.
pub fn missing<'a>(of: &'a Brought, from: &Brought) -> BTreeSet<&'a str> {
    of.keys().filter(|name| !from.contains_key(*name)).map(String::as_str).collect()
}

/// Pairs that came in one order in the recording, by more than a second, and in the other here: of what kubeadm makes, which does one thing after another, and of nodes.
pub fn turned<'a>(recorded: &'a Brought, seen: &Brought) -> Vec<(&'a str, &'a str)> {
    let in_order = |(name, (_, maker)): &(&String, &(i64, String))| maker == "kubeadm" || name.starts_with("Node ");
    let own: Vec<(&String, i64)> = recorded.iter().filter(in_order).map(|(name, (made, _))| (name, *made)).collect();
    let turned = |a: &String, b: &String| matches!((seen.get(a), seen.get(b)), (Some((a, _)), Some((b, _))) if a > b);
    let pairs = own.iter().flat_map(|(a, made)| own.iter().filter(move |(_, later)| made + 1 < *later).map(move |(b, _)| (*a, *b)));
    pairs.filter(|(a, b)| turned(a, b)).map(|(a, b)| (a.as_str(), b.as_str())).collect()
}
