use super::Endpoint;
use super::Token;
use super::node::is_subdomain;

#[test]
fn endpoints_are_hosts_and_ports() {
    for (text, expected) in [
        ("10.0.0.1:6443", Some("10.0.0.1:6443")),
        ("api.example.com", Some("api.example.com:6443")),
        ("[fd00::1]:8443", Some("[fd00::1]:8443")),
        ("[fd00::1]", Some("[fd00::1]:6443")),
        ("", None),
        (":6443", None),
        ("host:", None),
        ("host:0", None),
        ("host:70000", None),
        ("https://host", None),
        ("[fd00::1", None),
        ("[fd00::1]x", None),
    ] {
        assert_eq!(Endpoint::parse(text, 6443).map(|endpoint| endpoint.to_string()).as_deref(), expected, "{text}");
    }
}

#[test]
fn tokens_have_one_shape() {
    assert_eq!(Token::parse("abc012.0123456789abcdef").unwrap().id, "abc012");
    for text in
        ["", ".", "abc012", "ABC012.0123456789abcdef", "abc01.0123456789abcdef", "abc012.0123456789abcde", "abc012.0123456789abcdef.x"]
    {
        assert_eq!(Token::parse(text), None, "{text}");
    }
}

#[test]
fn names_are_subdomains() {
    for (name, fits) in
        [("a", true), ("a-1.b", true), ("", false), ("-a", false), ("a-", false), ("a..b", false), ("A", false), ("a_b", false)]
    {
        assert_eq!(is_subdomain(name), fits, "{name}");
    }
    assert!(!is_subdomain(&"a".repeat(254)));
}
