//! The only `unsafe` of this crate: a descriptor that stands for one process and can mean no other, and the processor's time-stamp counter.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use tokio::io::unix::AsyncFd;

use crate::process::ExitStatus;

/// See pidfd_open(2).
#[derive(Debug)]
pub(crate) struct PidFd(AsyncFd<OwnedFd>);

impl PidFd {
    /// Opens the process that has this id now. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// There is none, or the kernel refuses.
    #[allow(unsafe_code)]
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        let fd = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        // SAFETY: tokio asks that the descriptor stays open and the same until it is deregistered. It is owned by the AsyncFd, nothing below
        // takes it out or replaces it, and OwnedFd always gives the same number.
        let registered = unsafe { AsyncFd::register(fd) };
        registered.map(Self).map_err(|error| error.into_parts().1)
    }

    /// Waits until the process has ended, and tells how where that is known: to its parent. Dropping the wait changes nothing.
    ///
    /// # Errors
    /// The kernel refuses to tell that it ended.
    pub(crate) async fn ended(&self) -> io::Result<ExitStatus> {
        self.0.readable().await?.retain_ready();
        Ok(self.reap().unwrap_or(ExitStatus::Unknown))
    }

    /// How the process ended, if it has and it is our child; it is gone from the process table after this.
    pub(crate) fn reap(&self) -> Option<ExitStatus> {
        let id = WaitId::PidFd(self.0.get_ref().as_fd());
        let told = rustix::process::waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok()??;
        Some(match (told.exit_status(), told.terminating_signal()) {
            (Some(code), _) => ExitStatus::Code(code),
            (None, Some(signal)) => ExitStatus::Signal(signal),
            (None, None) => ExitStatus::Unknown,
        })
    }

    /// Sends a signal. A process that has ended takes none, and that is no error.
    ///
    /// # Errors
    /// It may not be signalled.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match rustix::process::pidfd_send_signal(self.0.get_ref(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The processor's time-stamp counter.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
pub(crate) fn time_stamp() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and Linux lets programs use it unless they ask it not to.
    unsafe { core::arch::x86_64::_rdtsc() }
}
