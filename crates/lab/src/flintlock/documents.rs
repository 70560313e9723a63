//! The cloud-init documents that flintlock changes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use yaml_serde::Value;

#[cfg(test)]
mod tests;

/// What flintlock puts before the vendor-data it writes.
const HEADER: &str = "## template: jinja\n#cloud-config\n\n";
const DEFAULTS: [&str; 6] = ["None", "None", "auto", "defaults,nofail", "0", "2"];

/// What is wrong with a document.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum DocumentError {
    #[error("decoding existing instance metadata: {0}")]
    Base64(String),
    #[error("unmarshalling exists instance metadata: error unmarshaling JSON: while decoding JSON: {0}")]
    NotAMap(String),
}

/// `meta-data` (base64) with `instance_id` set to `uid`, or `None` when it has one already.
pub(super) fn with_instance_id(meta_data: &str, uid: &str) -> Result<Option<String>, DocumentError> {
    let text = STANDARD.decode(go_lines(meta_data)).map_err(|error| DocumentError::Base64(go_error(&error)))?;
    let value: Value = yaml_serde::from_slice(&text).map_err(|error| DocumentError::NotAMap(error.to_string()))?;
    let mut map = BTreeMap::new();
    match value {
        Value::Null => {}
        Value::Mapping(mapping) => {
            for (key, value) in mapping {
                map.insert(text_of(&key)?, text_of(&value)?);
            }
        }
        Value::Sequence(_) => return Err(mismatch("array", "type instance.Metadata")),
        Value::Number(_) => return Err(mismatch("number", "type instance.Metadata")),
        Value::Bool(_) => return Err(mismatch("bool", "type instance.Metadata")),
        _ => return Err(mismatch("string", "type instance.Metadata")),
    }
    if map.get("instance_id").is_some_and(|id| !id.is_empty()) {
        return Ok(None);
    }
    map.insert("instance_id".to_owned(), uid.to_owned());
    let text = yaml_serde::to_string(&map).map_err(|error| DocumentError::NotAMap(error.to_string()))?;
    Ok(Some(STANDARD.encode(text)))
}

/// The map's keys and values are texts; YAML's other scalars become some.
fn text_of(value: &Value) -> Result<String, DocumentError> {
    match value {
        Value::Null => Ok(String::new()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(value) => Ok(value.to_string()),
        Value::String(value) => Ok(value.clone()),
        Value::Sequence(_) => Err(mismatch("array", "type string")),
        _ => Err(mismatch("object", "type string")),
    }
}

fn mismatch(found: &str, wanted: &str) -> DocumentError {
    DocumentError::NotAMap(format!("json: cannot unmarshal {found} into Go value of {wanted}"))
}

/// Go's decoder skips ends of lines.
fn go_lines(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect()
}

/// Go's text, which tells where.
fn go_error(error: &base64::DecodeError) -> String {
    let at = match error {
        base64::DecodeError::InvalidByte(at, _)
        | base64::DecodeError::InvalidLastSymbol(at, _)
        | base64::DecodeError::InvalidLength(at) => *at,
        base64::DecodeError::InvalidPadding => 0,
    };
    format!("illegal base64 data at input byte {at}")
}

/// The keys that flintlock keeps when it writes vendor-data; it loses all others.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct UserData {
    #[serde(skip_serializing_if = "String::is_empty")]
    hostname: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    fqdn: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<User>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssh_pwauth: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_root: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_update: Option<bool>,
    #[serde(skip_serializing_if = "String::is_empty")]
    final_message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    write_files: Vec<WriteFile>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runcmd: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bootcmd: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mounts: Vec<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mount_default_fields: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct User {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    sudo: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    groups: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    home: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    shell: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_passwd: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ssh_authorized_keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ssh_import_id: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct WriteFile {
    encoding: String,
    content: String,
    path: String,
    permissions: String,
}

/// `vendor-data` (base64) with `mounts` (device, mount point) added. `None` when it cannot be read: such a microVM never gets ready.
pub(super) fn with_mounts(vendor_data: Option<&str>, mounts: &[(String, String)]) -> Option<String> {
    let mut document = UserData::default();
    if let Some(text) = vendor_data {
        let text = STANDARD.decode(go_lines(text)).ok()?;
        document = yaml_serde::from_slice::<Option<UserData>>(&text).ok()?.unwrap_or_default();
    }
    for (device, point) in mounts {
        if !document.mounts.iter().any(|mount| mount.first() == Some(device)) {
            document.mounts.push(vec![device.clone(), point.clone()]);
        }
    }
    document.mount_default_fields = DEFAULTS.map(str::to_owned).to_vec();
    Some(STANDARD.encode(HEADER.to_owned() + &yaml_serde::to_string(&document).ok()?))
}

/// The value of a metadata entry as the guest gets it: decoded, or as it is.
pub(crate) fn decoded(value: &str) -> Vec<u8> {
    STANDARD.decode(go_lines(value)).unwrap_or_else(|_| value.as_bytes().to_vec())
}
