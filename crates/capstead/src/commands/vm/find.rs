//! Which microVM is meant.

use anyhow::Context;
use anyhow::bail;
use capstead_flintlock::CallError;
use capstead_flintlock::Client;
use capstead_flintlock::types::MicroVm;
use ulid::Ulid;

use super::access::explained;
use super::name;
use super::uid;

/// The one that is called so: by name, by NAMESPACE/NAME, or by uid.
pub async fn one(client: &Client, target: &str, namespace: Option<&str>) -> anyhow::Result<MicroVm> {
    let found = if_there(client, target, namespace).await?;
    found.with_context(|| format!("there is no microVM {target}; `capstead vm ls` lists those that are there"))
}

/// The same; `None` if there is none.
pub async fn if_there(client: &Client, target: &str, namespace: Option<&str>) -> anyhow::Result<Option<MicroVm>> {
    if is_uid(target) {
        match client.get(target).await {
            Ok(microvm) => return Ok(Some(microvm)),
            // A name may look like a uid, too.
            Err(CallError::NotFound { .. }) => (),
            Err(error) => return Err(explained(error)),
        }
    }
    let (namespace, id) = split(target, namespace)?;
    let mut all = client.all(namespace, id).await.map_err(explained)?;
    if all.len() > 1 {
        let mut all: Vec<String> = all.iter().map(|microvm| format!("{} ({})", name(microvm), uid(microvm))).collect();
        all.sort();
        bail!("{} microVMs are called {target}: {}; name one by NAMESPACE/NAME or its uid", all.len(), all.join(", "));
    }
    Ok(all.pop())
}

/// Namespace and name; an empty namespace is any.
fn split<'a>(target: &'a str, namespace: Option<&'a str>) -> anyhow::Result<(&'a str, &'a str)> {
    let (own, id) = match target.split_once('/') {
        Some((own, id)) => (Some(own), id),
        None => (None, target),
    };
    match (own, namespace) {
        _ if id.is_empty() || own == Some("") => bail!("{target:?} names no microVM: NAME, NAMESPACE/NAME or a uid is expected"),
        (Some(own), Some(other)) if own != other => bail!("{target} is not in the namespace {other}: leave out --namespace"),
        (own, namespace) => Ok((own.or(namespace).unwrap_or_default(), id)),
    }
}

/// Whether a text can be a microVM's uid.
pub fn is_uid(text: &str) -> bool {
    Ulid::from_string(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_bring_its_namespace() {
        let split = |target: &'static str, namespace| split(target, namespace).map_err(|error| error.to_string());
        assert_eq!(split("m1", None), Ok(("", "m1")));
        assert_eq!(split("m1", Some("team")), Ok(("team", "m1")));
        assert_eq!(split("team/m1", None), Ok(("team", "m1")));
        assert_eq!(split("team/m1", Some("team")), Ok(("team", "m1")));
        assert!(split("team/m1", Some("other")).expect_err("refused").contains("leave out --namespace"));
        for target in ["", "/", "/m1", "team/"] {
            assert!(split(target, None).expect_err("refused").contains("names no microVM"), "{target}");
        }
    }

    #[test]
    fn uids_are_told_from_names() {
        assert!(is_uid("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
        assert!(!is_uid("m1") && !is_uid("machine-with-a-name-of-26-c"));
    }
}
