use serde_json::Value;
use serde_json::json;

use crate::Picture;
use crate::Severity;
use crate::picture::Reach;
use crate::sample::ago;
use crate::sample::cluster;
use crate::sample::control_plane;
use crate::sample::evidence;
use crate::sample::found;
use crate::sample::log;
use crate::sample::microvm_machine;
use crate::sample::now;
use crate::sample::picture;
use crate::sample::the_one;

const FAILED: &str = "Remote connection probe failed, probe last succeeded at 2026-11-22T11:50:00Z";
const NOT_YET: &str = "Remote connection not established yet";

fn first_machine() -> (&'static str, Value) {
    let (kind, machine) = microvm_machine("first", "True", "Ready", "");
    (kind, control_plane(machine))
}

#[test]
fn an_api_that_is_not_reached_is_told_with_what_a_try_from_here_means() {
    let cases = [
        (Some(Reach::NoRoute), "no way leads to 10.0.0.100:6443 from here"),
        (Some(Reach::Refused), "10.0.0.100:6443 is there, and nobody serves the API on it"),
        (Some(Reach::Silent), "10.0.0.100:6443 does not answer"),
        (Some(Reach::Failed("odd".into())), "10.0.0.100:6443 does not answer"),
        (Some(Reach::Open), "10.0.0.100:6443 answers from here, but not from where"),
        (None, "10.0.0.100:6443 does not answer"),
    ];
    for (reach, cause) in cases {
        let mut picture = picture(vec![cluster(("False", FAILED), "True")]);
        picture.reached.extend(reach.clone().map(|reach| ("10.0.0.100:6443".to_owned(), reach)));
        let finding = the_one(&picture, "vip-unreachable");
        assert_eq!((finding.severity, finding.about.as_str()), (Severity::Error, "Cluster team/one"));
        assert!(finding.cause.starts_with(cause), "{finding:#?}");
        let said = reach.map(|reach| reach.to_string());
        let expected: Vec<(&str, &str)> =
            [("Cluster team/one", FAILED)].into_iter().chain(said.iter().map(|said| ("10.0.0.100:6443", said.as_str()))).collect();
        assert_eq!(evidence(&finding), expected);
    }
}

#[test]
fn before_the_first_machine_is_there_nobody_can_answer() {
    let mut picture = picture(vec![cluster(("False", NOT_YET), "False")]);
    picture.reached.insert("10.0.0.100:6443".into(), Reach::Refused);
    let finding = the_one(&picture, "vip-unreachable");
    assert_eq!(
        (finding.severity, finding.cause.as_str()),
        (Severity::Note, "nobody serves it yet: no machine of the control plane is there, so this is expected")
    );
}

#[test]
fn once_it_is_there_it_has_some_time_to_answer() {
    let objects = |seconds| {
        let (kind, mut first) = first_machine();
        first["status"]["conditions"][0]["lastTransitionTime"] = ago(seconds).into();
        vec![cluster(("False", NOT_YET), "False"), (kind, first)]
    };
    for (seconds, severity) in [(30, Severity::Note), (600, Severity::Error)] {
        let mut picture = picture(objects(seconds));
        picture.reached.insert("10.0.0.100:6443".into(), Reach::Refused);
        assert_eq!(the_one(&picture, "vip-unreachable").severity, severity, "{seconds}");
    }
}

#[test]
fn an_api_that_answers_is_not_told() {
    assert_eq!(found(&picture(vec![cluster(("True", ""), "True")]), "vip-unreachable"), []);
}

#[test]
fn logs_of_cluster_api_are_explained() {
    for line in ["E1122 \"connection to the workload cluster is down\"", "dial tcp 192.168.1.25:6443: connect: no route to host"] {
        let mut picture = Picture::new(now());
        picture.logs.push(log("capi-controller-manager", line));
        let finding = the_one(&picture, "vip-unreachable");
        assert_eq!((finding.severity, evidence(&finding)), (Severity::Warning, vec![("capi-controller-manager, line 1", line)]));
    }
}

#[test]
fn an_address_that_two_clusters_have_is_told() {
    let (kind, mut other) = cluster(("True", ""), "True");
    other["metadata"]["name"] = "two".into();
    let finding = the_one(&picture(vec![cluster(("True", ""), "True"), (kind, other.clone())]), "vip-twice");
    assert_eq!((finding.severity, finding.about.as_str()), (Severity::Warning, "10.0.0.100:6443"));
    assert_eq!(
        finding.evidence.iter().map(|evidence| evidence.source.as_str()).collect::<Vec<_>>(),
        ["Cluster team/one", "Cluster team/two"]
    );
    other["spec"]["controlPlaneEndpoint"] = json!({"host": "10.0.0.101", "port": 6443});
    assert_eq!(found(&picture(vec![cluster(("True", ""), "True"), (kind, other)]), "vip-twice"), []);
}

#[test]
fn a_machine_that_was_given_the_address_is_told() {
    let machine = |address: &str| {
        let (kind, mut machine) = microvm_machine("worker", "True", "Ready", "");
        machine["status"]["addresses"] = json!([{"type": "InternalIP", "address": address}]);
        (kind, machine)
    };
    let finding = the_one(&picture(vec![cluster(("True", ""), "True"), machine("10.0.0.100")]), "vip-twice");
    assert_eq!((finding.severity, finding.about.as_str()), (Severity::Error, "10.0.0.100"));
    assert!(finding.cause.starts_with("MicrovmMachine team/worker has 10.0.0.100"), "{finding:#?}");
    let (kind, holder) = machine("10.0.0.100");
    let fine = [machine("10.0.0.7"), (kind, control_plane(holder))];
    assert_eq!(found(&picture([vec![cluster(("True", ""), "True")], fine.to_vec()].concat()), "vip-twice"), []);
}
