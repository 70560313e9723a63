use super::*;

#[test]
fn versions_are_compared_as_go_does() {
    assert_eq!(parse_version("1.26"), Some((1, 26, 0)));
    assert_eq!(parse_version("go1.26.8"), Some((1, 26, 8)));
    assert_eq!(parse_version("go1.27rc1"), Some((1, 27, 0)));
    assert_eq!(parse_version("go1.26.8 X:nodwarf5"), Some((1, 26, 8)));
    assert_eq!(parse_version("devel go1.28-abc"), None);
}

#[test]
fn the_go_line_is_found_among_the_others() {
    assert_eq!(go_line("module m\n\ngo 1.26.0 // why\n\ntoolchain go1.26.8\n"), Some("1.26.0"));
    assert_eq!(go_line("module m\n\nrequire go.etcd.io/bbolt v1\n"), None);
}

#[test]
fn lines_of_a_build_are_told_apart() {
    assert_eq!(Line::of("go: downloading k8s.io/api v0.36.3"), Line::Download("k8s.io/api v0.36.3"));
    for package in ["internal/abi", "k8s.io/api/core/v1", "main", "gopkg.in/yaml.v3", "a.test/x~y/b+c_d"] {
        assert_eq!(Line::of(package), Line::Package);
    }
    for other in ["# k8s.io/api", "x.go:3:1: undefined: y", "", "go: errors parsing go.mod:"] {
        assert_eq!(Line::of(other), Line::Other);
    }
}

#[test]
fn the_tail_keeps_the_end_in_bounds() {
    let mut tail = Tail::default();
    for number in 0..1000 {
        tail.push(&format!("{number} {}", "x".repeat(10_000)));
    }
    assert_eq!(tail.0.len(), TAIL_LINES);
    assert!(tail.0.iter().all(|line| line.len() == TAIL_LINE_CHARS));
    assert!(tail.0.back().unwrap().starts_with("999 "));
}

#[test]
fn failures_that_are_not_about_the_code_get_advice() {
    assert!(hint("go: x: dial tcp: lookup proxy.test: no such host").contains("GOPROXY"));
    assert!(hint("write /tmp/x: no space left on device").contains("GOCACHE"));
    assert!(hint("verifying x: checksum mismatch\nSECURITY ERROR").contains("clean -modcache"));
    assert_eq!(hint("x.go:3:1: undefined: y"), "");
}
