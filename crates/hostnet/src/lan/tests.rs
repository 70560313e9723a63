use super::*;

fn plan(network: &str) -> Result<Plan, Invalid> {
    Plan::new("lan_network", network.parse().expect("a network"))
}

#[test]
fn addresses_have_their_places() {
    let plan = plan("10.87.4.0/22").expect("valid");
    let text = [plan.bridge(), plan.gateway(), plan.nameserver()].map(|address| address.to_string());
    assert_eq!(text, ["10.87.4.1", "10.87.4.2", "10.87.4.3"]);
    let all: Vec<Ipv4Addr> = plan.guests().collect();
    assert_eq!((all[0].to_string(), all[all.len() - 1].to_string()), ("10.87.4.10".into(), "10.87.7.254".into()));
    assert!(!all.contains(&Ipv4Addr::new(10, 87, 4, 100)), "DHCP's");
}

#[test]
fn an_address_is_the_wanted_the_former_or_the_first_free() {
    let plan = plan("10.87.0.0/24").expect("valid");
    let address = |last| Ipv4Addr::new(10, 87, 0, last);
    let taken = BTreeSet::from([address(10), address(12)]);
    assert_eq!(plan.choose(None, None, &taken), Some(address(11)));
    assert_eq!(plan.choose(None, Some(address(50)), &taken), Some(address(50)));
    assert_eq!(plan.choose(Some(address(200)), Some(address(50)), &taken), Some(address(200)));
    for bad in [0, 1, 2, 3, 12, 255] {
        assert_eq!(plan.choose(Some(address(bad)), None, &taken), None, "{bad}");
    }
    assert_eq!(plan.choose(Some(Ipv4Addr::new(10, 88, 0, 9)), None, &taken), None);
    assert_eq!(plan.choose(None, None, &plan.guests().collect()), None);
}

#[test]
fn a_network_that_does_not_fit_is_refused() {
    for bad in ["10.87.0.1/24", "10.87.0.0/25", "10.0.0.0/7"] {
        let told = plan(bad).expect_err("refused").to_string();
        assert!(told.starts_with("lan_network must be a network of /8 to /24"), "{told}");
    }
}
