//! What users get wrong: each is refused, or told in a condition that names the field and the cause; put right, it goes on. Nothing else suffers.

use capstead_lab::flintlock::Options;
use serde_json::json;

use crate::team::ONE;
use crate::team::Team;
use crate::world::CLUSTER;
use crate::world::LOAD_BALANCER;
use crate::world::MACHINE;
use crate::world::MICROVM_CLUSTER;
use crate::world::MICROVM_MACHINE;
use crate::world::SECRET;
use crate::world::World;
use crate::world::microvms;
use crate::world::quick;
use crate::world::says;

/// The API server's limit for all values of a Secret together.
const SECRET_LIMIT: usize = 1024 * 1024;

pub fn what_is_wrong_in_a_manifest_is_refused(world: &World) {
    let team = Team::new(world, "refused");
    let hosts = |hosts| json!({"controlPlaneEndpoint": {"host": "127.0.0.1", "port": 6443}, "placement": {"staticPool": {"hosts": hosts}}});
    let cluster = |spec| team.object(MICROVM_CLUSTER, ONE, &spec);
    let refused = |object: &serde_json::Value, parts: &[&str]| {
        let said = world.plane.apply(&object.to_string()).fails(1);
        assert!(parts.iter().all(|part| said.contains(part)), "{parts:?} are not all in: {said}");
    };
    let misspelt = cluster(hosts(json!([{"endpoint": "127.0.0.1:9090", "controlplaneAllowd": true}])));
    refused(&misspelt, &["unknown field \"spec.placement.staticPool.hosts[0].controlplaneAllowd\""]);
    let address = cluster(hosts(json!([{"endpoint": "no address", "controlplaneAllowed": true}])));
    refused(&address, &["spec.placement.staticPool.hosts[0].endpoint", "must be HOST:PORT", "no address"]);
    refused(&cluster(json!({"placement": {}})), &["spec.placement", "you must supply configuration for a placement option"]);
    let mut machine = team.microvm_machine("large");
    machine["spec"]["vcpu"] = json!(65);
    refused(&machine, &["spec.vcpu", "must be 1 to 64"]);
    // The same in the version that upstream's users write.
    let mut old = address;
    old["apiVersion"] = json!("infrastructure.cluster.x-k8s.io/v1alpha1");
    refused(&old, &["spec.placement.staticPool.hosts[0].endpoint", "must be HOST:PORT"]);
    let balancer = |host: &str| team.object(LOAD_BALANCER, "front", &json!({"endpoint": {"host": host}, "clusterName": ONE}));
    refused(&balancer("https://lb:6443"), &["spec.endpoint.host", "must be a host name or an address, without scheme and port"]);
    refused(&team.object(LOAD_BALANCER, "front", &json!({"endpoint": {"host": "lb"}})), &["spec.clusterName", "Required value"]);
    team.empty(&[MICROVM_CLUSTER, MICROVM_MACHINE, LOAD_BALANCER]);

    // A load balancer is for one cluster for ever, which may come later.
    world.create(&balancer("127.0.0.1"));
    let mut other = balancer("127.0.0.1");
    other["spec"]["clusterName"] = json!("two");
    refused(&other, &["spec.clusterName", "is immutable once it is set"]);
    team.wait(LOAD_BALANCER, "front", "it says what it waits for", |front| {
        says(front, "False", "WaitingForCluster", &["Cluster one has no MicrovmCluster yet"])
    });
    let columns = world.plane.kubectl(&["get", "-n", "refused", "extlb", "-o", "wide"]).ok();
    let columns: Vec<&str> = columns.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(columns, ["NAME", "ENDPOINT", "CLUSTER", "READY", "PORT", "MESSAGE", "AGE"]);
    world.delete(LOAD_BALANCER, "refused", "front");

    // What works but is unwise is taken, with a word.
    let mut spec = hosts(json!([{"endpoint": "127.0.0.1:9090", "controlplaneAllowed": false}]));
    spec["placement"]["staticPool"]["basicAuthSecret"] = json!("tokens");
    let taken = world.plane.apply(&cluster(spec).to_string());
    for warning in ["the tokens are sent in clear", "no host has controlplaneAllowed"] {
        assert!(taken.err.contains("Warning: ") && taken.err.contains(warning), "{taken:?}");
    }
    taken.ok();

    // What is taken is held from birth, in either version; and goes all the same, since nothing was made.
    let mut machine = team.microvm_machine("held");
    machine["apiVersion"] = json!("infrastructure.cluster.x-k8s.io/v1alpha1");
    world.create(&machine);
    for (kind, name, finalizer) in [
        (MICROVM_CLUSTER, ONE, "microvmcluster.infrastructure.cluster.x-k8s.io"),
        (MICROVM_MACHINE, "held", "microvmmachine.infrastructure.cluster.x-k8s.io"),
    ] {
        let held = world.get(kind, "refused", name);
        assert_eq!(held["metadata"]["finalizers"], json!([finalizer]), "{held:#}");
        world.delete(kind, "refused", name);
    }
    team.empty(&[MICROVM_CLUSTER, MICROVM_MACHINE]);
}

pub fn what_is_missing_is_told_and_waited_for(world: &World) {
    let simulator = world.simulator(Options { settings: quick(), ..Options::default() });
    let team = Team::with_cluster(world, "waiting", &simulator);
    let elsewhere = Team::with_cluster(world, "waiting-not", &simulator);

    team.secret("no-value", &json!({"other": "x"}));
    team.without_secret("no-value");
    team.without_secret("no-secret");
    team.secret("no-domain", &json!({"value": "x"}));
    world.create(&team.microvm_machine("no-domain"));
    let mut machine = team.core_machine("no-domain");
    machine["spec"]["failureDomain"] = json!("10.9.9.9:9090");
    world.create(&machine);
    world.create(&team.microvm_machine("no-machine"));

    team.waits("no-value", "InvalidBootstrapData", &["Secret no-value", "has nothing under key value"]);
    let field = "spec.bootstrap.dataSecretName";
    team.waits("no-secret", "WaitingForBootstrapData", &["Secret no-secret", field, "does not exist"]);
    let pool = "spec.placement.staticPool.hosts of the MicrovmCluster";
    team.waits("no-domain", "NoHost", &["spec.failureDomain 10.9.9.9:9090", "does not exist", pool]);

    // Nothing of it concerns anybody else.
    elsewhere.machine("well");
    elsewhere.ready("well");
    assert_eq!(microvms(&simulator).len(), 1, "only the healthy machine has a microVM");

    world.merge(SECRET, "waiting", "no-value", &json!({"stringData": {"value": "#cloud-config\n"}}));
    team.secret("no-secret", &json!({"value": "#cloud-config\n"}));
    world.merge(MACHINE, "waiting", "no-domain", &json!({"spec": {"failureDomain": simulator.addresses()[0]}}));
    for name in ["no-value", "no-secret", "no-domain"] {
        team.ready(name);
    }
    // Nobody's machine: nothing was made, and nothing keeps it.
    team.waits("no-machine", "WaitingForMachine", &["no Machine's spec.infrastructureRef names this object"]);
    world.delete(MICROVM_MACHINE, "waiting", "no-machine");
    team.wait(MICROVM_MACHINE, "no-machine", "gone", serde_json::Value::is_null);
    team.clear();
    elsewhere.clear();
    assert_eq!(microvms(&simulator), []);
}

pub fn missing_clusters_are_told_and_waited_for(world: &World) {
    let simulator = world.simulator(Options { settings: quick(), ..Options::default() });
    // A Cluster whose MicrovmCluster does not exist.
    let team = Team::new(world, "no-infrastructure");
    team.cluster();
    team.machine("m");
    let field = "status.initialization.infrastructureProvisioned";
    team.waits("m", "WaitingForClusterInfrastructureReady", &["its Cluster's", field, "is not true yet"]);

    // A MicrovmCluster with no endpoint, nor has its Cluster one.
    let endless = Team::new(world, "no-endpoint");
    let pool = json!({"placement": {"staticPool": {"hosts": [{"endpoint": simulator.addresses()[0], "controlplaneAllowed": true}]}}});
    world.create(&endless.object(MICROVM_CLUSTER, ONE, &pool));
    endless.cluster();
    endless.wait(MICROVM_CLUSTER, ONE, "the missing endpoint is told", |cluster| {
        says(cluster, "False", "Provisioning", &["endpoint", "is not known: set spec.controlPlaneEndpoint here or on the Cluster"])
    });

    // A Machine whose Cluster does not exist: core says so nowhere, and never makes it the owner.
    let alone = Team::new(world, "no-cluster");
    alone.machine("m");
    alone.waits("m", "WaitingForMachine", &["its Machine m", "spec.clusterName \"one\"", "no such Cluster exists"]);

    assert_eq!(microvms(&simulator), []);
    team.microvm_cluster(&simulator.addresses());
    world.merge(MICROVM_CLUSTER, "no-endpoint", ONE, &json!({"spec": {"controlPlaneEndpoint": {"host": "127.0.0.1", "port": 6443}}}));
    alone.microvm_cluster(&simulator.addresses());
    alone.cluster();
    for (team, name) in [(team, "m"), (alone, "m")] {
        team.ready(name);
    }
    endless.wait(CLUSTER, ONE, "its infrastructure is there", |cluster| {
        cluster["status"]["initialization"]["infrastructureProvisioned"] == true
    });
    for team in [team, alone, endless] {
        team.clear();
    }
    assert_eq!(microvms(&simulator), []);
}

pub fn bootstrap_data_may_be_as_large_as_a_secret(world: &World) {
    let simulator = world.simulator(Options { settings: quick(), ..Options::default() });
    let team = Team::with_cluster(world, "secrets", &simulator);
    let data = |bytes: usize| json!({"value": "#".repeat(bytes)});
    let refused = world.try_create(&team.secret_object("large", &data(SECRET_LIMIT + 1))).unwrap_err();
    assert!(refused.contains("Too long") || refused.contains("at most 1048576"), "more is no Secret: {refused}");
    team.secret("large", &data(SECRET_LIMIT));
    team.without_secret("large");
    team.ready("large");
    let found = microvms(&simulator);
    let user_data = &found[0].1.spec.as_ref().unwrap().metadata["user-data"];
    assert_eq!(*user_data, world.get(SECRET, "secrets", "large")["data"]["value"].as_str().unwrap());
    team.clear();
}
