use super::*;

fn asked(mirrors: &str, reference: &str) -> (String, bool) {
    let (asked, endpoint) = mirrors.parse::<Mirrors>().unwrap().resolve(&reference.parse().unwrap());
    assert_eq!(asked.registry(), endpoint.host);
    (asked.whole(), endpoint.plain_http)
}

#[test]
fn a_registry_is_asked_where_its_mirror_is() {
    let mirrors = "registry.k8s.io=http://127.0.0.1:5000, docker.io=mirror.test/docker/,ghcr.io=https://127.0.0.1:1";
    let text = |text: &str, http| (text.to_owned(), http);
    assert_eq!(asked(mirrors, "registry.k8s.io/etcd:3.6.14-0"), text("127.0.0.1:5000/etcd:3.6.14-0", true));
    assert_eq!(asked(mirrors, "busybox"), text("mirror.test/docker/library/busybox:latest", false));
    assert_eq!(asked(mirrors, "ghcr.io/a/b:v1"), text("127.0.0.1:1/a/b:v1", false));
    assert_eq!(asked(mirrors, "quay.io/a/b:v1"), text("quay.io/a/b:v1", false));
    let digest = format!("sha256:{}", "0".repeat(64));
    assert_eq!(asked(mirrors, &format!("registry.k8s.io/a:v1@{digest}")), text(&format!("127.0.0.1:5000/a@{digest}"), true));
}

#[test]
fn plain_http_is_for_this_machine() {
    for (host, expected) in [
        ("127.0.0.1:5000", true),
        ("localhost", true),
        ("localhost:5000", true),
        ("127.1.2.3", true),
        ("[::1]:5000", true),
        ("[::1]", true),
    ] {
        assert_eq!(is_loopback(host), expected, "{host}");
    }
    for host in ["10.0.0.1:5000", "localhost.test:5000", "registry.k8s.io", "127.0.0.1.test"] {
        assert!(!is_loopback(host), "{host}");
    }
}

#[test]
fn what_is_no_list_of_mirrors_is_named() {
    assert_eq!("".parse(), Ok(Mirrors::default()));
    for text in ["registry.k8s.io", "=http://a", "a=", "a=ftp://b", "a=http://b c", "a=b/c?d", "a=b,a=c", "a/b=c"] {
        assert!(text.parse::<Mirrors>().is_err(), "{text}");
    }
    let error = "a=b, c".parse::<Mirrors>().unwrap_err();
    assert!(error.to_string().starts_with("`c` is not a registry mirror"), "{error}");
}
