use super::*;
use crate::sample::{FooCluster, FooMachine, FooMachineTemplate, v1alpha1};

fn webhook() -> Conversion {
    Conversion::Webhook { namespace: "foo-system".into(), name: "foo-webhook".into() }
}

fn json(crd: &CustomResourceDefinition) -> serde_json::Value {
    serde_json::to_value(crd).unwrap()
}

#[test]
fn two_versions_make_one_definition() {
    let crd = CrdBuilder::stored::<v1alpha1::FooMachine>().and::<FooMachine>().conversion(webhook()).build().unwrap();
    insta::assert_json_snapshot!(json(&crd));
}

#[test]
fn a_cluster_and_a_template_make_definitions() {
    insta::assert_json_snapshot!([json(&crd::<FooCluster>().unwrap()), json(&crd::<FooMachineTemplate>().unwrap())]);
}

#[test]
fn the_order_of_versions_does_not_matter() {
    let one = CrdBuilder::stored::<FooMachine>().and::<v1alpha1::FooMachine>().conversion(Conversion::Unchanged).build().unwrap();
    let names: Vec<_> = one.spec.versions.iter().map(|version| (version.name.as_str(), version.storage)).collect();
    assert_eq!(names, [("v1alpha2", true), ("v1alpha1", false)]);
    assert_eq!(json(&one)["spec"]["conversion"]["strategy"], "None");
}

#[test]
fn several_versions_need_a_conversion_and_differ() {
    let error = CrdBuilder::stored::<FooMachine>().and::<v1alpha1::FooMachine>().build().unwrap_err();
    assert_eq!(error.to_string(), "foomachines.infrastructure.example.com has several versions but no conversion");
    let error = CrdBuilder::stored::<FooMachine>().and::<FooMachine>().conversion(Conversion::Unchanged).build().unwrap_err();
    assert_eq!(error.to_string(), "version v1alpha2 of foomachines.infrastructure.example.com is given twice");
    let error = CrdBuilder::stored::<FooMachine>().and::<FooCluster>().conversion(Conversion::Unchanged).build().unwrap_err();
    assert!(matches!(error, CrdError::Merge { .. }), "{error}");
}

mod misnamed {
    use kube::CustomResource;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use crate::Contract;
    use crate::crd::ContractKind;

    #[derive(CustomResource, Clone, Debug, Serialize, Deserialize, JsonSchema)]
    #[kube(group = "g.example.com", version = "v1", kind = "BarMachine", plural = "barmachinez", namespaced)]
    pub struct BarMachineSpec {}

    impl ContractKind for BarMachine {
        const CONTRACTS: &'static [Contract] = &[Contract::V1Beta2];
        const FINALIZER: &'static str = "bar";
    }
}

#[test]
fn a_name_core_would_not_find_is_refused() {
    let error = crd::<misnamed::BarMachine>().unwrap_err();
    assert_eq!(error.to_string(), "core looks for barmachines.g.example.com, not barmachinez.g.example.com: set `#[kube(plural = ...)]`");
}
