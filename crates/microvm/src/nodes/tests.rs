use serde_json::{Value, json};

use super::*;

fn node(status: Value) -> Node {
    serde_json::from_value(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": status})).unwrap()
}

#[test]
fn a_nodes_addresses_are_taken_as_the_contract_takes_them() {
    let long = "a".repeat(257);
    let said = |type_: &str, address: &str| json!({"type": type_, "address": address});
    let cases = [
        (json!({}), json!([])),
        (json!({"addresses": []}), json!([])),
        (
            json!({"addresses": [said("InternalIP", "10.0.0.5"), said("InternalIP", "fd00::5"), said("Hostname", "n")]}),
            json!([said("InternalIP", "10.0.0.5"), said("InternalIP", "fd00::5"), said("Hostname", "n")]),
        ),
        (
            json!({"addresses": [said("ExternalIP", "203.0.113.5"), said("ExternalDNS", "n.example.com"), said("InternalDNS", "n.local")]}),
            json!([said("ExternalIP", "203.0.113.5"), said("ExternalDNS", "n.example.com"), said("InternalDNS", "n.local")]),
        ),
        (
            json!({"addresses": [said("Altogether", "10.0.0.5"), said("InternalIP", ""), said("Hostname", &long), said("InternalIP", "10.0.0.6")]}),
            json!([said("InternalIP", "10.0.0.6")]),
        ),
        (json!({"addresses": [said("InternalIP", "10.0.0.5"), said("InternalIP", "10.0.0.5")]}), json!([said("InternalIP", "10.0.0.5")])),
    ];
    for (status, expected) in cases {
        assert_eq!(serde_json::to_value(addresses(&node(status.clone()))).unwrap(), expected, "{status}");
    }
    let many: Vec<Value> = (0..300).map(|n| said("Hostname", &format!("n{n}"))).collect();
    assert_eq!(addresses(&node(json!({"addresses": many}))).len(), 256);
}

#[test]
fn a_kubeconfig_runs_nothing_and_reads_no_file() {
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {
            "server": "https://10.0.0.1:6443", "certificate-authority": "/etc/ca", "certificate-authority-data": "Y2E=", "tls-server-name": "api",
        }}],
        "users": [{"name": "u", "user": {
            "client-certificate": "/etc/cert", "client-certificate-data": "Y2VydA==", "client-key": "/etc/key", "client-key-data": "a2V5",
            "tokenFile": "/etc/token", "token": "t", "as": "somebody",
            "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/true"},
            "auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/true"}},
        }}],
    });
    let inline = inline(Kubeconfig::from_yaml(&kubeconfig.to_string()).unwrap());
    let left = serde_json::to_value(&inline).unwrap();
    assert_eq!(
        left["clusters"][0]["cluster"],
        json!({"server": "https://10.0.0.1:6443", "certificate-authority-data": "Y2E=", "tls-server-name": "api"})
    );
    let user = inline.auth_infos[0].auth_info.as_ref().unwrap();
    assert!(user.token.is_some() && user.client_key_data.is_some() && user.client_certificate_data.is_some());
    assert!(user.exec.is_none() && user.auth_provider.is_none() && user.impersonate.is_none());
    assert!(user.token_file.is_none() && user.client_key.is_none() && user.client_certificate.is_none());
}

#[tokio::test]
async fn what_is_seen_counts_for_the_node_it_was_seen_of_and_nothing_takes_none_back() {
    let (machines, machine, now) = (Machines::default(), Name::new("n", "m"), Instant::now());
    let known = Known { node: "a".into(), addresses: Vec::new(), due: now };
    machines.known().insert(machine.clone(), known);
    let at = |address: &str| vec![MachineAddress::new(MachineAddressType::InternalIp, address)];
    let due = || machines.next().map(|(_, _, due)| due - now);
    assert!(!machines.seen(&machine, "a", Vec::new(), now));
    assert_eq!(due(), Some(LOOKS.0));
    assert!(machines.seen(&machine, "a", at("10.0.0.5"), now));
    assert_eq!(due(), Some(LOOKS.1));
    assert!(!machines.seen(&machine, "a", at("10.0.0.5"), now), "no news");
    assert!(!machines.seen(&machine, "a", Vec::new(), now));
    assert_eq!(machines.known()[&machine].addresses, at("10.0.0.5"));
    assert!(!machines.seen(&machine, "b", at("10.0.0.6"), now), "of a Node it no longer is");
    assert!(machines.seen(&machine, "a", at("10.0.0.7"), now), "it changed");
    assert!(!machines.seen(&Name::new("n", "other"), "a", at("10.0.0.7"), now), "it is gone");
}
