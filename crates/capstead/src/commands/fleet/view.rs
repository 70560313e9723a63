//! What is shown of a fleet while it is under way: a block on a terminal, else a line now and then.

use super::record::Record;
use super::record::Stuck;
use super::record::Tally;
use super::report::Asked;
use super::report::Sample;
use super::stages;
use super::stages::Stage;
use crate::commands::live::Line;
use crate::commands::simulated::HOSTS;
use crate::commands::simulated::PROVIDER;
use crate::output;

/// Rates are taken over so many seconds.
const WINDOW: f64 = 30.0;
/// Clusters that are named.
const NAMED: usize = 5;
/// Letters of a message in the line.
const LETTERS: usize = 120;

/// The block.
pub fn lines(asked: &Asked, record: &Record, sample: &Sample, doing: &str, now: f64) -> Vec<Line> {
    let tally = record.tally();
    let line = |what: &str, done: bool, state: String| Line { what: what.into(), branch: String::new(), done, state, note: String::new() };
    let (clusters, machines) = (stages::clusters(record), stages::machines(record));
    let mut lines = vec![
        line("fleet", false, format!("{doing}, {now:.0} s")),
        line(
            "clusters",
            tally.clusters_available == asked.clusters,
            format!("{} of {} available, {}{}", tally.clusters_available, asked.clusters, rate(record, now), percentiles(clusters.last())),
        ),
        line(
            "machines",
            tally.available == asked.machines() && tally.machines == tally.available,
            format!(
                "{} made, {} with a microVM, {} with a node, {} of {} available{}",
                tally.machines,
                tally.provisioned,
                tally.nodes,
                tally.available,
                asked.machines(),
                percentiles(machines.last())
            ),
        ),
        line("our processes", true, ours(sample)),
    ];
    lines.extend(
        record
            .stuck(now)
            .iter()
            .take(NAMED)
            .map(|stuck| Line { note: stuck.why.message.clone(), ..line(&stuck.cluster, false, waits(stuck)) }),
    );
    lines
}

/// The line.
pub fn line(asked: &Asked, record: &Record, doing: &str, now: f64) -> String {
    let Tally { clusters_available, available, .. } = record.tally();
    let longest = record.stuck(now).into_iter().next();
    let longest = longest.map(|stuck| format!("; longest {} {}: {}", stuck.cluster, waits(&stuck), short(&stuck.why.message)));
    format!(
        "{now:.0} s: {doing}; available are {clusters_available} of {} clusters and {available} of {} machines{}",
        asked.clusters,
        asked.machines(),
        longest.unwrap_or_default()
    )
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn waits(stuck: &Stuck) -> String {
    format!("for {:.0} s {}", stuck.seconds, stuck.why.reason)
}

fn rate(record: &Record, now: f64) -> String {
    let long = WINDOW.min(now).max(1.0);
    let lately = record.clusters.values().filter(|cluster| cluster.available.is_some_and(|at| at > now - long)).count();
    format!("{:.0} a minute", lately as f64 / long * 60.0)
}

fn percentiles(stage: Option<&Stage>) -> String {
    let stage = stage.filter(|stage| stage.count > 0);
    stage.map_or_else(String::new, |stage| format!("; after p50 {:.1} s, p90 {:.1} s, p99 {:.1} s", stage.p50, stage.p90, stage.p99))
}

fn ours(sample: &Sample) -> String {
    let memory = |name: &str| output::bytes(sample.memory_bytes.get(name).copied().unwrap_or_default());
    format!(
        "manager {}, simulated hosts {}; {:.1} s of CPU, {} requests, {} of them writes",
        memory(PROVIDER),
        memory(HOSTS),
        sample.our_cpu_seconds,
        sample.requests,
        sample.writes
    )
}

#[cfg(test)]
mod tests;
