//! kubeadm's checks of what is already on the machine.

use super::KubeadmError;
use crate::guest::system::System;

const COMPONENTS: [&str; 4] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"];

/// The checks that may fail.
pub struct Ignored(Vec<String>);

impl Ignored {
    pub fn new(flag: &[String], configured: &[String]) -> Self {
        Self(flag.iter().chain(configured).map(|name| name.to_ascii_lowercase()).collect())
    }

    fn has(&self, check: &str) -> bool {
        self.0.iter().any(|name| name == "all" || *name == check.to_ascii_lowercase())
    }
}

pub fn init(system: &System, ignored: &Ignored) -> Result<(), KubeadmError> {
    COMPONENTS.iter().try_for_each(|component| free(system, &format!("/etc/kubernetes/manifests/{component}.yaml"), ignored))
}

pub fn join(system: &System, control_plane: bool, ignored: &Ignored) -> Result<(), KubeadmError> {
    free(system, "/etc/kubernetes/kubelet.conf", ignored)?;
    free(system, "/etc/kubernetes/bootstrap-kubelet.conf", ignored)?;
    if control_plane { init(system, ignored) } else { free(system, "/etc/kubernetes/pki/ca.crt", ignored) }
}

fn free(system: &System, path: &str, ignored: &Ignored) -> Result<(), KubeadmError> {
    let check = format!("FileAvailable-{}", path.replace('/', "-"));
    if system.files.contains_key(path) && !ignored.has(&check) {
        return Err(KubeadmError::Preflight { check, path: path.to_owned() });
    }
    Ok(())
}
