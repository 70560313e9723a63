//! Creating and updating.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::Object;
use super::Store;
use super::metadata;
use super::time;

/// The letters of generated names: no vowels, so no words; nothing that is easily mistaken.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// How many letters are added to `metadata.generateName`.
const SUFFIX: usize = 5;
/// Fields of the metadata that only the store writes.
const OWN: [&str; 5] = ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"];

/// Why an object was not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// It is not there.
    #[error("{resource} \"{name}\" not found")]
    NotFound {
        /// Its resource.
        resource: String,
        /// Its name.
        name: String,
    },
    /// One of that name is there already.
    #[error("{resource} \"{name}\" already exists")]
    AlreadyExists {
        /// Its resource.
        resource: String,
        /// Its name.
        name: String,
    },
    /// It is not the version, or not the object, that the writer expects.
    #[error("Operation cannot be fulfilled on {resource} \"{name}\": {reason}")]
    Conflict {
        /// Its resource.
        resource: String,
        /// Its name.
        name: String,
        /// What differs.
        reason: String,
    },
    /// The namespace is going away, or is not there to begin with.
    #[error("{resource} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated")]
    Terminating {
        /// Its resource.
        resource: String,
        /// Its name.
        name: String,
        /// The namespace.
        namespace: String,
    },
    /// It cannot be stored.
    #[error("{0}")]
    Invalid(String),
}

/// Which part of an object an update is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it: the resource has no status of its own, or the writer is trusted with both.
    Whole,
    /// All but the status.
    Main,
    /// The status.
    Status,
}

impl Store {
    /// Creates an object; it must carry `apiVersion`, `kind`, and `metadata.name` or `generateName`.
    ///
    /// # Errors
    /// When there is one of that name, its namespace is terminating, or it has no name.
    pub fn create(&mut self, resource: &str, mut object: Value, now: Timestamp) -> Result<Arc<Object>, WriteError> {
        if !object.is_object() {
            return Err(WriteError::Invalid("an object is wanted".to_owned()));
        }
        if !matches!(metadata::text(&object, "resourceVersion"), "" | "0") {
            return Err(WriteError::Invalid("resourceVersion should not be set on objects to be created".to_owned()));
        }
        if metadata::text(&object, "name").is_empty() {
            let prefix = metadata::text(&object, "generateName").to_owned();
            if prefix.is_empty() {
                return Err(WriteError::Invalid("name or generateName is required".to_owned()));
            }
            let fresh = self.fresh();
            let suffix = fresh.iter().take(SUFFIX).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
            let name: String = prefix.chars().chain(suffix).collect();
            metadata::set(&mut object, "name", Value::String(name));
        }
        let (namespace, name) = (metadata::text(&object, "namespace").to_owned(), metadata::text(&object, "name").to_owned());
        if self.get(resource, &namespace, &name).is_some() {
            return Err(WriteError::AlreadyExists { resource: resource.to_owned(), name });
        }
        if !namespace.is_empty() && self.get("namespaces", "", &namespace).is_some_and(|found| found.terminating()) {
            return Err(WriteError::Terminating { resource: resource.to_owned(), name, namespace });
        }
        for field in OWN {
            metadata::unset(&mut object, field);
        }
        let uid = uuid::Builder::from_random_bytes(self.fresh()).into_uuid();
        metadata::set(&mut object, "uid", Value::String(uid.to_string()));
        metadata::set(&mut object, "creationTimestamp", Value::String(time(now)));
        if object.get("spec").is_some() {
            metadata::set(&mut object, "generation", Value::from(1));
        }
        Ok(self.commit(resource, object))
    }

    /// Replaces `part` of an object by that of `object`. If that changes nothing, the version stays.
    ///
    /// The last finalizer's removal from a terminating object removes the object.
    ///
    /// # Errors
    /// When it is not there, or `metadata.uid` or `metadata.resourceVersion` are given and differ.
    pub fn update(&mut self, resource: &str, object: Value, part: Part, now: Timestamp) -> Result<Arc<Object>, WriteError> {
        let name = metadata::text(&object, "name");
        let Some(found) = self.get(resource, metadata::text(&object, "namespace"), name).cloned() else {
            return Err(WriteError::NotFound { resource: resource.to_owned(), name: name.to_owned() });
        };
        let expected = (metadata::text(&object, "uid"), metadata::text(&object, "resourceVersion"));
        check(&found, expected.0, if expected.1 == "0" { "" } else { expected.1 })?;
        let current = found.value();
        let mut next = merged(&current, object, part);
        let changed = |field: &str| current.get(field) != next.get(field);
        if changed("spec") && part != Part::Status {
            let generation = metadata::get(&current, "generation").and_then(Value::as_i64).unwrap_or(0);
            metadata::set(&mut next, "generation", Value::from(generation + 1));
        }
        if next == current {
            return Ok(found);
        }
        let written = self.commit(resource, next);
        if written.terminating() && !metadata::held(&written.value()) {
            return Ok(self.remove(&written, now));
        }
        Ok(written)
    }

    /// Reads an object, lets `change` alter it, and writes the whole of it; for those that are the cluster itself, as kubelet and controllers are.
    ///
    /// # Errors
    /// When it is not there.
    pub fn modify(
        &mut self,
        resource: &str,
        namespace: &str,
        name: &str,
        now: Timestamp,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Object>, WriteError> {
        let Some(found) = self.get(resource, namespace, name) else {
            return Err(WriteError::NotFound { resource: resource.to_owned(), name: name.to_owned() });
        };
        let mut object = found.value();
        change(&mut object);
        self.update(resource, object, Part::Whole, now)
    }
}

/// Whether it is the object, and the version of it, that is meant; empty means any.
pub(super) fn check(found: &Object, uid: &str, version: &str) -> Result<(), WriteError> {
    let conflict = |reason: String| WriteError::Conflict { resource: found.resource().to_owned(), name: found.name().to_owned(), reason };
    if !uid.is_empty() && uid != found.uid() {
        return Err(conflict(format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", found.uid())));
    }
    if !version.is_empty() && version != found.revision().to_string() {
        return Err(conflict("the object has been modified; please apply your changes to the latest version and try again".to_owned()));
    }
    Ok(())
}

/// `current` with `part` of `object`.
fn merged(current: &Value, mut object: Value, part: Part) -> Value {
    let take = |object: &mut Value, field: &str| object.as_object_mut().and_then(|map| map.remove(field));
    let put = |into: &mut Value, field: &str, value: Option<Value>| {
        if let (Some(map), Some(value)) = (into.as_object_mut(), value) {
            map.insert(field.to_owned(), value);
        }
    };
    let mut next = match part {
        Part::Whole => object,
        Part::Main => {
            take(&mut object, "status");
            put(&mut object, "status", current.get("status").cloned());
            object
        }
        Part::Status => {
            let mut next = current.clone();
            take(&mut next, "status");
            put(&mut next, "status", take(&mut object, "status"));
            next
        }
    };
    for field in OWN.into_iter().chain(["resourceVersion"]) {
        match metadata::get(current, field) {
            Some(value) => metadata::set(&mut next, field, value.clone()),
            None => metadata::unset(&mut next, field),
        }
    }
    next
}
