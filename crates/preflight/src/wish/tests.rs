use super::Packages;
use super::Wish;

#[test]
fn a_wish_is_written_as_it_is_read() {
    for packages in [Packages::Manager, Packages::None, Packages::Folder("/root/debs".into())] {
        let wish = Wish { packages, subnet: "10.42.0.0/24".parse().ok(), vip: "10.42.0.2".parse().ok(), ..Wish::default() };
        let text = serde_json::to_string(&wish).unwrap();
        assert_eq!(serde_json::from_str::<Wish>(&text).unwrap(), wish, "{text}");
    }
}

#[test]
fn what_is_not_named_is_as_always_and_what_is_named_wrongly_is_told() {
    assert_eq!(serde_json::from_str::<Wish>("{}").unwrap(), Wish::default());
    let wish: Wish = serde_json::from_str(r#"{"network": "bridge", "containerd": {"pool-gib": 5}, "packages": "none"}"#).unwrap();
    assert_eq!((wish.containerd.pool_gib, &*wish.containerd.namespace, wish.packages), (5, "flintlock", Packages::None));
    for (text, named) in [
        (r#"{"bridge": "br0"}"#, "unknown field `bridge`"),
        (r#"{"network": "wifi"}"#, "unknown variant `wifi`"),
        (r#"{"packages": "debs"}"#, "not from \"debs\""),
        (r#"{"containerd": {"gib": 5}}"#, "unknown field `gib`"),
    ] {
        let error = serde_json::from_str::<Wish>(text).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}
