//! What callers ask of a host by grpcurl, and what is seen of its guests from outside.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::grpcurl;
use crate::support::host::HostDaemon;
use crate::support::within;

const SERVICE: &str = "microvm.services.api.v1alpha1.MicroVM";
/// How long a guest may take to boot, emulated, beside others.
pub const BOOT: Duration = Duration::from_secs(600);

impl HostDaemon {
    pub fn call(&self, method: &str, data: &Value) -> grpcurl::Said {
        grpcurl::run(&["-plaintext", "-d", &data.to_string(), &self.address, &format!("{SERVICE}/{method}")])
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

    /// What a guest wrote to its console.
    pub fn console(&self, uid: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.serial(uid)).unwrap_or_default()).into_owned()
    }

    /// Waits until cloud-init has done all that user-data said, which it tells on the console. To ask by ssh takes the processor from what is waited for.
    #[track_caller]
    pub fn finished(&self, uid: &str) {
        within(BOOT, &format!("{uid} has booted"), || {
            let text = self.console(uid);
            if text.contains(" finished at ") { Ok(()) } else { Err(format!("{text}\n{}", self.log())) }
        });
    }

    /// All processes that are there for microVMs of this folder, by their command lines.
    pub fn processes(&self) -> Vec<String> {
        let instance = fs::read_to_string(self.state.join("instance")).unwrap();
        let ours = [self.state.to_str().unwrap(), instance.trim()];
        let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let read =
            |pid: u32, what: &str| String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default()).replace('\0', " ");
        let others = pids.filter(|pid| *pid != self.pid() && *pid != std::process::id());
        let told = others.map(|pid| (read(pid, "cmdline"), read(pid, "environ")));
        let found = told.filter(|(line, environ)| ours.iter().any(|name| line.contains(name) || environ.contains(name)));
        found.map(|(line, _)| line).collect()
    }
}
