use clap::Parser;
use serde_json::json;

use super::KINDS;
use super::path;
use super::shown;
use crate::cli::Cli;
use crate::cli::Command;
use crate::cli::Doctor;

fn args(words: &[&str]) -> Doctor {
    let Command::Doctor(args) = Cli::parse_from([&["capstead", "doctor"], words].concat()).command else { panic!("another command") };
    *args
}

fn paths(words: &[&str]) -> Vec<String> {
    let args = args(words);
    KINDS.iter().map(|kind| path(kind, kind.versions[0], &args)).collect()
}

#[test]
fn only_what_was_asked_for_is_listed_and_never_without_a_limit() {
    let all = paths(&[]);
    assert!(all.iter().all(|path| path.contains("?limit=500")), "{all:?}");
    assert_eq!(all[0], "/apis/cluster.x-k8s.io/v1beta2/clusters?limit=500");
    let some = paths(&["-n", "team", "--cluster", "one"]);
    assert_eq!(some[0], "/apis/cluster.x-k8s.io/v1beta2/namespaces/team/clusters?limit=500&fieldSelector=metadata.name=one");
    let label = "?limit=500&labelSelector=cluster.x-k8s.io/cluster-name=one";
    assert_eq!(some[5], format!("/apis/infrastructure.cluster.x-k8s.io/v1alpha2/namespaces/team/microvmmachines{label}"));
    assert_eq!(some[6], format!("/apis/infrastructure.cluster.x-k8s.io/v1alpha2/namespaces/team/externalloadbalancers{label}"));
    // Managers are looked at wherever they are.
    assert_eq!(some[7..], all[7..]);
    assert_eq!(all[7], "/apis/apps/v1/deployments?limit=500&labelSelector=cluster.x-k8s.io/provider");
}

#[test]
fn what_may_hold_tokens_is_not_kept() {
    let config = json!({"metadata": {"name": "a"}, "spec": {"joinConfiguration": {"discovery": {"bootstrapToken": {"token": "abc"}}}}});
    assert_eq!(shown(&KINDS[2], config.clone()), json!({"metadata": {"name": "a"}}));
    assert_eq!(shown(&KINDS[1], config.clone()), config);
}
