use super::*;
use crate::sample;

fn data(pairs: &[(&str, &str)]) -> Data {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect()
}

fn secured() -> MicrovmCluster {
    let mut cluster = sample::cluster();
    cluster.spec.tls_secret_ref = Some("hosts-tls".into());
    let pool = cluster.spec.placement.static_pool.as_mut().unwrap();
    pool.basic_auth_secret = Some("hosts-tokens".into());
    cluster
}

#[test]
fn what_says_nothing_is_reached_straight_and_plain_wherever_it_is() {
    assert_eq!(Reach::of(Some(&sample::cluster())), Reach::default(), "clusters of all namespaces share a host's connection");
    assert_eq!(Reach::of(None).access("10.0.0.1:9090", None, None), Ok(Access::default()));
}

#[test]
fn each_host_gets_its_own_token_by_name_or_address_of_either_family() {
    let reach = Reach::of(Some(&secured()));
    assert_eq!(
        (reach.namespace.as_str(), reach.tls.as_deref(), reach.tokens.as_deref()),
        ("team-a", Some("hosts-tls"), Some("hosts-tokens"))
    );
    let tokens = data(&[("10.0.0.1", "one"), ("host-2.example", "two\n"), ("fd00--1", "six"), ("10.0.0.9", "")]);
    let token = |address: &str| reach.access(address, None, Some(&tokens)).unwrap().token;
    assert_eq!(token("10.0.0.1:9090").as_deref(), Some("one"));
    assert_eq!(token("host-2.example:9090").as_deref(), Some("two"), "an editor's newline is no part of a token");
    assert_eq!(token("[fd00::1]:9090").as_deref(), Some("six"));
    assert_eq!((token("10.0.0.9:9090"), token("10.0.0.8:9090")), (None, None), "as upstream: asked without");
}

#[test]
fn tls_is_mutual_or_of_the_host_alone_and_half_of_a_pair_is_told() {
    let reach = Reach::of(Some(&secured()));
    let tls = |pairs: &[(&str, &str)]| reach.access("10.0.0.1:9090", Some(&data(pairs)), None).map(|access| access.tls.unwrap());
    let bytes = |text: &str| text.as_bytes().to_vec();
    let mutual = Tls { ca: Some(bytes("a")), identity: Some((bytes("c"), bytes("k"))), server_name: None };
    assert_eq!(tls(&[("ca.crt", "a"), ("tls.crt", "c"), ("tls.key", "k")]), Ok(mutual.clone()));
    assert_eq!(tls(&[("ca.crt", "a")]), Ok(Tls { identity: None, ..mutual.clone() }));
    assert_eq!(tls(&[("tls.crt", "c"), ("tls.key", "k")]), Ok(Tls { ca: None, ..mutual }));
    let wrong: [(&[(&str, &str)], &str); 3] =
        [(&[("ca.crt", "a"), ("tls.crt", "c")], "key tls.key"), (&[("tls.key", "k")], "key tls.crt"), (&[], "ca.crt")];
    for (pairs, missing) in wrong {
        let said = tls(pairs).unwrap_err();
        assert!(said.contains(missing) && said.contains("Secret hosts-tls, which spec.tlsSecretRef names"), "{said}");
    }
}

#[test]
fn a_proxy_goes_along() {
    let mut cluster = sample::cluster();
    cluster.spec.microvm_proxy = Some(crate::api::common::Proxy { endpoint: "http://proxy.example:3128".into() });
    let reach = Reach::of(Some(&cluster));
    assert_eq!(reach.access("10.0.0.1:9090", None, None).unwrap().proxy.as_deref(), Some("http://proxy.example:3128"));
}
