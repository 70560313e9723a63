//! A machine with a shell: this one, or one by ssh.

use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::process::Command;
use tokio::time::Instant;
use tokio::time::timeout_at;

use super::Answers;
use super::AskError;
use super::Machine;
use super::Question;
use super::batch;

/// How much of a program's errors is kept.
const LAST_WORDS: u64 = 4096;
/// How long ssh may take to connect.
const CONNECT: u64 = 10;
/// A shell that is root's where that takes no password. The login shell may be any: it sees one word in quotes.
/// sudo gets nothing to read while it is tried: what is there to read is the script.
const ROOT_SHELL: &str = "sh -c '[ \"$(id -u)\" -ne 0 ] && sudo -n true </dev/null >/dev/null 2>&1 && exec sudo -n sh -s; exec sh -s'";

/// A machine that runs `sh` for us. Each call of [`Machine::ask`] is one process, and over ssh one connection of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shell {
    name: String,
    argv: Vec<String>,
}

impl Shell {
    /// This machine.
    #[must_use]
    pub fn local() -> Self {
        Self::by("localhost", ["sh", "-s"])
    }

    /// `sh` by any program that leads to it. The argv's last word begins the shell, which reads its script from standard input.
    #[must_use]
    pub fn by(name: &str, argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { name: name.to_owned(), argv: argv.into_iter().map(Into::into).collect() }
    }

    fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }

    /// Another machine, by the user's own `ssh`: `user@host`, a name of its configuration, or `ssh://user@host:port`.
    ///
    /// Nothing is asked on the terminal: a key or an agent must let us in. The shell is root's where sudo needs no password, else the user's.
    ///
    /// A connection that another ssh shares is not used: the proof that a machine is still reached must be a connection of its own.
    #[must_use]
    pub fn ssh(destination: &str) -> Self {
        Self::ssh_with(destination, &[])
    }

    /// The same with further flags of ssh, such as a user, a port or a key.
    #[must_use]
    pub fn ssh_with(destination: &str, flags: &[String]) -> Self {
        let connect = format!("ConnectTimeout={CONNECT}");
        let mut argv = ["ssh", "-T", "-o", "BatchMode=yes", "-o", &connect, "-o", "ControlPath=none", "-o", "ServerAliveInterval=5"]
            .map(str::to_owned)
            .to_vec();
        argv.extend_from_slice(flags);
        argv.extend(["--", destination, ROOT_SHELL].map(str::to_owned));
        Self { name: destination.to_owned(), argv }
    }

    fn unreachable(&self, status: Option<ExitStatus>, err: &str) -> AskError {
        let said = err.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" / ");
        let why = match (said.is_empty(), status) {
            (false, _) => said,
            (true, Some(status)) => format!("{} ended: {status}", self.program()),
            (true, None) => "no answer in time".into(),
        };
        AskError::Unreachable { machine: self.name.clone(), why }
    }
}

impl Machine for Shell {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn ask(&self, questions: &[Question], deadline: Duration) -> Result<Answers, AskError> {
        let until = Instant::now() + deadline;
        let script = batch::script(questions)?;
        let mut command = Command::new(self.program());
        command.args(self.argv.iter().skip(1)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|source| AskError::Start { program: self.program().to_owned(), source })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut reader = batch::Reader::default();
        let mut said = Vec::new();
        let tell = async {
            // A shell that ended meanwhile is found out by what it said.
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(script.as_bytes()).await;
            }
        };
        let hear = async {
            let Some(stdout) = stdout else { return false };
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                reader.line(&line);
                if reader.done() {
                    return true;
                }
            }
            false
        };
        let overhear = async {
            if let Some(stderr) = stderr {
                let _ = stderr.take(LAST_WORDS).read_to_end(&mut said).await;
            }
        };
        let all = async {
            let both = async { tokio::join!(tell, hear).1 };
            tokio::pin!(both, overhear);
            let (through, overheard) = tokio::select! {
                through = &mut both => (through, false),
                () = &mut overhear => (both.await, true),
            };
            // What it says as it fails is waited for; what it says beside its answers is not.
            if !through && !overheard {
                overhear.await;
            }
        };
        let _ = timeout_at(until, all).await;
        if let Some(tool) = reader.missing() {
            return Err(AskError::Tool { machine: self.name.clone(), tool: tool.to_owned() });
        }
        if !reader.heard() {
            let status = timeout_at(until, child.wait()).await.ok().and_then(Result::ok);
            return Err(self.unreachable(status, &String::from_utf8_lossy(&said)));
        }
        Ok(reader.answers(questions))
    }
}

#[cfg(test)]
mod tests;
