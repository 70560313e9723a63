use serde_json::json;

use super::*;

fn read(value: Value) -> Result<Config, String> {
    let config: Config = serde_json::from_value(value).map_err(|error| error.to_string())?;
    config.check().map_err(|error| error.to_string()).map(|()| config)
}

#[test]
fn cluster_apis_own_configurations_are_taken() {
    let config = read(json!({
        "managementClusterName": "test", "images": [{"name": "a", "loadBehavior": "mustLoad"}], "providers": [],
        "variables": {"MVM_ROOT_IMAGE": "local/root:1", "MVM_WORKER_VCPU": 4},
        "intervals": {
            "default/wait-control-plane": ["25m", "10s"], "v1alpha2/wait-control-plane": ["90s", "10s"], "bootstrap/wait-controllers": ["15m", "10s"],
        },
    }));
    let config = config.unwrap();
    assert_eq!(config.unused().collect::<Vec<_>>(), ["managementClusterName", "images", "providers"]);
    let variables: Vec<_> = config.variables().collect();
    assert_eq!(variables, [("MVM_ROOT_IMAGE", "local/root:1".to_owned()), ("MVM_WORKER_VCPU", "4".to_owned())]);
    let limits = [("v1alpha1", "control-plane"), ("v1alpha2", "control-plane"), ("v1alpha1", "workers"), ("v1alpha1", "hosts")];
    let limits = limits.map(|(flow, stage)| config.limit(flow, stage).map(|limit| limit.as_secs()));
    assert_eq!(limits, [Some(1500), Some(90), None, None]);
}

#[test]
fn without_a_file_both_versions_are_gone_through() {
    let config = read(json!({})).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.flows.iter().map(|flow| flow.name.as_str()).collect::<Vec<_>>(), ["v1alpha1", "v1alpha2"]);
}

#[test]
fn what_breaks_a_rule_is_named() {
    let flow = json!({"name": "a", "apiVersion": "v1alpha1"});
    let cases = [
        (json!({"flwos": []}), "unknown field `flwos`"),
        (json!({"flows": []}), "flows: 1 to 10 are expected"),
        (json!({"flows": [flow, flow]}), "flows[1].name: another flow has this name"),
        (json!({"flows": [{"name": "a b", "apiVersion": "v1alpha1"}]}), "flows[0].name: 1 to 30 lower-case letters"),
        (json!({"flows": [{"name": "a", "apiVersion": "v1beta1"}]}), "flows[0].apiVersion: v1alpha1 or v1alpha2 is expected"),
        (json!({"controlPlaneMachines": 2}), "controlPlaneMachines: 1, 3, 5 or 7"),
        (json!({"workers": 0}), "workers: 1 to 200"),
        (json!({"nginx": {"image": ""}}), "nginx.image: it is empty"),
        (json!({"variables": {"A": [1]}}), "variables.A: text, a number"),
        (json!({"intervals": {"default/wait-cluster": ["soon"]}}), "intervals.default/wait-cluster: "),
        (json!({"intervals": {"default/wait-cluster": []}}), "intervals.default/wait-cluster: "),
    ];
    for (value, expected) in cases {
        let error = read(value).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
