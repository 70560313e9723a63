//! Certificate authorities of a cluster, the servers they vouch for, and who their clients are.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use jiff::Timestamp;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::PublicKeyData;
use rcgen::SanType;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use x509_parser::parse_x509_certificate;

/// How long issued certificates are valid, as kubeadm's are.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// They begin earlier than now, for clients whose clock is behind.
const LEEWAY: Duration = Duration::from_secs(60 * 60);

/// Why an authority cannot be read, or does not issue.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The certificate is not PEM.
    #[error("the authority's certificate is not PEM")]
    Certificate(#[source] rustls::pki_types::pem::Error),
    /// The key is not PEM of a kind that can sign: PKCS#1, PKCS#8 or SEC1.
    #[error("the authority's private key cannot be used")]
    Key(#[source] rcgen::Error),
    /// Certificate and key are not a pair.
    #[error("the authority's certificate and private key do not belong together")]
    Pair,
    /// The certificate does not parse.
    #[error("the authority's certificate cannot be used")]
    Unfit(#[source] rcgen::Error),
    /// A name is neither an IP address nor a DNS name, or signing failed.
    #[error("cannot issue a certificate")]
    Issue(#[source] rcgen::Error),
    /// The TLS library refuses the certificate, or its own defaults.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The TLS library cannot verify clients with this authority.
    #[error("cannot verify clients with the authority")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Who a client is: the subject of its certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Common name: the user.
    pub user: String,
    /// Organisations: the groups.
    pub groups: Vec<String>,
    /// From when on the certificate is good.
    pub not_before: Timestamp,
    /// How long it is.
    pub not_after: Timestamp,
}

/// A certificate authority: a certificate and the key to sign with.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Identity {
    /// Whether a clock that shows this time takes the certificate.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

impl Authority {
    /// Reads an authority: a certificate and its private key, RSA (PKCS#1, PKCS#8) or ECDSA (SEC1, PKCS#8).
    ///
    /// # Errors
    /// When either cannot be used, or they do not belong together.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(AuthorityError::Certificate)?;
        let key = KeyPair::from_pem(key).map_err(AuthorityError::Key)?;
        let own = parse_x509_certificate(&certificate).is_ok_and(|(_, parsed)| parsed.public_key().raw == key.subject_public_key_info());
        if !own {
            return Err(AuthorityError::Pair);
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(AuthorityError::Unfit)?;
        Ok(Self { certificate, issuer })
    }

    /// The certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Issues a certificate for serving under `names` (IP addresses and DNS names; the first is the common name too).
    ///
    /// # Errors
    /// When a name is none, or signing fails.
    pub fn server(&self, names: &[&str]) -> Result<Leaf, AuthorityError> {
        let mut params = parameters(names.first().copied().unwrap_or_default(), "");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        for name in names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().map_err(AuthorityError::Issue)?),
            });
        }
        self.issue(&params)
    }

    /// Issues a certificate for a client of one group.
    ///
    /// # Errors
    /// When signing fails.
    pub fn client(&self, user: &str, group: &str) -> Result<Leaf, AuthorityError> {
        let mut params = parameters(user, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params)
    }

    fn issue(&self, params: &CertificateParams) -> Result<Leaf, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Issue)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(AuthorityError::Issue)?;
        Ok(Leaf { certificate: certificate.der().clone(), key: key.serialize_der(), pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// TLS 1.2 and 1.3 for a server that shows `leaf` and lets clients show a certificate of this authority, or none if `anonymous`.
    ///
    /// # Errors
    /// When the TLS library refuses.
    pub fn server_config(&self, leaf: &Leaf, anonymous: bool, protocols: &[&str]) -> Result<Arc<ServerConfig>, AuthorityError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = if anonymous { verifier.allow_unauthenticated() } else { verifier };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.key.clone()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(verifier.build()?)
            .with_single_cert(vec![leaf.certificate.clone()], key)?;
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        // Clients keep their connections; remembering sessions would only cost memory.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(Arc::new(config))
    }
}

fn parameters(user: &str, group: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, user);
    if !group.is_empty() {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.use_authority_key_identifier_extension = true;
    let now = SystemTime::now();
    params.not_before = (now - LEEWAY).into();
    params.not_after = (now + LIFETIME).into();
    params
}

/// An issued certificate with its key.
pub struct Leaf {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    pem: String,
    key_pem: String,
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaf").finish_non_exhaustive()
    }
}

impl Leaf {
    /// The certificate, PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The private key, PKCS#8 PEM.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }
}

/// Who a certificate is about; `None` when it does not parse.
#[must_use]
pub fn identity(certificate: &CertificateDer<'_>) -> Option<Identity> {
    let (_, parsed) = parse_x509_certificate(certificate).ok()?;
    let subject = parsed.subject();
    Some(Identity {
        user: subject.iter_common_name().next()?.as_str().ok()?.to_owned(),
        groups: subject.iter_organization().filter_map(|name| name.as_str().ok()).map(ToOwned::to_owned).collect(),
        not_before: Timestamp::from_second(parsed.validity().not_before.timestamp()).ok()?,
        not_after: Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()?,
    })
}

#[cfg(test)]
mod tests;
