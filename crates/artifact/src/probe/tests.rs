use super::tells;

#[test]
fn a_version_must_not_go_on() {
    let cases = [
        ("Kubernetes v1.36.3\n", "v1.36.3", true),
        ("Kubernetes v1.36.3.", "v1.36.3", true),
        ("(v1.36.3)", "v1.36.3", true),
        ("v1.36.3-", "v1.36.3", true),
        ("Kubernetes v1.36.30\n", "v1.36.3", false),
        ("Kubernetes v1.36.3.1\n", "v1.36.3", false),
        ("Kubernetes v1.36.3-rc.0\n", "v1.36.3", false),
        ("Kubernetes v1.36.3+k3s1\n", "v1.36.3", false),
        ("etcd Version: 3.6.14\n", "etcd Version: 3.6.14", true),
        ("etcd Version: 13.6.14\n", "3.6.14", false),
        ("1.3.6.14", "3.6.14", false),
        ("v3.6.14", "3.6.14", true),
        ("GitVersion:\"v1.14.2\", GitCommit", "GitVersion:\"v1.14.2\"", true),
        // A wrong one first, the right one later.
        ("go1.2.30 tool 1.2.3", "1.2.3", true),
        ("", "", false),
    ];
    for (output, wanted, expected) in cases {
        assert_eq!(tells(output, wanted), expected, "{wanted:?} in {output:?}");
    }
}
