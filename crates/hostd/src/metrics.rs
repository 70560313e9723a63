//! What a host tells Prometheus: its microVMs, what was done for them, and calls under the names that flintlockd's interceptors give them.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tonic::Code;

use crate::life::Part;
use crate::life::State;
use crate::life::Step;

/// The media type of the metrics as text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The name of the gRPC service.
pub(crate) const SERVICE: &str = "microvm.services.api.v1alpha1.MicroVM";
/// From what is done at once to what pulls a large image, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCall {
    grpc_type: &'static str,
    grpc_service: &'static str,
    grpc_method: &'static str,
    grpc_code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStep {
    step: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: &'static str,
    driver: String,
}

/// A host's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    calls: Family<ByCall, Counter>,
    steps: Family<ByStep, Histogram>,
    failures: Family<ByStep, Counter>,
    microvms: Family<ByState, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Registry::default())
    }
}

impl Metrics {
    /// All at nothing, beside what is in the registry already.
    #[must_use]
    pub fn new(mut registry: Registry) -> Self {
        let steps = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let (calls, failures, microvms) = (Family::default(), Family::default(), Family::default());
        // The encoder appends `_total` to counters.
        registry.register("grpc_server_handled", "Calls by method and code", Family::clone(&calls));
        registry.register("capstead_host_step_seconds", "How long what is done for a microVM takes", Family::clone(&steps));
        registry.register("capstead_host_step_failures", "What failed of what is done for microVMs", Family::clone(&failures));
        registry.register("capstead_host_microvms", "MicroVMs by state and driver", Family::clone(&microvms));
        Self { registry: Mutex::new(registry), calls, steps, failures, microvms }
    }

    pub(crate) fn called(&self, method: &'static str, code: Code) {
        let grpc_type = if method.ends_with("Stream") { "server_stream" } else { "unary" };
        // As grpc-go writes codes: OK, NotFound.
        let grpc_code = if code == Code::Ok { "OK".to_owned() } else { format!("{code:?}") };
        self.calls.get_or_create(&ByCall { grpc_type, grpc_service: SERVICE, grpc_method: method, grpc_code }).inc();
    }

    pub(crate) fn stepped(&self, step: &Step, took: Duration, failed: bool) {
        let label = ByStep { step: name(step) };
        self.steps.get_or_create(&label).observe(took.as_secs_f64());
        if failed {
            self.failures.get_or_create(&label).inc();
        }
    }

    /// All metrics as text, with the microVMs that there are.
    pub(crate) fn text(&self, microvms: impl Iterator<Item = (State, String)>) -> Result<String, std::fmt::Error> {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.microvms.clear();
        for (state, driver) in microvms {
            let state = match state {
                State::Pending => "pending",
                State::Created => "created",
                State::Failed => "failed",
                State::Deleting => "deleting",
            };
            self.microvms.get_or_create(&ByState { state, driver }).inc();
        }
        let mut buffer = String::new();
        text::encode(&mut buffer, &registry)?;
        Ok(buffer)
    }
}

fn name(step: &Step) -> &'static str {
    match step {
        Step::Make(Part::Kernel) => "make_kernel",
        Step::Make(Part::Initrd) => "make_initrd",
        Step::Make(Part::Root) => "make_root",
        Step::Make(Part::Volume(_)) => "make_volume",
        Step::Make(Part::Seed) => "make_seed",
        Step::Make(Part::Interface(_)) => "make_interface",
        Step::Launch => "launch",
        Step::Adopt => "adopt",
        Step::Bury(_) => "bury",
        Step::Shutdown => "shutdown",
        Step::Kill => "kill",
        Step::Unmake(_) => "unmake",
        Step::Forget => "forget",
    }
}
