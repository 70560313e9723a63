use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Contract;

#[test]
fn a_provider_id_has_1_to_512_characters_and_stays_as_written() {
    assert_eq!("".parse::<ProviderId>(), Err(ProviderIdError::Empty));
    assert!("é".repeat(512).parse::<ProviderId>().is_ok());
    assert_eq!("x".repeat(513).parse::<ProviderId>(), Err(ProviderIdError::TooLong { characters: 513 }));
    let id: ProviderId = "microvm://10.0.0.1:9090/ab%2Fc".parse().unwrap();
    assert_eq!(id.to_string(), "microvm://10.0.0.1:9090/ab%2Fc");
    assert_eq!(id.scheme(), Some("microvm"));
    assert_eq!(id.strip_scheme("microvm"), Some("10.0.0.1:9090/ab%2Fc"));
    assert_eq!(id.strip_scheme("micro"), None);
    assert_eq!("plain".parse::<ProviderId>().unwrap().scheme(), None);
    assert_ne!("A://x".parse::<ProviderId>(), "a://x".parse());
    assert!(serde_json::from_value::<ProviderId>(json!("")).is_err());
}

#[test]
fn an_endpoint_leaves_unknown_parts_out_and_reads_both_contracts() {
    let unset: ApiEndpoint = serde_json::from_value(json!({"host": "", "port": 0})).unwrap();
    assert!(unset.is_unset() && !unset.is_whole());
    assert_eq!(serde_json::to_value(&unset).unwrap(), json!({}));
    let half: ApiEndpoint = serde_json::from_value(json!({"host": "h"})).unwrap();
    assert!(!half.is_unset() && !half.is_whole());
    assert!(serde_json::from_value::<ApiEndpoint>(json!({"host": "h", "port": 65536})).is_err());
    assert_eq!(ApiEndpoint::new("fd00::1", 6443).unwrap().to_string(), "[fd00::1]:6443");
    assert_eq!(ApiEndpoint::new("a.b", 1).unwrap().to_string(), "a.b:1");
    assert_eq!(ApiEndpoint::new("", 1), Err(EndpointError::NoHost));
    assert_eq!(ApiEndpoint::new("h", 0), Err(EndpointError::NoPort));
    assert_eq!(ApiEndpoint::new("h".repeat(513), 1), Err(EndpointError::HostTooLong { characters: 513 }));
}

#[test]
fn failure_domains_are_read_by_contract_sorted_and_with_control_plane_filled_in() {
    let expected: FailureDomains = [
        FailureDomain::new("a", true),
        FailureDomain { attributes: [("rack".to_owned(), "7".to_owned())].into(), ..FailureDomain::new("b", false) },
    ]
    .into_iter()
    .collect();
    let list = json!([{"name": "b", "attributes": {"rack": "7"}}, {"name": "a", "controlPlane": true}]);
    let map = json!({"b": {"attributes": {"rack": "7"}}, "a": {"controlPlane": true}});
    assert_eq!(FailureDomains::read(&list, Contract::V1Beta2).unwrap(), expected);
    assert_eq!(FailureDomains::read(&map, Contract::V1Beta1).unwrap(), expected);
    let wrong = FailureDomains::read(&map, Contract::V1Beta2).unwrap_err();
    assert_eq!(wrong.to_string(), "status.failureDomains is not the list of contract v1beta2");
    assert!(FailureDomains::read(&list, Contract::V1Beta1).is_err());
    assert!(expected.get("a").unwrap().allows_control_plane());
    assert!(!expected.get("b").unwrap().allows_control_plane());
}

#[test]
fn names_match_what_is_written() {
    for name in MachineAddressType::NAMES {
        let type_: MachineAddressType = serde_json::from_value(json!(name)).unwrap();
        assert_eq!(serde_json::to_value(type_).unwrap(), json!(name));
    }
    for name in Architecture::NAMES {
        let architecture: Architecture = serde_json::from_value(json!(name)).unwrap();
        assert_eq!(serde_json::to_value(architecture).unwrap(), json!(name));
    }
}

#[test]
fn capacity_and_node_info_are_written_as_the_autoscaler_reads_them() {
    let capacity = Capacity::default().with("cpu", "1").with("memory", "500Mi");
    assert_eq!(serde_json::to_value(&capacity).unwrap(), json!({"cpu": "1", "memory": "500Mi"}));
    let info = NodeInfo { architecture: Some(Architecture::Amd64), operating_system: Some("linux".into()) };
    assert_eq!(serde_json::to_value(&info).unwrap(), json!({"architecture": "amd64", "operatingSystem": "linux"}));
}

proptest! {
    #[test]
    fn failure_domains_survive_both_contracts(names in proptest::collection::vec(("[a-z:0-9.]{1,12}", any::<bool>()), 0..6)) {
        let domains: FailureDomains = names.into_iter().map(|(name, control_plane)| FailureDomain::new(name, control_plane)).collect();
        let list: Value = serde_json::to_value(&domains).unwrap();
        prop_assert_eq!(&FailureDomains::read(&list, Contract::V1Beta2).unwrap(), &domains);
        prop_assert_eq!(&FailureDomains::read(&domains.to_v1beta1(), Contract::V1Beta1).unwrap(), &domains);
    }
}
