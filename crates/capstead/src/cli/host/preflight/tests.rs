use super::Place;
use super::destination;
use super::place;

#[test]
fn a_machine_is_named_by_the_way_to_it() {
    let daemon = |address: &str| Ok(Place::Daemon(address.to_owned()));
    assert_eq!(place("mvm-1"), daemon("mvm-1:9090"));
    assert_eq!(place("mvm-1:9091"), daemon("mvm-1:9091"));
    assert_eq!(place("[fd00::1]"), daemon("[fd00::1]:9090"));
    assert_eq!(place("[fd00::1]:1"), daemon("[fd00::1]:1"));
    assert_eq!(place("ssh://root@mvm-1:2222"), Ok(Place::Ssh("ssh://root@mvm-1:2222".into())));
    for text in ["", ":", "a b", "me@mvm-1", "http://mvm-1", "ssh://", "mvm-1:port"] {
        assert!(place(text).is_err(), "{text}");
    }
}

#[test]
fn nothing_of_a_destination_can_mean_more_to_ssh_or_a_shell() {
    for text in ["ssh://mvm-1", "ssh://me@mvm-1", "ssh://me@[fd00::1]:22", "ssh://a.b-c_d:1"] {
        assert_eq!(destination(text).as_deref(), Ok(text));
    }
    for text in ["mvm-1", "ssh://-oProxyCommand=x", "ssh://a b", "ssh://a;b", "ssh://a/b", "ssh://$(a)", "ssh://a\n"] {
        assert!(destination(text).is_err(), "{text}");
    }
}
