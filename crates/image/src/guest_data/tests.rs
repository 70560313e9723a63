use super::*;

fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    pairs.iter().map(|(key, text)| ((*key).to_owned(), text.as_bytes().to_vec())).collect()
}

fn facts() -> Facts {
    Facts { uid: "01JABC".to_owned(), ..Facts::default() }
}

fn yaml(text: &str) -> Value {
    yaml_serde::from_str(text).unwrap()
}

#[test]
fn a_guest_without_data_still_has_an_identity() {
    let documents = compose(&given(&[]), &facts()).unwrap();
    assert_eq!(yaml(&documents.meta_data), yaml("{instance_id: 01JABC, instance-id: 01JABC}"));
    assert_eq!(documents.files().len(), 2);
    assert_eq!(documents.network_config, None);
}

#[test]
fn what_upstreams_clients_write_reaches_cloud_init() {
    let text = "instance_id: ns/name\nlocal_hostname: box\nplatform: liquid_metal\nextra: [1, {a: b}]\n";
    let documents = compose(&given(&[("meta-data", text), ("user-data", "#!/bin/sh\n\u{fffd}")]), &facts()).unwrap();
    let expected = format!("{text}instance-id: ns/name\nlocal-hostname: box\n");
    assert_eq!(yaml(&documents.meta_data), yaml(&expected));
    assert_eq!(documents.user_data, "#!/bin/sh\n\u{fffd}".as_bytes());
    // What is named already stays.
    let documents = compose(&given(&[("meta-data", "{instance-id: a, local-hostname: b, local_hostname: c}")]), &facts()).unwrap();
    assert_eq!(yaml(&documents.meta_data), yaml("{instance-id: a, local-hostname: b, local_hostname: c, instance_id: a}"));
}

#[test]
fn mounts_join_what_vendor_data_has() {
    let mount = Mount { device: "vdc".to_owned(), point: "/data".to_owned() };
    let facts = Facts { mounts: vec![mount], ..facts() };
    let fields = "mount_default_fields: [null, null, auto, 'defaults,nofail', '0', '2']";
    let text = |documents: Documents| String::from_utf8(documents.vendor_data).unwrap();

    let alone = text(compose(&given(&[]), &facts).unwrap());
    assert!(alone.starts_with("## template: jinja\n#cloud-config\n"), "{alone}");
    assert_eq!(yaml(&alone), yaml(&format!("mounts: [[vdc, /data]]\n{fields}")));

    let mine = "#cloud-config\nmounts: [[vdb, /old, ext4]]\nunknown: {kept: [1, 2]}\nruncmd: [[ls]]\n";
    let merged = text(compose(&given(&[("vendor-data", mine)]), &facts).unwrap());
    assert!(merged.starts_with("#cloud-config\n"), "{merged}");
    let expected = format!("mounts: [[vdb, /old, ext4], [vdc, /data]]\nunknown: {{kept: [1, 2]}}\nruncmd: [[ls]]\n{fields}");
    assert_eq!(yaml(&merged), yaml(&expected));

    // Nothing to add, nothing touched.
    let script = compose(&given(&[("vendor-data", "#!/bin/sh\n")]), &Facts::default()).unwrap();
    assert_eq!(script.vendor_data, b"#!/bin/sh\n");
    let refused = compose(&given(&[("vendor-data", "#!/bin/sh\n")]), &facts).unwrap_err();
    assert_eq!(refused, GuestDataError::NotCloudConfig { begins: "#!/bin/sh".to_owned() });
    let refused = compose(&given(&[("vendor-data", "#cloud-config\nmounts: all\n")]), &facts).unwrap_err();
    assert_eq!(refused, GuestDataError::Mounts);
}

#[test]
fn interfaces_are_configured_as_flintlock_does() {
    let fixed = StaticAddress {
        address: "192.168.1.2/24".to_owned(),
        gateway: Some("192.168.1.1/24".to_owned()),
        nameservers: vec!["1.1.1.1".to_owned(), "fd00::1".to_owned()],
    };
    let six = StaticAddress { address: "fd00::2/64".to_owned(), gateway: Some("fd00::1".to_owned()), nameservers: vec![] };
    let interface = |name: &str, mac: Option<&str>, address| Interface { name: name.to_owned(), mac: mac.map(str::to_owned), address };
    let interfaces = vec![
        interface("eth1", Some("AA:00:00:00:00:01"), None),
        interface("eth2", None, Some(fixed)),
        interface("eth3", Some("aa:00:00:00:00:03"), Some(six)),
    ];
    let documents = compose(&given(&[]), &Facts { interfaces: Some(interfaces), ..facts() }).unwrap();
    let expected = "
version: 2
ethernets:
  eth1: {match: {macaddress: 'aa:00:00:00:00:01'}, dhcp4: true, dhcp6: true, dhcp-identifier: mac}
  eth2:
    match: {name: eth2}
    addresses: [192.168.1.2/24]
    gateway4: 192.168.1.1
    nameservers: {addresses: [1.1.1.1, 'fd00::1']}
    dhcp4: false
    dhcp6: false
  eth3: {match: {macaddress: 'aa:00:00:00:00:03'}, addresses: ['fd00::2/64'], gateway6: 'fd00::1', dhcp4: false, dhcp6: false}
";
    assert_eq!(yaml(&documents.network_config.unwrap()), yaml(expected));
}

#[test]
fn a_given_network_configuration_wins() {
    let facts = Facts { interfaces: Some(vec![]), ..facts() };
    let documents = compose(&given(&[("network-config", "version: 1\n")]), &facts).unwrap();
    assert_eq!(documents.network_config.unwrap(), "version: 1\n");
}

#[test]
fn what_is_no_address_is_refused() {
    let with = |address: &str, gateway: Option<&str>| {
        let address = StaticAddress { address: address.to_owned(), gateway: gateway.map(str::to_owned), nameservers: vec![] };
        network_config(&[Interface { name: "eth1".to_owned(), mac: None, address: Some(address) }])
    };
    for wrong in ["", "10.0.0.1", "10.0.0.1/33", "10.0.0.1/+8", "fd00::1/129", "10.0.0.1/8\nevil: true"] {
        assert!(matches!(with(wrong, None), Err(GuestDataError::Address { .. })), "{wrong}");
        assert!(with("10.0.0.1/8", Some(wrong)).is_err() || wrong == "10.0.0.1", "{wrong}");
    }
    let twice = vec![Interface { name: "eth1".to_owned(), ..Interface::default() }; 2];
    assert_eq!(network_config(&twice), Err(GuestDataError::Duplicate { interface: "eth1".to_owned() }));
}

#[test]
fn what_is_no_mapping_is_refused() {
    for text in ["- a\n", "a: [", "text"] {
        let error = compose(&given(&[("meta-data", text)]), &facts()).unwrap_err();
        assert!(matches!(error, GuestDataError::NotAMapping { key: "meta-data", .. }), "{error}");
    }
    let bomb = format!(
        "a: &a [x,x,x,x,x,x,x,x,x]\n{}",
        ('b'..='z')
            .zip('a'..='z')
            .map(|(new, old)| format!("{new}: &{new} [*{old},*{old},*{old},*{old},*{old},*{old},*{old},*{old},*{old}]\n"))
            .collect::<String>()
    );
    assert!(compose(&given(&[("meta-data", &bomb)]), &facts()).is_err());
    let long = "a".repeat(LARGEST_READ + 1);
    assert!(matches!(compose(&given(&[("meta-data", &long)]), &facts()), Err(GuestDataError::TooLarge { .. })));
}

#[test]
fn documents_made_to_harm_are_refused() {
    // Nine times nine times … of a word, in a few lines.
    let mut laughs = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
    for n in 1..12 {
        let below = vec![format!("*a{}", n - 1); 9].join(", ");
        laughs.push_str(&format!("a{n}: &a{n} [{below}]\n"));
    }
    let deep = format!("a: {}", "[".repeat(100_000));
    let large = format!("a: {}", "x".repeat(LARGEST_READ));
    for (name, text) in [("laughs", laughs.as_str()), ("deep", &deep), ("list", "[1]"), ("garbage", "a: b: c"), ("two", "a: 1\na: 2\n")] {
        let refused = compose(&given(&[("meta-data", text)]), &facts()).expect_err(name);
        assert!(matches!(refused, GuestDataError::NotAMapping { key: "meta-data", .. }), "{name}: {refused}");
        assert!(refused.to_string().len() < 500, "{name}: {refused}");
    }
    let refused = compose(&given(&[("meta-data", &large)]), &facts()).unwrap_err();
    assert_eq!(refused, GuestDataError::TooLarge { key: "meta-data", size: LARGEST_READ + 3 });
}
