use super::*;

fn network(text: &str) -> Result<Network, String> {
    text.parse()
}

#[test]
fn a_network_says_where_and_how() {
    let plain = |attachment| Network { attachment, name: None, mac: None, ip: None, gateway: None, dns: Vec::new() };
    assert_eq!(network("tap").unwrap(), plain(Attachment::Default));
    assert_eq!(network("macvtap").unwrap(), plain(Attachment::Macvtap));
    for (text, bridge) in
        [("tap:br0", "br0"), ("user", "user"), ("user-lan", "user-lan"), ("user-lan:blue", "user-lan:blue"), ("passt", "passt")]
    {
        assert_eq!(network(text).unwrap(), plain(Attachment::Bridge(bridge.to_owned())), "{text}");
    }
    let text = "tap:br0,name=lan0,mac=02:00:00:00:00:01,ip=10.0.0.5/24,gateway=10.0.0.1,dns=10.0.0.1,dns=1.1.1.1";
    let full = network(text).unwrap();
    assert_eq!((full.name.as_deref(), full.mac.as_deref()), (Some("lan0"), Some("02:00:00:00:00:01")));
    // The protocol wants the gateway with its network's length.
    assert_eq!((full.ip.as_deref(), full.gateway.as_deref()), (Some("10.0.0.5/24"), Some("10.0.0.1/24")));
    assert_eq!(full.dns, ["10.0.0.1", "1.1.1.1"]);
    assert_eq!(network("tap,ip=fd00::5/64,gateway=fd00::1/48").unwrap().gateway.unwrap(), "fd00::1/48");
}

#[test]
fn what_is_wrong_with_a_network_is_told() {
    let cases = [
        ("", "is none of tap"),
        ("bridge", "is none of tap"),
        ("tap:", "is none of tap"),
        ("user-lan:", "is none of tap"),
        ("user:br0", "is none of tap"),
        ("tap,fast", "name=, mac="),
        ("tap,speed=9", "is none of name"),
        ("tap,ip=10.0.0.5/24,ip=10.0.0.6/24", "twice"),
        ("tap,ip=10.0.0.5", "10.0.0.5/24"),
        ("tap,ip=10.0.0.5/33", "10.0.0.5/24"),
        ("tap,ip=here/0", "10.0.0.5/24"),
        ("tap,ip=here/24", "10.0.0.5/24"),
        ("tap,gateway=10.0.0.1", "need an ip"),
        ("tap,dns=10.0.0.1", "need an ip"),
        ("tap,ip=10.0.0.5/24,dns=here", "`here` is no IP address"),
        ("tap,ip=10.0.0.5/24,gateway=there", "`there` is no IP address"),
    ];
    for (text, told) in cases {
        let error = network(text).unwrap_err();
        assert!(error.contains(told), "{text}: {error}");
    }
}

#[test]
fn a_volume_says_what_is_on_it_and_where_it_goes() {
    let volume: VolumeArg = "data=registry:5000/data:1,mount=/data,size=10G,ro".parse().unwrap();
    let image = VolumeSource::Image("registry:5000/data:1".to_owned());
    assert_eq!(volume, VolumeArg { id: "data".into(), source: image, mount: Some("/data".into()), size: Some(10240), read_only: true });
    let shared: VolumeArg = "user=virtiofs:/srv/share".parse().unwrap();
    assert_eq!(shared.source, VolumeSource::Virtiofs("/srv/share".to_owned()));
    for (text, told) in [
        ("data", "ID=IMAGE"),
        ("=image", "ID=IMAGE"),
        ("data=", "an image is expected"),
        ("data=i,mount=data", "absolute"),
        ("data=i,size=big", "no size"),
        ("data=i,rw", "is none of"),
    ] {
        let error = text.parse::<VolumeArg>().unwrap_err();
        assert!(error.contains(told), "{text}: {error}");
    }
}

#[test]
fn sizes_are_in_mebibytes() {
    for (text, size) in [("512", 512), ("512M", 512), ("2g", 2048), ("10G", 10240), ("10Gi", 10240), ("10GiB", 10240), ("1T", 1 << 20)] {
        assert_eq!(mebibytes(text), Ok(size), "{text}");
    }
    for text in ["", "G", "-1", "0", "1.5G", "9999999T", "10K", "ten", "1é"] {
        assert!(mebibytes(text).is_err(), "{text}");
    }
}

#[test]
fn memory_is_what_the_protocols_rules_take() {
    assert_eq!((memory("1G"), memory("32G"), memory("2048")), (Ok(1024), Ok(32_768), Ok(2048)));
    assert!(["256M", "33G", "0", "much"].into_iter().all(|text| memory(text).is_err()));
}
