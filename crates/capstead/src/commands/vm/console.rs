//! `vm console`: somebody sits at a guest's serial console.

use std::fs::File;
use std::io;
use std::io::IsTerminal;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::bail;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::poll;
use rustix::fs::FlockOperation;
use rustix::fs::flock;
use rustix::io::Errno;
use rustix::termios::OptionalActions;
use rustix::termios::Termios;
use rustix::termios::tcgetattr;
use rustix::termios::tcsetattr;

use super::logs::Here;
use super::logs::here;
use crate::cli::vm::VmConsole;

/// Ctrl-], as telnet has it.
const LEAVE: u8 = 0x1d;
/// How long what was typed last may take to reach the guest.
const LAST: Duration = Duration::from_secs(2);

/// How a sitting ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The user left.
    Left,
    /// The VMM went away.
    Closed,
}

/// Joins terminal and console until the user leaves or the guest goes.
pub async fn run(args: &VmConsole) -> anyhow::Result<()> {
    let Here { folder, name, driver } = here(&args.target, &args.folders, &args.host).await?;
    let path = folder.console();
    // QEMU lets the second one wait without a word.
    let seat = File::open(folder.dir()).with_context(|| format!("cannot look at {}", folder.dir().display()))?;
    match flock(&seat, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => bail!("somebody else sits at the console of {name}; `capstead vm logs -f` shows what it says"),
        taken => taken.with_context(|| format!("cannot lock {}", folder.dir().display()))?,
    }
    let console = match UnixStream::connect(&path) {
        Ok(console) => console,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let driver = driver.map(|driver| format!(" {driver}")).unwrap_or_default();
            bail!(
                "the console of {name} can only be read: its VMM{driver} gives none to type at, as only QEMU does; `capstead vm logs -f {name}` shows it"
            )
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            bail!("microVM {name} does not run: `capstead vm get {name}` tells why")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot open the console {}", path.display())),
    };
    let stdin = io::stdin();
    if stdin.is_terminal() {
        eprintln!("This is the console of {name}; Ctrl-] leaves it.");
    }
    let raw = Raw::enter(stdin.as_fd())?;
    let end = sit(console, stdin.as_fd(), &mut io::stdout().lock());
    drop(raw);
    match end? {
        End::Left => eprintln!("\nThe console of {name} is left; the microVM runs on."),
        End::Closed => eprintln!("\nThe console of {name} was closed: its VMM has ended."),
    }
    Ok(())
}

/// Bytes go both ways. When nothing more is typed, what the guest says is still shown.
fn sit(mut console: UnixStream, typed: BorrowedFd<'_>, shown: &mut impl Write) -> anyhow::Result<End> {
    let mut buffer = [0; 4096];
    let mut types = true;
    loop {
        let (says, typing) = {
            let mut both = [PollFd::new(&console, PollFlags::IN), PollFd::from_borrowed_fd(typed, PollFlags::IN)];
            let watched = if types { &mut both[..] } else { &mut both[..1] };
            match poll(watched, None) {
                Err(Errno::INTR) => continue,
                polled => polled.context("cannot wait for the console")?,
            };
            (!both[0].revents().is_empty(), types && !both[1].revents().is_empty())
        };
        if says {
            match console.read(&mut buffer) {
                Ok(0) => return Ok(End::Closed),
                Ok(count) => shown.write_all(&buffer[..count]).and_then(|()| shown.flush())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(End::Closed),
                Err(error) => return Err(error).context("cannot read from the console"),
            }
        }
        if typing {
            let count = match rustix::io::read(typed, &mut buffer) {
                Err(Errno::INTR) => continue,
                count => count.context("cannot read what is typed")?,
            };
            let words = &buffer[..count];
            let leaves = words.iter().position(|byte| *byte == LEAVE);
            match console.write_all(&words[..leaves.unwrap_or(count)]) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(End::Closed),
                written => written.context("cannot write to the console")?,
            }
            if leaves.is_some() {
                leave(console, shown)?;
                return Ok(End::Left);
            }
            types = count > 0;
        }
    }
}

/// Says that nothing more is typed, and shows what the guest says until QEMU has taken it all in: of a peer that is just gone it drops what it has not read.
fn leave(mut console: UnixStream, shown: &mut impl Write) -> anyhow::Result<()> {
    let until = Instant::now() + LAST;
    let mut buffer = [0; 4096];
    if console.shutdown(Shutdown::Write).is_err() {
        // It has left, too.
        return Ok(());
    }
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        console.set_read_timeout(Some(left)).context("cannot wait for the console")?;
        match console.read(&mut buffer) {
            Ok(count) if count > 0 => shown.write_all(&buffer[..count]).and_then(|()| shown.flush())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            // The end, or the time is over: whatever it is, nobody wants to hear more.
            _ => break,
        }
    }
    Ok(())
}

/// A terminal that passes on every key, until this is dropped.
struct Raw<'a>(BorrowedFd<'a>, Termios);

impl<'a> Raw<'a> {
    /// `None` where there is no terminal.
    fn enter(terminal: BorrowedFd<'a>) -> anyhow::Result<Option<Self>> {
        if !terminal.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(terminal).context("cannot ask the terminal how it is set")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal, OptionalActions::Now, &raw).context("cannot set the terminal")?;
        Ok(Some(Self(terminal, before)))
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no setting.
        let _ = tcsetattr(self.0, OptionalActions::Now, &self.1);
    }
}

#[cfg(test)]
mod tests;
