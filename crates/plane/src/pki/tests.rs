use super::*;

#[test]
fn authorities_are_made_once_and_apart() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let pki = Pki::open(dir.path().join("pki")).expect("made");
    let (cluster, etcd) = (pki.read(Authority::Cluster).expect("there"), pki.read(Authority::Etcd).expect("there"));
    assert_ne!(cluster, etcd);
    let again = Pki::open(dir.path().join("pki")).expect("opened");
    assert_eq!(again.read(Authority::Cluster).expect("there"), cluster);
    assert!(fresh(&pki.certificate(Authority::Cluster)));
    assert!(!fresh(&dir.path().join("nothing")));
}

#[test]
fn an_interrupted_authority_is_made_again() {
    let dir = tempfile::tempdir().expect("temporary folder");
    private_dir(&dir.path().join("pki")).expect("made");
    // A crash after the key and before the certificate.
    write_private(&dir.path().join("pki/cluster-ca.key"), b"half").expect("written");
    let pki = Pki::open(dir.path().join("pki")).expect("made");
    let subject = Subject { common_name: "x", organization: None, usages: &[Usage::Server], names: &[] };
    pki.issue(Authority::Cluster, &subject).expect("key and certificate fit");
}

#[test]
fn a_name_that_no_certificate_can_hold_is_refused() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let pki = Pki::open(dir.path().to_owned()).expect("made");
    let subject = Subject { common_name: "web", organization: None, usages: &[Usage::Server], names: &["höst".into()] };
    let error = pki.issue(Authority::Cluster, &subject).expect_err("refused");
    assert_eq!(error.to_string(), "cannot make the certificate of web");
}

#[test]
fn keys_are_not_printed() {
    let pair = Pair { certificate: "public".into(), key: "secret".into() };
    assert!(!format!("{pair:?}").contains("secret"));
}
