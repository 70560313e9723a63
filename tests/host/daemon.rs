//! A running `capstead host run`, and what its callers ask of it by grpcurl.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::grpcurl;
use crate::support::Capstead;
use crate::support::kernel;
use crate::support::until;
use crate::support::within;

const SERVICE: &str = "microvm.services.api.v1alpha1.MicroVM";
const ADDRESS: &str = "127.0.0.1:9090";
/// How long a guest may take to boot, emulated, beside others.
pub const BOOT: Duration = Duration::from_secs(600);

/// A daemon. Dropped, it is killed, and all VMMs of its folder with it.
pub struct Daemon {
    process: Child,
    pub state: PathBuf,
    flags: Vec<String>,
}

impl Daemon {
    /// Starts one on a folder, where an earlier one may have left microVMs.
    pub fn start(state: &Path, flags: &[&str]) -> Self {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let daemon = Self { process: spawn(state, &flags), state: state.to_owned(), flags };
        daemon.answers();
        daemon
    }

    fn answers(&self) {
        until("the daemon serves", || {
            let said = grpcurl::run(&["-plaintext", ADDRESS, "list"]);
            if said.succeeded() { Ok(()) } else { Err(format!("{said:?}\n{}", self.log())) }
        });
    }

    /// Kills it without a word, and starts another.
    pub fn kill_and_start(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(&self.state, &self.flags);
        self.answers();
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.state.join("test.log")).unwrap_or_default()
    }

    pub fn call(&self, method: &str, data: &Value) -> grpcurl::Said {
        grpcurl::run(&["-plaintext", "-d", &data.to_string(), ADDRESS, &format!("{SERVICE}/{method}")])
    }

    /// Creates a microVM; gives its uid.
    #[track_caller]
    pub fn create(&self, spec: &Value) -> String {
        self.call("CreateMicroVM", &json!({ "microvm": spec })).json()["microvm"]["spec"]["uid"].as_str().unwrap().to_owned()
    }

    /// Waits until the microVM is in this state; gives all that is told of it.
    #[track_caller]
    pub fn reaches(&self, uid: &str, state: &str) -> Value {
        within(BOOT, &format!("{uid} is {state}"), || {
            let told = self.call("GetMicroVM", &json!({ "uid": uid })).json();
            let now = told["microvm"]["status"]["state"].as_str().unwrap_or("PENDING").to_owned();
            if now == state { Ok(told["microvm"].clone()) } else { Err(format!("{told:#}\n{}", self.log())) }
        })
    }

    /// All that there are.
    pub fn list(&self) -> Vec<Value> {
        let told = self.call("ListMicroVMs", &json!({})).json();
        told["microvm"].as_array().cloned().unwrap_or_default()
    }

    /// The last of what a guest wrote to its console.
    pub fn console(&self, uid: &str) -> String {
        let text = fs::read(self.state.join("run").join(uid).join("serial.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().rev().take(30).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// All processes that are there for microVMs of this folder, by their command lines.
    pub fn processes(&self) -> Vec<String> {
        let instance = fs::read_to_string(self.state.join("instance")).unwrap();
        let ours = [self.state.to_str().unwrap(), instance.trim()];
        let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let read =
            |pid: u32, what: &str| String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default()).replace('\0', " ");
        let others = pids.filter(|pid| *pid != self.process.id() && *pid != std::process::id());
        let told = others.map(|pid| (read(pid, "cmdline"), read(pid, "environ")));
        let found = told.filter(|(line, environ)| ours.iter().any(|name| line.contains(name) || environ.contains(name)));
        found.map(|(line, _)| line).collect()
    }

    /// The process that runs a microVM.
    pub fn vmm(&self, uid: &str) -> Option<u32> {
        kernel::running_with(uid).into_iter().next()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let left = fs::read_dir(self.state.join("vm")).into_iter().flatten().filter_map(Result::ok);
        for uid in left.filter_map(|entry| entry.file_name().into_string().ok()) {
            kernel::running_with(&uid).into_iter().for_each(kernel::kill);
        }
    }
}

fn spawn(state: &Path, flags: &[String]) -> Child {
    fs::create_dir_all(state).unwrap();
    let log = File::options().create(true).append(true).open(state.join("test.log")).unwrap();
    let state = state.to_str().unwrap();
    let own = ["host", "run", "--grpc-endpoint", ADDRESS, "--state-dir", state];
    let args = own.into_iter().map(str::to_owned).chain(flags.iter().cloned());
    let mut command = Capstead::new(Path::new(state), args).command;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}
