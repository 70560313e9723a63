//! What is done inside the namespaces of a LAN.
//!
//! A process of several threads cannot enter a user namespace (setns(2)), so the daemon runs itself once more in there, for one request each time:
//! `nsenter … <daemon> <hidden subcommand>`, where the subcommand calls [`run`]. The code is always the daemon's own, however old the LAN is.

use std::ffi::OsString;
use std::io::Read;
use std::io::Write;
use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use tokio::io::AsyncWriteExt;

use crate::device;
use crate::device::DeviceError;
use crate::device::OwnedDevice;
use crate::netlink::Change;
use crate::netlink::Link;
use crate::netlink::Netlink;
use crate::tap;
use crate::tap::Tap;

/// The LAN's bridge.
pub const BRIDGE: &str = "br0";
/// The interface of the way out.
pub(crate) const UPLINK: &str = "uplink";
/// What a reply begins with: the process may say other things before.
const REPLY: &str = "capstead-hostnet-reply ";
const PATIENCE: Duration = Duration::from_secs(60);
/// No request is larger, in bytes.
const LARGEST: u64 = 1 << 16;

/// What is wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The bridge, with this address; `uplink`: and the way out as its port.
    Bridge { address: IpAddr, prefix: u8, uplink: bool },
    /// A tap.
    Tap(Tap),
    /// All devices of an instance.
    List { instance: String },
    /// Nothing of a microVM.
    Delete { instance: String, uid: String },
}

/// What there is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Tap(Link),
    Devices(Vec<OwnedDevice>),
    Failed(String),
}

/// The request could not be run, or failed.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// nsenter does not start, or does not take the request.
    #[error("cannot run a request by nsenter (of the package util-linux) in the namespaces of the process {pid}")]
    Start {
        /// Who holds the namespaces.
        pid: u32,
        /// Why.
        source: std::io::Error,
    },
    /// No answer came in time.
    #[error("no answer from within the namespaces of the process {0} in {secs} s", secs = PATIENCE.as_secs())]
    Late(u32),
    /// It ended without an answer.
    #[error("no answer from within the namespaces of the process {pid}: {said}")]
    Silent {
        /// Who holds the namespaces.
        pid: u32,
        /// The last of what it said.
        said: String,
    },
    /// The request failed.
    #[error("within the LAN: {0}")]
    Failed(String),
}

/// How a program is started within the network namespace that a process holds, and its user namespace if it has one: put this before its command.
#[must_use]
pub fn enter(pid: u32, user: bool) -> Vec<String> {
    let target = pid.to_string();
    let user: &[&str] = if user { &["--user", "--preserve-credentials"] } else { &[] };
    ["nsenter", "--target", &target, "--net"].iter().chain(user).chain(&["--"]).map(|word| (*word).to_owned()).collect()
}

/// Runs a request in the namespaces that a process holds, which the words of `enter` enter.
pub(crate) async fn call(enter: &[String], pid: u32, agent: &[OsString], request: &Request) -> Result<Reply, AgentError> {
    let failed = |source| AgentError::Start { pid, source };
    if agent.is_empty() {
        // nsenter would start a shell.
        return Err(failed(std::io::Error::other("no command is configured for it")));
    }
    let words: Vec<OsString> = enter.iter().map(OsString::from).chain(agent.iter().cloned()).collect();
    let mut command = tokio::process::Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    let text = serde_json::to_vec(request).map_err(|error| failed(error.into()))?;
    let talk = async {
        if let Some(mut stdin) = child.stdin.take() {
            // One that has ended already says why by its output.
            let _ = stdin.write_all(&text).await;
        }
        child.wait_with_output().await.map_err(failed)
    };
    let output = tokio::time::timeout(PATIENCE, talk).await.map_err(|_| AgentError::Late(pid))??;
    let out = String::from_utf8_lossy(&output.stdout);
    let reply = out.rsplit_once(REPLY).and_then(|(_, reply)| serde_json::from_str(reply.lines().next()?).ok());
    match reply {
        Some(Reply::Failed(why)) => Err(AgentError::Failed(why)),
        Some(reply) => Ok(reply),
        None => {
            let errors = String::from_utf8_lossy(&output.stderr);
            let said = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            Err(AgentError::Silent { pid, said: format!("{said} ({})", output.status) })
        }
    }
}

/// Reads one request from standard input, runs it in the network namespace of this process, and writes the reply to standard output.
///
/// For the hidden subcommand that [`Config::agent`](crate::Config::agent) names.
///
/// # Errors
/// Standard input or output is closed. What fails of the request is in the reply.
pub async fn run() -> std::io::Result<()> {
    let mut text = Vec::new();
    // Nothing else is to be done until it is there.
    std::io::stdin().lock().take(LARGEST).read_to_end(&mut text)?;
    let reply = match serde_json::from_slice(&text) {
        Ok(request) => apply(request).await.unwrap_or_else(|error| Reply::Failed(chain(&error))),
        Err(error) => Reply::Failed(format!("the request is none: {error}")),
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{REPLY}{}", serde_json::to_string(&reply)?)?;
    out.flush()
}

/// The whole of an error in one line: it crosses to another process as text.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

async fn apply(request: Request) -> Result<Reply, DeviceError> {
    let netlink = Netlink::open()?;
    match request {
        Request::Bridge { address, prefix, uplink } => {
            bridge(&netlink, address, prefix, uplink).await?;
            Ok(Reply::Done)
        }
        Request::Tap(wanted) => Ok(Reply::Tap(tap::ensure(&netlink, &wanted).await?)),
        Request::List { instance } => Ok(Reply::Devices(device::list(&netlink, &instance).await?)),
        Request::Delete { instance, uid } => {
            device::delete(&netlink, &instance, &uid).await?;
            Ok(Reply::Done)
        }
    }
}

async fn bridge(netlink: &Netlink, address: IpAddr, prefix: u8, uplink: bool) -> Result<(), DeviceError> {
    if netlink.link(BRIDGE).await?.is_none() {
        netlink.add_bridge(BRIDGE).await?;
    }
    let links = netlink.links().await?;
    let bridge = device::named(&links, BRIDGE)?;
    for name in ["lo", BRIDGE] {
        netlink.change(device::named(&links, name)?, Change { up: true, ..Change::default() }).await?;
    }
    netlink.add_address(bridge, address, prefix).await?;
    if uplink {
        let change = Change { up: true, master: Some(bridge.index), ..Change::default() };
        netlink.change(device::named(&links, UPLINK)?, change).await?;
    }
    Ok(())
}
