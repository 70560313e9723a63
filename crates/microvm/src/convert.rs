//! Between the versions, without loss in either direction.
//!
//! `v1alpha2` is the hub. What one version cannot hold stays with the object in one annotation, as a list of changes: where, what plain conversion
//! makes of it, and what it really is. On the way back a change is made only where plain conversion still gives what it gave then, so
//! whatever a user changed meanwhile stands.

mod fields;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use fields::{Cluster, ClusterTemplate, LoadBalancer, Machine, MachineTemplate};

/// The annotation with what the version at hand cannot hold.
pub const ANNOTATION: &str = "capstead.io/conversion-data";

const GROUP: &str = capstead_capi::meta::INFRASTRUCTURE_GROUP;

/// Why an object cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// It is no object of Kubernetes.
    #[error("the object has no {field}")]
    Missing {
        /// The field it lacks.
        field: &'static str,
    },
    /// Its version, or the one it should have, is none of ours.
    #[error("{api_version} is neither {GROUP}/v1alpha1 nor {GROUP}/v1alpha2")]
    Version {
        /// That version.
        api_version: String,
    },
    /// Its kind is none of ours.
    #[error("{kind} is not a kind of {GROUP} that can be converted here")]
    Kind {
        /// The kind.
        kind: String,
    },
    /// It has not the shape of its kind and version.
    #[error("this is no {kind} of {api_version}")]
    Shape {
        /// Its kind.
        kind: String,
        /// Its version.
        api_version: String,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// The converted object is no JSON.
    #[error("the converted {kind} cannot be written")]
    Write {
        /// Its kind.
        kind: String,
        /// Why not.
        source: serde_json::Error,
    },
}

/// A kind in both versions.
trait Versions {
    type Old: Serialize + DeserializeOwned;
    type New: Serialize + DeserializeOwned;

    fn up(old: Self::Old) -> Self::New;
    fn down(new: Self::New) -> Self::Old;
}

/// What is converted of an object; its metadata stays as it is.
#[derive(Serialize, Deserialize)]
struct Body<S, T> {
    spec: S,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    status: Option<T>,
}

/// `serde(default)` would ask for `T: Default`.
fn none<T>() -> Option<T> {
    None
}

/// Something the other version cannot hold.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Change {
    /// A JSON pointer.
    at: String,
    /// What plain conversion makes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<Value>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is: Option<Value>,
}

/// Converts an object of any of the kinds to `to`, such as `infrastructure.cluster.x-k8s.io/v1alpha2`.
///
/// Of its metadata only [`ANNOTATION`] changes.
///
/// # Errors
/// When it is no object of a kind and version that is known, or `to` no such version.
pub fn convert(object: Value, to: &str) -> Result<Value, ConvertError> {
    let Value::Object(mut object) = object else {
        return Err(ConvertError::Missing { field: "fields" });
    };
    let text = |field: &'static str| match object.get(field).and_then(Value::as_str) {
        Some(text) => Ok(text.to_owned()),
        None => Err(ConvertError::Missing { field }),
    };
    let (from, kind) = (text("apiVersion")?, text("kind")?);
    let (is_new, to_new) = (is_hub(&from)?, is_hub(to)?);
    let convert = match kind.as_str() {
        "MicrovmCluster" => both_ways::<Cluster>,
        "MicrovmClusterTemplate" => both_ways::<ClusterTemplate>,
        "MicrovmMachine" => both_ways::<Machine>,
        "MicrovmMachineTemplate" => both_ways::<MachineTemplate>,
        "ExternalLoadBalancer" => both_ways::<LoadBalancer>,
        _ => return Err(ConvertError::Kind { kind }),
    };
    if is_new == to_new {
        return Ok(Value::Object(object));
    }
    let saved = take_saved(&mut object);
    let mut body = Map::new();
    for part in ["spec", "status"] {
        body.extend(object.remove_entry(part));
    }
    let (body, losses) = match convert(Value::Object(body), &saved, to_new) {
        Ok(converted) => converted,
        Err(Failed::Read(source)) => return Err(ConvertError::Shape { kind, api_version: from, source }),
        Err(Failed::Write(source)) => return Err(ConvertError::Write { kind, source }),
    };
    if !losses.is_empty() {
        let losses = serde_json::to_string(&losses).map_err(|source| ConvertError::Write { kind, source })?;
        save(&mut object, losses)?;
    }
    object.insert("apiVersion".into(), Value::String(to.into()));
    if let Value::Object(body) = body {
        object.extend(body);
    }
    Ok(Value::Object(object))
}

fn is_hub(api_version: &str) -> Result<bool, ConvertError> {
    match api_version.split_once('/') {
        Some((GROUP, "v1alpha1")) => Ok(false),
        Some((GROUP, "v1alpha2")) => Ok(true),
        _ => Err(ConvertError::Version { api_version: api_version.into() }),
    }
}

/// Takes what an earlier conversion left. What cannot be read was written by somebody else, and goes.
fn take_saved(object: &mut Map<String, Value>) -> Vec<Change> {
    let Some(Value::Object(metadata)) = object.get_mut("metadata") else { return Vec::new() };
    let Some(Value::Object(annotations)) = metadata.get_mut("annotations") else { return Vec::new() };
    let saved = annotations.remove(ANNOTATION);
    if saved.is_some() && annotations.is_empty() {
        metadata.remove("annotations");
    }
    saved.as_ref().and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn save(object: &mut Map<String, Value>, losses: String) -> Result<(), ConvertError> {
    let Some(Value::Object(metadata)) = object.get_mut("metadata") else {
        return Err(ConvertError::Missing { field: "metadata" });
    };
    let annotations = metadata.entry("annotations").or_insert(Value::Null);
    if !annotations.is_object() {
        *annotations = Value::Object(Map::new());
    }
    annotations[ANNOTATION] = Value::String(losses);
    Ok(())
}

enum Failed {
    Read(serde_json::Error),
    Write(serde_json::Error),
}

fn both_ways<V: Versions>(body: Value, saved: &[Change], up: bool) -> Result<(Value, Vec<Change>), Failed> {
    if up { one_way(body, saved, V::up, V::down) } else { one_way(body, saved, V::down, V::up) }
}

/// Converts, makes the saved changes, and finds what the result cannot hold.
fn one_way<A, B>(body: Value, saved: &[Change], there: fn(A) -> B, back: fn(B) -> A) -> Result<(Value, Vec<Change>), Failed>
where
    A: Serialize + DeserializeOwned,
    B: Serialize + DeserializeOwned,
{
    let write = |written: serde_json::Result<Value>| written.map_err(Failed::Write);
    let from: A = serde_json::from_value(body).map_err(Failed::Read)?;
    let is = write(serde_json::to_value(&from))?;
    let plain = write(serde_json::to_value(there(from)))?;
    let mut result = plain.clone();
    for change in saved {
        if result.pointer(&change.at) == change.was.as_ref() {
            set(&mut result, &change.at, change.is.as_ref());
        }
    }
    // A tampered annotation can make an impossible object; then it counts for nothing.
    let to = match B::deserialize(&result) {
        Ok(to) => to,
        Err(_) => B::deserialize(&plain).map_err(Failed::Read)?,
    };
    // So does what it says of fields that there are not.
    let result = write(serde_json::to_value(&to))?;
    let was = write(serde_json::to_value(back(to)))?;
    let mut losses = Vec::new();
    differences(&was, &is, "", &mut losses);
    Ok((result, losses))
}

/// Sets or removes what `at` points to; nothing if what should hold it is not there.
fn set(root: &mut Value, at: &str, value: Option<&Value>) {
    let Some((parent, key)) = at.rsplit_once('/') else { return };
    let Some(Value::Object(parent)) = root.pointer_mut(parent) else { return };
    let key = key.replace("~1", "/").replace("~0", "~");
    match value {
        Some(value) => drop(parent.insert(key, value.clone())),
        None => drop(parent.remove(&key)),
    }
}

/// How to make `is` of `was`. Lists differ as a whole: what a place in a list means is not known.
fn differences(was: &Value, is: &Value, at: &str, all: &mut Vec<Change>) {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            let gone = was.keys().filter(|key| !is.contains_key(*key));
            for key in is.keys().chain(gone) {
                let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                match (was.get(key), is.get(key)) {
                    (Some(was), Some(is)) => differences(was, is, &at, all),
                    (was, is) => all.push(Change { at, was: was.cloned(), is: is.cloned() }),
                }
            }
        }
        _ if was == is => {}
        _ => all.push(Change { at: at.into(), was: Some(was.clone()), is: Some(is.clone()) }),
    }
}

#[cfg(test)]
mod tests;
