use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

use super::Metrics;
use super::Reconciled;

/// The value of the sample whose line begins with `sample`.
fn value(text: &str, sample: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn names_and_labels_are_those_of_controller_runtime() {
    let metrics = Metrics::new();
    let controller = metrics.controller("thing");
    controller.max_concurrent(10);
    controller.worker_started();
    controller.reconciled(Reconciled::Success, Duration::from_millis(7));
    controller.reconciled(Reconciled::Error, Duration::from_secs(90));
    let queue = metrics.queue("thing");
    queue.added();
    queue.retried();
    queue.depth(3);
    queue.started(Duration::from_millis(1));
    queue.finished(Duration::from_millis(2));
    metrics.request("GET", "127.0.0.1:6443", "200");
    metrics.leading("lease", true);
    metrics.webhook("/validate", 200, Duration::from_millis(3));
    let own = Counter::<u64>::default();
    own.inc();
    metrics.register(|registry| registry.register("own_things", "Own", own.clone()));
    let text = metrics.clone().text().unwrap();
    for (sample, expected) in [
        ("controller_runtime_reconcile_total{controller=\"thing\",result=\"success\"}", 1.0),
        ("controller_runtime_reconcile_total{controller=\"thing\",result=\"error\"}", 1.0),
        ("controller_runtime_reconcile_total{controller=\"thing\",result=\"requeue\"}", 0.0),
        ("controller_runtime_reconcile_total{controller=\"thing\",result=\"requeue_after\"}", 0.0),
        ("controller_runtime_reconcile_errors_total{controller=\"thing\"}", 1.0),
        ("controller_runtime_reconcile_time_seconds_count{controller=\"thing\"}", 2.0),
        ("controller_runtime_reconcile_time_seconds_bucket{le=\"60.0\",controller=\"thing\"}", 1.0),
        ("controller_runtime_max_concurrent_reconciles{controller=\"thing\"}", 10.0),
        ("controller_runtime_active_workers{controller=\"thing\"}", 1.0),
        ("workqueue_depth{name=\"thing\"}", 3.0),
        ("workqueue_adds_total{name=\"thing\"}", 1.0),
        ("workqueue_retries_total{name=\"thing\"}", 1.0),
        ("workqueue_queue_duration_seconds_count{name=\"thing\"}", 1.0),
        ("workqueue_work_duration_seconds_count{name=\"thing\"}", 1.0),
        ("rest_client_requests_total{code=\"200\",host=\"127.0.0.1:6443\",method=\"GET\"}", 1.0),
        ("leader_election_master_status{name=\"lease\"}", 1.0),
        ("controller_runtime_webhook_requests_total{webhook=\"/validate\",code=\"200\"}", 1.0),
        ("controller_runtime_webhook_latency_seconds_count{webhook=\"/validate\"}", 1.0),
        ("own_things_total", 1.0),
    ] {
        assert_eq!(value(&text, sample), Some(expected), "{sample}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn the_process_tells_about_itself() {
    let text = Metrics::new().text().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let started = value(&text, "process_start_time_seconds").unwrap();
    assert!((now - 86_400.0..=now + 60.0).contains(&started), "{started}");
    assert!(value(&text, "process_resident_memory_bytes").unwrap() > 1e6);
    assert!(value(&text, "process_open_fds").unwrap() >= 3.0);
    assert!(value(&text, "process_cpu_seconds_total").is_some());
}
