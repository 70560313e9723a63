//! The real grpcurl, built once for every test on this machine.

use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::OnceLock;

use capstead_artifact::Artifact;
use capstead_artifact::FetchOptions;
use capstead_artifact::GoModules;
use capstead_artifact::GoSource;
use capstead_artifact::NoProgress;
use capstead_artifact::Source;
use capstead_artifact::Store;
use capstead_artifact::default_cache_root;
use serde_json::Value;

static MODULES: [GoModules; 1] =
    [GoModules::new("test-grpcurl", include_str!("../../tools/test-grpcurl/go.mod"), include_str!("../../tools/test-grpcurl/go.sum"))];

/// What a run of it said.
#[derive(Debug)]
pub struct Said(Output);

/// Runs it to its end.
pub fn run(args: &[&str]) -> Said {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    Said(Command::new(PROGRAM.get_or_init(built)).args(args).stdin(Stdio::null()).output().unwrap())
}

fn built() -> PathBuf {
    let artifact = Artifact {
        name: "grpcurl".to_owned(),
        version: "v1.9.4".to_owned(),
        probe: None,
        image: None,
        itself: false,
        go: Some(GoSource {
            module: "test-grpcurl".to_owned(),
            package: "github.com/fullstorydev/grpcurl/cmd/grpcurl".to_owned(),
            ldflags: "-s -w -X main.version={version}".to_owned(),
            cgo: false,
        }),
    };
    let options = FetchOptions { source: Source::Go, modules: (&MODULES[..]).into(), ..FetchOptions::default() };
    let store = Store::open(&default_cache_root().expect("a home folder")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fetched = runtime.block_on(store.fetch(&artifact, &options, &NoProgress)).unwrap_or_else(|error| panic!("{error}"));
    fetched.path
}

impl Said {
    pub fn succeeded(&self) -> bool {
        self.0.status.success()
    }

    /// It succeeded; gives what it printed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.succeeded(), "{self:#?}");
        String::from_utf8(self.0.stdout).unwrap()
    }

    /// It succeeded and printed JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// The call failed; gives code and message.
    #[track_caller]
    pub fn error(self) -> (String, String) {
        assert!(!self.succeeded(), "{self:#?}");
        let text = String::from_utf8(self.0.stderr).unwrap();
        let line = |start: &str| {
            let found = text.lines().find_map(|line| line.trim().strip_prefix(start)).unwrap_or_else(|| panic!("{text}"));
            found.trim().to_owned()
        };
        (line("Code:"), line("Message:"))
    }
}
