//! Any object is judged without a panic, a judgement is the same twice, and what is admitted is what hosts take.
#![no_main]

use capstead_capi::ownership::Claim;
use capstead_flintlock::rules::failures;
use capstead_microvm::api::v1alpha2::ExternalLoadBalancer;
use capstead_microvm::api::v1alpha2::MicrovmCluster;
use capstead_microvm::api::v1alpha2::MicrovmClusterTemplate;
use capstead_microvm::api::v1alpha2::MicrovmMachine;
use capstead_microvm::api::v1alpha2::MicrovmMachineTemplate;
use capstead_microvm::machine::Wish;
use capstead_microvm::spec::Inputs;
use capstead_microvm::spec::spec;
use capstead_microvm::template;
use capstead_microvm::validate::validate_cluster;
use capstead_microvm::validate::validate_cluster_template;
use capstead_microvm::validate::validate_load_balancer;
use capstead_microvm::validate::validate_machine;
use capstead_microvm::validate::validate_machine_template;
use capstead_microvm::warnings::warn_cluster;
use capstead_microvm::warnings::warn_machine;
use capstead_microvm::warnings::warn_machine_template;
use serde_json::Value;
use serde_json::json;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(object) = serde_json::from_str::<Value>(text) else { return };
    if let Ok(cluster) = serde_json::from_value::<MicrovmCluster>(object.clone()) {
        assert_eq!(validate_cluster(&cluster), validate_cluster(&cluster));
        let _ = warn_cluster(&cluster);
    }
    if let Ok(template) = serde_json::from_value::<MicrovmClusterTemplate>(object.clone()) {
        let _ = validate_cluster_template(&template, None, false);
        assert_eq!(validate_cluster_template(&template, Some(&template), false), []);
    }
    if let Ok(template) = serde_json::from_value::<MicrovmMachineTemplate>(object.clone()) {
        let _ = (validate_machine_template(&template, None, false), warn_machine_template(&template), template::told(&template));
        assert_eq!(validate_machine_template(&template, Some(&template), false), []);
    }
    if let Ok(balancer) = serde_json::from_value::<ExternalLoadBalancer>(object.clone()) {
        let is_whole = balancer.endpoint().is_whole();
        assert!(is_whole || !validate_load_balancer(&balancer).is_empty(), "what is admitted can be an endpoint");
    }
    if let Ok(machine) = serde_json::from_value::<MicrovmMachine>(object) {
        let (violations, _) = (validate_machine(&machine, None), warn_machine(&machine));
        assert_eq!(validate_machine(&machine, Some(&machine)), [], "what is there may stay as it is");
        let cluster = json!({"apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha2", "kind": "MicrovmCluster", "metadata": {"name": "c"},
            "spec": {"placement": {"staticPool": {"hosts": [{"endpoint": "a:1"}]}}}});
        let cluster: MicrovmCluster = serde_json::from_value(cluster).expect("a cluster");
        assert_eq!(Wish::of(&machine, Some(&cluster)).violations.len(), violations.len());
        let claim = Claim { token: "u".into(), placement: "a:1".into() };
        let asked =
            spec(&Inputs { machine: &machine, infrastructure: &cluster, cluster: "c", claim: &claim, bootstrap: b"#cloud-config\n" });
        // What makes images of their names is the host's to say.
        let refused = asked.map(|asked| failures(&asked)).unwrap_or_default();
        let of_ours = refused.lines().filter(|line| !line.contains("imageURI") && !line.contains("volumeOrInitrdRequired"));
        assert!(!violations.is_empty() || of_ours.clone().next().is_none(), "{refused}");
    }
});
