//! What processes have used, and what our manager and the simulated hosts have counted: from /proc and from their metrics.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use capstead_plane::Status;
use http::Request;
use kube::Client;
use serde::Serialize;

use crate::commands::simulated::HOSTS;
use crate::commands::simulated::PROVIDER;

/// For metrics that do not come.
const ANSWER: Duration = Duration::from_secs(3);

/// What one process has used.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// The plane's component.
    pub name: String,
    /// It is ours: the manager, or the simulated hosts.
    pub ours: bool,
    /// Resident memory (RSS).
    pub memory_bytes: u64,
    /// The most it ever was.
    pub peak_memory_bytes: u64,
    /// CPU time, its own and the kernel's for it.
    pub cpu_seconds: f64,
}

/// All that is counted, at one time, or the difference of two.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// The plane's processes.
    pub processes: Vec<Process>,
    /// Requests that our manager made to the API server, by method. POST is events and nothing else.
    pub requests: BTreeMap<String, u64>,
    /// Calls to the simulated hosts, by method.
    pub host_calls: BTreeMap<String, u64>,
}

impl Counters {
    /// What was used and counted since an earlier time. Memory is that of now.
    pub fn since(&self, before: &Self) -> Self {
        let difference = |now: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>| {
            now.iter().map(|(key, count)| (key.clone(), count.saturating_sub(before.get(key).copied().unwrap_or_default()))).collect()
        };
        let process = |process: &Process| {
            let earlier = before.processes.iter().find(|earlier| earlier.name == process.name).map_or(0.0, |earlier| earlier.cpu_seconds);
            Process { cpu_seconds: round(process.cpu_seconds - earlier), ..process.clone() }
        };
        Self {
            processes: self.processes.iter().map(process).collect(),
            requests: difference(&self.requests, &before.requests),
            host_calls: difference(&self.host_calls, &before.host_calls),
        }
    }

    /// The sum over our processes, or over all others.
    pub fn total(&self, ours: bool) -> Process {
        let mut total = Process { name: if ours { "ours" } else { "others" }.into(), ours, ..Process::default() };
        for process in self.processes.iter().filter(|process| process.ours == ours) {
            total.memory_bytes += process.memory_bytes;
            total.peak_memory_bytes += process.peak_memory_bytes;
            total.cpu_seconds = round(total.cpu_seconds + process.cpu_seconds);
        }
        total
    }

    /// Requests that change something: all but reads and events.
    pub fn writes(&self) -> u64 {
        ["PUT", "PATCH", "DELETE"].iter().filter_map(|method| self.requests.get(*method)).sum()
    }

    /// Requests of any kind.
    pub fn all_requests(&self) -> u64 {
        self.requests.values().sum()
    }
}

/// Ticks are hundredths; more digits would only be noise of the sums.
fn round(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

/// Whom to ask.
pub struct Meter {
    processes: Vec<(String, u32)>,
    manager: Client,
    lab: Client,
}

impl Meter {
    /// Of the processes that a plane has now.
    pub fn new(status: &Status, manager: Client, lab: Client) -> Self {
        let processes = status.components.iter().filter_map(|component| Some((component.name.clone(), component.pid?))).collect();
        Self { processes, manager, lab }
    }

    /// Everything at this time. What cannot be asked now counts nothing.
    pub async fn read(&self) -> Counters {
        let (manager, lab) = futures::join!(metrics(&self.manager), metrics(&self.lab));
        Counters {
            processes: self.processes.iter().map(|(name, pid)| process(name, *pid)).collect(),
            requests: by_method(&manager, "rest_client_requests_total"),
            host_calls: by_method(&lab, "capstead_lab_flintlock_calls_total"),
        }
    }
}

async fn metrics(client: &Client) -> String {
    let Ok(request) = Request::get("/metrics").body(Vec::new()) else { return String::new() };
    let answer = tokio::time::timeout(ANSWER, client.request_text(request)).await;
    answer.ok().and_then(Result::ok).unwrap_or_default()
}

/// Sums a metric in the text form of Prometheus by its label `method`.
fn by_method(text: &str, metric: &str) -> BTreeMap<String, u64> {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for line in text.lines() {
        let Some((labels, value)) = line.strip_prefix(metric).and_then(|rest| rest.strip_prefix('{')?.rsplit_once("} ")) else { continue };
        let method = labels.split(',').find_map(|label| label.strip_prefix("method=\"")?.strip_suffix('"'));
        if let (Some(method), Ok(value)) = (method, value.trim().parse::<f64>()) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let count = value as u64;
            *sums.entry(method.to_owned()).or_default() += count;
        }
    }
    sums
}

fn process(name: &str, pid: u32) -> Process {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let status = read("status");
    Process {
        name: name.to_owned(),
        ours: name == PROVIDER || name == HOSTS,
        memory_bytes: kilobytes(&status, "VmRSS:"),
        peak_memory_bytes: kilobytes(&status, "VmHWM:"),
        cpu_seconds: cpu_seconds(&read("stat"), rustix::param::clock_ticks_per_second()),
    }
}

/// A line of `/proc/<pid>/status`, in bytes.
fn kilobytes(status: &str, field: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"));
    line.and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// `utime` and `stime` of `/proc/<pid>/stat` (proc(5)): fields 14 and 15.
fn cpu_seconds(stat: &str, ticks_per_second: u64) -> f64 {
    // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks as f64 / ticks_per_second as f64
}

#[cfg(test)]
mod tests;
