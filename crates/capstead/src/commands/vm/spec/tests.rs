use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::FromArgMatches;
use clap::Subcommand;
use serde_json::json;

use super::*;
use crate::cli::vm::Vm;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO me@here";

fn args(words: &[&str]) -> VmCreate {
    let command = Vm::augment_subcommands(clap::Command::new("vm"));
    let matches = command.try_get_matches_from([&["vm", "create"], words].concat()).expect("parsed");
    match Vm::from_arg_matches(&matches).expect("a command") {
        Vm::Create(create) => *create,
        other => panic!("{other:?}"),
    }
}

fn made(begin: Option<&str>, words: &[&str], documents: &Documents) -> anyhow::Result<Value> {
    let begin = begin.map(|text| read(text).expect("read"));
    let spec = spec(begin, &args(words), documents, || "made-up".to_owned())?;
    Ok(json::write(&spec, json::Form::Plain).expect("written"))
}

fn document(spec: &Value, key: &str) -> String {
    let text = spec["metadata"][key].as_str().unwrap_or_else(|| panic!("no {key} in {spec:#}"));
    String::from_utf8(STANDARD.decode(text).expect("base64")).expect("text")
}

#[test]
fn a_name_is_enough_and_none_is_too() {
    let mut spec = made(None, &["m1"], &Documents::default()).expect("made");
    assert_eq!(document(&spec, "meta-data"), "local_hostname: m1\n");
    spec["metadata"].take();
    let expected = json!({
        "id": "m1", "namespace": "default", "vcpu": 2, "memory_in_mb": 1024, "metadata": null,
        "kernel": { "image": KERNEL, "filename": KERNEL_FILE, "add_network_config": true },
        "root_volume": { "id": "root", "source": { "container_source": ROOT } },
        "interfaces": [{ "device_id": "eth1", "type": "TAP" }],
    });
    assert_eq!(spec, expected);
    assert_eq!(made(None, &[], &Documents::default()).expect("made")["id"], "made-up");
}

#[test]
fn flags_say_what_it_is() {
    let words = [
        "m1",
        "-n",
        "team",
        "--vcpu",
        "4",
        "--memory",
        "8G",
        "--kernel",
        "r/k:1",
        "--kernel-file",
        "vmlinux",
        "--cmdline",
        "quiet",
        "--cmdline",
        "a=b=c",
        "--initrd",
        "r/i:1",
        "--initrd-file",
        "initrd",
        "--root",
        "r/os:1",
        "--root-size",
        "10G",
        "--volume",
        "data=r/d:1,mount=/data,size=5,ro",
        "--network",
        "user",
        "--network",
        "tap:br0,name=lan0,ip=10.0.0.5/24,gateway=10.0.0.1,dns=1.1.1.1",
        "--network",
        "macvtap,mac=02:00:00:00:00:01",
        "--provider",
        "qemu",
        "--label",
        "a=b",
        "--hostname",
        "h",
    ];
    let spec = made(None, &words, &Documents::default()).expect("made");
    assert_eq!((&spec["namespace"], &spec["vcpu"], &spec["memory_in_mb"]), (&json!("team"), &json!(4), &json!(8192)));
    let kernel = json!({ "image": "r/k:1", "filename": "vmlinux", "cmdline": { "quiet": "", "a": "b=c" }, "add_network_config": true });
    assert_eq!(spec["kernel"], kernel);
    assert_eq!(spec["initrd"], json!({ "image": "r/i:1", "filename": "initrd" }));
    assert_eq!(spec["root_volume"], json!({ "id": "root", "source": { "container_source": "r/os:1" }, "size_in_mb": 10240 }));
    let data =
        json!({ "id": "data", "is_read_only": true, "mount_point": "/data", "source": { "container_source": "r/d:1" }, "size_in_mb": 5 });
    assert_eq!(spec["additional_volumes"], json!([data]));
    let address = json!({ "address": "10.0.0.5/24", "gateway": "10.0.0.1/24", "nameservers": ["1.1.1.1"] });
    let interfaces = json!([
        { "device_id": "eth1", "type": "TAP", "overrides": { "bridge_name": "user" } },
        { "device_id": "lan0", "type": "TAP", "address": address, "overrides": { "bridge_name": "br0" } },
        // The protocol's zero, which is not written.
        { "device_id": "eth3", "guest_mac": "02:00:00:00:00:01" },
    ]);
    assert_eq!(spec["interfaces"], interfaces);
    assert_eq!((&spec["provider"], &spec["labels"]), (&json!("qemu"), &json!({ "a": "b" })));
    assert_eq!(document(&spec, "meta-data"), "local_hostname: h\n");
    // What is made here the host's own rules take.
    let spec: MicroVmSpec = json::read(spec, true).expect("read back");
    assert_eq!(capstead_flintlock::rules::failures(&spec), "");
}

#[test]
fn flags_change_a_file_and_leave_the_rest_alone() {
    let file = "
id: m1
namespace: team
memoryInMb: 2048
kernel: { image: r/k:1, filename: vmlinux }
root_volume: { id: os, source: { container_source: r/os:1 } }
additional_volumes: [{ id: data, source: { container_source: r/old:1 } }]
interfaces: [{ device_id: eth1, type: TAP }]
metadata: { user-data: I2Nsb3VkLWNvbmZpZwo= }
";
    let spec = made(Some(file), &[], &Documents::default()).expect("made");
    assert_eq!(spec["metadata"], json!({ "user-data": "I2Nsb3VkLWNvbmZpZwo=" }));
    assert_eq!((spec.get("vcpu"), &spec["kernel"]), (None, &json!({ "image": "r/k:1", "filename": "vmlinux" })));

    let words = ["m2", "--root", "r/os:2", "--volume", "data=r/new:1", "--volume", "more=r/m:1", "--hostname", "h"];
    let spec = made(Some(file), &words, &Documents::default()).expect("made");
    assert_eq!((&spec["id"], &spec["namespace"]), (&json!("m2"), &json!("team")));
    assert_eq!(spec["root_volume"], json!({ "id": "os", "source": { "container_source": "r/os:2" } }));
    let sources: Vec<&Value> =
        spec["additional_volumes"].as_array().expect("list").iter().map(|it| &it["source"]["container_source"]).collect();
    assert_eq!(sources, ["r/new:1", "r/m:1"]);
    assert_eq!(document(&spec, "meta-data"), "local_hostname: h\n");

    let bare = "id: m1";
    assert!(made(Some(bare), &["--root-size", "1G"], &Documents::default()).expect_err("refused").to_string().contains("--root"));
    assert!(made(Some(bare), &["--initrd-file", "i"], &Documents::default()).expect_err("refused").to_string().contains("--initrd"));
}

#[test]
fn a_spec_is_read_as_it_is_written_anywhere() {
    let spec = MicroVmSpec { id: "m1".into(), vcpu: 2, ..MicroVmSpec::default() };
    for text in [
        "{\"id\": \"m1\", \"vcpu\": 2}",
        "microvm:\n  id: m1\n  vcpu: 2",
        "version: 3\nspec: { id: m1, vcpu: 2, uid: 01ARZ3NDEKTSV4RRFFQ69G5FAV }\nstatus: { state: CREATED }",
        "microvm: { spec: { id: m1, vcpu: 2 } }",
    ] {
        assert_eq!(read(text).expect(text), spec);
    }
    for (text, told) in [("id: [", "YAML"), ("id: m1\nvcpus: 2", "vcpus"), ("vcpu: many", "vcpu"), ("- id: m1", "")] {
        let error = format!("{:#}", read(text).expect_err(text));
        assert!(error.contains(told), "{text}: {error}");
    }
}

#[test]
fn keys_go_to_the_default_user_and_where_nothing_else_is_said_to_root() {
    let keys = Documents { ssh_keys: vec![KEY.to_owned()], ..Documents::default() };
    let spec = made(None, &["m1"], &keys).expect("made");
    assert_eq!(document(&spec, "meta-data"), format!("local_hostname: m1\npublic-keys:\n- {KEY}\n"));
    let user_data = document(&spec, "user-data");
    assert!(user_data.starts_with("#cloud-config\n"), "{user_data}");
    let config: Value = yaml_serde::from_str(&user_data).expect("YAML");
    assert_eq!(config, json!({ "users": ["default", { "name": "root", "ssh_authorized_keys": [KEY] }], "disable_root": false }));

    let own = Documents { user_data: Some(b"#!/bin/sh\n".to_vec()), ..keys };
    let spec = made(None, &["m1"], &own).expect("made");
    assert_eq!(document(&spec, "user-data"), "#!/bin/sh\n");
    assert!(document(&spec, "meta-data").contains(KEY));

    let further = BTreeMap::from([("meta-data".to_owned(), b"a: 1\n".to_vec()), ("vendor-data".to_owned(), b"v".to_vec())]);
    let documents = Documents { further, ssh_keys: vec![KEY.to_owned()], ..Documents::default() };
    let spec = made(None, &["m1"], &documents).expect("made");
    assert_eq!(document(&spec, "meta-data"), format!("a: 1\npublic-keys:\n- {KEY}\n"));
    assert_eq!(document(&spec, "vendor-data"), "v");
}

#[test]
fn only_public_keys_are_taken() {
    assert_eq!(documents::public_keys(&format!("# mine\n\n{KEY}\nrestrict {KEY}\n")).expect("keys").len(), 2);
    for (text, told) in
        [("-----BEGIN OPENSSH PRIVATE KEY-----\n", "private key"), ("", "no public key"), ("hello\n", "`hello` is no public key")]
    {
        let error = documents::public_keys(text).expect_err("refused").to_string();
        assert!(error.contains(told), "{error}");
    }
}
