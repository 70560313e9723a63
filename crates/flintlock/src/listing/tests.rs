use super::*;
use crate::api::ListMicroVMsResponse;
use crate::types::MicroVm;
use crate::types::MicroVmSpec;
use crate::types::NetworkInterface;

#[test]
fn a_listing_keeps_the_token_and_addresses_and_drops_documents() {
    let metadata = [("meta-data", "a"), ("token", "dG9rZW4="), ("user-data", "b"), ("vendor-data", "c")];
    let address =
        Some(StaticAddress { address: "10.1.0.5/24".into(), gateway: Some("10.1.0.1/24".into()), nameservers: vec!["10.1.0.2".into()] });
    let interface = |device: &str| NetworkInterface { device_id: device.into(), ..NetworkInterface::default() };
    let spec = MicroVmSpec {
        id: "m1".into(),
        namespace: "team".into(),
        vcpu: 2,
        memory_in_mb: 1024,
        interfaces: vec![interface("eth0"), NetworkInterface { address, ..interface("eth1") }],
        labels: [("unread".into(), "x".into())].into(),
        metadata: metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        uid: Some("01HZ".into()),
        ..MicroVmSpec::default()
    };
    let status = MicroVmStatus { state: 1, retry: 2, ..MicroVmStatus::default() };
    let full = ListMicroVMsResponse { microvm: vec![MicroVm { version: 7, spec: Some(spec), status: Some(status.clone()) }] };

    let lean = ListedResponse::decode(full.encode_to_vec().as_slice()).unwrap();
    // Not even decoded, rather than thrown away afterwards.
    let values: Vec<&str> = lean.microvm[0].spec.as_ref().unwrap().metadata.iter().map(|entry| entry.value.as_str()).collect();
    assert_eq!(values, ["", "dG9rZW4=", "", ""]);
    let listed: Vec<Listed> = lean.microvm.into_iter().map(Listed::from).collect();
    assert_eq!(
        listed,
        [Listed {
            uid: "01HZ".into(),
            name: "m1".into(),
            namespace: "team".into(),
            version: 7,
            vcpu: 2,
            memory_in_mb: 1024,
            addresses: vec!["10.1.0.5/24".into()],
            metadata: [("token".to_owned(), "dG9rZW4=".to_owned())].into(),
            status,
        }]
    );
}

#[test]
fn a_value_before_its_key_is_dropped_too() {
    let mut entry = Vec::new();
    string::encode(2, &"secret".to_owned(), &mut entry);
    string::encode(1, &"user-data".to_owned(), &mut entry);
    let entry = Entry::decode(entry.as_slice()).unwrap();
    let spec = ListedSpec { metadata: vec![entry], ..ListedSpec::default() };
    assert!(Listed::from(ListedMicroVm { spec: Some(spec), ..ListedMicroVm::default() }).metadata.is_empty());
}
