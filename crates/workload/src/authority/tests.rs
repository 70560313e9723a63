use super::Authority;
use super::AuthorityError;
use super::Identity;
use super::identity;

fn own(algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String) {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "kubernetes");
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn a_client_is_known_by_its_certificate() {
    let (certificate, key) = own(&rcgen::PKCS_ECDSA_P256_SHA256);
    let authority = Authority::from_pem(&certificate, &key).unwrap();
    let leaf = authority.client("admin", "system:masters").unwrap();
    let Identity { user, groups, not_before, not_after } = identity(&leaf.certificate).unwrap();
    assert_eq!((user.as_str(), groups), ("admin", vec!["system:masters".to_owned()]));
    assert_eq!(not_after.duration_since(not_before), jiff::SignedDuration::from_hours(365 * 24 + 1));
    assert!(leaf.key_pem().contains("PRIVATE KEY"));
}

#[test]
fn servers_are_issued_for_names_and_addresses() {
    let (certificate, key) = own(&rcgen::PKCS_ECDSA_P256_SHA256);
    let authority = Authority::from_pem(&certificate, &key).unwrap();
    let leaf = authority.server(&["kubernetes.default", "127.0.0.1", "::1"]).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&leaf.certificate).unwrap();
    assert_eq!(parsed.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 3);
    let (_, issuer) = x509_parser::parse_x509_certificate(authority.certificate()).unwrap();
    assert_eq!(parsed.issuer().as_raw(), issuer.subject().as_raw());
    parsed.verify_signature(Some(issuer.public_key())).unwrap();
    authority.server_config(&leaf, true, &["h2", "http/1.1"]).unwrap();
    authority.server_config(&leaf, false, &[]).unwrap();
    assert!(matches!(authority.server(&["not a name\u{e9}"]), Err(AuthorityError::Issue(_))));
}

#[test]
fn unfit_authorities_are_refused() {
    let (certificate, key) = own(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (_, other) = own(&rcgen::PKCS_ECDSA_P256_SHA256);
    assert!(matches!(Authority::from_pem(&certificate, &other), Err(AuthorityError::Pair)));
    assert!(matches!(Authority::from_pem("", &key), Err(AuthorityError::Certificate(_))));
    assert!(matches!(Authority::from_pem(&certificate, "no key"), Err(AuthorityError::Key(_))));
}

#[test]
fn rsa_keys_of_kubeadm_and_cluster_api_sign() {
    let certificate = include_str!("golden/rsa.crt");
    for key in [include_str!("golden/rsa.key"), include_str!("golden/rsa-pkcs8.key")] {
        let authority = Authority::from_pem(certificate, key).unwrap();
        let leaf = authority.server(&["127.0.0.1"]).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf.certificate).unwrap();
        let (_, issuer) = x509_parser::parse_x509_certificate(authority.certificate()).unwrap();
        parsed.verify_signature(Some(issuer.public_key())).unwrap();
    }
}
