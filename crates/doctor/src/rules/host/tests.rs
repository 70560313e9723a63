use capstead_preflight::observe::Api;

use crate::Picture;
use crate::Severity;
use crate::sample::HOST;
use crate::sample::api;
use crate::sample::evidence;
use crate::sample::found;
use crate::sample::host;
use crate::sample::microvm_cluster;
use crate::sample::microvm_machine;
use crate::sample::now;
use crate::sample::picture;
use crate::sample::seen_from_outside;
use crate::sample::the_one;

fn gone(why: &str) -> Api {
    Api { reached: Err(why.into()), services: Err("it is not reached".into()), microvms: Err("it is not reached".into()), ..api() }
}

fn hosts(api: Api) -> Picture {
    Picture { hosts: vec![host(seen_from_outside(api), Vec::new())], ..Picture::new(now()) }
}

#[test]
fn a_host_that_is_not_reached_is_told_with_what_that_means() {
    let cases = [
        ("Connection refused (os error 111)", "nobody listens on that port"),
        ("No route to host (os error 113)", "no way leads to its address"),
        ("no connection within 5s", "its address does not answer"),
        ("failed to lookup address information: Name or service not known", "no connection to it comes about"),
    ];
    for (why, cause) in cases {
        let finding = the_one(&hosts(gone(why)), "host-unreachable");
        assert!(finding.cause.contains(cause), "{why}: {}", finding.cause);
        assert_eq!(evidence(&finding), [("host 10.0.0.5:9090", why)]);
        assert_eq!(found(&hosts(gone(why)), "host-api"), [], "of its API nothing is known");
    }
}

#[test]
fn machines_that_wait_for_it_are_told_with_their_host() {
    let message = "host 10.0.0.5:9090 does not answer: listing microVMs on 10.0.0.5:9090 was not sent: tcp connect error";
    let machines = vec![
        microvm_machine("a", "False", "HostUnreachable", message),
        microvm_machine("b", "Unknown", "HostUnreachable", message),
        microvm_machine("c", "False", "HostUnreachable", "host 10.0.0.55:9090 does not answer: no answer within 10s"),
    ];
    let mut picture = picture(machines);
    picture.hosts = hosts(gone("Connection refused (os error 111)")).hosts;
    let findings = found(&picture, "host-unreachable");
    assert_eq!(findings.iter().map(|finding| finding.about.as_str()).collect::<Vec<_>>(), ["host 10.0.0.5:9090", "MicrovmMachine team/c"]);
    let sources: Vec<&str> = findings[0].evidence.iter().map(|evidence| evidence.source.as_str()).collect();
    assert_eq!(sources, ["host 10.0.0.5:9090", "MicrovmMachine team/a", "MicrovmMachine team/b"]);

    // It listens where we are, and not where the provider is.
    picture.hosts = hosts(api()).hosts;
    let findings = found(&picture, "host-unreachable");
    assert_eq!(findings[0].cause, "it is reached from here, but not from where the microVM provider runs; or it came back a moment ago");
}

#[test]
fn a_host_that_only_we_do_not_reach_is_a_doubt() {
    let mut picture = picture(vec![microvm_cluster(&[HOST]), microvm_machine("a", "True", "Ready", "")]);
    picture.hosts = hosts(gone("no connection within 5s")).hosts;
    assert_eq!(the_one(&picture, "host-unreachable").severity, Severity::Warning);
}

#[test]
fn what_stands_in_the_way_of_its_api_is_told() {
    type Change = fn(&mut Api);
    let refused = |api: &mut Api| api.token = Some(Err("invalid auth token (Unauthenticated)".into()));
    let other = |api: &mut Api| api.services = Ok(vec!["grpc.health.v1.Health".into()]);
    let untrusted = |api: &mut Api| api.tls = Some(Err("invalid peer certificate: UnknownIssuer".into()));
    let silent = |api: &mut Api| api.microvms = Err("no answer within 30s".into());
    let cases: [(Change, &str); 4] = [
        (refused, "it wants another token"),
        (other, "something else has the port, or the daemon speaks TLS and was asked without"),
        (untrusted, "it is not reached by TLS as it was tried"),
        (silent, "its daemon answers, and cannot list microVMs"),
    ];
    for (change, cause) in cases {
        let mut api = api();
        change(&mut api);
        let mut picture = hosts(api);
        let finding = the_one(&picture, "host-api");
        assert_eq!((finding.cause.as_str(), finding.severity), (cause, Severity::Error));
        // One of whose Secrets nothing is known is not judged by what it refuses.
        picture.hosts[0].guarded = true;
        assert_eq!(found(&picture, "host-api"), []);
    }
}

#[test]
fn what_is_told_by_another_rule_is_not_told_twice() {
    let said = "getting all microvms: walking content store: unknown service containerd.services.content.v1.Content: not implemented";
    let picture = hosts(Api { microvms: Err(said.into()), ..api() });
    assert_eq!(found(&picture, "host-api"), []);
    let finding = the_one(&picture, "containerd");
    assert_eq!(evidence(&finding), [(format!("host {HOST} (list-microvms)").as_str(), said)]);
}
