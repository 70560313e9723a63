//! Building a binary with Go from a pinned pair of `go.mod` and `go.sum`.
//!
//! The user's Go environment (`GOPROXY`, `GOFLAGS`, `GOCACHE`, ...) is kept; what must hold for the result to be what was pinned
//! (`-mod=readonly`, no workspace, C only where it was asked for) is set.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::child::Group;
use crate::platform::Platform;
use crate::probe::which;
use crate::progress::Reporter;

#[cfg(test)]
mod tests;

/// How much of what a failed command said is kept.
const TAIL_LINES: usize = 25;
const TAIL_LINE_CHARS: usize = 400;

/// A pinned set of Go modules, embedded by the caller with `include_str!`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoModules {
    /// What artifacts call it, for example `kubernetes-1.36`.
    pub name: Cow<'static, str>,
    /// The text of its `go.mod`.
    pub go_mod: Cow<'static, str>,
    /// The text of its `go.sum`.
    pub go_sum: Cow<'static, str>,
}

impl GoModules {
    /// A set from embedded texts.
    #[must_use]
    pub const fn new(name: &'static str, go_mod: &'static str, go_sum: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), go_mod: Cow::Borrowed(go_mod), go_sum: Cow::Borrowed(go_sum) }
    }
}

/// Why Go did not build.
#[derive(Debug, Error)]
pub enum GoError {
    /// The artifact names a set the caller does not have.
    #[error("there is no pinned module set `{name}`")]
    UnknownModules {
        /// The set's name.
        name: String,
    },
    /// There is no `go` on the search path.
    #[error("there is no `go` on the search path: install Go {wanted} or newer (https://go.dev/doc/install)")]
    NotInstalled {
        /// The version the set asks for.
        wanted: String,
    },
    /// The `go` found is too old and may not fetch a newer one itself.
    #[error(
        "{} is version {found}, but the modules need {wanted}: install it (https://go.dev/doc/install), or set GOTOOLCHAIN=auto",
        program.display()
    )]
    TooOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        found: String,
        /// The version the set asks for.
        wanted: String,
    },
    /// The files the build needs could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program could not be run.
    #[error("cannot run {}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It ran and failed.
    #[error("`go {command}` failed ({status}){hint}:\n{tail}")]
    Failed {
        /// The sub-command and what it was about.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What to do about it, when that can be told, else empty.
        hint: &'static str,
        /// The last lines it said.
        tail: String,
    },
    /// Its answer made no sense.
    #[error("cannot read what `go {command}` answered")]
    Answer {
        /// The sub-command.
        command: String,
        /// Where reading failed.
        source: serde_json::Error,
    },
    /// The module's content is not pinned in the set's `go.sum`.
    #[error("module {module} of set `{name}` is not pinned in its go.sum")]
    NotPinned {
        /// The set.
        name: String,
        /// The module's path.
        module: String,
    },
}

/// What to build.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Build<'a> {
    pub(crate) modules: &'a GoModules,
    pub(crate) package: &'a str,
    pub(crate) ldflags: &'a str,
    pub(crate) cgo: bool,
    pub(crate) platform: &'a Platform,
    pub(crate) search_path: &'a OsStr,
}

impl Build<'_> {
    /// Builds into a folder of the caller's and tells the binary's path.
    pub(crate) async fn run(&self, folder: &Path, report: Reporter<'_>) -> Result<PathBuf, GoError> {
        let go = toolchain(self.modules, self.search_path).await?;
        let module = materialise(self.modules, folder)?;
        let output = folder.join("built");
        let temporary = folder.join("tmp");
        std::fs::create_dir_all(&temporary).map_err(|source| GoError::Write { path: temporary.clone(), source })?;
        let mut command = Command::new(&go);
        // -v names each package as it is compiled. It also ends an orphan whose parent was killed: the pipe it writes to is closed.
        command.args(["build", "-mod=readonly", "-trimpath", "-v"]);
        let ldflags = self.ldflags();
        if !ldflags.is_empty() {
            command.arg(format!("-ldflags={ldflags}"));
        }
        command.arg("-o").arg(&output).arg(self.package).current_dir(&module);
        command
            .env("CGO_ENABLED", if self.cgo { "1" } else { "0" })
            .env("GOOS", &self.platform.os)
            .env("GOARCH", &self.platform.architecture);
        command.env("GO111MODULE", "on").env("GOWORK", "off").env("GOTMPDIR", &temporary);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());

        let work = report.start(format!("building {} with Go", self.package), None);
        let refused = |source| GoError::Run { program: go.clone(), source };
        let mut group = Group::spawn(&mut command).await.map_err(refused)?;
        let mut tail = Tail::default();
        if let Some(stderr) = group.child.stderr.take() {
            let mut lines = BufReader::new(stderr).split(b'\n');
            while let Some(line) = lines.next_segment().await.map_err(refused)? {
                let line = String::from_utf8_lossy(&line);
                match Line::of(&line) {
                    Line::Package => work.advance(1),
                    Line::Download(what) => work.message(format!("downloading {what}")),
                    Line::Other => tail.push(&line),
                }
            }
        }
        let status = group.wait().await.map_err(refused)?;
        if !status.success() {
            return Err(tail.failed(format!("build {}", self.package), status));
        }
        Ok(output)
    }

    /// A program has to run where there are no libraries: in images made of nothing else.
    fn ldflags(&self) -> Cow<'_, str> {
        if self.cgo {
            return format!("{} -linkmode external -extldflags -static", self.ldflags).trim_start().to_owned().into();
        }
        self.ldflags.into()
    }
}

/// One line of `go build -v`.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// The import path of a package being compiled.
    Package,
    /// A module and version being downloaded.
    Download(&'a str),
    Other,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        if let Some(what) = line.strip_prefix("go: downloading ") {
            return Self::Download(what);
        }
        let path = |c: char| c.is_ascii_alphanumeric() || "/._-~+".contains(c);
        if !line.is_empty() && line.chars().all(path) { Self::Package } else { Self::Other }
    }
}

/// The last lines of what a command said.
#[derive(Debug, Default)]
struct Tail(VecDeque<String>);

impl Tail {
    fn push(&mut self, line: &str) {
        if self.0.len() == TAIL_LINES {
            self.0.pop_front();
        }
        self.0.push_back(line.trim_end().chars().take(TAIL_LINE_CHARS).collect());
    }

    fn failed(self, command: String, status: std::process::ExitStatus) -> GoError {
        let tail = Vec::from(self.0).join("\n");
        GoError::Failed { command, status, hint: hint(&tail), tail }
    }
}

/// What the user can do about the failures that are not about the code.
fn hint(tail: &str) -> &'static str {
    let says = |texts: &[&str]| texts.iter().any(|text| tail.contains(text));
    if says(&["no space left on device", "disk quota exceeded"]) {
        "; no room left: free some, or move GOCACHE and GOMODCACHE"
    } else if says(&["dial tcp", "no such host", "i/o timeout", "TLS handshake timeout", "connection refused", "GOPROXY=off"]) {
        "; modules cannot be downloaded: check the network and GOPROXY"
    } else if says(&["SECURITY ERROR", "checksum mismatch"]) {
        "; a downloaded module is not the pinned one: check GOPROXY, then run `go clean -modcache`"
    } else {
        ""
    }
}

/// Writes the set's two files into a folder of their own and tells that folder.
fn materialise(modules: &GoModules, folder: &Path) -> Result<PathBuf, GoError> {
    let module = folder.join("module");
    let write = |path: PathBuf, text: &str| std::fs::write(&path, text).map_err(|source| GoError::Write { path, source });
    std::fs::create_dir_all(&module).map_err(|source| GoError::Write { path: module.clone(), source })?;
    write(module.join("go.mod"), &modules.go_mod)?;
    write(module.join("go.sum"), &modules.go_sum)?;
    Ok(module)
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct GoEnv {
    goversion: String,
    gotoolchain: String,
}

/// Finds `go` and checks that it can build the set.
async fn toolchain(modules: &GoModules, search_path: &OsStr) -> Result<PathBuf, GoError> {
    let wanted = go_line(&modules.go_mod).unwrap_or("1.21");
    let go = which("go", search_path).ok_or_else(|| GoError::NotInstalled { wanted: wanted.to_owned() })?;
    let mut command = Command::new(&go);
    // Outside any module, so that the answer is about this program and not about one it would switch to.
    command.args(["env", "-json", "GOVERSION", "GOTOOLCHAIN"]).current_dir("/").env("GO111MODULE", "off").env("GOWORK", "off");
    let answer = answer(&go, command, "env").await?;
    let env: GoEnv = serde_json::from_slice(&answer).map_err(|source| GoError::Answer { command: "env".to_owned(), source })?;
    // "auto" and "<name>+auto" let go download the newer toolchain that the go line asks for.
    let fetches_newer = env.gotoolchain == "auto" || env.gotoolchain.ends_with("+auto");
    if !fetches_newer && parse_version(&env.goversion).is_some_and(|found| Some(found) < parse_version(wanted)) {
        return Err(GoError::TooOld { program: go, found: env.goversion, wanted: wanted.to_owned() });
    }
    Ok(go)
}

/// Runs a short `go` command and gives what it printed.
async fn answer(go: &Path, mut command: Command, name: &str) -> Result<Vec<u8>, GoError> {
    let refused = |source| GoError::Run { program: go.to_path_buf(), source };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = Group::spawn(&mut command).await.map_err(refused)?;
    let (mut said, mut complaints) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (group.child.stdout.take(), group.child.stderr.take());
    let (first, second) = tokio::join!(read_all(stdout, &mut said), read_all(stderr, &mut complaints));
    first.and(second).map_err(refused)?;
    let status = group.wait().await.map_err(refused)?;
    if status.success() {
        return Ok(said);
    }
    let mut tail = Tail::default();
    String::from_utf8_lossy(&complaints).lines().for_each(|line| tail.push(line));
    Err(tail.failed(name.to_owned(), status))
}

async fn read_all(stream: Option<impl tokio::io::AsyncRead + Unpin>, into: &mut Vec<u8>) -> io::Result<()> {
    if let Some(mut stream) = stream {
        tokio::io::AsyncReadExt::read_to_end(&mut stream, into).await?;
    }
    Ok(())
}

/// The version of a `go.mod`'s `go` line.
fn go_line(go_mod: &str) -> Option<&str> {
    go_mod.lines().find_map(|line| line.trim().strip_prefix("go ")).map(|rest| rest.split("//").next().unwrap_or(rest).trim())
}

/// `1.26`, `go1.26.8`, `go1.27rc1` and `go1.26.8 X:...` as numbers. `None` for what has none, such as a development build.
fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let text = text.strip_prefix("go").unwrap_or(text);
    let mut numbers = text.split('.').map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
        digits.parse::<u32>().ok()
    });
    let (major, minor) = (numbers.next()??, numbers.next()??);
    Some((major, minor, numbers.next().flatten().unwrap_or(0)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    dir: PathBuf,
}

/// The folder with the source of one module of a set, downloaded if need be: for files that a module carries beside its code.
///
/// The folder is in Go's module cache, read-only and shared. `search_path` is where `go` is looked for: usually `$PATH`.
///
/// # Errors
/// When there is no fitting `go`, the module is not in the set or cannot be downloaded, or its content is not pinned in `go.sum`.
pub async fn go_module_dir(modules: &[GoModules], set: &str, module_path: &str, search_path: &OsStr) -> Result<PathBuf, GoError> {
    let modules = modules.iter().find(|modules| modules.name == set).ok_or_else(|| GoError::UnknownModules { name: set.to_owned() })?;
    let go = toolchain(modules, search_path).await?;
    let temporary = std::env::temp_dir();
    let folder = tempfile::Builder::new()
        .prefix("capstead-go-")
        .tempdir_in(&temporary)
        .map_err(|source| GoError::Write { path: temporary.clone(), source })?;
    let module = materialise(modules, folder.path())?;
    let name = format!("mod download {module_path}");
    let mut command = Command::new(&go);
    command.args(["mod", "download", "-json", module_path]).current_dir(&module).env("GO111MODULE", "on").env("GOWORK", "off");
    let said = answer(&go, command, &name).await?;
    let downloaded: Downloaded = serde_json::from_slice(&said).map_err(|source| GoError::Answer { command: name, source })?;
    // Go adds a missing checksum by itself; a pinned set must have had it.
    let sums = module.join("go.sum");
    let after = std::fs::read_to_string(&sums).map_err(|source| GoError::Write { path: sums, source })?;
    if after.lines().any(|line| !modules.go_sum.lines().any(|pinned| pinned == line)) {
        return Err(GoError::NotPinned { name: set.to_owned(), module: module_path.to_owned() });
    }
    Ok(downloaded.dir)
}
