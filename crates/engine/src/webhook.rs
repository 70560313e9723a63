//! The webhook server: admission and conversion over TLS.

mod admission;
mod conversion;
mod patch;

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::middleware;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Violation;
use crate::certificates::CertificateError;
use crate::certificates::Certificates;
use crate::metrics::Metrics;
use crate::serve;
use crate::serve::Running;
use crate::serve::ServeError;

pub use admission::Operation;
pub use admission::Request;

/// Most bytes of a review of one object; the API server stores none above 1.5 MiB or so, and a review holds two.
const ADMISSION_LIMIT: usize = 8 << 20;
/// Most bytes of a conversion, which may be of a whole list.
const CONVERSION_LIMIT: usize = 64 << 20;

/// Why the webhook server does not run.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// TLS cannot be set up.
    #[error("cannot serve webhooks securely")]
    Certificate(#[from] CertificateError),
    /// The address does not parse or is taken.
    #[error("cannot serve webhooks")]
    Serve(#[from] ServeError),
}

/// What is asked at each path.
#[derive(Default)]
pub struct Webhooks {
    admission: BTreeMap<String, admission::Hooks>,
    conversion: Option<conversion::Convert>,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks").field("admission", &self.admission.keys()).field("conversion", &self.conversion.is_some()).finish()
    }
}

impl Webhooks {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Judges creations and updates sent to `path`: the new object, and the old one of an update.
    ///
    /// The old object is `None` also when it does not parse, so that what was stored before a rule existed can be mended.
    /// An object being deleted whose specification stays the same is let through unjudged, so that its finalizers can go.
    #[must_use]
    pub fn validating<K: DeserializeOwned + 'static>(
        mut self,
        path: &str,
        judge: impl Fn(&K, Option<&K>, &Request) -> Vec<Violation> + Send + Sync + 'static,
    ) -> Self {
        self.hooks(path).judge = Some(Box::new(admission::judging(judge)));
        self
    }

    /// Judges deletions sent to `path`. Without it they are let through.
    #[must_use]
    pub fn validating_delete<K: DeserializeOwned + 'static>(
        mut self,
        path: &str,
        judge: impl Fn(&K, &Request) -> Vec<Violation> + Send + Sync + 'static,
    ) -> Self {
        self.hooks(path).judge_delete = Some(Box::new(admission::judging_delete(judge)));
        self
    }

    /// Changes objects in creations and updates sent to `path`; only what `change` changed becomes the patch.
    ///
    /// Doing it twice must be the same as doing it once.
    #[must_use]
    pub fn mutating<K: DeserializeOwned + Serialize + 'static>(
        mut self,
        path: &str,
        change: impl Fn(&mut K, &Request) + Send + Sync + 'static,
    ) -> Self {
        self.hooks(path).change = Some(Box::new(admission::changing(change)));
        self
    }

    /// Says what is unwise about objects that are let through at `path`, to whoever applies them.
    #[must_use]
    pub fn warning<K: DeserializeOwned + 'static>(mut self, path: &str, warn: impl Fn(&K) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.hooks(path).warn = Some(Box::new(admission::warning(warn)));
        self
    }

    /// Converts objects sent to `/convert` to the `apiVersion` that is asked for.
    #[must_use]
    pub fn conversion<E: Display>(mut self, convert: impl Fn(Value, &str) -> Result<Value, E> + Send + Sync + 'static) -> Self {
        self.conversion = Some(Box::new(move |object, version| convert(object, version).map_err(|error| error.to_string())));
        self
    }

    fn hooks(&mut self, path: &str) -> &mut admission::Hooks {
        self.admission.entry(path.to_owned()).or_default()
    }

    /// Serves at `address` with TLS 1.2 or newer. `None` when the address is empty or `0`.
    ///
    /// # Errors
    /// When TLS cannot be set up, or the address does not parse or is taken.
    pub async fn serve(self, address: &str, certificates: &Certificates, metrics: &Metrics) -> Result<Option<Running>, WebhookError> {
        let tls = certificates.server_config()?;
        Ok(serve::run(address, self.router(metrics), Some(tls)).await?)
    }

    fn router(self, metrics: &Metrics) -> Router {
        async fn admit(State(hooks): State<Arc<admission::Hooks>>, body: Bytes) -> Response {
            answer(admission::review(&hooks, &body))
        }
        async fn convert(State(convert): State<Arc<conversion::Convert>>, body: Bytes) -> Response {
            answer(conversion::review(&**convert, &body))
        }
        let mut router = Router::new();
        for (path, hooks) in self.admission {
            let route = post(admit).layer(DefaultBodyLimit::max(ADMISSION_LIMIT)).with_state(Arc::new(hooks));
            router = router.route(&path, route);
        }
        if let Some(function) = self.conversion {
            let route = post(convert).layer(DefaultBodyLimit::max(CONVERSION_LIMIT)).with_state(Arc::new(function));
            router = router.route("/convert", route);
        }
        router.route_layer(middleware::from_fn_with_state(metrics.clone(), measure))
    }
}

/// A review, or 400 with what is wrong with the body.
fn answer(review: Result<Value, String>) -> Response {
    match review {
        Ok(review) => ([(CONTENT_TYPE, "application/json")], review.to_string()).into_response(),
        Err(fault) => (StatusCode::BAD_REQUEST, format!("{fault}\n")).into_response(),
    }
}

async fn measure(State(metrics): State<Metrics>, request: axum::extract::Request, next: Next) -> Response {
    // Routes have no parameters, so the path is a registered one.
    let path = request.uri().path().to_owned();
    let started = Instant::now();
    let response = next.run(request).await;
    metrics.webhook(&path, response.status().as_u16(), started.elapsed());
    response
}

#[cfg(test)]
mod tests;
