//! A plane with one host of ours, in a network of their own, after a cluster came up there. What is told of others is read here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use serde::Deserialize;
use serde_json::Value;

use crate::cluster::Made;
use crate::registry::TestRegistry;
use crate::support::TestPlane;
use crate::support::host::HostDaemon;

/// The cluster that must come up, and be used.
const SUITE: &str = "flows: [{name: good, apiVersion: v1alpha2}]\nworkers: 1\nnginx: {replicas: 1}\n";
/// Between two looks: each costs an emulated guest a second.
const PAUSE: Duration = Duration::from_secs(5);
/// A bridge on which nobody answers.
const BRIDGE: &str = "quiet0";

pub struct Place {
    pub plane: TestPlane,
    key: PathBuf,
    objects: Vec<Value>,
    good: String,
}

/// A host of its own; dropped, it is gone with all that it runs.
pub struct Host {
    daemon: Option<HostDaemon>,
    pub state: PathBuf,
    pub address: String,
}

impl Host {
    /// As a power cut does it.
    pub fn kill(&mut self) {
        self.daemon = None;
    }
}

/// The words that begin a command that runs in the network of a process.
fn enter(pid: u32) -> [String; 6] {
    ["nsenter".into(), "--target".into(), pid.to_string(), "--net".into(), "--user".into(), "--preserve-credentials".into()]
}

impl Place {
    pub fn up() -> Self {
        let plane = TestPlane::new("e2e-faults");
        let [artefacts, config, key] = ["artefacts", "e2e.yaml", "key"].map(|name| plane.scratch().join(name));
        fs::write(&config, SUITE).unwrap();
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap();
        assert!(made.success());
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        let [folder, config] = [&artefacts, &config].map(|path| path.to_str().unwrap());
        let words = [
            "e2e",
            "--own-hosts=1",
            "--isolated",
            "--name",
            &plane.name,
            "-e2e.artefact-dir",
            folder,
            "-e2e.config",
            config,
            "-e2e.skip-cleanup",
        ];
        let clean = ["E2E_FLINTLOCK_HOSTS", "E2E_FLINTLOCK_HOST", "E2E_CAPMVM_VIP", "E2E_CONFIG"];
        let suite = clean.iter().fold(plane.command(&words), |command, name| command.without(name));
        let ran = suite.env("MVM_SSH_KEYS", format!("[{{user: root, authorizedKeys: [{:?}]}}]", public.trim())).run();
        eprintln!("{}", ran.out);
        ran.ok();
        let template = fs::read_to_string(artefacts.join("clusters/good/cluster-template.yaml")).unwrap();
        let objects: Vec<Value> =
            yaml_serde::Deserializer::from_str(&template).map(|document| Value::deserialize(document).unwrap()).collect();
        let cluster = objects.iter().find(|object| object["kind"] == "Cluster").unwrap();
        let good = cluster["metadata"]["name"].as_str().unwrap().to_owned();
        Self { plane, key, objects, good }
    }

    pub fn good(&self) -> Made {
        Made { namespace: format!("e2e-{}", self.good), name: self.good.clone() }
    }

    /// The good cluster's under another name, which is the namespace's, too.
    pub fn objects(&self, name: &str) -> Vec<Value> {
        let text = serde_json::to_string(&self.objects).unwrap();
        let text = text.replace(&format!("e2e-{}", self.good), name).replace(&self.good, name);
        serde_json::from_str(&text).unwrap()
    }

    /// Somebody who is in the plane's network.
    fn pid(&self) -> u32 {
        self.plane.pids()["microvm-host"]
    }

    /// Runs a program in the plane's network.
    pub fn within(&self, program: &str, words: &[&str]) {
        let [first, rest @ ..] = enter(self.pid());
        let ran = Command::new(first).args(rest).arg("--").arg(program).args(words).output().unwrap();
        assert!(ran.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    /// A node, as its own cluster has it.
    pub fn node(&self, cluster: &Made, name: &str) -> Value {
        let file = self.plane.scratch().join(format!("{}.kubeconfig", cluster.name));
        fs::write(&file, self.plane.run(&["clusterctl", "get", "kubeconfig", &cluster.name, "-n", &cluster.namespace]).ok()).unwrap();
        let [first, rest @ ..] = enter(self.pid());
        let mut within = Command::new(first);
        within.args(rest).arg("--").arg(env!("CARGO_BIN_EXE_capstead"));
        let words = ["kubectl", "--kubeconfig", file.to_str().unwrap(), "get", "node", name, "-o", "json"];
        self.plane.command_of(within, &words).run().json()
    }

    pub fn ssh(&self, address: &str, command: &str) {
        let key = self.key.to_str().unwrap();
        let options =
            ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"];
        self.within("ssh", &[&options[..], &["-F", "none", "-i", key, &format!("root@{address}"), command]].concat());
    }

    /// A registry in the plane's network that has no image.
    pub fn registry(&self) -> TestRegistry {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let words = enter(self.pid());
        let words: Vec<&str> = words.iter().map(String::as_str).chain(["--"]).collect();
        runtime.block_on(TestRegistry::start_by(&words, self.plane.scratch(), ""))
    }

    /// A second host, with the first one's images. Nobody gives addresses to its guests.
    pub fn host_without_dhcp(&self) -> Host {
        self.within("ip", &["link", "add", BRIDGE, "type", "bridge"]);
        self.within("ip", &["link", "set", BRIDGE, "up"]);
        let state = self.plane.scratch().join("quiet");
        fs::create_dir(&state).unwrap();
        let images = self.plane.folder().join("components/microvm-host/data/images");
        let copied = Command::new("cp").args(["--archive", "--link"]).arg(images).arg(&state).status().unwrap();
        assert!(copied.success());
        let program = self.plane.scratch().join("host.sh");
        let text = format!("#!/bin/sh\nexec {} -- {} \"$@\"\n", enter(self.pid()).join(" "), env!("CARGO_BIN_EXE_capstead"));
        write_program(&program, &text);
        let daemon = HostDaemon::start_of(program, &state, &["--bridge-name", BRIDGE, "--vmm-user", "root"], None);
        Host { address: daemon.address.clone(), state, daemon: Some(daemon) }
    }

    pub fn list(&self, namespace: &str, resource: &str) -> Vec<Value> {
        self.plane.get(&[resource, "-n", namespace])["items"].as_array().unwrap().clone()
    }

    /// A condition that says why something is not so; gives its words, or what is there in its place.
    pub fn condition(&self, namespace: &str, resource: &str, kind: &str, texts: &[&str], limit: Duration) -> Result<String, String> {
        until(limit, || {
            let objects = self.list(namespace, resource);
            let all = objects.iter().flat_map(|object| object["status"]["conditions"].as_array().into_iter().flatten());
            let own: Vec<&Value> = all.filter(|condition| condition["type"] == kind && condition["status"] == "False").collect();
            let messages = own.iter().map(|condition| condition["message"].as_str().unwrap());
            let told = messages.clone().find(|message| texts.iter().all(|text| message.contains(text)));
            told.map(str::to_owned).ok_or_else(|| format!("{kind} of {resource} is {:?}", messages.collect::<Vec<_>>()))
        })
    }

    /// What a machine says that does not come up.
    pub fn machine(&self, namespace: &str, texts: &[&str], limit: Duration) -> Result<String, String> {
        self.condition(namespace, "microvmmachines", "Ready", texts, limit)
    }

    /// What `capstead debug` finds in a cluster's first machine; gives its words, or all that it said.
    pub fn debug(&self, cluster: &Made, id: &str, text: &str, limit: Duration) -> Result<String, String> {
        self.debug_with(cluster, &[], id, text, limit)
    }

    pub fn debug_with(&self, cluster: &Made, words: &[&str], id: &str, text: &str, limit: Duration) -> Result<String, String> {
        until(limit, || {
            let machine = format!("{}/{}", cluster.namespace, cluster.machine(self)?);
            let own = ["debug", &machine, "--name", &self.plane.name, "-i", self.key.to_str().unwrap(), "-o", "json"];
            let ran = self.plane.command(&[&own[..], words].concat()).run();
            let told: Value = serde_json::from_str(&ran.out).map_err(|error| format!("{error}: {ran:#?}"))?;
            let findings = told["findings"].as_array().unwrap();
            let cause = |finding: &&Value| finding["id"] == id && finding["cause"].as_str().unwrap().contains(text);
            let found = findings.iter().find(cause).ok_or_else(|| format!("{told:#}"))?;
            Ok(format!("{id}: {}", found["cause"].as_str().unwrap()))
        })
    }
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

/// Looks until there is something; gives the last look's words in its place.
fn until(limit: Duration, mut look: impl FnMut() -> Result<String, String>) -> Result<String, String> {
    let begun = Instant::now();
    loop {
        match look() {
            Err(_) if begun.elapsed() < limit => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
}
