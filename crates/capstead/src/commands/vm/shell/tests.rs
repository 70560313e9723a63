use std::path::PathBuf;

use capstead_flintlock::json;
use serde_json::json;

use super::*;
use crate::cli::vm::AccessArgs;
use crate::cli::vm::HostArgs;
use crate::cli::vm::Target;

fn microvm(interfaces: serde_json::Value, told: serde_json::Value) -> MicroVm {
    let microvm = json!({ "spec": { "id": "m1", "interfaces": interfaces }, "status": { "network_interfaces": told } });
    json::read(microvm, true).expect("a microVM")
}

#[test]
fn a_forwarded_port_comes_before_a_static_address() {
    let fixed = json!([{ "device_id": "eth0", "address": { "address": "169.254.0.1/16" } }, { "device_id": "eth1", "address": { "address": "10.0.0.5/24" } }]);
    let to = |address: &str, port: &str, on_host| Some(Door { address: address.to_owned(), port: port.to_owned(), on_host });
    let forwards = |name: &str| json!({ "eth1": { "host_device_name": name } });
    assert_eq!(door(&microvm(fixed.clone(), forwards("127.0.0.1:40080->80,127.0.0.1:40022->22"))), to("127.0.0.1", "40022", true));
    assert_eq!(door(&microvm(fixed.clone(), forwards("127.0.0.1:40080->80"))), to("10.0.0.5", "22", false));
    assert_eq!(door(&microvm(fixed, forwards("fl0"))), to("10.0.0.5", "22", false));
    assert_eq!(door(&microvm(json!([{ "device_id": "eth1" }]), forwards("fl0"))), None);
}

#[test]
fn a_host_on_loopback_is_this_machine() {
    for host in ["localhost:9090", "127.0.0.1:9090", "[::1]:9090"] {
        assert!(is_this_machine(host), "{host}");
    }
    for host in ["host-2:9090", "10.0.0.5:9090", "localhost.example:9090"] {
        assert!(!is_this_machine(host), "{host}");
    }
}

#[test]
fn ssh_is_told_where_who_and_what() {
    let host = HostArgs { host: String::new(), access: AccessArgs::default() };
    let args = VmSsh {
        target: Target { microvm: "m1".into(), namespace: None },
        user: "ubuntu".into(),
        identity: Some(PathBuf::from("/k")),
        args: vec!["uname".into(), "-a".into()],
        host,
    };
    let door = Door { address: "127.0.0.1".into(), port: "40022".into(), on_host: true };
    let words: Vec<String> = arguments(&args, &door, "UID").into_iter().map(|word| word.into_string().expect("text")).collect();
    let expected = "-o HostKeyAlias=UID -o StrictHostKeyChecking=accept-new -p 40022 -l ubuntu -i /k 127.0.0.1 uname -a";
    assert_eq!(words.join(" "), expected);
}
