use std::path::Path;
use std::time::Duration;

use capstead_reconcile::Timestamp;

use super::CertificateError;
use super::Certificates;
use super::Lifetimes;
use super::Source;
use super::material;
use super::material::Material;
use super::material::Wish;

const POLL: Duration = Duration::from_millis(20);

fn made() -> Material {
    let wish = Wish { names: ["127.0.0.1".to_owned()].into(), lifetimes: Lifetimes::default() };
    material::advance(&wish, Material::default(), Timestamp::now()).unwrap().0
}

fn write(directory: &Path, certificate: &Material, key: &Material) {
    std::fs::write(directory.join("tls.key"), key.pair().1).unwrap();
    std::fs::write(directory.join("ca.crt"), certificate.bundle()).unwrap();
    std::fs::write(directory.join("tls.crt"), certificate.pair().0).unwrap();
}

/// The leaf that a new connection would get.
fn served(certificates: &Certificates) -> Vec<u8> {
    certificates.presented.0.load().cert[0].to_vec()
}

async fn until_trust_is(certificates: &Certificates, material: &Material) {
    let mut trust = certificates.trust();
    let followed = trust.wait_for(|trust| trust.as_deref() == Some(&*material.bundle()));
    tokio::time::timeout(Duration::from_secs(20), followed).await.expect("followed in time").unwrap();
}

#[tokio::test]
async fn files_are_followed_and_a_broken_pair_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second, third) = (made(), made(), made());
    write(directory.path(), &first, &first);
    let certificates = Certificates::start_polled(Source::Directory(directory.path().into()), POLL).await.unwrap();
    let before = served(&certificates);
    write(directory.path(), &second, &third);
    // The broken pair is certainly seen before the good one that follows is.
    let mut follower =
        super::Follower { source: Source::Directory(directory.path().into()), poll: POLL, files: None, material: Material::default() };
    assert!(matches!(follower.look(Timestamp::now()).await, Err(CertificateError::Pair { .. })));
    assert!(matches!(follower.look(Timestamp::now()).await, Ok(None)), "it is told once");
    assert_eq!(served(&certificates), before);
    write(directory.path(), &third, &third);
    until_trust_is(&certificates, &third).await;
    assert_ne!(served(&certificates), before);
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let error = Certificates::start(Source::Directory(directory.path().into())).await.unwrap_err();
    assert!(matches!(&error, CertificateError::Read { path, .. } if path.ends_with("tls.crt")), "{error}");
}
