//! Creating, updating, patching and deleting.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::store::Deleted;
use crate::store::Deletion;
use crate::store::Object;
use crate::store::Part;
use crate::store::Store;
use crate::store::WriteError;

use super::Call;
use super::IntoJson;
use super::Refusal;
use super::body;
use super::defaults;
use super::events;
use super::patch::Patch;
use super::present;
use super::read;
use super::selector::Selection;
use super::subresource;

/// Seconds that a pod has to end when it does not say.
const GRACE: u64 = 30;

pub(super) async fn create(call: &Call, body: Body) -> Result<Response, Refusal> {
    if call.kind.review {
        return subresource::review(call, body).await;
    }
    match (&*call.kind.resource, &*call.target.subresource) {
        ("pods", "eviction") => return subresource::evict(call, body).await,
        ("serviceaccounts", "token") => return subresource::token(call, body).await,
        _ if !call.target.name.is_empty() => return Err(Refusal::method()),
        _ => {}
    }
    let mut object = body::object(call, body).await?;
    own(call, &mut object)?;
    let created = call.change(|store| stored(call, store, object))?;
    Ok(present::one(call, StatusCode::CREATED, &created))
}

/// Creates an object as a client may.
fn stored(call: &Call, store: &mut Store, mut object: Value) -> Result<Arc<Object>, Refusal> {
    let namespace = &call.target.namespace;
    if call.kind.namespaced && store.get("namespaces", "", namespace).is_none() {
        let mut refusal = Refusal::new(StatusCode::NOT_FOUND, "NotFound", format!("namespaces {namespace:?} not found"));
        refusal.details = json!({ "name": namespace, "kind": "namespaces" });
        return Err(refusal);
    }
    defaults::created(&call.kind, &mut object);
    store.create(&call.kind.resource, object, call.backend.now()).map_err(|error| refused(call, &error))
}

pub(super) async fn update(call: &Call, body: Body) -> Result<Response, Refusal> {
    let mut object = body::object(call, body).await?;
    if call.target.name.is_empty() {
        return Err(Refusal::method());
    }
    own(call, &mut object)?;
    let part = part(call)?;
    let updated =
        call.change(|store| store.update(&call.kind.resource, object, part, call.backend.now()).map_err(|error| refused(call, &error)))?;
    Ok(present::one(call, StatusCode::OK, &updated))
}

pub(super) async fn patch(call: &Call, body: Body) -> Result<Response, Refusal> {
    let bytes = body::bytes(body).await?;
    let patch = Patch::parse(body::media_type(call), &bytes)?;
    let part = part(call)?;
    let patched = call.change(|store| {
        let found = store.get(&call.kind.resource, &call.target.namespace, &call.target.name).map(|found| found.value());
        let creates = found.is_none();
        let mut object = patch.changed(call, found)?;
        own(call, &mut object)?;
        if creates {
            return stored(call, store, object).map(|created| (StatusCode::CREATED, created));
        }
        let updated = store.update(&call.kind.resource, object, part, call.backend.now()).map_err(|error| refused(call, &error))?;
        Ok((StatusCode::OK, updated))
    })?;
    Ok(present::one(call, patched.0, &patched.1))
}

pub(super) async fn delete(call: &Call, body: Body) -> Result<Response, Refusal> {
    let options = body::object(call, body).await?;
    if !call.target.subresource.is_empty() {
        return Err(Refusal::method());
    }
    delete_with(call, &options)
}

/// Deletes the object that the request names, as these `DeleteOptions` say.
pub(super) fn delete_with(call: &Call, options: &Value) -> Result<Response, Refusal> {
    let options = Options::read(call, options);
    let now = call.backend.now();
    let deleted = call.change(|store| {
        let found = read_from(store, call)?;
        let how = options.deletion(&found);
        store.delete(&call.kind.resource, &call.target.namespace, &call.target.name, &how, now).map_err(|error| refused(call, &error))
    })?;
    Ok(match deleted {
        Deleted::Terminating(object) => present::one(call, StatusCode::OK, &object),
        Deleted::Gone(object) => {
            let details = json!({ "name": object.name(), "group": call.kind.group, "kind": call.kind.plural, "uid": object.uid() });
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details }).into_json()
        }
    })
}

pub(super) async fn delete_collection(call: &Call, body: Body) -> Result<Response, Refusal> {
    let options = Options::read(call, &body::object(call, body).await?);
    let selection = Selection::of(call)?;
    let (revision, found) = read::selected(call, &selection);
    let now = call.backend.now();
    call.change(|store| {
        for object in &found {
            match store.delete(&call.kind.resource, object.namespace(), object.name(), &options.deletion(object), now) {
                Ok(_) | Err(WriteError::NotFound { .. }) => {}
                Err(error) => return Err(refused(call, &error)),
            }
        }
        Ok(())
    })?;
    Ok(present::list(call, revision, found.iter().map(|object| &**object)))
}

fn read_from(store: &Store, call: &Call) -> Result<Arc<Object>, Refusal> {
    let found = store.get(&call.kind.resource, &call.target.namespace, &call.target.name);
    found.cloned().ok_or_else(|| Refusal::not_found(&call.kind, &call.target.name))
}

/// What the request is allowed to write.
fn part(call: &Call) -> Result<Part, Refusal> {
    match &*call.target.subresource {
        "" if call.kind.status => Ok(Part::Main),
        "" => Ok(Part::Whole),
        "status" if call.kind.status => Ok(Part::Status),
        _ => Err(Refusal::no_such_path()),
    }
}

/// Makes the object the one that the path names, or says why it is not.
fn own(call: &Call, object: &mut Value) -> Result<(), Refusal> {
    if call.kind.group == events::GROUP {
        events::to_core(object);
    }
    let Some(map) = object.as_object_mut() else { return Err(Refusal::bad_request("an object is wanted")) };
    for (field, wanted) in [("apiVersion", events::stored(&call.kind)), ("kind", call.kind.kind.clone())] {
        let given = map.entry(field).or_insert(Value::Null);
        if given.as_str().is_some_and(|given| !given.is_empty() && given != wanted) {
            let message = format!("the {field} in the data ({given}) does not match the expected one ({wanted})");
            return Err(Refusal::bad_request(message));
        }
        *given = Value::String(wanted);
    }
    let metadata = map.entry("metadata").or_insert(Value::Null);
    if metadata.is_null() {
        *metadata = json!({});
    }
    let Some(metadata) = metadata.as_object_mut() else { return Err(Refusal::bad_request("metadata is not an object")) };
    let target = &call.target;
    let namespace = metadata.get("namespace").and_then(Value::as_str).unwrap_or_default();
    if !namespace.is_empty() && namespace != target.namespace {
        return Err(Refusal::bad_request("the namespace of the provided object does not match the namespace sent on the request"));
    }
    if target.namespace.is_empty() {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".to_owned(), Value::String(target.namespace.clone()));
    }
    let name = metadata.get("name").and_then(Value::as_str).unwrap_or_default();
    if !target.name.is_empty() && name != target.name {
        if !name.is_empty() {
            let message = format!("the name of the object ({name}) does not match the name on the URL ({})", target.name);
            return Err(Refusal::bad_request(message));
        }
        metadata.insert("name".to_owned(), Value::String(target.name.clone()));
    }
    Ok(())
}

fn refused(call: &Call, error: &WriteError) -> Refusal {
    Refusal::store(&call.kind, error)
}

/// `DeleteOptions`.
struct Options {
    how: Deletion,
    grace: Option<u64>,
}

impl Options {
    fn read(call: &Call, given: &Value) -> Self {
        let query = |name: &str| Some(call.query.get(name)).filter(|value| !value.is_empty());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let policy = given["propagationPolicy"].as_str().or(query("propagationPolicy")).unwrap_or_default();
        let orphan = given["orphanDependents"] == Value::Bool(true) || call.query.flag("orphanDependents");
        let preconditions = &given["preconditions"];
        Self {
            how: Deletion {
                uid: text(&preconditions["uid"]),
                version: text(&preconditions["resourceVersion"]),
                grace: 0,
                orphan: orphan || policy == "Orphan",
            },
            grace: given["gracePeriodSeconds"].as_u64().or_else(|| query("gracePeriodSeconds")?.parse().ok()),
        }
    }

    /// Only pods that a kubelet runs end gracefully.
    fn deletion(&self, object: &Object) -> Deletion {
        let mut how = self.how.clone();
        if object.resource() == "pods" {
            let pod = object.value();
            let runs = pod["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty())
                && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            let wanted = self.grace.or(pod["spec"]["terminationGracePeriodSeconds"].as_u64()).unwrap_or(GRACE);
            how.grace = if runs { u32::try_from(wanted).unwrap_or(u32::MAX) } else { 0 };
        }
        how
    }
}
