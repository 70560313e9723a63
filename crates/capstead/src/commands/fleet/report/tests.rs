use super::super::record::Why;
use super::super::usage::Process;
use super::*;

/// A report of two clusters, one of which is not available.
pub fn report() -> Report {
    let process = |name: &str, ours, peak: u64, cpu_seconds| Process {
        name: name.into(),
        ours,
        memory_bytes: peak / 2,
        peak_memory_bytes: peak,
        cpu_seconds,
    };
    let count = |method: &str, count| (method.to_owned(), count);
    let used = Counters {
        processes: vec![
            process("capstead-microvm", true, 30_000_000, 0.5),
            process("simulated-hosts", true, 10_000_000, 0.25),
            process("etcd", false, 1, 4.0),
        ],
        requests: [count("GET", 5), count("PATCH", 4), count("POST", 1)].into(),
        host_calls: [count("CreateMicroVM", 3)].into(),
    };
    let stage = |stage| Stage { stage, count: 1, p50: 2.0, p90: 2.0, p99: 2.0, max: 2.0, seconds: vec![2.0] };
    Report {
        version: "v0",
        began: "2026-01-01T00:00:00Z".into(),
        asked: Asked {
            clusters: 2,
            control_plane: 1,
            workers: 3,
            hosts: 4,
            concurrency: 10,
            boot_seconds: 2.0,
            kubeadm_seconds: 2.0,
            seed: 0,
        },
        available: false,
        seconds: None,
        tally: Tally { clusters: 2, clusters_available: 1, ..Tally::default() },
        stuck: vec![Stuck {
            cluster: "fleet-002".into(),
            seconds: 9.0,
            why: Why { reason: "NotAvailable".into(), message: "<none>".into() },
        }],
        clusters: vec![stage("available")],
        machines: vec![stage("node"), Stage { count: 0, seconds: vec![], ..stage("available") }],
        per_cluster: PerCluster::of(&used, 20_000_000, 2),
        samples: vec![Sample::new(0.0, Tally::default(), &Counters::default()), Sample::new(2.0, Tally::default(), &used)],
        used,
        churn: None,
        settled: None,
    }
}

#[test]
fn costs_are_shared_among_clusters() {
    let expected = PerCluster {
        peak_memory_bytes: 20_000_000,
        grown_memory_bytes: 10_000_000,
        cpu_seconds: 0.375,
        requests: 5.0,
        writes: 2.0,
        host_calls: 1.5,
    };
    assert_eq!(report().per_cluster, expected);
}

#[test]
fn the_tables_say_who_is_stuck_and_why() {
    let text = report().tables();
    for part in [
        "2 clusters of 1 control plane machine and 3 workers: 1 available",
        "fleet-002",
        "NotAvailable",
        "<none>",
        "0.375 s of CPU",
        "20 MB",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[test]
fn no_more_than_ten_are_named() {
    let one = report().stuck[0].clone();
    let text = stuck(&vec![one; 12]);
    assert_eq!((text.matches("fleet-002").count(), text.contains("and 2 more")), (10, true));
}

#[test]
fn a_sample_is_flat_in_json() {
    let sample = serde_json::to_value(&report().samples[1]).unwrap_or_default();
    assert_eq!((&sample["clustersAvailable"], &sample["memoryBytes"]["etcd"], &sample["writes"]), (&0.into(), &0.into(), &4.into()));
}
