use serde_json::Value;
use serde_json::json;

use super::doubts;

fn objects(host: &str) -> [Value; 2] {
    let hosts = json!([{"endpoint": "10.0.0.1:9090"}, {"endpoint": "[fd00::1]:9090"}]);
    let network = json!({"pods": {"cidrBlocks": ["10.244.0.0/16"]}, "services": {"cidrBlocks": ["10.245.0.0/16", "fd01::/112"]}});
    [
        json!({"kind": "Cluster", "spec": {"clusterNetwork": network}}),
        json!({"kind": "MicrovmCluster", "spec": {"controlPlaneEndpoint": {"host": host}, "placement": {"staticPool": {"hosts": hosts}}}}),
    ]
}

#[test]
fn what_cannot_work_is_said_of_an_address() {
    let cases = [
        ("10.0.0.10", None),
        ("api.example.com", None),
        ("fd00::10", None),
        ("10.0.0.10/24", Some("is no address; one without prefix and port")),
        ("10.0.0.10:6443", Some("is no address")),
        ("10.0.0.256", Some("is no address")),
        ("", Some("is no address")),
        ("0.0.0.0", Some("no address of a machine")),
        ("224.0.0.18", Some("no address of a machine")),
        ("255.255.255.255", Some("no address of a machine")),
        ("10.244.7.7", Some("network of pods, 10.244.0.0/16")),
        ("10.245.0.1", Some("network of services, 10.245.0.0/16")),
        ("fd01::9", Some("network of services, fd01::/112")),
        ("10.0.0.1", Some("is the host's own, 10.0.0.1:9090")),
        ("fd00::1", Some("is the host's own, [fd00::1]:9090")),
    ];
    for (host, expected) in cases {
        let doubts = doubts(&objects(host));
        match expected {
            None => assert!(doubts.is_empty(), "{host}: {doubts:?}"),
            Some(text) => assert!(doubts.len() == 1 && doubts[0].contains(text), "{host}: {doubts:?}"),
        }
    }
    assert!(doubts(&[]).is_empty());
}
