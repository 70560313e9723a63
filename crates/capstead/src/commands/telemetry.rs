//! Where the traces of a process that runs for long go, beside its log.

use std::time::Duration;

use anyhow::Context;
use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The variables of OpenTelemetry that say where traces go. Those of headers, time-outs and sampling count, too.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// How long the last spans may take to get away.
const FLUSH: Duration = Duration::from_secs(2);

/// Traces that are being sent.
pub struct Telemetry(Option<SdkTracerProvider>);

/// Logs, and sends traces if the environment says where. Must be called within a Tokio runtime.
///
/// # Errors
/// When the endpoint is no URL.
pub fn start(log: impl Layer<Registry> + Send + Sync, service: &'static str) -> anyhow::Result<Telemetry> {
    let traces = traces(service)?;
    if traces.is_some() {
        // How those who call us name the trace that they are in: W3C's Trace Context.
        global::set_text_map_propagator(TraceContextPropagator::new());
    }
    // Our own spans: those of libraries would send their sending.
    let own = Targets::new().with_target("capstead", LevelFilter::DEBUG);
    let spans = traces.as_ref().map(|traces| tracing_opentelemetry::layer().with_tracer(traces.tracer("capstead")).with_filter(own));
    tracing_subscriber::registry().with(log).with(spans).init();
    Ok(Telemetry(traces))
}

fn traces(service: &'static str) -> anyhow::Result<Option<SdkTracerProvider>> {
    let Some(endpoint) = ENDPOINTS.iter().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) else {
        return Ok(None);
    };
    let exporter = SpanExporter::builder().with_tonic().build().with_context(|| format!("cannot send traces where {endpoint} says"))?;
    let resource = Resource::builder().with_service_name(service).build();
    Ok(Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build()))
}

impl Telemetry {
    /// Sends what was not sent yet, for a moment.
    pub async fn stop(self) {
        let Some(traces) = self.0 else { return };
        // It waits for this runtime to carry its request, so it must not wait on its thread.
        let flushed = tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(FLUSH)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}
