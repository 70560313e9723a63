use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::NetworkInterface;

use super::*;
use crate::effects::Interface;

#[test]
fn an_address_that_the_host_chose_is_told_but_none_that_was_asked_for_is_replaced() {
    let told = |asked: Option<&str>, chosen: Option<&str>| {
        let address = asked.map(|address| StaticAddress { address: address.into(), ..StaticAddress::default() });
        let interfaces = vec![NetworkInterface { device_id: "eth1".into(), address, ..NetworkInterface::default() }];
        let record = Record::new("u1".into(), "qemu".into(), MicroVmSpec { interfaces, ..MicroVmSpec::default() });
        let interface = Interface { address: chosen.map(str::to_owned), ..Interface::default() };
        let facts = Facts { interfaces: [("eth1".to_owned(), interface)].into(), ..Facts::default() };
        let view = view(&record, &Shown { state: State::Created, cause: String::new(), facts });
        view.spec.unwrap().interfaces[0].address.clone().map(|address| address.address)
    };
    assert_eq!(told(None, None), None);
    assert_eq!(told(None, Some("10.77.0.5/24")).as_deref(), Some("10.77.0.5/24"));
    assert_eq!(told(Some("10.77.0.9/24"), Some("10.77.0.9/16")).as_deref(), Some("10.77.0.9/24"));
}
