//! Where the log and the traces go.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::manager::LogFormat;
use crate::cli::manager::Manager;

/// The variables of OpenTelemetry that say where traces go. Those of headers, time-outs and sampling count, too.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// How long the last spans may take to get away.
const FLUSH: Duration = Duration::from_secs(2);

/// Traces that are being sent.
pub struct Telemetry(Option<SdkTracerProvider>);

/// Logs to stderr, and sends traces if the environment says where. Must be called within a Tokio runtime.
///
/// # Errors
/// When the endpoint is no URL.
pub fn start(args: &Manager, service: &'static str) -> anyhow::Result<Telemetry> {
    let level = match args.v {
        0 | 1 => "info,kube_client=off",
        2..=5 => "info,capstead=debug,kube_client=off",
        6..=8 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("CAPSTEAD_LOG").unwrap_or_else(|_| level.into());
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = match args.log_format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    let traces = traces(service)?;
    // Our own spans: those of libraries would send their sending.
    let own = Targets::new().with_target("capstead", LevelFilter::DEBUG);
    let spans = traces.as_ref().map(|traces| tracing_opentelemetry::layer().with_tracer(traces.tracer("capstead")).with_filter(own));
    tracing_subscriber::registry().with(log.with_filter(filter)).with(spans).init();
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
