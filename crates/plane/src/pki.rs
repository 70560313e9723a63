//! Certificates: two authorities, what they sign, and the service-account key. All keys are ECDSA P-256.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;

use crate::component::Authority;
use crate::component::Usage;
use crate::layout::LayoutError;
use crate::layout::failed;
use crate::layout::private_dir;
use crate::layout::write_private;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long certificates are valid. Authorities: ten times as long.
const VALID: Duration = Duration::from_secs(365 * 24 * 3600);
/// A certificate is renewed when its file is older than this.
const RENEW_AFTER: Duration = Duration::from_secs(300 * 24 * 3600);

/// The plane's authorities.
#[derive(Clone, Debug)]
pub struct Pki {
    dir: PathBuf,
}

/// A certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Files(#[from] LayoutError),
    /// The cryptography refuses.
    #[error("cannot make the {what}")]
    Make {
        /// What.
        what: String,
        /// Why.
        source: rcgen::Error,
    },
}

/// A certificate and its key, PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// Common name.
    pub common_name: &'a str,
    /// Organisation, which Kubernetes reads as a group.
    pub organization: Option<&'a str>,
    /// What it is for.
    pub usages: &'a [Usage],
    /// DNS names and IP addresses.
    pub names: &'a [String],
}

impl Pki {
    /// The authorities in `dir`, made if they are not there.
    ///
    /// # Errors
    /// They cannot be read or written.
    pub fn open(dir: PathBuf) -> Result<Self, PkiError> {
        private_dir(&dir)?;
        let pki = Self { dir };
        for authority in [Authority::Cluster, Authority::Etcd] {
            if !pki.certificate(authority).exists() {
                pki.make_authority(authority)?;
            }
        }
        // The private key is written last: with it there, both are.
        if !pki.service_account_key().exists() {
            let key = generate("service-account key")?;
            write_private(&pki.service_account_public_key(), key.public_key_pem().as_bytes())?;
            write_private(&pki.service_account_key(), key.serialize_pem().as_bytes())?;
        }
        Ok(pki)
    }

    /// An authority's certificate.
    #[must_use]
    pub fn certificate(&self, authority: Authority) -> PathBuf {
        self.dir.join(format!("{}.crt", base(authority)))
    }

    /// Signs service-account tokens.
    #[must_use]
    pub fn service_account_key(&self) -> PathBuf {
        self.dir.join("service-account.key")
    }

    /// Verifies service-account tokens.
    #[must_use]
    pub fn service_account_public_key(&self) -> PathBuf {
        self.dir.join("service-account.pub")
    }

    /// The certificate of an authority, PEM.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, authority: Authority) -> Result<String, PkiError> {
        Ok(read(&self.certificate(authority))?)
    }

    /// Issues a certificate with a new key.
    ///
    /// # Errors
    /// The authority cannot be read, or the subject is not fit for a certificate.
    pub fn issue(&self, authority: Authority, subject: &Subject<'_>) -> Result<Pair, PkiError> {
        let make = |source| PkiError::Make { what: format!("certificate of {}", subject.common_name), source };
        let names = if subject.names.is_empty() { vec!["localhost".into(), "127.0.0.1".into()] } else { subject.names.to_vec() };
        let client_only = subject.usages == [Usage::Client];
        let mut params = CertificateParams::new(if client_only { Vec::new() } else { names }).map_err(make)?;
        params.distinguished_name = named(subject.common_name, subject.organization);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = subject.usages.iter().map(purpose).collect();
        params.use_authority_key_identifier_extension = true;
        valid_for(&mut params, VALID);
        let key = KeyPair::from_pem(&read(&self.key(authority))?).map_err(make)?;
        let issuer = Issuer::new(authority_params(authority), key);
        let own = generate(subject.common_name)?;
        let certificate = params.signed_by(&own, &issuer).map_err(make)?;
        Ok(Pair { certificate: certificate.pem(), key: own.serialize_pem() })
    }

    fn key(&self, authority: Authority) -> PathBuf {
        self.dir.join(format!("{}.key", base(authority)))
    }

    /// The certificate is written last: with it there, the key is too.
    fn make_authority(&self, authority: Authority) -> Result<(), PkiError> {
        let key = generate(base(authority))?;
        let mut params = authority_params(authority);
        valid_for(&mut params, VALID * 10);
        let certificate =
            params.self_signed(&key).map_err(|source| PkiError::Make { what: format!("authority {}", base(authority)), source })?;
        write_private(&self.key(authority), key.serialize_pem().as_bytes())?;
        write_private(&self.certificate(authority), certificate.pem().as_bytes())?;
        Ok(())
    }
}

/// Whether a certificate's file is there and need not be renewed yet.
#[must_use]
pub fn fresh(path: &Path) -> bool {
    let written = fs::metadata(path).and_then(|file| file.modified());
    // A date in the future is a clock that was set back; the certificate is then not yet valid, so renew it.
    written.is_ok_and(|written| SystemTime::now().duration_since(written).is_ok_and(|age| age < RENEW_AFTER))
}

fn base(authority: Authority) -> &'static str {
    match authority {
        Authority::Cluster => "cluster-ca",
        Authority::Etcd => "etcd-ca",
    }
}

fn authority_params(authority: Authority) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("capstead {}", base(authority)), None);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn named(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name
}

fn purpose(usage: &Usage) -> ExtendedKeyUsagePurpose {
    match usage {
        Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }
}

/// From yesterday, so that a clock set back a little does no harm.
fn valid_for(params: &mut CertificateParams, time: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + time).into();
}

fn generate(what: &str) -> Result<KeyPair, PkiError> {
    KeyPair::generate().map_err(|source| PkiError::Make { what: format!("key of {what}"), source })
}

fn read(path: &Path) -> Result<String, LayoutError> {
    fs::read_to_string(path).map_err(failed("read", path))
}

#[cfg(test)]
mod tests;
