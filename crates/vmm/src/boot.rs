//! A guest that hangs in early boot, as one sees it from outside: it is silent and spins.
//!
//! Time is counted in processor time that the VMM got, not on the wall: on a host that is short of it, a slow guest is no stuck one.

use std::time::Duration;

use crate::folder::RunFolder;
use crate::logs;
use crate::process::Process;

/// What a Linux guest writes once its kernel is up: after that it may be silent and busy for good reasons.
const UP: [&str; 3] = ["Run /", "systemd[1]", "login:"];

/// What is seen of a booting guest at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Bytes that the guest has written to its console.
    pub console: u64,
    /// Processor time that the VMM has used.
    pub cpu: Duration,
    /// Whether the console shows that the kernel is up.
    pub up: bool,
}

impl Sample {
    /// Looks at a process. `None` when it does not live.
    #[must_use]
    pub fn of(process: &Process, folder: &RunFolder) -> Option<Self> {
        let cpu = process.cpu_time()?;
        let console = std::fs::symlink_metadata(folder.serial_log()).map(|meta| meta.len()).unwrap_or_default();
        let up = logs::tail(&folder.serial_log(), 400).iter().any(|line| UP.iter().any(|mark| line.contains(mark)));
        Some(Self { console, cpu, up })
    }
}

/// How a boot goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// On its way.
    Going,
    /// The kernel is up; there is nothing left to watch.
    Up,
    /// It has been silent for so much processor time: start it anew.
    Stuck(Duration),
}

/// Watches one boot, by samples. Meant for [`crate::Accel::Tcg`] and a kernel that writes to its serial console.
#[derive(Clone, Debug)]
pub struct BootWatch {
    limit: Duration,
    last: Option<Sample>,
}

impl BootWatch {
    /// Processor time of silence that is taken for a hang: a guess, well above the pauses of healthy boots.
    pub const LIMIT: Duration = Duration::from_secs(30);

    /// A watch that calls a boot stuck after so much processor time without a word.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit, last: None }
    }

    /// Takes the next sample into account.
    pub fn look(&mut self, now: Sample) -> Boot {
        if now.up {
            return Boot::Up;
        }
        match self.last {
            Some(last) if last.console == now.console => {
                let silent = now.cpu.saturating_sub(last.cpu);
                if silent >= self.limit { Boot::Stuck(silent) } else { Boot::Going }
            }
            // A log that shrank was trimmed: the guest spoke.
            _ => {
                self.last = Some(now);
                Boot::Going
            }
        }
    }
}

#[cfg(test)]
mod tests;
