//! A plane of a test.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use serde_json::Value;
use tempfile::TempDir;

use super::Capstead;
use super::Ran;
use super::kernel;
use super::until;

/// A plane with a folder of its own. Dropped, it is taken down and nothing of it is left: neither processes nor files.
pub struct TestPlane {
    pub name: String,
    home: PathBuf,
    // Shared by planes that lie side by side.
    dir: Arc<TempDir>,
    reaper: Child,
}

impl TestPlane {
    /// No plane yet: only the place for one.
    pub fn new(name: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("capstead-e2e-").tempdir().unwrap();
        Self::at(Arc::new(dir), name)
    }

    /// Another one in the same folder.
    pub fn beside(&self, name: &str) -> Self {
        Self::at(Arc::clone(&self.dir), name)
    }

    fn at(dir: Arc<TempDir>, name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let home = dir.path().join("home");
        fs::create_dir_all(&home).unwrap();
        let reaper = reaper(&home, dir.path(), &name);
        Self { name, home, dir, reaper }
    }

    /// The folder of the test, for files of its own.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// `--data-dir`.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("planes")
    }

    /// The plane's folder.
    pub fn folder(&self) -> PathBuf {
        self.data_dir().join(&self.name)
    }

    /// `capstead` with these words, meaning this plane.
    pub fn command(&self, words: &[&str]) -> Capstead {
        let capstead = Capstead::new(&self.home, words);
        capstead.env("CAPSTEAD_NAME", &self.name).env("CAPSTEAD_DATA_DIR", self.data_dir())
    }

    /// The same through another program, whose last arguments they become.
    pub fn command_of(&self, program: Command, words: &[&str]) -> Capstead {
        let capstead = Capstead::of(program, &self.home, words);
        capstead.env("CAPSTEAD_NAME", &self.name).env("CAPSTEAD_DATA_DIR", self.data_dir())
    }

    /// Runs it.
    pub fn run(&self, words: &[&str]) -> Ran {
        self.command(words).run()
    }

    /// `up --detach`, which must succeed.
    #[track_caller]
    pub fn up(&self) -> &Self {
        self.run(&["up", "--detach"]).ok();
        self
    }

    /// `down`, which must succeed.
    #[track_caller]
    pub fn down(&self) -> &Self {
        self.run(&["down"]).ok();
        self
    }

    /// `status -o json`, whatever its exit code.
    #[track_caller]
    pub fn status(&self) -> Value {
        let ran = self.run(&["status", "-o", "json"]);
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:#?}"))
    }

    /// One component's part of the status.
    #[track_caller]
    pub fn component(&self, name: &str) -> Value {
        let status = self.status();
        let found = status["components"].as_array().unwrap().iter().find(|component| component["name"] == name);
        found.unwrap_or_else(|| panic!("no component {name} in {status:#}")).clone()
    }

    /// Process ids by component, as status tells them.
    #[track_caller]
    pub fn pids(&self) -> BTreeMap<String, u32> {
        let status = self.status();
        let pid = |component: &Value| Some((component["name"].as_str()?.to_owned(), u32::try_from(component["pid"].as_u64()?).ok()?));
        status["components"].as_array().unwrap().iter().filter_map(pid).collect()
    }

    /// The supervisor's process id.
    #[track_caller]
    pub fn supervisor(&self) -> u32 {
        let status = self.status();
        status["supervisor"]["pid"].as_u64().and_then(|pid| pid.try_into().ok()).unwrap_or_else(|| panic!("no supervisor: {status:#}"))
    }

    /// Ports by `component/name`, each with its address.
    #[track_caller]
    pub fn ports(&self) -> BTreeMap<String, (u16, String)> {
        let status = self.status();
        let mut ports = BTreeMap::new();
        for component in status["components"].as_array().unwrap() {
            for port in component["ports"].as_array().unwrap() {
                let name = format!("{}/{}", component["name"].as_str().unwrap(), port["name"].as_str().unwrap());
                let number = u16::try_from(port["port"].as_u64().unwrap()).unwrap();
                ports.insert(name, (number, port["address"].as_str().unwrap().to_owned()));
            }
        }
        ports
    }

    /// Waits until every component is ready.
    #[track_caller]
    pub fn wait_ready(&self) -> Value {
        until("every component is ready", || {
            let status = self.status();
            if status["ready"] == true { Ok(status) } else { Err(format!("{status:#}")) }
        })
    }

    /// `capstead kubectl` with these words.
    pub fn kubectl(&self, words: &[&str]) -> Ran {
        self.run(&[&["kubectl"], words].concat())
    }

    /// `kubectl apply -f -`.
    pub fn apply(&self, manifest: &str) -> Ran {
        self.command(&["kubectl", "apply", "-f", "-"]).input(manifest).run()
    }

    /// An object as JSON; the words are as for `kubectl get`.
    #[track_caller]
    pub fn get(&self, words: &[&str]) -> Value {
        self.kubectl(&[&["get", "-o", "json"], words].concat()).json()
    }

    /// The identity that every process of the plane carries.
    pub fn id(&self) -> String {
        let text = fs::read_to_string(self.folder().join("plane.json")).unwrap();
        let plane: Value = serde_json::from_str(&text).unwrap();
        plane["id"].as_str().unwrap().to_owned()
    }

    /// Living processes of supervisor and components, as the kernel tells, found by what travels with them.
    pub fn living(&self, id: &str) -> Vec<u32> {
        let mut pids: Vec<u32> = kernel::processes(id).into_keys().collect();
        // No other plane has this name, and only supervisors and installers are given it as an argument.
        pids.extend(kernel::running_with(&self.name));
        pids
    }

    fn log(&self) -> String {
        let lines = self.run(&["logs", "supervisor", "--tail", "60"]);
        let status = self.run(&["status"]);
        format!("--- status\n{}{}\n--- supervisor\n{}", status.out, status.err, lines.out)
    }
}

/// Takes the plane down if the test's process dies without doing so, as on Ctrl-C: it waits for the end of a pipe that only that process holds.
fn reaper(home: &Path, dir: &Path, name: &str) -> Child {
    let script = r#"read -r _; "$0" down --purge; cd /; rm -rf "$SCRATCH""#;
    let mut command = Command::new("sh");
    // By environment: nothing but the plane's own processes may have its name among their arguments.
    command.env("XDG_CONFIG_HOME", home).env("CAPSTEAD_DATA_DIR", dir.join("planes")).env("CAPSTEAD_NAME", name).env("SCRATCH", dir);
    command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_capstead")).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Drop for TestPlane {
    fn drop(&mut self) {
        // Its end of the pipe is open still, so it does nothing.
        let _ = self.reaper.kill();
        let _ = self.reaper.wait();
        let made = self.folder().exists();
        if std::thread::panicking() && made {
            eprintln!("{}", self.log());
        }
        let id = fs::read_to_string(self.folder().join("plane.json")).ok();
        let id = id.and_then(|text| serde_json::from_str::<Value>(&text).ok()?["id"].as_str().map(str::to_owned)).unwrap_or_default();
        let down = made.then(|| self.run(&["down", "--purge"]));
        let left = self.living(&id);
        left.iter().copied().for_each(kernel::kill);
        let clean = left.is_empty() && down.as_ref().is_none_or(|down| down.code == Some(0)) && !self.folder().exists();
        assert!(clean || std::thread::panicking(), "the plane {} was not taken down: {down:#?}, alive were {left:?}", self.name);
    }
}
