//! Hosts put into a cluster's objects, so that each of them must be used.
//!
//! A provider places machines without failure domain as it likes, by chance even. So the control plane is allowed on as many hosts as it has machines,
//! and workers are told their hosts, the others first. With as many machines as hosts, an unused host is a fault.

use serde_json::Value;
use serde_json::json;

/// Why hosts cannot be put in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// There is none.
    #[error("no hosts are given")]
    NoHosts,
    /// Some would stay unused.
    #[error(
        "{hosts} hosts are given, and only {machines} machines are asked for, so that not every host can be used: ask for more workers in the configuration"
    )]
    TooMany {
        /// How many hosts.
        hosts: usize,
        /// How many machines.
        machines: usize,
    },
    /// The template has changed.
    #[error(
        "the template has no place for hosts: neither a MicrovmCluster, nor a Cluster with a topology whose variable \"hosts\" they could be"
    )]
    NoPlace,
    /// It has no workers, or several kinds.
    #[error("the template has {0} MachineDeployments; one is needed to place workers by")]
    Deployments(usize),
}

/// How many workers it takes, at least, for every host to be used.
#[must_use]
pub fn workers_for(hosts: usize, control_plane: usize) -> usize {
    hosts.saturating_sub(control_plane).max(1)
}

/// Puts the hosts in, and spreads the workers over them.
///
/// # Errors
/// When a host would be left over, or the objects are none that hosts can be put into.
pub fn place(objects: &mut Vec<Value>, hosts: &[String], control_plane: usize, workers: usize) -> Result<(), PlaceError> {
    if hosts.is_empty() {
        return Err(PlaceError::NoHosts);
    }
    let machines = control_plane + workers;
    if hosts.len() > machines {
        return Err(PlaceError::TooMany { hosts: hosts.len(), machines });
    }
    let pool: Value = hosts
        .iter()
        .enumerate()
        .map(|(n, endpoint)| json!({"name": format!("host-{}", n + 1), "endpoint": endpoint, "controlplaneAllowed": n < control_plane}))
        .collect();
    let shares = shares(hosts, control_plane, workers);
    if let Some(topology) = objects.iter_mut().find_map(|object| object.get_mut("spec")?.get_mut("topology")) {
        return in_topology(topology, pool, &shares);
    }
    let cluster = objects.iter_mut().find(|object| object["kind"] == "MicrovmCluster").ok_or(PlaceError::NoPlace)?;
    cluster["spec"]["placement"]["staticPool"]["hosts"] = pool;
    let deployments = objects.iter().filter(|object| object["kind"] == "MachineDeployment").count();
    let at = objects.iter().position(|object| object["kind"] == "MachineDeployment").filter(|_| deployments == 1);
    let at = at.ok_or(PlaceError::Deployments(deployments))?;
    let one = objects.remove(at);
    let spread = shares.iter().enumerate().map(|(n, share)| {
        let mut deployment = one.clone();
        deployment["metadata"]["name"] = numbered(&one["metadata"]["name"], n);
        deployment["spec"]["replicas"] = share.workers.into();
        deployment["spec"]["template"]["spec"]["failureDomain"] = share.host.into();
        deployment
    });
    objects.splice(at..at, spread);
    Ok(())
}

fn in_topology(topology: &mut Value, pool: Value, shares: &[Share<'_>]) -> Result<(), PlaceError> {
    let variables = topology["variables"].as_array_mut().into_iter().flatten();
    let hosts = variables.into_iter().find(|variable| variable["name"] == "hosts").ok_or(PlaceError::NoPlace)?;
    hosts["value"] = pool;
    let found = topology["workers"]["machineDeployments"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [one] = found else { return Err(PlaceError::Deployments(found.len())) };
    let spread: Value = shares
        .iter()
        .enumerate()
        .map(|(n, share)| {
            let mut deployment = one.clone();
            deployment["name"] = numbered(&one["name"], n);
            deployment["replicas"] = share.workers.into();
            deployment["failureDomain"] = share.host.into();
            deployment
        })
        .collect();
    topology["workers"]["machineDeployments"] = spread;
    Ok(())
}

/// So many workers on that host.
struct Share<'a> {
    host: &'a str,
    workers: usize,
}

/// Who gets workers, in turn, beginning behind the hosts of the control plane.
fn shares(hosts: &[String], control_plane: usize, workers: usize) -> Vec<Share<'_>> {
    let mut shares: Vec<Share<'_>> = Vec::new();
    for worker in 0..workers {
        let Some(host) = hosts.get((control_plane + worker) % hosts.len()) else { continue };
        match shares.iter_mut().find(|share| share.host == host) {
            Some(share) => share.workers += 1,
            None => shares.push(Share { host, workers: 1 }),
        }
    }
    shares
}

/// `edge-md-0`, `edge-md-1`, …
fn numbered(name: &Value, n: usize) -> Value {
    let name = name.as_str().unwrap_or_default();
    if n == 0 { name.into() } else { format!("{}-{n}", name.strip_suffix("-0").unwrap_or(name)).into() }
}

#[cfg(test)]
mod tests;
