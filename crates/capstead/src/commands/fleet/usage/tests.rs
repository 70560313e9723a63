use super::*;

#[test]
fn metrics_are_summed_by_method() {
    let text = "# HELP calls Calls\n# TYPE calls counter\n\
        calls_total{code=\"200\",method=\"GET\",host=\"a\"} 3\n\
        calls_total{method=\"GET\",code=\"404\"} 4\n\
        calls_total{method=\"PATCH\"} 5.0\n\
        calls_total_more{method=\"GET\"} 100\n\
        calls_total 100\n\
        calls_total{other=\"GET\"} 100\n";
    assert_eq!(by_method(text, "calls_total"), [("GET".to_owned(), 7), ("PATCH".to_owned(), 5)].into());
    assert_eq!(by_method("", "calls_total"), BTreeMap::new());
}

#[test]
fn proc_is_read() {
    let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 150 13 14";
    assert_eq!(cpu_seconds(stat, 100).to_string(), "4");
    assert_eq!(cpu_seconds("", 100).to_string(), "0");
    let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
    assert_eq!((kilobytes(status, "VmRSS:"), kilobytes(status, "VmHWM:"), kilobytes(status, "VmSwap:")), (1 << 20, 2 << 20, 0));
    let own = process("capstead-microvm", std::process::id());
    assert!(own.ours && own.memory_bytes > 0 && own.peak_memory_bytes >= own.memory_bytes);
}

#[test]
fn a_difference_counts_what_came_since() {
    let process = |name: &str, ours, memory, cpu_seconds| Process {
        name: name.into(),
        ours,
        memory_bytes: memory,
        peak_memory_bytes: memory,
        cpu_seconds,
    };
    let count = |get, patch| BTreeMap::from([("GET".to_owned(), get), ("PATCH".to_owned(), patch)]);
    let before = Counters { processes: vec![process("etcd", false, 1, 2.0)], requests: count(1, 2), host_calls: BTreeMap::new() };
    let after = Counters {
        processes: vec![process("etcd", false, 10, 5.0), process("a", true, 3, 0.5), process("b", true, 4, 0.25)],
        requests: count(11, 5),
        host_calls: count(1, 1),
    };
    let since = after.since(&before);
    assert_eq!(since.total(false), process("others", false, 10, 3.0));
    assert_eq!(since.total(true), process("ours", true, 7, 0.75));
    assert_eq!((since.all_requests(), since.writes(), since.host_calls.len()), (13, 3, 2));
}
