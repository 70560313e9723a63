//! A descriptor that stands for one process and can mean no other: the only `unsafe` of this crate.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;
use tokio::io::unix::AsyncFd;

/// See pidfd_open(2).
#[derive(Debug)]
pub struct PidFd(AsyncFd<OwnedFd>);

impl PidFd {
    /// Opens the process that has this id now. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// There is none, or the kernel refuses.
    #[allow(unsafe_code)]
    pub fn open(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        let fd = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        // SAFETY: tokio asks that the descriptor stays open and the same until it is deregistered. It is owned by the AsyncFd, nothing below
        // takes it out or replaces it, and OwnedFd always gives the same number.
        let registered = unsafe { AsyncFd::register(fd) };
        registered.map(Self).map_err(|error| error.into_parts().1)
    }

    /// Waits until the process has ended. Dropping the wait changes nothing.
    ///
    /// # Errors
    /// The kernel refuses to tell.
    pub async fn ended(&self) -> io::Result<()> {
        self.0.readable().await?.retain_ready();
        Ok(())
    }

    /// Sends a signal. A process that has ended takes none, and that is no error.
    ///
    /// # Errors
    /// It may not be signalled.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match rustix::process::pidfd_send_signal(self.0.get_ref(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
