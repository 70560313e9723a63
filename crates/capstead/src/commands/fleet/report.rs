//! What is told of a fleet when it is done: for programs as JSON, for people as tables; [`super::page`] makes a page of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::record::Stuck;
use super::record::Tally;
use super::stages::Stage;
use super::usage::Counters;
use crate::output;

/// Of those that are not available, so many are named.
const NAMED: usize = 10;

/// All of it. Times are seconds since the first cluster was applied, memory is resident memory (RSS) in bytes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Capstead's.
    pub version: &'static str,
    /// When the first cluster was applied (RFC 3339).
    pub began: String,
    /// What was asked for.
    pub asked: Asked,
    /// Every cluster and machine became available, after churn again.
    pub available: bool,
    /// When the last one was; not after churn.
    pub seconds: Option<f64>,
    /// How far the fleet was in the end.
    pub tally: Tally,
    /// Clusters that are not available in the end.
    pub stuck: Vec<Stuck>,
    /// What clusters took.
    pub clusters: Vec<Stage>,
    /// What machines took.
    pub machines: Vec<Stage>,
    /// What was used until all were available.
    pub used: Counters,
    /// The same for each cluster.
    pub per_cluster: PerCluster,
    /// If there was churn.
    pub churn: Option<Churned>,
    /// If the fleet was left alone.
    pub settled: Option<Settled>,
    /// How it went.
    pub samples: Vec<Sample>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// Clusters.
    pub clusters: usize,
    /// Control plane machines of each.
    pub control_plane: u32,
    /// Workers of each.
    pub workers: u32,
    /// Simulated hosts.
    pub hosts: u16,
    /// Clusters that come up at once.
    pub concurrency: u16,
    /// From a microVM's creation until it runs, in seconds.
    pub boot_seconds: f64,
    /// From then until kubeadm.
    pub kubeadm_seconds: f64,
    /// Of the churn.
    pub seed: u64,
}

impl Asked {
    /// Machines of all clusters.
    pub fn machines(&self) -> usize {
        self.clusters * (self.control_plane + self.workers) as usize
    }
}

/// What a cluster cost our processes: the manager and the simulated hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PerCluster {
    /// The most memory, divided.
    pub peak_memory_bytes: u64,
    /// What the memory had grown by at its most, divided.
    pub grown_memory_bytes: u64,
    /// CPU time.
    pub cpu_seconds: f64,
    /// Requests to the API server, events included.
    pub requests: f64,
    /// Those that change something, without events.
    pub writes: f64,
    /// Calls to the simulated hosts.
    pub host_calls: f64,
}

impl PerCluster {
    /// Of what was used, with the memory that our processes had before.
    pub fn of(used: &Counters, memory_before: u64, clusters: usize) -> Self {
        let ours = used.total(true);
        let share = |count: u64| (count as f64 / clusters.max(1) as f64 * 100.0).round() / 100.0;
        let bytes = |bytes: u64| bytes / clusters.max(1) as u64;
        Self {
            peak_memory_bytes: bytes(ours.peak_memory_bytes),
            grown_memory_bytes: bytes(ours.peak_memory_bytes.saturating_sub(memory_before)),
            cpu_seconds: (ours.cpu_seconds / clusters.max(1) as f64 * 1000.0).round() / 1000.0,
            requests: share(used.all_requests()),
            writes: share(used.writes()),
            host_calls: share(used.host_calls.values().sum()),
        }
    }
}

/// What came of churn.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Churned {
    /// How long it lasted.
    pub seconds: f64,
    /// How often a cluster got another number of workers.
    pub scaled: usize,
    /// How many Machines were deleted by name.
    pub deleted: usize,
    /// Machines that were made meanwhile.
    pub machines_made: usize,
    /// Machines that went meanwhile.
    pub machines_gone: usize,
    /// From its end until all was as asked for and available again.
    pub recovered_after: Option<f64>,
    /// What was used meanwhile.
    pub used: Counters,
}

/// What a fleet does in which nothing happens.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    /// How long it was left alone.
    pub seconds: f64,
    /// How long before that it took until our manager wrote nothing.
    pub after: f64,
    /// Writes of our manager, events included.
    pub writes: u64,
    /// Changes of objects, whoever made them, by kind.
    pub changes: BTreeMap<&'static str, u64>,
    /// Changes in the simulated clusters themselves, whoever made them; nothing if one of them did not answer.
    pub workload_changes: Option<u64>,
    /// What was used meanwhile.
    pub used: Counters,
}

/// How things were at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// When.
    pub seconds: f64,
    /// How far the fleet was.
    #[serde(flatten)]
    pub tally: Tally,
    /// Memory by process.
    pub memory_bytes: BTreeMap<String, u64>,
    /// CPU time of our processes since they began.
    pub our_cpu_seconds: f64,
    /// That of the others.
    pub other_cpu_seconds: f64,
    /// Requests that our manager made since it began.
    pub requests: u64,
    /// Of them, what changes something, without events.
    pub writes: u64,
    /// Calls to the simulated hosts since they began.
    pub host_calls: u64,
}

impl Sample {
    /// Of what was counted.
    pub fn new(seconds: f64, tally: Tally, counters: &Counters) -> Self {
        Self {
            seconds: (seconds * 10.0).round() / 10.0,
            tally,
            memory_bytes: counters.processes.iter().map(|process| (process.name.clone(), process.memory_bytes)).collect(),
            our_cpu_seconds: counters.total(true).cpu_seconds,
            other_cpu_seconds: counters.total(false).cpu_seconds,
            requests: counters.all_requests(),
            writes: counters.writes(),
            host_calls: counters.host_calls.values().sum(),
        }
    }
}

impl Report {
    /// The first words of the report.
    pub fn headline(&self) -> String {
        let Asked { clusters, control_plane, workers, .. } = self.asked;
        let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let (machines, workers) = (counted(control_plane as usize, "control plane machine"), counted(workers as usize, "worker"));
        let fleet = format!("{} of {machines} and {workers}", counted(clusters, "cluster"));
        match self.seconds {
            Some(seconds) if self.available => format!("{fleet}: all available after {seconds:.1} s."),
            Some(seconds) => format!("{fleet}: all available after {seconds:.1} s, and not all again after the churn."),
            None => format!("{fleet}: {} available, the others are not.", self.tally.clusters_available),
        }
    }

    /// For a terminal.
    pub fn tables(&self) -> String {
        let mut parts = vec![self.headline()];
        if !self.stuck.is_empty() {
            parts.push(stuck(&self.stuck));
        }
        parts.push(stages("CLUSTERS", &self.clusters));
        parts.push(stages("MACHINES", &self.machines));
        parts.push(processes(&self.used));
        parts.push(self.costs());
        parts.extend(self.churn.as_ref().map(Churned::sentence));
        parts.extend(self.settled.as_ref().map(Settled::sentence));
        parts.join("\n\n")
    }

    fn costs(&self) -> String {
        let PerCluster { peak_memory_bytes, grown_memory_bytes, cpu_seconds, requests, writes, host_calls } = &self.per_cluster;
        format!(
            "Each cluster cost our processes {cpu_seconds:.3} s of CPU and {} of memory at its peak ({} that it grew by);\n\
             the manager made {requests:.1} requests for it, {writes:.1} of them writes, and {host_calls:.1} calls to hosts.",
            output::bytes(*peak_memory_bytes),
            output::bytes(*grown_memory_bytes)
        )
    }
}

impl Churned {
    /// In words.
    pub fn sentence(&self) -> String {
        let Self { seconds, scaled, deleted, machines_made, machines_gone, recovered_after, .. } = self;
        let end = match recovered_after {
            Some(after) => format!("all was available again {after:.1} s after its end"),
            None => "not all became available again".into(),
        };
        format!(
            "Churn for {seconds:.0} s: scaled {scaled} times, {deleted} machines deleted; {machines_made} machines came and {machines_gone} went; {end}."
        )
    }
}

impl Settled {
    /// In words.
    pub fn sentence(&self) -> String {
        let ours = self.used.total(true);
        let percent = ours.cpu_seconds / self.seconds.max(f64::MIN_POSITIVE) * 100.0;
        let changes: u64 = self.changes.values().sum();
        let inside = self.workload_changes.map_or_else(|| "an unknown number of".into(), |changes| changes.to_string());
        format!(
            "Left alone for {:.0} s: the manager made {} writes of {} requests, {changes} objects changed, {inside} inside the clusters; \
             our processes used {:.2} s of CPU ({percent:.1} % of a core).",
            self.seconds,
            self.writes,
            self.used.all_requests(),
            ours.cpu_seconds
        )
    }
}

fn stages(of: &str, stages: &[Stage]) -> String {
    let cells = stages.iter().map(|stage| {
        let seconds = |seconds: f64| if stage.count == 0 { "-".into() } else { format!("{seconds:.1} s") };
        [stage.stage.to_owned(), stage.count.to_string(), seconds(stage.p50), seconds(stage.p90), seconds(stage.p99), seconds(stage.max)]
    });
    output::table([of, "COUNT", "P50", "P90", "P99", "MAX"], cells)
}

fn processes(used: &Counters) -> String {
    let totals = [used.total(true), used.total(false)];
    let cells = used.processes.iter().chain(&totals).map(|process| {
        let memory = [process.memory_bytes, process.peak_memory_bytes].map(output::bytes);
        let [now, peak] = memory;
        [process.name.clone(), if process.ours { "yes" } else { "" }.into(), now, peak, format!("{:.1} s", process.cpu_seconds)]
    });
    output::table(["PROCESS", "OURS", "MEMORY", "PEAK", "CPU"], cells)
}

/// Those that wait longest, and what for.
pub fn stuck(stuck: &[Stuck]) -> String {
    let cells = stuck
        .iter()
        .take(NAMED)
        .map(|stuck| [stuck.cluster.clone(), format!("{:.0} s", stuck.seconds), stuck.why.reason.clone(), stuck.why.message.clone()]);
    let table = output::table(["NOT AVAILABLE", "FOR", "REASON", "MESSAGE"], cells);
    match stuck.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{table}\nand {more} more"),
        _ => table,
    }
}

#[cfg(test)]
pub mod tests;
