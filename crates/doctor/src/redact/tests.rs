use super::COMPILED;
use super::PATTERNS;
use super::REDACTED;
use super::redact;

const TOKEN: &str = "q3m9x1.0f4k8s2d6h1j5l9z";
const KEY: &str = "e6a2eb8581237ab72a4f494f30285ec12a9694d750b9785706a83bfcbbbd2204";

#[test]
fn every_pattern_is_one() {
    assert_eq!(COMPILED.len(), PATTERNS.len());
}

/// Each text, and the secret that must not be left in it.
#[test]
fn secrets_are_taken_out_wherever_they_stand() {
    let pem = "MHcCAQEEIIrYSSNFDzrXyXyXyXyXyXyXyXyXyXyXoAoGCCqGSM49AwEHoUQDQgAE";
    let cases = [
        (format!("  kubeadm join 10.0.0.100:6443 --token {TOKEN} \\"), TOKEN),
        (format!("token: {TOKEN}"), TOKEN),
        (format!("[ 61.2] cloud-init[400]: [bootstrap-token] Using token: {TOKEN}"), TOKEN),
        (format!("\t--control-plane --certificate-key {KEY}"), KEY),
        (format!("certificateKey: {KEY}"), KEY),
        (format!("[upload-certs] Using certificate key:\n{KEY}\n"), KEY),
        (format!("[   61.0] cloud-init[412]: [upload-certs] Using certificate key:\n[   61.0] cloud-init[412]: {KEY}\n"), KEY),
        (format!("-----BEGIN EC PRIVATE KEY-----\n{pem}\n{pem}\n-----END EC PRIVATE KEY-----\n"), pem),
        (format!("-----BEGIN RSA PRIVATE KEY-----\n{pem}\n"), pem),
        (format!("{pem}\n{pem}\n-----END PRIVATE KEY-----\nmore\n"), pem),
        (format!("{{'content': '-----BEGIN PRIVATE KEY-----\\n{pem}\\n-----END PRIVATE KEY-----\\n'}}"), pem),
        (format!("    client-key-data: LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQo{pem}"), pem),
        ("Authorization: Bearer abcdefghijklmnopqrstuvwxyz".into(), "abcdefghijklmnop"),
        (
            "eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIiwic3ViIjoiYSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ".into(),
            "c2lnbmF0dXJl",
        ),
        ("pull https://user:hunter2@registry.lan/v2/".into(), "hunter2"),
        ("hashed_passwd: $6$rounds=4096$saltsalt$abcdefghijklmnopqrstuvwxyz".into(), "abcdefghijklmnop"),
        ("root:$y$j9T$saltsaltsaltsalt$abcdefghijklmnopqrstuvwxyz:19000".into(), "abcdefghijklmnop"),
        ("  password = \"hunter2\"".into(), "hunter2"),
        ("'auth': 'dXNlcjpodW50ZXIy'".into(), "dXNlcjpodW50ZXIy"),
        ("REGISTRY_PASSWORD=hunter2".into(), "hunter2"),
        ("flintlockd --basic-auth-token hunter2 --x".into(), "hunter2"),
        (
            "__init__.py[WARNING]: Unhandled non-multipart (text/x-not-multipart) userdata: 'b'my: hunter2\\nmore'...'".into(),
            "hunter2",
        ),
        (
            "util.py[WARNING]: Failed loading yaml blob. Invalid format at line 6 column 1: \"while scanning a simple key\n  \
             in \"<unicode string>\", line 6, column 1:\n    hunter2!\n    ^\ncould not find expected ':'\n  in \"<unicode string>\", line 8, column 9:\n    \
             path: hunter2\n        ^\""
                .into(),
            "hunter2",
        ),
        ("write_files.0: {'path': '/etc/a', 'content': 'hunter2 and more'} is not valid".into(), "hunter2"),
    ];
    for (text, secret) in cases {
        let left = redact(&text);
        assert!(!left.contains(secret) && left.contains(REDACTED), "{text}\n→ {left}");
    }
}

#[test]
fn what_a_rule_needs_stays() {
    for text in [
        "could not find a JWS signature in the cluster-info ConfigMap for token ID \"q3m9x1\"",
        "none of the public keys \"sha256:e6a2eb8581237ab72a4f494f30285ec12a9694d750b9785706a83bfcbbbd2204\" are pinned",
        "token id \"q3m9x1\" is invalid for this cluster or it has expired. Use \"kubeadm token create\" on the control-plane node",
        "    - --tls-private-key-file=/etc/kubernetes/pki/apiserver.key",
        "    - --anonymous-auth=true",
        "Secret \"kubeadm-certs\" was not found in the \"kube-system\" Namespace. This Secret might have expired.",
        "\"RemoveContainer\" containerID=\"e6a2eb8581237ab72a4f494f30285ec12a9694d750b9785706a83bfcbbbd2204\"",
        "[kubelet-check] The kubelet is not healthy after 4m0.000512323s",
        "dial tcp 10.0.0.100:6443: connect: no route to host",
        "",
    ] {
        assert_eq!(redact(text), text);
    }
}

#[test]
fn what_stands_between_two_keys_stays() {
    let key = "-----BEGIN PRIVATE KEY-----\nMHcCAQEE\n-----END PRIVATE KEY-----";
    let left = redact(&format!("a\n{key}\nbetween\n{key}\nb\n"));
    assert_eq!(left.matches(REDACTED).count(), 2, "{left}");
    assert!(left.contains("between") && left.ends_with("b\n") && !left.contains("MHcCAQEE"), "{left}");
}
