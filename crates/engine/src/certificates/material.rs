//! Certificates made here: what there is, when something new is due, and making it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use capstead_reconcile::Plan;
use capstead_reconcile::Timestamp;
use capstead_reconcile::later;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

/// How far certificates reach back, so that a client whose clock is behind accepts them.
const BACKDATE: Duration = Duration::from_secs(300);

/// How long certificates made here are good for. New ones are made after two thirds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of an authority. More than three times that of a leaf.
    pub authority: Duration,
    /// Of a leaf.
    pub leaf: Duration,
    /// How long after a change every replica and the API server surely follow it.
    pub settle: Duration,
}

impl Default for Lifetimes {
    /// Two years, 90 days, ten minutes.
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        Self { authority: day * 730, leaf: day * 90, settle: Duration::from_secs(600) }
    }
}

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// A name is neither a DNS name nor an IP address, or key generation failed.
    #[error("cannot sign")]
    Sign(#[from] rcgen::Error),
    /// It does not parse as a certificate.
    #[error("no X.509 certificate: {0}")]
    Parse(String),
    /// Making did not end. It would be a defect here.
    #[error("new certificates are due as soon as they are made; the lifetimes are too short")]
    Endless,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) names: BTreeSet<String>,
    pub(super) lifetimes: Lifetimes,
}

/// A private key in PEM, which is never printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Key(pub(super) String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// A certificate and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) pem: String,
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) names: BTreeSet<String>,
    /// When it was made.
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

impl Certificate {
    /// When its successor is due.
    fn due(&self) -> Timestamp {
        let life = Duration::try_from(self.until.duration_since(self.since)).unwrap_or_default();
        later(self.since, life * 2 / 3)
    }

    pub(super) fn parse(text: &str) -> Result<Self, MakeError> {
        Self::parse_all(text)?.into_iter().next().ok_or_else(|| MakeError::Parse("nothing in PEM".into()))
    }

    /// Every certificate in a PEM bundle.
    pub(super) fn parse_all(text: &str) -> Result<Vec<Self>, MakeError> {
        let fault = |fault: &dyn fmt::Display| MakeError::Parse(fault.to_string());
        let mut all = Vec::new();
        for block in text.split_inclusive("-----END CERTIFICATE-----").map(str::trim).filter(|block| !block.is_empty()) {
            let (_, pem) = parse_x509_pem(block.as_bytes()).map_err(|error| fault(&error))?;
            let parsed = pem.parse_x509().map_err(|error| fault(&error))?;
            let time = |seconds| Timestamp::from_second(seconds).map_err(|error| fault(&error));
            let alternatives = parsed.subject_alternative_name().map_err(|error| fault(&error))?;
            all.push(Self {
                pem: format!("{block}\n"),
                subject: parsed.subject().to_string(),
                issuer: parsed.issuer().to_string(),
                names: alternatives.map(|found| found.value.general_names.iter().filter_map(name).collect()).unwrap_or_default(),
                since: later(time(parsed.validity().not_before.timestamp())?, BACKDATE),
                until: time(parsed.validity().not_after.timestamp())?,
            });
        }
        Ok(all)
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// Authorities and the leaf that one of them signed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Material {
    /// Newest first; clients trust all of them.
    pub(super) authorities: Vec<Certificate>,
    /// Of the newest authority.
    pub(super) authority_key: Key,
    pub(super) leaf: Option<(Certificate, Key)>,
}

impl Material {
    /// The leaf and its key in PEM; both empty before there is one.
    pub(super) fn pair(&self) -> (&str, &str) {
        self.leaf.as_ref().map_or(("", ""), |(certificate, key)| (&certificate.pem, &key.0))
    }

    /// What clients must trust, in PEM.
    pub(super) fn bundle(&self) -> String {
        self.authorities.iter().map(|authority| authority.pem.as_str()).collect()
    }
}

/// One change of the material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Make an authority, which clients are to trust from now on.
    NewAuthority,
    /// Have the newest authority sign a leaf.
    NewLeaf,
    /// Trust the authority of this subject no more.
    DropAuthority(String),
}

/// What is due.
///
/// An authority signs nothing before clients have had time to learn of it, unless there is nothing better to serve with;
/// and it is trusted until every replica has had time to let go of the last leaf it signed.
pub(super) fn plan(wish: &Wish, observed: &Material, now: Timestamp) -> Plan<Step> {
    let mut plan = Plan::settled();
    let settle = wish.lifetimes.settle;
    let Some(newest) = observed.authorities.first().filter(|newest| !observed.authority_key.0.is_empty() && now < newest.due()) else {
        plan = plan.then(Step::NewAuthority);
        // Without anything usable there is no one to wait for.
        return match &observed.leaf {
            Some((leaf, _)) if usable(wish, observed, leaf, now) => plan,
            _ => plan.then(Step::NewLeaf),
        };
    };
    plan = plan.look_at(newest.due());
    let leaf = match &observed.leaf {
        Some((leaf, _)) if usable(wish, observed, leaf, now) => leaf,
        _ => return plan.then(Step::NewLeaf),
    };
    let known = later(newest.since, settle);
    if leaf.issuer != newest.subject {
        if now < known {
            return plan.look_at(known).waiting("clients", "may not trust the new authority yet");
        }
        return plan.then(Step::NewLeaf);
    }
    if leaf.due() <= now {
        return plan.then(Step::NewLeaf);
    }
    plan = plan.look_at(leaf.due());
    let followed = later(leaf.since, settle);
    for authority in observed.authorities.iter().skip(1) {
        if authority.until <= now || followed <= now {
            plan = plan.then(Step::DropAuthority(authority.subject.clone()));
        } else {
            plan = plan.look_at(followed).waiting("other replicas", "may still serve with a leaf of the old authority");
        }
    }
    plan
}

/// Whether clients that trust the bundle accept this leaf under every name that is wanted.
fn usable(wish: &Wish, observed: &Material, leaf: &Certificate, now: Timestamp) -> bool {
    leaf.names == wish.names && now < leaf.until && observed.authorities.iter().any(|a| a.subject == leaf.issuer && now < a.until)
}

/// Carries out one step.
pub(super) fn apply(wish: &Wish, mut material: Material, step: &Step, now: Timestamp) -> Result<Material, MakeError> {
    match step {
        Step::NewAuthority => {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign];
            // A name of its own, by which its leaves know it.
            params.distinguished_name = named(&format!("webhook-ca@{}", uuid::Uuid::new_v4()));
            date(&mut params, now, later(now, wish.lifetimes.authority));
            let made = Certificate::parse(&params.self_signed(&key)?.pem())?;
            material.authorities.insert(0, made);
            material.authority_key = Key(key.serialize_pem());
        }
        Step::NewLeaf => {
            let authority = material.authorities.first().ok_or_else(|| MakeError::Parse("no authority to sign with".into()))?;
            let issuer = Issuer::from_ca_cert_pem(&authority.pem, KeyPair::from_pem(&material.authority_key.0)?)?;
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new(wish.names.iter().cloned().collect::<Vec<_>>())?;
            params.distinguished_name = named("webhook-server");
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.use_authority_key_identifier_extension = true;
            date(&mut params, now, later(now, wish.lifetimes.leaf).min(authority.until));
            let made = Certificate::parse(&params.signed_by(&key, &issuer)?.pem())?;
            material.leaf = Some((made, Key(key.serialize_pem())));
        }
        Step::DropAuthority(subject) => material.authorities.retain(|authority| authority.subject != *subject),
    }
    Ok(material)
}

/// Carries out all that is due. Also tells when something is due again.
pub(super) fn advance(wish: &Wish, mut material: Material, now: Timestamp) -> Result<(Material, Option<Timestamp>), MakeError> {
    // An authority, a leaf and the dropping of what they replace take three rounds at most.
    for _ in 0..4 {
        let plan = plan(wish, &material, now);
        if plan.steps.is_empty() {
            return Ok((material, plan.again));
        }
        for step in &plan.steps {
            material = apply(wish, material, step, now)?;
        }
    }
    Err(MakeError::Endless)
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn date(params: &mut CertificateParams, now: Timestamp, until: Timestamp) {
    let seconds = |at: Timestamp| Duration::from_secs(u64::try_from(at.as_second()).unwrap_or_default());
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + seconds(now).saturating_sub(BACKDATE);
    params.not_after = epoch + seconds(until);
}

#[cfg(test)]
mod tests;
