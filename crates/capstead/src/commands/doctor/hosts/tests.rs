use capstead_doctor::Object;
use jiff::Timestamp;
use serde_json::json;

use super::MOST_HOSTS;
use super::Target;
use super::targets;
use crate::cli::host::preflight::Place;

fn pool(hosts: &[String]) -> Vec<Object> {
    let hosts: Vec<_> = hosts.iter().map(|host| json!({"endpoint": host})).collect();
    let spec = json!({"placement": {"staticPool": {"hosts": hosts}}});
    vec![Object::new("MicrovmCluster", json!({"metadata": {"name": "one"}, "spec": spec}), Timestamp::UNIX_EPOCH)]
}

#[test]
fn a_host_that_is_named_is_looked_at_once_and_as_named() {
    let named = [Place::Ssh("ssh://root@a".into()), Place::Daemon("b:9090".into())];
    let (targets, cut) = targets(&named, &pool(&["a:9090".into(), "b:9090".into()]));
    let shown: Vec<String> = targets
        .into_iter()
        .map(|target| match target {
            Target::Named(Place::Ssh(destination)) => destination,
            Target::Named(Place::Daemon(address)) => format!("named {address}"),
            Target::Pool { address, guarded } => format!("pool {address} {guarded}"),
        })
        .collect();
    assert_eq!(shown, ["ssh://root@a", "named b:9090", "pool a:9090 false"]);
    assert_eq!(cut, None);
}

#[test]
fn hosts_beyond_the_limit_are_told() {
    let hosts: Vec<String> = (0..MOST_HOSTS + 3).map(|n| format!("host-{n}:9090")).collect();
    let (targets, cut) = targets(&[], &pool(&hosts));
    assert_eq!((targets.len(), cut.map(|cut| cut.what)), (MOST_HOSTS, Some("3 hosts of pools".into())));
}
