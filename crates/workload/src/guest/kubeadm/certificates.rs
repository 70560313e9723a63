//! The authorities that control plane machines get as files.

use super::config::ClusterConfiguration;
use crate::guest::pem;
use crate::guest::system::Secret;
use crate::guest::system::System;

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The certificate (of the service account signer: the public key).
    pub certificate: String,
    /// The private key.
    pub key: Secret,
}

/// Whose etcd it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Etcd {
    /// A member on every control plane machine, under this authority.
    Local(Pair),
    /// Elsewhere.
    External,
}

/// What a cluster's trust rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// Of the API server, kubelets and users.
    pub authority: Pair,
    /// Of the front proxy.
    pub front_proxy: Pair,
    /// Signs the tokens of service accounts.
    pub service_account: Pair,
    /// Of etcd.
    pub etcd: Etcd,
}

/// Why an authority cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CertificateError {
    /// Not there. A real kubeadm init would make one of its own, that Cluster API does not know; a join gives up.
    #[error("{path} is not among the machine's files; Cluster API's bootstrap data brings every authority")]
    Missing {
        /// Which file.
        path: String,
    },
    /// Not PEM of the right kind.
    #[error("{path} is not {expected}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A certificate that may not sign others.
    #[error("the certificate in {path} is not a CA")]
    NotAuthority {
        /// Which file.
        path: String,
    },
}

/// Which files must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// As kubeadm init needs them: etcd's too, unless the configuration says it is elsewhere.
    All,
    /// As a joining machine needs them; where etcd is, the cluster knows.
    Shared,
}

impl Certificates {
    pub(super) fn read(system: &System, cluster: &ClusterConfiguration, need: Need) -> Result<Self, CertificateError> {
        let directory =
            if cluster.certificates_dir.is_empty() { "/etc/kubernetes/pki" } else { cluster.certificates_dir.trim_end_matches('/') };
        let external = match &cluster.etcd.external {
            Some(external) => {
                for path in [&external.ca_file, &external.cert_file, &external.key_file].into_iter().filter(|path| !path.is_empty()) {
                    file(system, path)?;
                }
                true
            }
            None => need == Need::Shared && !system.files.contains_key(&format!("{directory}/etcd/ca.key")),
        };
        let etcd = if external { Etcd::External } else { Etcd::Local(authority(system, &format!("{directory}/etcd/ca"))?) };
        Ok(Self {
            authority: authority(system, &format!("{directory}/ca"))?,
            front_proxy: authority(system, &format!("{directory}/front-proxy-ca"))?,
            service_account: Pair {
                certificate: public(system, &format!("{directory}/sa.pub"))?,
                key: private(system, &format!("{directory}/sa.key"))?,
            },
            etcd,
        })
    }
}

fn authority(system: &System, base: &str) -> Result<Pair, CertificateError> {
    let path = format!("{base}.crt");
    let text = file(system, &path)?;
    let unreadable = || CertificateError::Unreadable { path: path.clone(), expected: "a certificate in PEM" };
    let certificates = pem::certificates(text).ok_or_else(unreadable)?;
    if !certificates.first().ok_or_else(unreadable)?.is_authority {
        return Err(CertificateError::NotAuthority { path });
    }
    Ok(Pair { certificate: text.to_owned(), key: private(system, &format!("{base}.key"))? })
}

fn private(system: &System, path: &str) -> Result<Secret, CertificateError> {
    let text = file(system, path)?;
    let fits = pem::labels(text).iter().any(|label| label.ends_with("PRIVATE KEY"));
    fits.then(|| Secret::new(text)).ok_or_else(|| CertificateError::Unreadable { path: path.to_owned(), expected: "a private key in PEM" })
}

fn public(system: &System, path: &str) -> Result<String, CertificateError> {
    let text = file(system, path)?;
    let fits = pem::labels(text).iter().any(|label| matches!(label.as_str(), "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE"));
    fits.then(|| text.to_owned()).ok_or_else(|| CertificateError::Unreadable { path: path.to_owned(), expected: "a public key in PEM" })
}

fn file<'a>(system: &'a System, path: &str) -> Result<&'a str, CertificateError> {
    if !system.files.contains_key(path) {
        return Err(CertificateError::Missing { path: path.to_owned() });
    }
    system.text(path).ok_or_else(|| CertificateError::Unreadable { path: path.to_owned(), expected: "text" })
}
