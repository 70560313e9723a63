//! Bootstrap tokens: Secrets `bootstrap-token-*` in kube-system. kubeadm makes the first, Cluster API one for every machine.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use super::put;
use crate::guest::Secret;
use crate::guest::discovery::KnownToken;
use crate::guest::kubeadm::InitialToken;
use crate::guest::kubeadm::Token;
use crate::store::Store;
use crate::store::time;

/// The tokens that the cluster has.
pub fn known(store: &Store) -> Vec<KnownToken> {
    store
        .list("secrets", Some("kube-system"))
        .filter(|secret| secret.name().starts_with("bootstrap-token-"))
        .filter_map(|secret| read(&secret.value()))
        .collect()
}

fn read(secret: &Value) -> Option<KnownToken> {
    if secret["type"] != "bootstrap.kubernetes.io/token" {
        return None;
    }
    let text = |key: &str| {
        let data = STANDARD.decode(secret["data"][key].as_str()?).ok()?;
        String::from_utf8(data).ok()
    };
    let switch = |key: &str| text(key).as_deref() == Some("true");
    // A time that nobody can read is no time to trust.
    let expires = text("expiration").map(|at| at.parse().unwrap_or(Timestamp::MIN));
    Some(KnownToken {
        id: text("token-id")?,
        secret: Secret::new(text("token-secret")?),
        expires,
        signing: switch("usage-bootstrap-signing"),
        authentication: switch("usage-bootstrap-authentication"),
    })
}

/// Makes the tokens that kubeadm init is told to.
pub fn make(store: &mut Store, tokens: &[InitialToken], now: Timestamp) {
    for initial in tokens {
        let Some(token) = Token::parse(&initial.token) else { continue };
        let encode = |text: &str| json!(STANDARD.encode(text));
        let mut data = json!({
            "token-id": encode(&token.id), "token-secret": encode(token.secret.reveal()), "auth-extra-groups": encode(&initial.groups.join(",")),
        });
        // Go's durations and jiff's friendly ones are alike; what cannot be read is a day, kubeadm's own choice.
        let ttl: SignedDuration = initial.ttl.parse().unwrap_or(SignedDuration::from_hours(24));
        if initial.ttl.is_empty() || !ttl.is_zero() {
            data["expiration"] = encode(&time(now + ttl));
        }
        for usage in &initial.usages {
            data[format!("usage-bootstrap-{usage}")] = encode("true");
        }
        let name = format!("bootstrap-token-{}", token.id);
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
            "metadata": {"name": name, "namespace": "kube-system"}, "data": data,
        });
        put(store, "secrets", secret, now);
    }
}
