//! slirp4netns' API: which ports of the host lead into its network.
//!
//! One JSON object each way over a Unix socket, a connection per request (slirp4netns(1), "API socket").

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::port::Forward;

const PATIENCE: Duration = Duration::from_secs(10);
/// No answer of its is larger, in bytes: about 10,000 ports.
const LARGEST: u64 = 1 << 20;

/// slirp4netns does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum SlirpError {
    /// It cannot be asked.
    #[error("slirp4netns does not answer")]
    Silent(#[source] std::io::Error),
    /// It refuses.
    #[error("slirp4netns refuses {request}: {said}")]
    Refused {
        /// What it was asked.
        request: String,
        /// What it said.
        said: String,
    },
}

/// A port that leads into the network.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Entry {
    id: u64,
    proto: String,
    host_port: u16,
    guest_addr: Ipv4Addr,
    guest_port: u16,
}

impl Entry {
    fn is(&self, guest: Ipv4Addr, forward: &Forward) -> bool {
        let Forward { protocol, host_port, guest_port } = *forward;
        self.proto == protocol.text() && (self.guest_addr, self.host_port, self.guest_port) == (guest, host_port, guest_port)
    }
}

async fn ask(socket: &Path, request: Value) -> Result<Value, SlirpError> {
    let talk = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(request.to_string().as_bytes()).await?;
        stream.shutdown().await?;
        let mut reply = Vec::new();
        stream.take(LARGEST).read_to_end(&mut reply).await?;
        Ok::<Value, std::io::Error>(serde_json::from_slice(&reply)?)
    };
    let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    let reply = tokio::time::timeout(PATIENCE, talk).await.map_err(late).flatten().map_err(SlirpError::Silent)?;
    match reply.get("error") {
        Some(error) => {
            Err(SlirpError::Refused { request: request.to_string(), said: error["desc"].as_str().unwrap_or("no reason").into() })
        }
        None => Ok(reply),
    }
}

async fn entries(socket: &Path) -> Result<Vec<Entry>, SlirpError> {
    let request = json!({"execute": "list_hostfwd"});
    let mut reply = ask(socket, request.clone()).await?;
    let refused = |error: serde_json::Error| SlirpError::Refused { request: request.to_string(), said: error.to_string() };
    serde_json::from_value(reply["entries"].take()).map_err(refused)
}

/// Lets these ports of the host, and no others, lead to a guest.
pub(crate) async fn forward(socket: &Path, guest: Ipv4Addr, forwards: &[Forward]) -> Result<(), SlirpError> {
    let there = entries(socket).await?;
    let of_guest = there.iter().filter(|entry| entry.guest_addr == guest);
    for entry in of_guest.filter(|entry| forwards.iter().all(|wanted| !entry.is(guest, wanted))) {
        ask(socket, json!({"execute": "remove_hostfwd", "arguments": {"id": entry.id}})).await?;
    }
    for wanted in forwards.iter().filter(|wanted| there.iter().all(|entry| !entry.is(guest, wanted))) {
        let arguments = json!({
            "proto": wanted.protocol.text(), "host_addr": "127.0.0.1", "host_port": wanted.host_port,
            "guest_addr": guest.to_string(), "guest_port": wanted.guest_port,
        });
        ask(socket, json!({"execute": "add_hostfwd", "arguments": arguments})).await?;
    }
    Ok(())
}
