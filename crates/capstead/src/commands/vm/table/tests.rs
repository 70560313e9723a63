use capstead_flintlock::json;
use serde_json::json;

use super::*;

fn now() -> Timestamp {
    // 01ARZ3NDEKTSV4RRFFQ69G5FAV was made 135 s before.
    Timestamp::from_millisecond(
        i64::try_from(Ulid::from_string("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("a ULID").timestamp_ms()).expect("in range") + 135_000,
    )
    .expect("a time")
}

fn microvms() -> Vec<MicroVm> {
    let running = json!({
        "version": 3,
        "spec": {
            "id": "m1", "namespace": "team", "uid": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "vcpu": 2, "memory_in_mb": 1024, "provider": "qemu",
            "kernel": { "image": "r/k:1", "filename": "vmlinux", "cmdline": { "quiet": "", "a": "b" } },
            "root_volume": { "id": "root", "source": { "container_source": "r/os:1" }, "size_in_mb": 10240 },
            "additional_volumes": [{ "id": "user", "source": { "virtiofs_source": "/srv" }, "mount_point": "/mnt", "is_read_only": true }],
            "interfaces": [
                { "device_id": "eth1", "type": "TAP", "overrides": { "bridge_name": "user" } },
                { "device_id": "eth2", "type": "TAP", "address": { "address": "10.0.0.5/24", "gateway": "10.0.0.1/24" } },
            ],
            "metadata": { "user-data": "", "meta-data": "" },
        },
        "status": {
            "state": "CREATED",
            "network_interfaces": {
                "eth1": { "host_device_name": "127.0.0.1:40022->22,127.0.0.1:40080->80" },
                "eth2": { "host_device_name": "fl0", "mac_address": "02:00:00:00:00:01" },
            },
        },
    });
    let failed = json!({
        "spec": { "id": "m2", "namespace": "team", "vcpu": 1, "memory_in_mb": 2048 },
        "status": { "state": "FAILED", "cause": "the image cannot be had\nmore", "retry": 3 },
    });
    [running, failed].into_iter().map(|microvm| json::read(microvm, true).expect("a microVM")).collect()
}

#[test]
fn a_list_shows_where_each_is_reached_and_why_one_is_not() {
    let text = list(&microvms(), false, now());
    let lines: Vec<&str> = text.lines().collect();
    let words = |n: usize| lines[n].split("   ").map(str::trim).filter(|word| !word.is_empty()).collect::<Vec<_>>();
    assert_eq!(words(0), ["NAMESPACE", "NAME", "STATE", "DRIVER", "ADDRESSES", "AGE", "WHY"]);
    assert_eq!(words(1), ["team", "m1", "CREATED", "qemu", "10.0.0.5,127.0.0.1:40022->22,127.0.0.1:40080->80", "2m15s", "-"]);
    assert_eq!(words(2), ["team", "m2", "FAILED", "-", "-", "-", "the image cannot be had"]);
    assert_eq!(lines.len(), 3);

    let wide = list(&microvms(), true, now());
    assert!(wide.contains("01ARZ3NDEKTSV4RRFFQ69G5FAV") && wide.contains("2×1024 MiB"), "{wide}");
    assert_eq!(list(&[], false, now()).lines().count(), 1);
}

#[test]
fn the_details_of_one_leave_out_what_it_has_not() {
    let all = microvms();
    let expected = "\
Name         m1
Namespace    team
Uid          01ARZ3NDEKTSV4RRFFQ69G5FAV
State        CREATED
Driver       qemu
Age          2m15s
Processors   2
Memory       1024 MiB
Kernel       r/k:1 vmlinux
Parameters   a=b quiet
Root         root r/os:1, 10240 MiB
Volume       user virtiofs:/srv, on /mnt, read-only
Network      eth1 tap on user 127.0.0.1:40022->22,127.0.0.1:40080->80
Network      eth2 tap fl0 02:00:00:00:00:01 10.0.0.5/24 by 10.0.0.1/24
Metadata     meta-data user-data";
    assert_eq!(details(&all[0], now()), expected);
    let failed = details(&all[1], now());
    assert!(
        failed.contains("Why          the image cannot be had\n             more\n") && failed.contains("Tries        3\n"),
        "{failed}"
    );
}
