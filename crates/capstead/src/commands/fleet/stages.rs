//! How long clusters and machines took to each stage of their lives.

use serde::Serialize;

use super::record::Record;

/// How long it took to a stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// The stage.
    pub stage: &'static str,
    /// How many have reached it.
    pub count: usize,
    /// Half took no longer than this, in seconds.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of a hundred.
    pub p99: f64,
    /// None.
    pub max: f64,
    /// All of them, in order.
    pub seconds: Vec<f64>,
}

impl Stage {
    fn of(stage: &'static str, seconds: impl Iterator<Item = f64>) -> Self {
        let mut seconds: Vec<f64> = seconds.map(|seconds| (seconds * 1000.0).round() / 1000.0).collect();
        seconds.sort_by(f64::total_cmp);
        let [p50, p90, p99, max] = [50, 90, 99, 100].map(|percent| percentile(&seconds, percent));
        Self { stage, count: seconds.len(), p50, p90, p99, max, seconds }
    }
}

/// The smallest value that so many of a hundred do not exceed (nearest rank); 0 if there is none.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Of clusters, since each was made.
pub fn clusters(record: &Record) -> Vec<Stage> {
    let of = |stage, reached: fn(&super::record::Cluster) -> Option<f64>| {
        Stage::of(stage, record.clusters.values().filter_map(|cluster| Some(reached(cluster)? - cluster.created)))
    };
    vec![
        of("infrastructureProvisioned", |cluster| cluster.infrastructure),
        of("controlPlaneInitialized", |cluster| cluster.initialized),
        of("available", |cluster| cluster.available),
    ]
}

/// Of machines, since each was made; those that are gone, too.
pub fn machines(record: &Record) -> Vec<Stage> {
    let of = |stage, reached: fn(&super::record::Machine) -> Option<f64>| {
        // A microVM may be told of a moment before its Machine.
        Stage::of(stage, record.machines.values().filter_map(|machine| Some((reached(machine)? - machine.created?).max(0.0))))
    };
    vec![
        of("infrastructureProvisioned", |machine| machine.provisioned),
        of("node", |machine| machine.node),
        of("ready", |machine| machine.ready),
        of("available", |machine| machine.available),
    ]
}

#[cfg(test)]
mod tests;
