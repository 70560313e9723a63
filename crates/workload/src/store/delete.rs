//! Deleting, and what goes with it: grace, finalizers, dependents, and the content of namespaces.

use std::sync::Arc;

use jiff::SignedDuration;
use jiff::Timestamp;
use serde_json::Value;

use super::Object;
use super::Store;
use super::WriteError;
use super::metadata;
use super::time;
use super::write::check;

/// How to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletion {
    /// Only the object with this uid; empty is any.
    pub uid: String,
    /// Only this version; empty is any.
    pub version: String,
    /// Seconds until it is to be gone, for those who end gracefully. With 0 it goes at once, unless finalizers hold it.
    pub grace: u32,
    /// Dependents stay, and no longer name it as their owner.
    pub orphan: bool,
}

/// What became of it.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// It is gone; this was its last version.
    Gone(Arc<Object>),
    /// It has a deletion timestamp, and goes when its finalizers are removed or its grace has ended.
    Terminating(Arc<Object>),
}

impl Store {
    /// Deletes an object.
    ///
    /// # Errors
    /// When it is not there, or not the one that is meant.
    pub fn delete(&mut self, resource: &str, namespace: &str, name: &str, how: &Deletion, now: Timestamp) -> Result<Deleted, WriteError> {
        let Some(found) = self.get(resource, namespace, name).cloned() else {
            return Err(WriteError::NotFound { resource: resource.to_owned(), name: name.to_owned() });
        };
        check(&found, &how.uid, &how.version)?;
        if how.orphan {
            self.orphan(found.uid());
        }
        Ok(self.end(&found, how.grace, now))
    }

    /// Ends an object, gently if it must be.
    fn end(&mut self, found: &Arc<Object>, grace: u32, now: Timestamp) -> Deleted {
        let mut value = found.value();
        let left = metadata::get(&value, "deletionGracePeriodSeconds").and_then(Value::as_u64);
        // Grace may be shortened, never prolonged.
        let grace = if found.terminating() { u64::from(grace).min(left.unwrap_or(0)) } else { u64::from(grace) };
        metadata::set(&mut value, "deletionGracePeriodSeconds", Value::from(grace));
        let content = resource_is_namespace(found) && self.content(found.name()).next().is_some();
        if !metadata::held(&value) && !content {
            return Deleted::Gone(self.remove(found, now));
        }
        if !found.terminating() || left != Some(grace) {
            let end = now + SignedDuration::from_secs(i64::try_from(grace).unwrap_or(i64::MAX / 4));
            metadata::set(&mut value, "deletionTimestamp", Value::String(time(end)));
            if let Some(generation) = metadata::get(&value, "generation").and_then(Value::as_i64) {
                metadata::set(&mut value, "generation", Value::from(generation + 1));
            }
            if content && let Some(object) = value.as_object_mut() {
                object.insert("status".to_owned(), serde_json::json!({ "phase": "Terminating" }));
            }
            let written = self.commit(found.resource(), value);
            if !content {
                return Deleted::Terminating(written);
            }
        }
        if content {
            let within: Vec<_> = self.content(found.name()).cloned().collect();
            for object in within {
                self.end_again(&object, now);
            }
        }
        match self.get(found.resource(), found.namespace(), found.name()) {
            Some(still) => Deleted::Terminating(Arc::clone(still)),
            None => Deleted::Gone(Arc::clone(found)),
        }
    }

    /// Ends an object that may have changed or gone since it was looked at.
    fn end_again(&mut self, object: &Object, now: Timestamp) {
        if let Some(found) = self.get(object.resource(), object.namespace(), object.name()).cloned()
            && found.uid() == object.uid()
        {
            self.end(&found, 0, now);
        }
    }

    /// Takes an object away for good, with all that depended on it alone, and its namespace if that waited for it.
    pub(super) fn remove(&mut self, object: &Arc<Object>, now: Timestamp) -> Arc<Object> {
        let last = self.take(object);
        let dependents: Vec<_> = self.all().filter(|other| other.owners().any(|uid| uid == object.uid())).cloned().collect();
        for dependent in dependents {
            if !dependent.owners().any(|uid| self.all().any(|owner| owner.uid() == uid)) {
                self.end_again(&dependent, now);
            }
        }
        if let Some(namespace) = self.get("namespaces", "", object.namespace()).cloned()
            && namespace.terminating()
            && self.content(namespace.name()).next().is_none()
            && !metadata::held(&namespace.value())
        {
            self.remove(&namespace, now);
        }
        last
    }

    fn content<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Arc<Object>> {
        self.all().filter(move |object| object.namespace() == namespace)
    }

    /// Removes an owner from those that name it.
    fn orphan(&mut self, uid: &str) {
        let dependents: Vec<_> = self.all().filter(|other| other.owners().any(|owner| owner == uid)).cloned().collect();
        for dependent in dependents {
            let mut value = dependent.value();
            let left: Vec<_> = metadata::get(&value, "ownerReferences")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter(|owner| owner.get("uid").and_then(Value::as_str) != Some(uid))
                .cloned()
                .collect();
            metadata::set(&mut value, "ownerReferences", Value::Array(left));
            self.commit(dependent.resource(), value);
        }
    }
}

fn resource_is_namespace(object: &Object) -> bool {
    object.resource() == "namespaces"
}
