//! Watching: what is there, then every change, for as long as the client stays.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::body::Bytes;
use axum::response::IntoResponse;
use axum::response::Response;
use futures::stream;
use http::header::CONTENT_TYPE;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use crate::store::Event;
use crate::store::Object;

use super::Call;
use super::Refusal;
use super::present;
use super::present::View;
use super::read::too_large;
use super::selector::Selection;

/// How long a watch lasts when the client does not say.
const TIMEOUT: u64 = 30 * 60;
/// The longest that a client may ask for.
const LONGEST: u64 = 24 * 60 * 60;

struct Watch {
    call: Call,
    view: View,
    selection: Selection,
    /// What was there at first, still to be sent.
    first: VecDeque<Arc<Object>>,
    /// Told after that.
    end_of_first: bool,
    revision: u64,
    changed: Receiver<u64>,
    deadline: Instant,
    bookmarks: bool,
    over: bool,
}

pub(super) fn watch(call: Call) -> Result<Response, Refusal> {
    let selection = Selection::of(&call)?;
    let given = call.query.get("resourceVersion").to_owned();
    let asked: u64 = match given.as_str() {
        "" => 0,
        text => text.parse().map_err(|_| Refusal::bad_request(format!("Invalid value: {text:?}: must be an unsigned integer")))?,
    };
    let initial = match call.query.get("sendInitialEvents") {
        "" => asked == 0,
        _ => call.query.flag("sendInitialEvents"),
    };
    let store = call.backend.store().lock();
    let (revision, changed) = (store.revision(), store.subscribe());
    if asked > revision {
        return Err(too_large(asked, revision));
    }
    let first = if initial { store.list(&call.kind.resource, call.namespace()).cloned().collect() } else { VecDeque::new() };
    drop(store);
    let seconds = call.query.get("timeoutSeconds").parse().unwrap_or(TIMEOUT).min(LONGEST);
    let watch = Watch {
        view: View::of(&call),
        selection,
        first,
        end_of_first: call.query.flag("sendInitialEvents"),
        // Without a version and without what is there, it begins now.
        revision: if initial || asked == 0 { revision } else { asked },
        changed,
        deadline: Instant::now() + Duration::from_secs(seconds),
        bookmarks: call.query.flag("allowWatchBookmarks"),
        over: false,
        call,
    };
    let body = Body::from_stream(stream::unfold(watch, Watch::next));
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

impl Watch {
    /// Waits for something to tell; `None` when it is over.
    async fn next(mut self) -> Option<(Result<Bytes, std::convert::Infallible>, Self)> {
        if self.over {
            return None;
        }
        loop {
            let mut out = self.initial();
            if out.is_empty() {
                self.changes(&mut out);
            }
            if !out.is_empty() {
                let backend = Arc::clone(&self.call.backend);
                if backend.admit(&self.call.attributes).await.is_err() {
                    return None;
                }
                return Some((Ok(out.into()), self));
            }
            let changed = tokio::time::timeout_at(self.deadline, self.changed.changed()).await;
            if !matches!(changed, Ok(Ok(()))) {
                self.over = true;
                if !self.bookmarks {
                    return None;
                }
                self.bookmark(&mut out, false);
                return Some((Ok(out.into()), self));
            }
        }
    }

    /// What was there at first.
    fn initial(&mut self) -> String {
        let mut out = String::new();
        for object in std::mem::take(&mut self.first) {
            if self.selection.matches(&object) {
                self.line(&mut out, "ADDED", &object);
            }
        }
        if std::mem::take(&mut self.end_of_first) {
            self.bookmark(&mut out, true);
        }
        out
    }

    /// What changed since.
    fn changes(&mut self, out: &mut String) {
        let store = self.call.backend.store().clone();
        let store = store.lock();
        self.changed.mark_unchanged();
        let of = |event: &&Event| {
            let object = &event.object;
            object.resource() == self.call.kind.resource && self.call.namespace().is_none_or(|namespace| namespace == object.namespace())
        };
        let events: Vec<Event> = match store.since(self.revision) {
            Ok(events) => events.filter(of).cloned().collect(),
            Err(expired) => {
                let _ = writeln!(out, r#"{{"type":"ERROR","object":{}}}"#, Refusal::from(expired).value());
                self.over = true;
                return;
            }
        };
        self.revision = store.revision();
        drop(store);
        for event in events {
            let before = event.previous.as_ref().is_some_and(|previous| self.selection.matches(previous));
            let after = !event.deleted && self.selection.matches(&event.object);
            let kind = match (before, after) {
                (false, false) => continue,
                (false, true) => "ADDED",
                (true, true) => "MODIFIED",
                (true, false) => "DELETED",
            };
            self.line(out, kind, &event.object);
        }
    }

    fn line(&self, out: &mut String, kind: &str, object: &Object) {
        let object = present::object(&self.call, self.view, object);
        // Writing into a text does not fail.
        let _ = writeln!(out, r#"{{"type":"{kind}","object":{object}}}"#);
    }

    fn bookmark(&self, out: &mut String, end_of_first: bool) {
        let (kind, api_version) = match self.view {
            View::Table => ("Table".to_owned(), "meta.k8s.io/v1".to_owned()),
            View::Whole => (self.call.kind.kind.clone(), self.call.kind.api_version()),
            View::Metadata => ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned()),
        };
        let annotations = if end_of_first { r#","annotations":{"k8s.io/initial-events-end":"true"}"# } else { "" };
        let revision = self.revision;
        let _ = writeln!(
            out,
            r#"{{"type":"BOOKMARK","object":{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{revision}","creationTimestamp":null{annotations}}}}}}}"#
        );
    }
}
