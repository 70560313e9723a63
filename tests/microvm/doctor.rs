//! `capstead doctor` on a cluster that is well, and on one in which three things are wrong.

use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Provider;
use capstead_lab::flintlock::Settings;
use serde_json::Value;
use serde_json::json;

use crate::support::Ran;
use crate::team::Team;
use crate::world::World;
use crate::world::microvms;
use crate::world::quick;

const TEAM: &str = "doctor";

/// In its own namespace: other cases break their clusters.
fn doctor(world: &World, words: &[&str]) -> Ran {
    let kubeconfig = world.plane.run(&["kubeconfig", "--path"]).ok();
    world.plane.run(&[&["doctor", "--kubeconfig", kubeconfig.trim(), "-n", TEAM], words].concat())
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What was found, as rule and severity.
fn found(diagnosis: &Value) -> Vec<(&str, &str)> {
    let findings = diagnosis["findings"].as_array().unwrap().iter();
    findings.map(|finding| (finding["id"].as_str().unwrap(), finding["severity"].as_str().unwrap())).collect()
}

#[track_caller]
fn the_one<'a>(diagnosis: &'a Value, id: &str) -> &'a Value {
    let finding = diagnosis["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == id);
    finding.unwrap_or_else(|| panic!("no {id}: {diagnosis:#}"))
}

/// Whether this source says this of it.
fn is_seen(finding: &Value, source: &str, said: &str) -> bool {
    let says = |evidence: &Value| evidence["source"] == source && evidence["said"].as_str().unwrap().contains(said);
    finding["evidence"].as_array().unwrap().iter().any(says)
}

pub fn what_is_wrong_is_told_with_its_cause(world: &World) {
    let settings = Settings { default_provider: Provider::Firecracker, ..quick() };
    let simulator = world.simulator(Options { settings, ..Options::default() });
    let host = simulator.addresses()[0].clone();
    let team = Team::with_cluster(world, TEAM, &simulator);
    team.machine("well");
    team.ready("well");

    // Nothing is wrong, and everything could be looked at. That no control plane answers yet is only noted.
    let well = parsed(&doctor(world, &["-o", "json"]).ok());
    assert!(found(&well).iter().all(|(_, severity)| *severity == "note"), "{well:#}");
    assert_eq!((&well["ok"], &well["unseen"]), (&json!(true), &json!([])));
    let looked = format!("host {host} (microVMs: 1)");
    assert!(well["looked"].as_array().unwrap().contains(&json!(looked)), "{well:#}");

    // A machine that its host refuses, and one that has no bootstrap data.
    let mut refused = team.microvm_machine("refused");
    refused["spec"]["networkInterfaces"][0]["type"] = json!("macvtap");
    team.secret("refused", &json!({"value": "#cloud-config\n"}));
    world.create(&refused);
    world.create(&team.core_machine("refused"));
    team.without_secret("waiting");
    team.waits("refused", "ProvisioningFailed", &["macvtap"]);
    team.waits("waiting", "WaitingForBootstrapData", &["Secret waiting"]);
    let sick = parsed(&doctor(world, &["-o", "json"]).fails_with_output(1));
    assert!(found(&sick).contains(&("macvtap", "error")), "{sick:#}");
    let macvtap = the_one(&sick, "macvtap");
    assert!(
        is_seen(macvtap, "MicrovmMachine doctor/refused", "macvtap network interfaces not supported by the microvm provider"),
        "{macvtap:#}"
    );
    assert!(macvtap["fix"].as_str().unwrap().contains("type: tap"), "{macvtap:#}");
    let waiting = the_one(&sick, "bootstrap-data");
    assert!(is_seen(waiting, "MicrovmMachine doctor/waiting", "does not exist"), "{waiting:#}");

    // The host goes; those that wait for it are told with it.
    world.take_down(&simulator);
    team.machine("new");
    team.waits("new", "HostUnreachable", &[host.as_str()]);
    let table = doctor(world, &["--cluster", "one"]).fails_with_output(1);
    for part in [format!("\nhost-unreachable (ERROR): host {host}\n"), format!(" MicrovmMachine doctor/new: host {host} does not answer")] {
        assert!(table.starts_with("SEVERITY") && table.contains(&part), "{part:?} is not in {table}");
    }
    world.bring_back(&simulator);

    // A management cluster that is not there is told as what is wrong; one that nobody can find, as what cannot be looked at.
    let kubeconfig = world.plane.run(&["kubeconfig"]).ok();
    let (port, _) = world.plane.ports()["kube-apiserver/api"].clone();
    let file = world.plane.scratch().join("nobody.kubeconfig");
    std::fs::write(&file, kubeconfig.replace(&format!(":{port}"), ":1")).unwrap();
    let gone = world.plane.run(&["doctor", "--kubeconfig", file.to_str().unwrap(), "-o", "json"]);
    assert_eq!(found(&parsed(&gone.fails_with_output(1))), [("management-cluster", "error")]);
    let error = world.plane.run(&["doctor", "--kubeconfig", "/nowhere"]).fails(2);
    assert!(error.contains("kubeconfig /nowhere cannot be used"), "{error}");
    let none = doctor(world, &["--cluster", "two"]).fails_with_output(2);
    assert!(none.contains("not looked at: Cluster two: there is none of this name in the namespace doctor\n"), "{none}");

    team.clear();
    assert_eq!(microvms(&simulator), []);
}
