use jiff::Timestamp;
use serde_json::json;

use super::ago;
use super::table;
use crate::api::kinds::find;
use crate::store::Store;

#[test]
fn ages_as_go_writes_them() {
    let cases = [
        (0, "0s"),
        (1, "1s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (11_000, "3h3m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (180_000, "2d2h"),
        (691_200, "8d"),
        (63_072_000, "2y"),
        (70_000_000, "2y80d"),
        (300_000_000, "9y"),
    ];
    for (seconds, text) in cases {
        assert_eq!(ago("1970-01-01T00:00:00Z", Timestamp::from_second(seconds).unwrap()), text, "{seconds}");
    }
    assert_eq!(ago("", Timestamp::UNIX_EPOCH), "<unknown>");
}

#[test]
fn nodes_and_pods_as_kubectl_shows_them() {
    let node = json!({ "metadata": { "name": "n", "labels": { "node-role.kubernetes.io/control-plane": "" } }, "spec": { "unschedulable": true },
        "status": { "conditions": [{ "type": "Ready", "status": "Unknown" }], "nodeInfo": { "kubeletVersion": "v1.36.3" },
            "addresses": [{ "type": "InternalIP", "address": "10.0.0.1" }] } });
    let store = Store::new(1);
    let cells = |plural: &str, object: &serde_json::Value| {
        let kind = find(&store, "", "v1", plural).unwrap();
        table(&kind, 1, [object], Timestamp::UNIX_EPOCH)["rows"][0]["cells"].clone()
    };
    assert_eq!(
        cells("nodes", &node),
        json!([
            "n",
            "NotReady,SchedulingDisabled",
            "control-plane",
            "<unknown>",
            "v1.36.3",
            "10.0.0.1",
            "<none>",
            "<unknown>",
            "<unknown>",
            "<unknown>"
        ])
    );
    let mut pod = json!({ "metadata": { "name": "p" }, "spec": { "nodeName": "n", "containers": [{}, {}] }, "status": { "phase": "Running",
        "containerStatuses": [{ "ready": true, "restartCount": 2, "state": { "running": {} } }, { "restartCount": 1, "state": { "waiting": { "reason": "CrashLoopBackOff" } } }] } });
    assert_eq!(cells("pods", &pod), json!(["p", "1/2", "CrashLoopBackOff", "3", "<unknown>", "<none>", "n", "<none>", "<none>"]));
    pod["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z".into();
    assert_eq!(cells("pods", &pod)[2], "Terminating");
    assert_eq!(cells("endpoints", &json!({ "metadata": { "name": "e" } })), json!(["e", "<unknown>"]));
}
