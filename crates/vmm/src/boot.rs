//! A guest that is lost though its VMM lives, as one sees it from outside: it hangs in early boot, silent and spinning, or its kernel panicked. Pure but for
//! the samples.
//!
//! Time is counted in processor time that the VMM got, not on the wall: on a host that is short of it, a slow guest is no stuck one.

use std::time::Duration;

use crate::folder::RunFolder;
use crate::logs;
use crate::process::{Process, Record};

/// What a Linux guest writes once its kernel is up: after that it may be silent and busy for good reasons.
const UP: [&str; 3] = ["Run /", "systemd[1]", "login:"];
/// Whoever has written so many bytes is past early boot.
const EARLY: u64 = 256 * 1024;

/// With what a kernel begins to say that it panicked.
const PANIC: &str = "Kernel panic - not syncing";
/// With what it has said all: it stops for good, or starts anew.
const LAST_WORDS: [&str; 2] = ["---[ end Kernel panic", "Rebooting in "];
/// With what a kernel begins.
const BEGINNING: &str = "Linux version ";
/// How far back a panic is looked for, in bytes.
const WINDOW: u64 = 64 * 1024;
/// Most characters of a panic's cause.
const CAUSE: usize = 200;

/// Why a guest is no use any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// It was silent for so much processor time before its kernel was up.
    #[error("its guest hung in early boot: silent for {} s of processor time", .0.as_secs())]
    Hung(Duration),
    /// Its kernel panicked; with the kernel's own word for the reason, where its console shows that.
    #[error("its guest's kernel panicked{}", because(.0))]
    Panicked(String),
}

fn because(cause: &str) -> String {
    if cause.is_empty() { String::new() } else { format!(": {cause}") }
}

/// What is seen of a booting guest at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Bytes that the guest has written to its console.
    pub console: u64,
    /// Processor time that the VMM has used.
    pub cpu: Duration,
    /// Whether the console shows how the boot goes: its kernel said its version, so it is not quiet, and means this console.
    pub told: bool,
    /// Whether the console shows that the kernel is up.
    pub up: bool,
}

impl Sample {
    /// Looks at a process. `None` when it does not live.
    #[must_use]
    pub fn of(process: &Process, folder: &RunFolder) -> Option<Self> {
        let cpu = process.cpu_time()?;
        // From where this process began, however long ago that was.
        let said = logs::part(&folder.serial_log(), begin(folder), EARLY).unwrap_or_default();
        let up = said.len() as u64 >= EARLY || said.lines().any(is_up);
        Some(Self { console: logs::size(&folder.serial_log()), cpu, told: said.contains(BEGINNING), up })
    }
}

fn is_up(line: &str) -> bool {
    UP.iter().any(|mark| line.contains(mark))
}

/// Where the words of a run folder's present process begin in its console's log.
fn begin(folder: &RunFolder) -> u64 {
    Record::read(&folder.record()).map_or(0, |record| record.console)
}

/// The panic that a console ends with.
pub(crate) fn panic_in(folder: &RunFolder) -> Option<Loss> {
    panicked(&recent(folder)).map(Loss::Panicked)
}

/// A panic that the VMM tells of, with what the console has to say of it.
pub(crate) fn told_panic(folder: &RunFolder) -> Loss {
    Loss::Panicked(recent(folder).lines().rev().find_map(cause).unwrap_or_default())
}

fn recent(folder: &RunFolder) -> String {
    let log = folder.serial_log();
    let begin = begin(folder).max(logs::size(&log).saturating_sub(WINDOW));
    logs::part(&log, begin, WINDOW).unwrap_or_default()
}

/// What a line says of a panic.
fn cause(line: &str) -> Option<String> {
    let (before, after) = line.split_once(PANIC)?;
    let plain = after.trim_start_matches(':').trim().chars().filter(|c| !c.is_control()).take(CAUSE).collect();
    (!before.contains("---[ end")).then_some(plain)
}

/// The cause of the panic that a console ends with: nothing follows it, or a kernel that begins anew and is not up yet. So a guest that shows the panic of
/// another, in a log perhaps, is not taken for one that panicked.
fn panicked(console: &str) -> Option<String> {
    let lines: Vec<&str> = console.lines().filter(|line| !line.trim().is_empty()).collect();
    let (at, cause) = lines.iter().enumerate().rev().find_map(|(at, line)| Some((at, cause(line)?)))?;
    let rest = &lines[at + 1..];
    let last = rest.iter().position(|line| LAST_WORDS.iter().any(|words| line.contains(words)))?;
    let after = &rest[last + 1..];
    let begins = after.first().is_none_or(|line| line.contains(BEGINNING));
    (begins && !after.iter().any(|line| is_up(line))).then_some(cause)
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

/// Watches one boot, by samples. Meant for [`crate::Accel::Tcg`]; a kernel that does not say on the serial console how its boot goes is left alone.
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
        match self.last.filter(|_| now.told) {
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
