//! What is counted, in the form of Prometheus.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CallLabels {
    pub(super) host: u64,
    pub(super) method: &'static str,
    pub(super) code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct MethodLabels {
    pub(super) method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StateLabels {
    pub(super) host: u64,
    pub(super) state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct FaultLabels {
    pub(super) kind: &'static str,
}

#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    pub(super) calls: Family<CallLabels, Counter>,
    pub(super) bytes: Family<MethodLabels, Counter>,
    pub(super) microvms: Family<StateLabels, Gauge>,
    pub(super) faults: Family<FaultLabels, Counter>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("capstead_lab_flintlock");
        let (calls, bytes, microvms, faults) = (Family::default(), Family::default(), Family::default(), Family::default());
        registry.register("calls", "Calls, by the code of their answer", Family::clone(&calls));
        registry.register("response_bytes", "Bytes of the messages that answered calls", Family::clone(&bytes));
        registry.register("microvms", "MicroVMs there are", Family::clone(&microvms));
        registry.register("faults", "Faults injected", Family::clone(&faults));
        Self { registry, calls, bytes, microvms, faults }
    }

    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
