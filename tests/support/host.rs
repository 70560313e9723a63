//! A microVM host: the real `capstead host run`.

use std::fs;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;

use super::Capstead;
use super::entries;
use super::kernel;
use super::until;

/// A running daemon. Dropped, it is killed, and all VMMs of its folder with it.
pub struct HostDaemon {
    process: Child,
    program: PathBuf,
    flags: Vec<String>,
    /// Where its traces go, if anywhere.
    collector: Option<SocketAddr>,
    /// `--state-dir`.
    pub state: PathBuf,
    /// Where its gRPC service listens.
    pub address: String,
    /// How long its log was when it started: it may be another's, too.
    begin: usize,
}

impl HostDaemon {
    /// Starts one on a folder, where an earlier one may have left microVMs.
    pub fn start(state: &Path, flags: &[&str]) -> Self {
        Self::start_of(env!("CARGO_BIN_EXE_capstead"), state, flags, None)
    }

    /// The same, and sends its traces.
    pub fn start_traced(state: &Path, flags: &[&str], collector: SocketAddr) -> Self {
        Self::start_of(env!("CARGO_BIN_EXE_capstead"), state, flags, Some(collector))
    }

    /// The same with another build.
    pub fn start_of(program: impl Into<PathBuf>, state: &Path, flags: &[&str], collector: Option<SocketAddr>) -> Self {
        fs::create_dir_all(state).unwrap();
        let (program, flags) = (program.into(), flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<String>>());
        let (process, begin) = spawn(&program, state, &flags, collector);
        let mut host = Self { process, program, flags, collector, state: state.to_owned(), address: String::new(), begin };
        host.serves();
        host
    }

    fn serves(&mut self) {
        self.address = until("the host serves", || {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon has ended: {}", self.log());
            self.told("grpc").ok_or_else(|| self.log())
        });
    }

    /// Kills it without a word, and starts another, which serves elsewhere.
    pub fn kill_and_start(&mut self) {
        self.kill();
        (self.process, self.begin) = spawn(&self.program, &self.state, &self.flags, self.collector);
        self.serves();
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it has said, after those that were here before.
    pub fn log(&self) -> String {
        fs::read_to_string(log(&self.state)).unwrap_or_default()
    }

    /// An address at which it said that it serves: `grpc`, `http`, `debug`.
    pub fn told(&self, what: &str) -> Option<String> {
        let text = self.log();
        let mut lines = text.get(self.begin..)?.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Some(lines.find(|line| line["grpc"].is_string())?[what].as_str()?.to_owned())
    }

    /// The process that runs a microVM.
    pub fn vmm(&self, uid: &str) -> Option<u32> {
        kernel::running_with(uid).into_iter().next()
    }

    /// The log of a guest's console.
    pub fn serial(&self, uid: &str) -> PathBuf {
        self.state.join("run").join(uid).join("serial.log")
    }

    /// The folder of its VMMs' cgroups, where there is one.
    pub fn cgroups(&self) -> Option<PathBuf> {
        let instance = fs::read_to_string(self.state.join("instance")).ok()?;
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(|root| Path::new(root).join("capstead").join(instance.trim()));
        roots.into_iter().find(|folder| folder.exists())
    }
}

impl Drop for HostDaemon {
    fn drop(&mut self) {
        let cgroups = self.cgroups();
        self.kill();
        for uid in entries(&self.state.join("vm")) {
            kernel::running_with(&uid).into_iter().for_each(kernel::kill);
        }
        // Empty by now, if all went well.
        cgroups.iter().for_each(|folder| _ = fs::remove_dir(folder));
    }
}

/// Beside the folder, which may be full or gone.
fn log(state: &Path) -> PathBuf {
    state.with_extension("log")
}

/// Runs one; gives how long the log was until then.
fn spawn(program: &Path, state: &Path, flags: &[String], collector: Option<SocketAddr>) -> (Child, usize) {
    let log = log(state);
    // What is no event of its log goes there, too, such as a panic.
    let rest = File::options().create(true).append(true).open(&log).unwrap();
    let begin = rest.metadata().unwrap().len().try_into().unwrap();
    let (state, log) = (state.to_str().unwrap(), log.to_str().unwrap());
    let own = ["host", "run", "--grpc-endpoint", "127.0.0.1:0", "--state-dir", state, "--log-format", "json", "--log-output", log];
    let args = own.into_iter().chain(flags.iter().map(String::as_str));
    let mut command = Capstead::of(Command::new(program), Path::new(state), args).command;
    if let Some(collector) = collector {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}")).env("OTEL_BSP_SCHEDULE_DELAY", "500");
    }
    (command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(rest).spawn().unwrap(), begin)
}
