//! Objects that an earlier release stored in another version are stored anew in the present one.
//!
//! The API server reads every version a definition names, and writes the storage version; what nobody writes stays as it was. A version can be dropped from
//! a definition only when nothing is stored in it any more, which `status.storedVersions` says and nobody but us keeps true.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, Client, Error};
use serde_json::json;

/// Objects of one page of a listing.
const PAGE: u32 = 200;

/// Why objects are not all stored in the storage version.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The definition cannot be read, or not be told that all is done.
    #[error("the definition {crd} cannot be {what}")]
    Definition {
        /// Its name.
        crd: String,
        /// `read` or `changed`.
        what: &'static str,
        /// Why not.
        source: Error,
    },
    /// It has no storage version: no definition of the API server's.
    #[error("the definition {crd} has no storage version")]
    Versionless {
        /// Its name.
        crd: String,
    },
    /// The objects cannot be listed.
    #[error("objects of {crd} cannot be listed")]
    List {
        /// The definition's name.
        crd: String,
        /// Why not.
        source: Error,
    },
    /// An object cannot be written.
    #[error("{object} of {crd} cannot be stored anew")]
    Object {
        /// The definition's name.
        crd: String,
        /// Namespace and name.
        object: String,
        /// Why not.
        source: Error,
    },
}

/// Stores all objects of the definition in its storage version, and has `status.storedVersions` say so. Returns how many were written; `None` if there was
/// nothing to do.
///
/// # Errors
/// When the API server refuses something; what was written stays written, and another try goes on from there.
pub async fn store_anew(client: &Client, crd: &str, manager: &str) -> Result<Option<usize>, StorageError> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let failed = |what| move |source| StorageError::Definition { crd: crd.to_owned(), what, source };
    let definition = definitions.get(crd).await.map_err(failed("read"))?;
    let stored = definition.status.as_ref().and_then(|status| status.stored_versions.clone()).unwrap_or_default();
    let storage = definition.spec.versions.iter().find(|version| version.storage);
    let storage = storage.ok_or_else(|| StorageError::Versionless { crd: crd.to_owned() })?.name.clone();
    if stored.iter().all(|version| *version == storage) {
        return Ok(None);
    }
    let (group, names) = (&definition.spec.group, &definition.spec.names);
    let resource = ApiResource {
        group: group.clone(),
        version: storage.clone(),
        api_version: format!("{group}/{storage}"),
        kind: names.kind.clone(),
        plural: names.plural.clone(),
    };
    let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    let mut page = ListParams::default().limit(PAGE);
    let mut written = 0;
    loop {
        let list = Api::<DynamicObject>::all_with(client.clone(), &resource).list_metadata(&page).await;
        let list = list.map_err(|source| StorageError::List { crd: crd.to_owned(), source })?;
        for object in list.items {
            let (name, namespace) = (object.metadata.name.unwrap_or_default(), object.metadata.namespace.unwrap_or_default());
            let api = Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &resource);
            // It changes nothing, so the API server writes it only if it was stored in another version; who wrote it meanwhile has done the same.
            let patch = json!({"metadata": {"resourceVersion": object.metadata.resource_version}});
            match api.patch(&name, &params, &Patch::Merge(&patch)).await {
                Ok(_) => written += 1,
                Err(Error::Api(status)) if [404, 409].contains(&status.code) => (),
                Err(source) => return Err(StorageError::Object { crd: crd.to_owned(), object: format!("{namespace}/{name}"), source }),
            }
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }
    // Under the precondition that the definition is the one that was read: with another storage version, all begins again.
    let done = json!({"metadata": {"resourceVersion": definition.metadata.resource_version}, "status": {"storedVersions": [storage]}});
    definitions.patch_status(crd, &params, &Patch::Merge(&done)).await.map_err(failed("changed"))?;
    Ok(Some(written))
}
