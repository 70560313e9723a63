//! passt: a way out and forwarded ports for one interface, without privileges, by a process that a VMM connects to.

use std::ffi::OsString;
use std::fs;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::path::PathBuf;

use crate::name;
use crate::port::Forward;
use crate::port::Protocol;
use crate::process;
use crate::process::Launch;
use crate::process::OwnedProcess;
use crate::process::ProcessError;
use crate::process::ProcessMark;
use crate::process::Role;

/// Longest path of a Unix socket in bytes.
const LONGEST_SOCKET: usize = 107;

/// One interface's passt.
#[derive(Clone, Debug)]
pub(crate) struct Passt<'a> {
    /// The folder of the host's network.
    pub dir: &'a Path,
    pub instance: &'a str,
    pub uid: &'a str,
    pub position: u8,
    /// The user it becomes when we are root, who must be able to reach `dir`.
    pub owner: Option<u32>,
}

impl Passt<'_> {
    fn home(&self) -> PathBuf {
        self.dir.join("passt").join(name::digits(&format!("{}/{}/{}", self.instance, self.uid, self.position), 12))
    }

    fn launch(&self, forwards: &[Forward]) -> Launch {
        let runas = rustix::process::geteuid().is_root().then(|| self.owner.unwrap_or(0));
        Launch {
            program: "passt",
            package: "passt",
            args: args(&self.home().join("s"), forwards, runas),
            mark: ProcessMark { instance: self.instance.into(), role: Role::Passt, of: format!("{}.{}", self.uid, self.position) },
            files: self.home(),
        }
    }

    /// Starts it, or finds it, and waits until a VMM can connect.
    pub async fn ensure(&self, forwards: &[Forward]) -> Result<(PathBuf, OwnedProcess), ProcessError> {
        let (home, launch) = (self.home(), self.launch(forwards));
        let socket = home.join("s");
        if socket.as_os_str().len() > LONGEST_SOCKET {
            let source = io::Error::other(format!("the path of a socket has {LONGEST_SOCKET} bytes at most; choose a shorter folder"));
            return Err(process::file_failed("make the socket", &socket)(source));
        }
        let found = launch.ensure(|| self.prepare(&home, &socket)).await?;
        let bound = || fs::symlink_metadata(&socket).is_ok_and(|file| file.file_type().is_socket());
        launch.wait("come up", &found, bound).await?;
        Ok((socket, found))
    }

    fn prepare(&self, home: &Path, socket: &Path) -> Result<(), ProcessError> {
        DirBuilder::new().recursive(true).mode(0o700).create(home).map_err(process::file_failed("make", home))?;
        if let Some(owner) = self.owner.filter(|_| rustix::process::geteuid().is_root()) {
            std::os::unix::fs::chown(home, Some(owner), None).map_err(process::file_failed("give away", home))?;
        }
        // One that is left of an earlier process would be taken for the new one's.
        match fs::remove_file(socket) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(process::file_failed("remove", socket)(source)),
            _ => Ok(()),
        }
    }

    /// Ends it and removes its files. That there is none is no error.
    pub async fn remove(&self) -> Result<(), ProcessError> {
        let launch = self.launch(&[]);
        if let Some(found) = process::find(&launch.mark) {
            process::stop(&found).await?;
        }
        let home = self.home();
        match fs::remove_dir_all(&home) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(process::file_failed("remove", &home)(source)),
            _ => {}
        }
        process::forget(&home)
    }
}

/// Its arguments. Guests do not reach what listens on the host's loopback address: without `--no-map-gw` the gateway's address would lead there.
fn args(socket: &Path, forwards: &[Forward], runas: Option<u32>) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["--foreground".into(), "--no-map-gw".into(), "--socket".into(), socket.into()];
    for (protocol, flag) in [(Protocol::Tcp, "--tcp-ports"), (Protocol::Udp, "--udp-ports")] {
        let of_protocol = forwards.iter().filter(|forward| forward.protocol == protocol);
        let ports: Vec<String> = of_protocol.map(|forward| format!("{}:{}", forward.host_port, forward.guest_port)).collect();
        // Told nothing, passt would forward every port that is listened on.
        let ports = if ports.is_empty() { "none".into() } else { format!("127.0.0.1/{}", ports.join(",")) };
        args.extend([flag.into(), ports.into()]);
    }
    if let Some(user) = runas {
        args.extend(["--runas".into(), user.to_string().into()]);
    }
    args
}

#[cfg(test)]
mod tests;
