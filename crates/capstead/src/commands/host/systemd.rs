//! systemd, where it started us: sockets that listen already, and what it wants to hear. Without systemd all of this does nothing.

use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use capstead_hostd::serve::Listen;
use listenfd::ListenFd;

/// Takes the sockets that systemd listens on, and their addresses in place of those of flags: the first is gRPC's, the second the gateway's.
/// No VMM inherits them: the crate marks them so.
pub(super) fn sockets(listen: &mut Listen) -> anyhow::Result<Vec<TcpListener>> {
    let mut given = ListenFd::from_env();
    let sockets: Result<Vec<_>, _> = (0..given.len()).map(|n| given.take_tcp_listener(n)).collect();
    let sockets: Vec<TcpListener> = sockets.context("systemd's sockets: only TCP is served")?.into_iter().flatten().collect();
    let addresses: Result<Vec<_>, _> = sockets.iter().map(TcpListener::local_addr).collect();
    match addresses.context("systemd's sockets")?[..] {
        [] => (),
        [grpc] => listen.grpc = grpc,
        [grpc, http] => (listen.grpc, listen.http) = (grpc, Some(http)),
        ref more => bail!("systemd's sockets: {} are given, and there are two to serve: gRPC's and the gateway's", more.len()),
    }
    Ok(sockets)
}

/// What systemd wants to hear.
#[derive(Debug, Default)]
pub(super) struct Systemd {
    /// Where it listens.
    at: Option<SocketAddr>,
    /// How long we may be silent, if it watches us.
    watchdog: Option<Duration>,
}

impl Systemd {
    /// The one that started this process, if any.
    pub(super) fn from_env() -> anyhow::Result<Self> {
        Self::new(|name| std::env::var_os(name), std::process::id())
    }

    fn new(variable: impl Fn(&str) -> Option<OsString>, own: u32) -> anyhow::Result<Self> {
        let text = |name: &str| variable(name).and_then(|value| value.into_string().ok());
        let at = variable("NOTIFY_SOCKET").map(|name| match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(&name),
        });
        let ours = text("WATCHDOG_PID").is_none_or(|pid| pid == own.to_string());
        let watchdog = text("WATCHDOG_USEC").and_then(|limit| limit.parse().ok()).filter(|limit| ours && *limit > 0);
        Ok(Self { at: at.transpose().context("NOTIFY_SOCKET")?, watchdog: watchdog.map(Duration::from_micros) })
    }

    /// Tells it something, as `READY=1`.
    pub(super) fn tell(&self, state: &str) {
        let Some(at) = &self.at else { return };
        let told: io::Result<usize> = UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(state.as_bytes(), at));
        if let Err(error) = told {
            tracing::warn!(%error, state, "systemd does not hear us");
        }
    }

    /// Tells it twice as often as it wants that we live. Whoever hangs within `alive` does not.
    pub(super) async fn watch(&self, alive: impl Fn()) {
        let Some(limit) = self.watchdog.filter(|_| self.at.is_some()) else { return std::future::pending().await };
        loop {
            alive();
            self.tell("WATCHDOG=1");
            tokio::time::sleep(limit / 2).await;
        }
    }
}

#[cfg(test)]
mod tests;
