use capstead_hostnet::netlink::Kind;
use capstead_hostnet::netlink::Link;
use serde_json::json;

use super::*;
use crate::accept::tests::spec;

const UID: &str = "01HAAAAAAAAAAAAAAAAAAAAAAA";

fn bridge() -> HostOptions {
    HostOptions { bridge: Some("br0".into()), parent: Some("eno1".into()), ..HostOptions::default() }
}

fn tap(name: &str) -> Link {
    Link {
        index: 3,
        name: name.into(),
        kind: Kind::Tun,
        mac: None,
        mtu: 1500,
        up: true,
        alias: None,
        group: 0,
        master: None,
        parent: None,
        owner: None,
    }
}

#[test]
fn an_interface_leads_where_it_says_else_where_the_host_says() {
    let attach = |interface: serde_json::Value, options: &HostOptions| {
        super::interface(&spec(&[("/interfaces", json!([interface]))]), UID, 0, options).map(|interface| interface.attach)
    };
    let tap = |over: Option<&str>| match over {
        None => json!({"device_id": "eth1", "type": "TAP"}),
        Some(name) => json!({"device_id": "eth1", "type": "TAP", "overrides": {"bridge_name": name}}),
    };
    assert_eq!(attach(tap(None), &bridge()), Ok(Attach::Tap { bridge: Some("br0".into()) }));
    assert_eq!(attach(tap(Some("br1")), &bridge()), Ok(Attach::Tap { bridge: Some("br1".into()) }));
    assert!(matches!(attach(tap(Some("user")), &bridge()), Ok(Attach::User { .. })));
    assert!(matches!(attach(tap(Some("passt")), &bridge()), Ok(Attach::Passt { .. })));
    assert!(matches!(attach(tap(None), &HostOptions::default()), Ok(Attach::User { .. })));
    assert_eq!(attach(json!({"device_id": "eth1"}), &bridge()), Ok(Attach::Macvtap { parent: "eno1".into() }));
    let refused = attach(json!({"device_id": "eth1"}), &HostOptions::default()).unwrap_err();
    assert!(refused.contains("interfaces[0]") && refused.contains("--parent-iface"), "{refused}");
}

#[test]
fn a_machine_has_its_disks_in_the_order_its_guest_is_told() {
    let volume = |id: &str, mount: &str| json!({"id": id, "mount_point": mount, "source": {"container_source": "registry:5000/v:1"}});
    let spec = spec(&[("/additional_volumes", json!([volume("a", ""), volume("b", "/data")])), ("/kernel/cmdline", json!({"quiet": ""}))]);
    let forwards = vec![port::Forward { protocol: port::Protocol::Tcp, host_port: 4022, guest_port: 22 }];
    let machine = machine(&spec, UID, Path::new("/vm"), &[Attached::User { forwards }], &Documents::default()).unwrap();
    let disks: Vec<(&str, DiskRole)> = machine.disks.iter().map(|disk| (disk.path.to_str().unwrap(), disk.role)).collect();
    let expected = [
        ("/vm/root.img", DiskRole::Root),
        ("/vm/volume-0.img", DiskRole::Data),
        ("/vm/volume-1.img", DiskRole::Data),
        ("/vm/seed.img", DiskRole::Seed),
    ];
    assert_eq!(disks, expected);
    assert_eq!(guest_facts(&spec, UID, &BTreeMap::new()).mounts, [guest_data::Mount { device: "vdc".into(), point: "/data".into() }]);
    assert_eq!((machine.vcpus, machine.memory_mib, machine.cmdline.get("quiet")), (0, 0, Some("")));
    let HostNic::User(forwards) = &machine.nics[0].host else { panic!("{:?}", machine.nics) };
    assert_eq!((forwards[0].host.to_string().as_str(), forwards[0].guest_port), ("127.0.0.1:4022", 22));
}

#[test]
fn a_guest_hears_of_the_address_that_its_interface_has() {
    let spec = spec(&[
        ("/kernel/add_network_config", json!(true)),
        (
            "/interfaces",
            json!([{"device_id": "eth1", "type": "TAP", "guest_mac": "02:00:00:00:00:07"}, {"device_id": "eth2", "type": "TAP"}]),
        ),
    ]);
    let told = guest_facts(&spec, UID, &BTreeMap::new()).interfaces.unwrap();
    let made = sketch(&spec, &bridge()).unwrap();
    assert_eq!(told[0].mac.as_deref(), Some("02:00:00:00:00:07"));
    assert_eq!(made.nics[0].mac.to_string(), "02:00:00:00:00:07");
    assert_ne!(told[1].mac, guest_facts(&spec, "01HBAAAAAAAAAAAAAAAAAAAAAA", &BTreeMap::new()).interfaces.unwrap()[1].mac);
    assert_eq!(guest_facts(&super::super::super::accept::tests::spec(&[]), UID, &BTreeMap::new()).interfaces, None);
}

#[test]
fn a_guest_in_a_lan_has_the_address_that_ports_lead_to() {
    let lan = |name: &str| json!({"device_id": name, "type": "TAP", "overrides": {"bridge_name": "user-lan:blue"}});
    let options = HostOptions { bridge: Some("user-lan".into()), ..HostOptions::default() };
    let spec = |interfaces: &[serde_json::Value]| spec(&[("/interfaces", json!(interfaces))]);
    let attach = |interface: serde_json::Value| super::interface(&spec(&[interface]), UID, 0, &options).map(|interface| interface.attach);
    let lan_of = |attach| match attach {
        Ok(Attach::UserLan { lan, address, .. }) => Ok((lan, address)),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    assert_eq!(lan_of(attach(lan("eth1"))), Ok(("blue".to_owned(), None)));
    let fixed = json!({"device_id": "eth1", "type": "TAP", "address": {"address": "10.77.0.9/24"}});
    assert_eq!(lan_of(attach(fixed)), Ok(("default".to_owned(), Some(Ipv4Addr::new(10, 77, 0, 9)))));
    let six = json!({"device_id": "eth1", "type": "TAP", "address": {"address": "fd00::1/64"}});
    assert!(lan_of(attach(six)).unwrap_err().contains("IPv4"));

    let attached = Attached::UserLan {
        tap: tap("tap0"),
        enter: vec!["nsenter".into()],
        address: "10.77.0.5/24".parse().unwrap(),
        gateway: Ipv4Addr::new(10, 77, 0, 2),
        nameserver: Ipv4Addr::new(10, 77, 0, 3),
        forwards: Vec::new(),
    };
    let own = spec(&[lan("eth1")]);
    let told = guest_facts(&own, UID, &[(0, chosen(&attached).unwrap())].into()).interfaces.unwrap();
    assert_eq!(told[0].address.as_ref().unwrap().address, "10.77.0.5/24");
    assert_eq!(machine(&own, UID, Path::new("/vm"), &[attached], &Documents::default()).unwrap().enter, ["nsenter"]);
    assert_eq!(in_lan(&spec(&[lan("eth1"), lan("eth2")]), &options), Ok(vec![0, 1]));
    let elsewhere = json!({"device_id": "eth2", "type": "TAP", "overrides": {"bridge_name": "br0"}});
    assert!(sketch(&spec(&[lan("eth1"), elsewhere]), &options).unwrap_err().contains("same LAN"));
}

#[test]
fn a_vmm_that_serves_metadata_gets_an_interface_for_it() {
    let metadata = json!({"user-data": STANDARD.encode("#cloud-config"), "extra": "plain"});
    let record = |driver: &str| Record::new(UID.into(), driver.into(), spec(&[("/metadata", metadata.clone())]));
    assert_eq!(expanded(&record("qemu")).interfaces.len(), 1);
    let record = record("firecracker");
    let spec = expanded(&record);
    assert_eq!(super::interface(&spec, UID, 0, &bridge()).unwrap().attach, Attach::Tap { bridge: None });
    let taps = ["tap0", "tap1"].map(|name| Attached::Tap(tap(name)));
    let documents = guest_data::compose(&given(&spec), &guest_facts(&spec, UID, &BTreeMap::new())).unwrap();
    let machine = machine(&spec, UID, Path::new("/vm"), &taps, &documents).unwrap();
    let nics: Vec<(&str, bool)> = machine.nics.iter().map(|nic| (nic.id.as_str(), nic.metadata)).collect();
    assert_eq!(nics, [("eth0", true), ("eth1", false)]);
    assert_eq!((machine.nics[0].mac.to_string().as_str(), machine.metadata["user-data"].as_str()), ("aa:ff:00:00:00:01", "#cloud-config"));
    assert!(machine.metadata["meta-data"].contains(UID) && machine.metadata["extra"] == "plain", "{:?}", machine.metadata);
}

#[test]
fn files_of_the_host_are_images_only_where_that_is_allowed() {
    let allowed = HostOptions { local_images: Some("/srv/images".into()), ..HostOptions::default() };
    assert!(reference("file:/srv/images/vmlinux", &allowed).is_ok());
    assert!(reference("registry:5000/kernel:1", &HostOptions::default()).is_ok());
    for text in ["file:/etc/shadow", "oci:/etc", "file:/srv/images/../../etc/shadow", "file:/srv/imagesX/a"] {
        assert!(reference(text, &allowed).is_err(), "{text}");
        assert!(reference(text, &HostOptions::default()).is_err(), "{text}");
    }
    let spec = spec(&[("/root_volume/source/container_source", json!("file:/etc/shadow"))]);
    assert!(sketch(&spec, &bridge()).unwrap_err().contains("--local-images"));
}
