//! What the tests share: artifacts made here, a tiny Go program, and a `go` that keeps count.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use capstead_artifact::{Artifact, Event, FetchOptions, GoModules, GoSource, Platform, Probe, Progress, Source, Store};

/// What any awaited condition may take on a loaded machine.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Between two looks at a condition, so that waiting does not slow what is waited for.
const PAUSE: Duration = Duration::from_millis(5);

/// An artifact that has no source yet, whose binary answers `--version` with `<name> <version>`.
pub fn artifact(name: &str, version: &str) -> Artifact {
    Artifact {
        name: name.to_owned(),
        version: version.to_owned(),
        itself: false,
        probe: Some(Probe { args: vec!["--version".to_owned()], pattern: format!("{name} {{version}}") }),
        image: None,
        go: None,
    }
}

/// A script that answers as a binary of that name and version.
pub fn script(name: &str, version: &str) -> String {
    format!("#!/bin/sh\necho {name} {version}\n")
}

/// Writes an executable file.
pub fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Options with one source only.
pub fn from(source: Source) -> FetchOptions {
    FetchOptions { source, ..FetchOptions::default() }
}

/// The folder of the real `go`.
pub fn real_go() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|folder| folder.join("go")).find(|file| file.is_file()).expect("these tests need Go")
}

/// A Go program of one file in a folder, and the module set that builds it from there without any network.
pub struct TinyGo {
    pub modules: GoModules,
    pub artifact: Artifact,
}

impl TinyGo {
    pub fn new(folder: &Path) -> Self {
        let source = folder.join("tiny-source");
        fs::create_dir_all(source.join("cmd/tiny")).unwrap();
        fs::write(source.join("go.mod"), "module capstead.test/tiny\n\ngo 1.21\n").unwrap();
        let program = "package main\n\nvar version = \"unset\"\n\nfunc main() { println(\"tiny\", version) }\n";
        fs::write(source.join("cmd/tiny/main.go"), program).unwrap();
        let go_mod = format!(
            "module capstead.test/set\n\ngo 1.21\n\nrequire capstead.test/tiny v0.0.0\n\nreplace capstead.test/tiny => {}\n",
            source.display()
        );
        let modules = GoModules { name: "tiny".into(), go_mod: go_mod.into(), go_sum: "".into() };
        let mut artifact = artifact("tiny", "v1.2.3");
        artifact.go = Some(GoSource {
            module: "tiny".to_owned(),
            package: "capstead.test/tiny/cmd/tiny".to_owned(),
            ldflags: "-s -w -X main.version={version}".to_owned(),
            cgo: false,
        });
        Self { modules, artifact }
    }

    pub fn options(&self, source: Source) -> FetchOptions {
        FetchOptions { modules: vec![self.modules.clone()].into(), ..from(source) }
    }

    /// Another process that builds this.
    pub fn process(&self, cache: &Path, search_path: &OsString) -> Command {
        let mut command = fetch_process(cache, &self.artifact, Source::Go);
        command.env(GO_MOD, self.modules.go_mod.as_ref()).env("PATH", search_path);
        command
    }
}

const CACHE: &str = "FETCH_CACHE";
const ARTIFACT: &str = "FETCH_ARTIFACT";
const SOURCE: &str = "FETCH_SOURCE";
const GO_MOD: &str = "FETCH_GO_MOD";
/// The test whose process can be told to fetch instead.
const HOST: &str = "go::two_processes_share_one_build";

/// Another process that fetches an artifact, and prints what happens to standard error. It is this very program, running only the test
/// that gives way to [`fetch_if_told`].
pub fn fetch_process(cache: &Path, artifact: &Artifact, source: Source) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", HOST, "--nocapture"]).env(CACHE, cache).env(SOURCE, source.as_str());
    command.env(ARTIFACT, serde_json::to_string(artifact).unwrap());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// In a process made by [`fetch_process`], fetches and ends.
pub fn fetch_if_told() {
    let Ok(artifact) = std::env::var(ARTIFACT) else { return };
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    let modules = GoModules { name: "tiny".into(), go_mod: told(GO_MOD).into(), go_sum: "".into() };
    let options = FetchOptions { modules: vec![modules].into(), ..from(told(SOURCE).parse().unwrap()) };
    let fetch = async {
        let store = Store::open(Path::new(&told(CACHE))).map_err(|error| error.to_string())?;
        let tell = |_: &str, event: Event| eprintln!("{event:?}");
        store.fetch(&serde_json::from_str(&artifact).unwrap(), &options, &tell).await.map_err(|error| error.to_string())
    };
    let fetched = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(fetch);
    match &fetched {
        Ok(fetched) => eprintln!("fetched {}", fetched.path.display()),
        Err(error) => eprintln!("failed {error}"),
    }
    std::process::exit(i32::from(fetched.is_err()));
}

/// A `go` in a folder of its own that does something first when it is told to build, then is the real one. Its search path.
pub fn go_that_first(folder: &Path, shell: &str) -> OsString {
    let bin = folder.join("go-bin");
    fs::create_dir_all(&bin).unwrap();
    executable(&bin.join("go"), &format!("#!/bin/sh\nif [ \"$1\" = build ]; then\n{shell}\nfi\nexec {} \"$@\"\n", real_go().display()));
    let mut path = bin.into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    path
}

/// Waits until something is there.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::sleep(PAUSE);
    }
}

/// The same, without keeping the runtime's thread from its work.
pub async fn wait_for_async<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "waited in vain for {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The number a script wrote into a file, once it is whole.
pub fn number_in(file: &Path) -> Option<i32> {
    fs::read_to_string(file).ok()?.strip_suffix('\n')?.trim().parse().ok()
}

/// Whether a process still runs. One that ended but was not waited for does not.
pub fn runs(process: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { return false };
    !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with(['Z', 'X'])
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// A listener that remembers.
#[derive(Default)]
pub struct Heard(Mutex<Vec<Event>>);

impl Heard {
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    pub fn messages(&self) -> String {
        let texts = self.events().into_iter().filter_map(|event| match event {
            Event::Message { text } => Some(text),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }
}

impl Progress for Heard {
    fn event(&self, _artifact: &str, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// A platform that is not this one.
pub fn other_platform() -> Platform {
    let architecture = if Platform::host().architecture == "arm64" { "amd64" } else { "arm64" };
    Platform { os: "linux".to_owned(), architecture: architecture.to_owned() }
}
