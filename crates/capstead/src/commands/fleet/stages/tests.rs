use super::*;
use crate::commands::fleet::record::Cluster;
use crate::commands::fleet::record::Machine;

#[test]
fn percentiles_are_values_that_were_seen() {
    let stage = |count: u32| Stage::of("x", (1..=count).rev().map(f64::from));
    let of = |count| {
        let stage = stage(count);
        (stage.count, stage.p50, stage.p90, stage.p99, stage.max)
    };
    assert_eq!(of(0), (0, 0.0, 0.0, 0.0, 0.0));
    assert_eq!(of(1), (1, 1.0, 1.0, 1.0, 1.0));
    assert_eq!(of(10), (10, 5.0, 9.0, 10.0, 10.0));
    assert_eq!(of(200), (200, 100.0, 180.0, 198.0, 200.0));
}

#[test]
fn time_counts_from_each_ones_beginning() {
    let mut record = Record::default();
    record.clusters.insert("a".into(), Cluster { created: 1.0, available: Some(3.5), ..Cluster::default() });
    record.clusters.insert("b".into(), Cluster { created: 2.0, ..Cluster::default() });
    record.machines.insert("m".into(), Machine { created: Some(4.0), provisioned: Some(3.9), node: Some(6.0), ..Machine::default() });
    record.machines.insert("n".into(), Machine { provisioned: Some(1.0), ..Machine::default() });
    let seconds = |stages: Vec<Stage>| stages.into_iter().map(|stage| (stage.stage, stage.seconds)).collect::<Vec<_>>();
    let clusters = [("infrastructureProvisioned", vec![]), ("controlPlaneInitialized", vec![]), ("available", vec![2.5])];
    assert_eq!(seconds(super::clusters(&record)), clusters);
    let machines = [("infrastructureProvisioned", vec![0.0]), ("node", vec![2.0]), ("ready", vec![]), ("available", vec![])];
    assert_eq!(seconds(super::machines(&record)), machines);
}
