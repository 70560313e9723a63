//! MicroVMs as their host tells of them, and their consoles where they run on this machine.

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use capstead_doctor::picture::MicroVm;
use capstead_flintlock::types;
use capstead_flintlock::types::micro_vm_status::MicroVmState;
use capstead_vmm::RunFolder;
use capstead_vmm::Uid;
use tokio::net::lookup_host;
use tokio::time::timeout;

/// How much of a console is read.
const LINES: usize = 400;

/// What matters of it: neither its user-data nor its disks. The console is read where its run folder is below `root`.
pub fn microvm(told: types::MicroVm, root: Option<&Path>) -> MicroVm {
    let (spec, status) = (told.spec.unwrap_or_default(), told.status.unwrap_or_default());
    let uid = spec.uid.unwrap_or_default();
    let console = root.map(|root| console(root, &uid)).unwrap_or_default();
    let state = MicroVmState::try_from(status.state).map_or("UNKNOWN", |state| state.as_str_name()).to_owned();
    let (version, retry, cause) = (told.version, status.retry, status.cause);
    MicroVm { uid, namespace: spec.namespace, name: spec.id, state, cause, version, retry, console }
}

/// The end of a console; empty where there is none, or it is not for us to see.
fn console(root: &Path, uid: &str) -> Vec<String> {
    let folder = uid.parse::<Uid>().ok().and_then(|uid| RunFolder::new(root, &uid).ok());
    folder.map(|folder| capstead_vmm::tail(&folder.serial_log(), LINES)).unwrap_or_default()
}

/// Whether the address is one of this machine: only then something can be bound to it.
pub async fn is_here(address: &str, limit: Duration) -> bool {
    match timeout(limit, lookup_host(address)).await {
        Ok(Ok(mut found)) => found.any(|found| UdpSocket::bind((found.ip(), 0)).is_ok()),
        Ok(Err(_)) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use capstead_flintlock::types::MicroVm;
    use capstead_flintlock::types::MicroVmSpec;
    use capstead_flintlock::types::MicroVmStatus;

    use super::is_here;
    use super::microvm;

    const UID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

    #[test]
    fn a_microvm_brings_its_console_where_that_is_here() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(UID);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("serial.log"), "Linux\nlogin:\n").unwrap();
        let spec = MicroVmSpec { id: "a".into(), namespace: "team".into(), uid: Some(UID.into()), ..MicroVmSpec::default() };
        let status = MicroVmStatus { state: 2, retry: 3, cause: "why".into(), ..MicroVmStatus::default() };
        let told = MicroVm { version: 4, spec: Some(spec), status: Some(status) };
        let seen = microvm(told.clone(), Some(root.path()));
        assert_eq!((seen.namespace.as_str(), seen.name.as_str(), seen.uid.as_str()), ("team", "a", UID));
        assert_eq!((seen.state.as_str(), seen.cause.as_str(), seen.retry, seen.version), ("FAILED", "why", 3, 4));
        assert_eq!(seen.console, ["Linux", "login:"]);
        assert_eq!(microvm(told, None).console, Vec::<String>::new());
        // What a host calls a uid may be anything.
        let spec = MicroVmSpec { uid: Some("../../etc".into()), ..MicroVmSpec::default() };
        let odd = microvm(MicroVm { spec: Some(spec), ..MicroVm::default() }, Some(root.path()));
        assert_eq!(odd.console, Vec::<String>::new());
    }

    #[tokio::test]
    async fn this_machine_knows_its_own_addresses() {
        let limit = Duration::from_secs(5);
        assert!(is_here("127.0.0.1:9090", limit).await);
        // Kept for documentation (RFC 5737): nobody has it.
        assert!(!is_here("192.0.2.1:9090", limit).await);
        assert!(!is_here("no address", limit).await);
    }
}
