//! Who lives in simulated microVMs: nodes of simulated workload clusters.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use capstead_flintlock::types::MicroVm;
use capstead_flintlock::types::MicroVmSpec;
use capstead_workload::cluster::Host;
use capstead_workload::guest;
use capstead_workload::workloads::Machine;
use capstead_workload::workloads::Settings;
use capstead_workload::workloads::Workloads;
use serde_json::Map;
use serde_json::Value;

use crate::flintlock::Guests;
use crate::flintlock::decoded;

mod control;

/// The first address that a guest says it has. Nobody connects to it: all of a cluster is at its endpoint.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);

/// Guests that read their bootstrap data and become nodes.
#[derive(Debug)]
pub struct Nodes {
    workloads: Workloads,
    booted: AtomicU32,
}

impl Nodes {
    /// No node yet. Must be used within a Tokio runtime.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { workloads: Workloads::new(settings), booted: AtomicU32::new(0) }
    }

    /// Their clusters, and the faults in them.
    #[must_use]
    pub const fn workloads(&self) -> &Workloads {
        &self.workloads
    }

    /// What a control server serves for them: `/clusters`, `/clusters/faults`.
    pub fn control(self: &Arc<Self>) -> axum::Router {
        control::router(Arc::clone(self))
    }
}

impl Guests for Nodes {
    fn boot(&self, microvm: &MicroVm) {
        if let Some(machine) = self.machine(microvm) {
            self.workloads.boot(machine);
        }
    }

    fn end(&self, uid: &str) {
        self.workloads.end(uid);
    }

    fn resume(&self, microvms: &[MicroVm]) {
        self.workloads.resume(microvms.iter().filter_map(|microvm| self.machine(microvm)).collect());
    }
}

impl Nodes {
    /// What lives in a microVM.
    fn machine(&self, microvm: &MicroVm) -> Option<Machine> {
        let spec = microvm.spec.as_ref()?;
        let document = |key: &str| spec.metadata.get(key).map(String::as_str).map(decoded).unwrap_or_default();
        let number = self.booted.fetch_add(1, Ordering::Relaxed);
        let host = Host {
            address: Ipv4Addr::from(u32::from(FIRST_ADDRESS).wrapping_add(number)).into(),
            cpus: u32::try_from(spec.vcpu).unwrap_or_default(),
            memory: u32::try_from(spec.memory_in_mb).unwrap_or_default(),
            uuid: spec.uid().to_owned(),
        };
        Some(Machine {
            id: spec.uid().to_owned(),
            user_data: document("user-data"),
            vendor_data: document("vendor-data"),
            meta_data: meta_data(&document("meta-data")),
            kubernetes: image(spec).and_then(guest::version),
            host,
        })
    }
}

/// What cloud-init makes of the document: nothing, if it is no mapping.
fn meta_data(document: &[u8]) -> Map<String, Value> {
    yaml_serde::from_slice(document).unwrap_or_default()
}

/// The tag of the root volume's image, which by custom is the version of Kubernetes in it.
fn image(spec: &MicroVmSpec) -> Option<&str> {
    let source = spec.root_volume.as_ref()?.source.as_ref()?.container_source.as_deref()?;
    source.rsplit_once(':').map(|(_, tag)| tag)
}
