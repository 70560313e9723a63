use capstead_flintlock::types::micro_vm_status::MicroVmState;
use capstead_flintlock::types::{MicroVmStatus, NetworkInterface, StaticAddress};

use super::*;

#[test]
fn a_hosts_answer_tells_the_addresses_that_others_reach_and_why_it_is_so() {
    let interface = |address: &str| {
        let address = Some(address).filter(|address| !address.is_empty());
        let address = address.map(|address| StaticAddress { address: address.into(), ..StaticAddress::default() });
        NetworkInterface { address, ..NetworkInterface::default() }
    };
    let interfaces = ["169.254.0.1/16", "", "10.1.0.5/24", "fe80::1/64", "fd00::5/64", "none"].map(interface).to_vec();
    let spec = MicroVmSpec { uid: Some("1".into()), interfaces, ..MicroVmSpec::default() };
    let status = MicroVmStatus { state: MicroVmState::Failed as i32, cause: "x".repeat(501), ..MicroVmStatus::default() };
    let told = told(MicroVm { version: 1, spec: Some(spec), status: Some(status) });
    let addresses = ["10.1.0.5", "fd00::5"].map(|address| MachineAddress::new(MachineAddressType::InternalIp, address)).to_vec();
    assert_eq!(told, Microvm { uid: "1".into(), state: State::Failed, addresses, cause: "x".repeat(500) });
}
