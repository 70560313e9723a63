//! Certificates in PEM, as far as a guest looks into them.

use sha2::Digest;
use sha2::Sha256;
use x509_parser::pem::Pem;

/// More than any bundle here has.
const MOST: usize = 32;

/// What matters of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whether it may sign others.
    pub is_authority: bool,
    /// kubeadm's pin: `sha256:` and the hash of the public key's DER, in hex.
    pub pin: String,
}

/// The certificates in a text, or `None` if one cannot be read, or there are too many.
pub fn certificates(text: &str) -> Option<Vec<Certificate>> {
    let mut certificates = Vec::new();
    for pem in Pem::iter_from_buffer(text.as_bytes()) {
        let pem = pem.ok()?;
        if pem.label != "CERTIFICATE" {
            continue;
        }
        let certificate = pem.parse_x509().ok()?;
        let hash = Sha256::digest(certificate.tbs_certificate.subject_pki.raw);
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        certificates.push(Certificate { is_authority: certificate.is_ca(), pin: format!("sha256:{hex}") });
        if certificates.len() > MOST {
            return None;
        }
    }
    Some(certificates)
}

/// The labels of the PEM blocks in a text.
pub fn labels(text: &str) -> Vec<String> {
    Pem::iter_from_buffer(text.as_bytes()).take(MOST).filter_map(Result::ok).map(|pem| pem.label).collect()
}
