use jiff::Timestamp;
use semver::Version;

use super::JoinError;
use super::KnownToken;
use super::Told;
use super::check;
use crate::guest::kubeadm::Discovery;
use crate::guest::kubeadm::Etcd;
use crate::guest::kubeadm::Init;
use crate::guest::kubeadm::Join;
use crate::guest::kubeadm::Role;
use crate::guest::system::Secret;
use crate::guest::tests::INIT;
use crate::guest::tests::INIT_V1BETA3;
use crate::guest::tests::JOIN;
use crate::guest::tests::WORKER;
use crate::guest::tests::boots;

fn init(data: &str) -> Init {
    match boots(data).unwrap().role {
        Role::Init(init) => *init,
        Role::Join(_) => panic!("join"),
    }
}

fn join(data: &str) -> Join {
    match boots(data).unwrap().role {
        Role::Join(join) => *join,
        Role::Init(_) => panic!("init"),
    }
}

fn token() -> KnownToken {
    let secret = Secret::new("0123456789abcdef");
    KnownToken { id: "abcdef".into(), secret, expires: Some(Timestamp::from_second(1000).unwrap()), signing: true, authentication: true }
}

fn etcd(init: &Init) -> &str {
    match &init.certificates.etcd {
        Etcd::Local(pair) => &pair.certificate,
        Etcd::External => "",
    }
}

#[test]
fn the_golden_machines_join_their_cluster() {
    let init = init(INIT);
    let version = Version::new(1, 36, 3);
    let tokens = [token()];
    let told = Told {
        authority: &init.certificates.authority.certificate,
        etcd_authority: Some(etcd(&init)),
        tokens: &tokens,
        kubernetes: &version,
        stable_endpoint: true,
    };
    let now = Timestamp::from_second(999).unwrap();
    for data in [JOIN, WORKER] {
        assert_eq!(check(&join(data), Some(&version), &told, now), Ok(()));
    }
}

#[test]
fn a_cluster_lets_in_only_its_own() {
    let init = init(INIT);
    let version = Version::new(1, 36, 3);
    // Golden files of one run share their authorities, so etcd's stands in for another cluster's.
    let other = etcd(&init);
    let own = init.certificates.authority.certificate.as_str();
    let now = Timestamp::from_second(999).unwrap();
    let later = Timestamp::from_second(1000).unwrap();
    let with = |change: fn(&mut KnownToken)| {
        let mut token = token();
        change(&mut token);
        vec![token]
    };
    let good = with(|_| {});
    let unknown = || JoinError::UnknownToken { id: "abcdef".into() };
    let (worker, master) = (join(WORKER), join(JOIN));
    let mut foreign = master.clone();
    if let Discovery::Token { pins, .. } = &mut foreign.discovery {
        pins.clear();
    }
    let mut no_etcd = master.clone();
    if let Some(control_plane) = &mut no_etcd.control_plane {
        control_plane.certificates.etcd = Etcd::External;
    }
    let told = |authority, etcd_authority, tokens| Told { authority, etcd_authority, tokens, kubernetes: &version, stable_endpoint: true };

    assert_eq!(check(&worker, None, &told(own, None, &[]), now), Err(unknown()));
    assert_eq!(check(&worker, None, &told(own, None, &good), later), Err(unknown()));
    assert!(unknown().may_pass());
    let mute = with(|token| token.signing = false);
    assert_eq!(check(&worker, None, &told(own, None, &mute), now), Err(unknown()));
    let wrong = with(|token| token.secret = Secret::new("fedcba9876543210"));
    assert_eq!(check(&worker, None, &told(own, None, &wrong), now), Err(JoinError::WrongSecret { id: "abcdef".into() }));
    let silent = with(|token| token.authentication = false);
    assert_eq!(check(&worker, None, &told(own, None, &silent), now), Err(JoinError::NotForAuthentication { id: "abcdef".into() }));
    assert!(matches!(check(&worker, None, &told(other, None, &good), now), Err(JoinError::WrongAuthority { .. })));
    assert_eq!(check(&foreign, None, &told(other, None, &good), now), Err(JoinError::ForeignAuthority("/etc/kubernetes/pki/ca.crt")));
    assert_eq!(
        check(&master, None, &told(own, Some(own), &good), now),
        Err(JoinError::ForeignAuthority("/etc/kubernetes/pki/etcd/ca.crt"))
    );
    assert_eq!(check(&no_etcd, None, &told(own, Some(other), &good), now), Err(JoinError::NoEtcdAuthority));
    assert_eq!(check(&no_etcd, None, &told(own, None, &good), now), Ok(()));
    let unstable = Told { stable_endpoint: false, ..told(own, Some(other), &good) };
    assert_eq!(check(&master, None, &unstable, now), Err(JoinError::NoStableEndpoint));
    assert_eq!(check(&worker, None, &unstable, now), Ok(()));
}

#[test]
fn kubeadm_joins_its_own_minor_the_one_before_and_all_newer() {
    let init = init(INIT_V1BETA3);
    let tokens = [token()];
    let now = Timestamp::from_second(999).unwrap();
    for (image, cluster, fits) in [((1, 36), (1, 36), true), ((1, 36), (1, 35), true), ((1, 36), (1, 34), false), ((1, 34), (1, 36), true)]
    {
        let cluster = Version::new(cluster.0, cluster.1, 0);
        let told = Told {
            authority: &init.certificates.authority.certificate,
            etcd_authority: None,
            tokens: &tokens,
            kubernetes: &cluster,
            stable_endpoint: true,
        };
        let result = check(&join(WORKER), Some(&Version::new(image.0, image.1, 0)), &told, now);
        assert_eq!(result.is_ok(), fits, "{image:?} {cluster}: {result:?}");
        if !fits {
            assert!(matches!(result, Err(JoinError::ClusterTooOld { least, .. }) if least == "1.35.0"));
        }
    }
}
