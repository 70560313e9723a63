//! The command line of `capstead doctor`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::host::preflight::Place;
use super::host::preflight::PrintArgs;
use super::host::preflight::place;
use super::manager::duration;
use super::vm::AccessArgs;
use super::vm::RunFolders;

/// Examples and exit codes.
pub const HELP: &str = "Examples:
  capstead doctor                                              the management cluster that kubectl finds, and the hosts of its clusters
  capstead doctor --kubeconfig \"$(capstead kubeconfig --path)\" -n team --cluster one
  capstead doctor --host mvm-1 --host ssh://root@mvm-2 --config host.yaml
  journalctl -u flintlockd -n 200 | capstead doctor --log -
  capstead doctor -o json | jq '.findings[] | {id, about, cause, fix}'

It looks at the objects of the management cluster, tries control planes' addresses and webhooks, asks hosts for their microVMs, and reads the consoles of
microVMs on this machine. It changes nothing. A token, and TLS, are only used for hosts that are named with --host.

Exit codes:
  0  nothing is wrong; what is harmless or passes by itself is told as a note
  1  something is wrong
  2  nothing wrong was seen, but not everything could be looked at; or nothing could";

/// `capstead doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The management cluster's kubeconfig [default: as kubectl finds it]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Only clusters of this namespace [default: all]
    #[arg(long, short, value_name = "NAMESPACE", value_parser = name)]
    pub namespace: Option<String>,
    /// Only Clusters of this name [default: all]
    #[arg(long, value_name = "CLUSTER", value_parser = name)]
    pub cluster: Option<String>,
    /// A host to look at, besides those of the clusters' pools: ssh://USER@HOST, HOST or HOST:PORT, as for `host check`; can be given several times
    #[arg(long, value_name = "WHERE", value_parser = place)]
    pub host: Vec<Place>,
    /// What hosts behind ssh:// are to be, as for `host check`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A log to be explained, of a manager, a host's daemon or a test run; `-` is standard input; can be given several times
    #[arg(long, value_name = "FILE")]
    pub log: Vec<PathBuf>,
    /// How long it may take, whatever is broken
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub print: PrintArgs,
    #[command(flatten, next_help_heading = "For consoles of microVMs on this machine")]
    #[allow(missing_docs)]
    pub folders: RunFolders,
    #[command(flatten, next_help_heading = "For HOST[:PORT]")]
    #[allow(missing_docs)]
    pub access: AccessArgs,
}

/// A name as Kubernetes has them. It becomes part of a request's path.
fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if text.len() <= 253 && text.chars().all(plain) && edge(text.chars().next()) && edge(text.chars().next_back()) {
        Ok(text.to_owned())
    } else {
        Err("a name of lower-case letters, digits, `-` and `.` is expected".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn only_names_of_objects_are_taken() {
        for text in ["one", "a-1", "a.b", "1"] {
            assert_eq!(name(text).as_deref(), Ok(text));
        }
        for text in ["", "-a", "a-", "A", "a b", "a/b", "a?x=1", "a&b", "..", "é", &"a".repeat(254)] {
            assert!(name(text).is_err(), "{text}");
        }
    }
}
