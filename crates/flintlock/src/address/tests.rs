use super::*;

#[test]
fn an_address_is_a_host_and_a_port() {
    for good in ["10.0.0.1:9090", "host-1.example:9090", "[::1]:9090"] {
        assert!(endpoint(good).is_ok(), "{good}");
    }
    for bad in ["", "host", ":9090", "host:0", "host:99999", "http://host:9090", "host:9090/path", "user@host:9090", "a b:1"] {
        assert!(endpoint(bad).is_err(), "{bad}");
    }
}
