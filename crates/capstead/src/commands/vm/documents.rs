//! What a guest's cloud-init is told. Pure.

use std::collections::BTreeMap;

use anyhow::Context;
use anyhow::bail;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use yaml_serde::Mapping;
use yaml_serde::Value;

/// Documents as files gave them.
#[derive(Debug, Default)]
pub struct Documents {
    /// What cloud-init shall do.
    pub user_data: Option<Vec<u8>>,
    /// Who may log in.
    pub ssh_keys: Vec<String>,
    /// Others, by their key.
    pub further: BTreeMap<String, Vec<u8>>,
}

/// Adds to a spec's metadata what files and flags say; `hostname` is set only where it is given.
pub fn add(metadata: &mut BTreeMap<String, String>, documents: &Documents, hostname: Option<&str>) -> anyhow::Result<()> {
    for (key, content) in &documents.further {
        metadata.insert(key.clone(), STANDARD.encode(content));
    }
    if let Some(user_data) = &documents.user_data {
        metadata.insert("user-data".to_owned(), STANDARD.encode(user_data));
    } else if !documents.ssh_keys.is_empty() && !metadata.contains_key("user-data") {
        metadata.insert("user-data".to_owned(), STANDARD.encode(for_root(&documents.ssh_keys)?));
    }
    if hostname.is_some() || !documents.ssh_keys.is_empty() {
        let before = metadata.get("meta-data").map(String::as_str).unwrap_or_default();
        let meta_data = meta_data(before, hostname, &documents.ssh_keys).context("meta-data")?;
        metadata.insert("meta-data".to_owned(), STANDARD.encode(meta_data));
    }
    Ok(())
}

/// The public keys in a file as ssh-keygen or authorized_keys have them.
pub fn public_keys(text: &str) -> anyhow::Result<Vec<String>> {
    if text.contains("PRIVATE KEY") {
        bail!("is a private key, which goes to nobody: name the one beside it that ends in .pub");
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<String> = lines.map(str::to_owned).collect();
    let is_key = |line: &String| {
        line.split_whitespace().any(|word| word.starts_with("ssh-") || word.starts_with("ecdsa-") || word.starts_with("sk-"))
    };
    match keys.iter().find(|line| !is_key(line)) {
        Some(line) => bail!("`{}` is no public key", line.chars().take(40).collect::<String>()),
        None if keys.is_empty() => bail!("holds no public key"),
        None => Ok(keys),
    }
}

/// cloud-init gives these keys to the image's default user.
fn meta_data(before: &str, hostname: Option<&str>, keys: &[String]) -> anyhow::Result<String> {
    let before = STANDARD.decode(before.replace(['\r', '\n'], "")).context("is no base64")?;
    let data: Option<Mapping> = yaml_serde::from_slice(&before).context("is no mapping of YAML")?;
    let mut data = data.unwrap_or_default();
    if let Some(hostname) = hostname {
        // As flintlock's clients write it; its hosts know both ways.
        data.insert("local_hostname".into(), hostname.into());
    }
    if !keys.is_empty() {
        data.insert("public-keys".into(), list(keys));
    }
    Ok(yaml_serde::to_string(&data)?)
}

/// Where nobody says what the guest shall do, root may log in, too: every image has one.
fn for_root(keys: &[String]) -> anyhow::Result<String> {
    let root: Mapping = [(Value::from("name"), Value::from("root")), ("ssh_authorized_keys".into(), list(keys))].into_iter().collect();
    let users = Value::Sequence(vec!["default".into(), Value::Mapping(root)]);
    let config: Mapping = [(Value::from("users"), users), ("disable_root".into(), false.into())].into_iter().collect();
    Ok(format!("#cloud-config\n{}", yaml_serde::to_string(&config)?))
}

fn list(words: &[String]) -> Value {
    Value::Sequence(words.iter().map(|word| word.as_str().into()).collect())
}
