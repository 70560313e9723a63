//! How Kubernetes' built-in types look on the wire, for the simulated API server: from the Go types themselves.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use anyhow::bail;

use crate::Generated;

/// The file, from a Go program with pinned modules.
pub fn generate(root: &Path) -> anyhow::Result<Generated> {
    let folder = root.join("tools/kubernetes-types");
    // What a workspace or flags of the user's say is not about this program.
    let mut go = Command::new("go");
    go.args(["run", "-mod=readonly", "."]).current_dir(&folder).env("GOWORK", "off").env_remove("GOFLAGS");
    let output = go.output().context("cannot run go; `make setup` checks what is needed")?;
    if !output.status.success() {
        bail!("go run in {}: {}", folder.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(("crates/workload/src/api/types.txt".into(), String::from_utf8(output.stdout).context("the types are not UTF-8")?))
}
