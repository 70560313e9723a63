//! How objects are shown: whole or their metadata only.

use std::borrow::Cow;

use axum::response::IntoResponse;
use axum::response::Response;
use http::StatusCode;
use http::header::ACCEPT;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::store::Object;

use super::Call;
use super::events;
use super::table;

/// What a client wants to see of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    /// `Table`, as kubectl prints it.
    Table,
}

impl View {
    /// The first that the client accepts and that there is; whatever it accepts, it can read JSON.
    pub(super) fn of(call: &Call) -> Self {
        let wanted = call.header(ACCEPT).split(',').find_map(|range| {
            let mut parameters = range.split(';').map(str::trim);
            if !matches!(parameters.next(), Some("application/json" | "application/*" | "*/*")) {
                return None;
            }
            match parameters.find_map(|parameter| parameter.strip_prefix("as=")) {
                None => Some(Self::Whole),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Some(Self::Metadata),
                Some("Table") => Some(Self::Table),
                Some(_) => None,
            }
        });
        wanted.unwrap_or(Self::Whole)
    }
}

pub(super) fn json(code: StatusCode, body: String) -> Response {
    (code, [(CONTENT_TYPE, "application/json")], body).into_response()
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

/// An object as this client sees it.
pub(super) fn object<'a>(call: &Call, view: View, object: &'a Object) -> Cow<'a, str> {
    let rendered = call.backend.render(object);
    let whole = match rendered {
        Some(value) => Cow::Owned(value.to_string()),
        None if call.kind.group == events::GROUP => Cow::Owned(events::of_group(object.value()).to_string()),
        None => Cow::Borrowed(object.json()),
    };
    match view {
        View::Whole => whole,
        View::Table => {
            let value = serde_json::from_str(&whole).unwrap_or_default();
            Cow::Owned(table::table(&call.kind, object.revision(), [&value], call.backend.now()).to_string())
        }
        View::Metadata => {
            let metadata = serde_json::from_str::<Head<'_>>(&whole).ok().and_then(|head| head.metadata).map_or("{}", RawValue::get);
            Cow::Owned(format!(r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{metadata}}}"#))
        }
    }
}

/// An answer that is one object.
pub(super) fn one(call: &Call, code: StatusCode, found: &Object) -> Response {
    json(code, object(call, View::of(call), found).into_owned())
}

/// A list of objects, as of `revision`.
pub(super) fn list<'a>(call: &Call, revision: u64, objects: impl IntoIterator<Item = &'a Object>) -> Response {
    let view = View::of(call);
    let (kind, api_version) = match view {
        View::Table => {
            let shown: Vec<_> = objects.into_iter().map(|found| call.backend.render(found).unwrap_or_else(|| found.value())).collect();
            return json(StatusCode::OK, table::table(&call.kind, revision, &shown, call.backend.now()).to_string());
        }
        View::Whole => (format!("{}List", call.kind.kind), call.kind.api_version()),
        View::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
    };
    let mut body = format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{revision}"}},"items":["#);
    for (number, found) in objects.into_iter().enumerate() {
        if number > 0 {
            body.push(',');
        }
        body.push_str(&object(call, view, found));
    }
    body.push_str("]}");
    json(StatusCode::OK, body)
}
