use std::collections::BTreeMap;

use serde_json::json;

use super::authority;
use super::pools;
use super::to_reach;
use crate::sample::guest;
use crate::sample::healthy;
use crate::sample::log;
use crate::sample::metadata;
use crate::sample::microvm_cluster;
use crate::sample::picture;

#[test]
fn it_says_where_to_connect() {
    let reached: Vec<String> = to_reach(healthy().all()).into_iter().collect();
    assert_eq!(reached, ["10.0.0.100:6443", "127.0.0.1:10800"]);
    let six = json!({"metadata": metadata("six"), "spec": {"controlPlaneEndpoint": {"host": "fd00::1", "port": 6443}}});
    let none = json!({"metadata": metadata("none"), "spec": {"controlPlaneEndpoint": {"host": "", "port": 0}}});
    let reached: Vec<String> = to_reach(picture(vec![("Cluster", six), ("Cluster", none)]).all()).into_iter().collect();
    assert_eq!(reached, ["[fd00::1]:6443"]);
}

#[test]
fn only_an_address_is_taken_from_a_url() {
    for (url, address) in [
        ("https://127.0.0.1:1/validate?timeout=10s", Some("127.0.0.1:1")),
        ("https://example.com", Some("example.com:443")),
        ("https://[fd00::1]/x", Some("[fd00::1]:443")),
        ("http://example.com", None),
        ("https:///x", None),
        ("", None),
    ] {
        assert_eq!(authority(url).as_deref(), address, "{url}");
    }
}

#[test]
fn hosts_of_pools_are_known_with_what_they_may_want() {
    let open = microvm_cluster(&["a:9090", "b:9090"]);
    let mut guarded = microvm_cluster(&["b:9090", "c:9090"]);
    guarded.1["spec"]["placement"]["staticPool"]["basicAuthSecret"] = "tokens".into();
    let hosts = pools(picture(vec![open, guarded]).all());
    assert_eq!(hosts, BTreeMap::from([("a:9090".into(), false), ("b:9090".into(), true), ("c:9090".into(), true)]));
}

#[test]
fn words_are_found_wherever_they_were_said() {
    let mut picture = healthy();
    picture.hosts[0].microvms = vec![guest("well\nWORDS on a console")];
    picture.hosts[0].microvms[0].cause = "the host says WORDS".into();
    picture.logs.push(log("flintlockd.log", "first\n  second with WORDS  "));
    let sources = |found: Vec<crate::Evidence>| found.into_iter().map(|evidence| evidence.source).collect::<Vec<_>>();
    assert_eq!(sources(picture.said(&["WORDS"])), ["microVM team/a on host 10.0.0.5:9090", "flintlockd.log, line 2", "console of team/a"]);
    assert_eq!(sources(picture.logged(&["nothing", "WORDS"])), ["flintlockd.log, line 2", "console of team/a"]);
    assert_eq!(picture.logged(&["second"])[0].said, "second with WORDS");
    assert_eq!(sources(picture.said(&["MinimumReplicas"])), Vec::<String>::new(), "reasons are no words");
}
