use super::*;

#[test]
fn text_and_back() {
    let mac: Mac = "AA-ff-00:00".parse().unwrap_or(Mac([0; 6]));
    assert_eq!(mac, Mac([0; 6]), "separators do not mix");
    for text in ["AA:FF:00:00:00:01", "aa-ff-00-00-00-01"] {
        assert_eq!(text.parse::<Mac>().expect("a MAC").to_string(), "aa:ff:00:00:00:01");
    }
    for bad in
        ["", "aa:ff:00:00:00", "aa:ff:00:00:00:01:02", "+a:ff:00:00:00:01", "aa:ff:00:00:00:1", "aaff.0000.0001", "aa:ff:00:00:00:0é"]
    {
        assert_eq!(bad.parse::<Mac>(), Err(NotAMac), "{bad}");
    }
}

#[test]
fn derived_ones_are_local_unicast_and_the_host_side_sorts_last() {
    let mac = Mac::derived("uid/0");
    assert_eq!(mac, Mac::derived("uid/0"));
    assert_ne!(mac, Mac::derived("uid/1"));
    assert!(mac.0[0] & 2 == 2 && !mac.is_multicast());
    assert!(mac.host_side() > mac && !mac.host_side().is_multicast());
}
