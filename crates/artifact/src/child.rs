//! A child process in a process group of its own, so that everything it started ends with it.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// A running child that leads its process group. Dropping it kills the group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) child: Child,
    /// Gone once the leader was waited for, because the id may then be another's.
    id: Option<Pid>,
}

impl Group {
    /// Starts a command as the leader of a new group.
    ///
    /// A binary written a moment ago can be "busy" while a child forked meanwhile still holds the writer's descriptor, so that is
    /// tried again for up to a second.
    pub(crate) async fn spawn(command: &mut Command) -> io::Result<Self> {
        command.process_group(0).kill_on_drop(true);
        for _ in 0..40 {
            match command.spawn() {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => tokio::time::sleep(Duration::from_millis(25)).await,
                other => return other.map(Self::new),
            }
        }
        command.spawn().map(Self::new)
    }

    fn new(child: Child) -> Self {
        let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Self { child, id }
    }

    /// Waits for the leader.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.id = None;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // It may be gone already, which is as good.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}
