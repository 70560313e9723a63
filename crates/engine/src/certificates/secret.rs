//! Sharing what was made among replicas, through a Secret.

use std::collections::BTreeMap;
use std::fmt;

use capstead_reconcile::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::Client;
use kube::api::ObjectMeta;
use kube::api::PostParams;

use super::material;
use super::material::Certificate;
use super::material::Key;
use super::material::MakeError;
use super::material::Material;
use super::material::Wish;

const LEAF: &str = "tls.crt";
const LEAF_KEY: &str = "tls.key";
const BUNDLE: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";

/// How often a write is tried again because another replica was faster.
const RACES: usize = 8;

/// A Secret of type `kubernetes.io/tls` that holds certificates made in process.
#[derive(Clone)]
pub struct SecretStore {
    client: Client,
    namespace: String,
    name: String,
}

impl fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretStore({self})")
    }
}

impl fmt::Display for SecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret {}/{}", self.namespace, self.name)
    }
}

/// Why certificates could not be shared.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The API server refused or did not answer.
    #[error("cannot {verb} {store}")]
    Api {
        /// `get`, `create` or `update`.
        verb: &'static str,
        /// The Secret.
        store: String,
        /// Why.
        source: kube::Error,
    },
    /// The Secret holds a certificate without the authority's key, so it was not made here.
    #[error("{store} holds a certificate that something else made; name another Secret, or mount it and serve from its directory")]
    Foreign {
        /// The Secret.
        store: String,
    },
    /// Making what is due failed.
    #[error("cannot make what is due")]
    Make(#[from] MakeError),
    /// Other replicas were faster again and again.
    #[error("{store} changed with each try to write it")]
    Raced {
        /// The Secret.
        store: String,
    },
}

impl SecretStore {
    /// The Secret `namespace/name`, which need not exist yet. Needs `get`, `create` and `update` on it.
    #[must_use]
    pub fn new(client: Client, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { client, namespace: namespace.into(), name: name.into() }
    }

    /// Reads what is shared, makes what is due and shares it. The first replica to write wins; the others take what it wrote.
    pub(super) async fn advance(&self, wish: &Wish, now: Timestamp) -> Result<Material, StoreError> {
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        let fault = |verb| move |source| StoreError::Api { verb, store: self.to_string(), source };
        for _ in 0..RACES {
            let found = api.get_opt(&self.name).await.map_err(fault("get"))?;
            let old = match &found {
                Some(secret) => self.decode(secret)?,
                None => Material::default(),
            };
            let (material, _) = material::advance(wish, old.clone(), now)?;
            if material == old {
                return Ok(material);
            }
            let written = match found {
                Some(secret) => {
                    let secret = Secret { data: Some(encode(&material)), ..secret };
                    api.replace(&self.name, &PostParams::default(), &secret).await.map_err(fault("update"))
                }
                None => {
                    let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
                    let secret =
                        Secret { metadata, type_: Some("kubernetes.io/tls".into()), data: Some(encode(&material)), ..Secret::default() };
                    api.create(&PostParams::default(), &secret).await.map_err(fault("create"))
                }
            };
            match written {
                Ok(_) => return Ok(material),
                // Another replica was faster, or the Secret went away meanwhile.
                Err(StoreError::Api { source: kube::Error::Api(status), .. }) if status.code == 409 || status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Raced { store: self.to_string() })
    }

    /// What a Secret holds. Content that does not parse counts as nothing, so that it is made anew.
    fn decode(&self, secret: &Secret) -> Result<Material, StoreError> {
        let text = |key| {
            let bytes = secret.data.as_ref()?.get(key)?;
            String::from_utf8(bytes.0.clone()).ok().filter(|text| !text.is_empty())
        };
        let (leaf, authority_key) = (text(LEAF), text(AUTHORITY_KEY));
        let Some(authority_key) = authority_key else {
            return if leaf.is_some() { Err(StoreError::Foreign { store: self.to_string() }) } else { Ok(Material::default()) };
        };
        let authorities = text(BUNDLE).and_then(|pem| Certificate::parse_all(&pem).ok()).unwrap_or_default();
        // A leaf that TLS cannot serve is as none.
        let leaf = leaf.zip(text(LEAF_KEY)).and_then(|(leaf, key)| {
            super::certified(leaf.as_bytes(), key.as_bytes()).ok()?;
            Some((Certificate::parse(&leaf).ok()?, Key(key)))
        });
        let usable = rcgen::KeyPair::from_pem(&authority_key).is_ok();
        Ok(Material { authorities, authority_key: if usable { Key(authority_key) } else { Key::default() }, leaf })
    }
}

fn encode(material: &Material) -> BTreeMap<String, ByteString> {
    let (leaf, leaf_key) = material.pair();
    [(LEAF, leaf), (LEAF_KEY, leaf_key), (BUNDLE, &material.bundle()), (AUTHORITY_KEY, &material.authority_key.0)]
        .into_iter()
        .map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec())))
        .collect()
}
