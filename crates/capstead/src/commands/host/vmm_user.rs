//! Who VMMs run as, where the daemon is root.

use std::path::Path;

use anyhow::Context;
use anyhow::bail;
use capstead_preflight::wish::VMM_USER as USER;
use capstead_vmm::User;
use capstead_vmm::UserError;

/// By this, nobody else.
const ROOT: &str = "root";

/// The user, if VMMs do not run as whoever runs the daemon. Who is not root cannot choose.
pub(super) fn find(wanted: Option<&str>) -> anyhow::Result<Option<User>> {
    let wanted = wanted.filter(|name| !name.is_empty());
    if !rustix::process::geteuid().is_root() || wanted == Some(ROOT) {
        return Ok(None);
    }
    match (User::find(wanted.unwrap_or(USER)), wanted) {
        (Ok(user), _) => Ok(Some(user)),
        (Err(UserError::Unknown(_)), None) => {
            tracing::warn!(
                "VMMs run as root, whom their guests would be if they broke out: make the user {USER} \
                 (capstead host prepare; or useradd --system --no-create-home --shell /usr/sbin/nologin --groups kvm {USER}), or name another with --vmm-user"
            );
            Ok(None)
        }
        (Err(error), _) => Err(error).context("--vmm-user"),
    }
}

/// Whether VMMs reach, as this user, what is theirs: found out by doing.
pub(super) fn check(user: &User, folders: &[&Path]) -> anyhow::Result<()> {
    for folder in folders {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let enters =
            user.enters(folder).with_context(|| format!("cannot run VMMs as the user {user}; `--vmm-user root` runs them as root"))?;
        if !enters {
            let folder = folder.display();
            bail!(
                "VMMs run as the user {user}, who does not reach {folder}: chmod o+x each folder above it, or choose another --state-dir"
            );
        }
    }
    let tun = Path::new("/dev/net/tun");
    if tun.exists() && !user.writes(tun)? {
        tracing::warn!(%user, "VMMs cannot open taps: chmod 0666 /dev/net/tun, as udev does");
    }
    Ok(())
}
