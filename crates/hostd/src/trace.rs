//! Spans of a host's traces: one for each call, in its caller's trace, and one for each step of what is done for it.
//!
//! Whoever runs the host says where spans go, and sets the form in which callers name their traces; without that, all here is idle.

use opentelemetry::Context;
use opentelemetry::global;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::SpanContext;
use opentelemetry::trace::TraceContextExt;
use tonic::Code;
use tonic::metadata::KeyRef;
use tonic::metadata::MetadataMap;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::life::Step;
use crate::metrics::SERVICE;

/// The trace of which something is a part, also once the span that began it has ended.
#[derive(Clone, Debug)]
pub(crate) struct Trace(SpanContext);

impl Default for Trace {
    /// None.
    fn default() -> Self {
        Self(SpanContext::NONE)
    }
}

impl Trace {
    /// That of the span we are in.
    pub(crate) fn current() -> Self {
        Self(Span::current().context().span().span_context().clone())
    }
}

/// The span of a call, named as OpenTelemetry names those of gRPC.
pub(crate) fn call(method: &'static str, metadata: &MetadataMap) -> Span {
    let name = format!("{SERVICE}/{method}");
    let span = tracing::debug_span!(
        "rpc",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.service = SERVICE,
        rpc.method = method,
        rpc.grpc.status_code = Empty,
    );
    // Nobody listens, if that fails.
    let _ = span.set_parent(global::get_text_map_propagator(|form| form.extract_with_context(&Context::new(), &Caller(metadata))));
    span
}

/// Notes how the call of this span ended.
pub(crate) fn ended(span: &Span, code: Code) {
    span.record("rpc.grpc.status_code", code as i32);
    if code == Code::Internal {
        span.record("otel.status_code", "ERROR");
    }
}

/// The span of a look at a microVM and what follows from it.
pub(crate) fn reconcile(uid: &str, cause: &Trace) -> Span {
    let span = tracing::debug_span!("reconcile", object = uid);
    if cause.0.is_valid() {
        // As above.
        let _ = span.set_parent(Context::new().with_remote_span_context(cause.0.clone()));
    }
    span
}

/// The span of a step.
pub(crate) fn apply(step: &Step) -> Span {
    tracing::debug_span!("apply", ?step)
}

/// What a caller says of itself.
struct Caller<'a>(&'a MetadataMap);

impl Extractor for Caller<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        let text = |key| match key {
            KeyRef::Ascii(key) => Some(key.as_str()),
            KeyRef::Binary(_) => None,
        };
        self.0.keys().filter_map(text).collect()
    }
}

#[cfg(test)]
mod tests;
