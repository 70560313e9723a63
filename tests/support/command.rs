//! Running the built `capstead`.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;

/// A command of `capstead`, with an environment in which only what a test says counts, beside where binaries are: `CAPSTEAD_CACHE_DIR`,
/// `CAPSTEAD_SOURCE` and `CAPSTEAD_BIN_DIR` of the caller are passed on.
pub struct Capstead {
    pub command: Command,
    input: Option<String>,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    what: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Capstead {
    /// `home` stands in for the user's configuration.
    pub fn new(home: &Path, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self::of(Command::new(env!("CARGO_BIN_EXE_capstead")), home, args)
    }

    /// The same through another program, such as a shell that sets limits.
    pub fn of(mut command: Command, home: &Path, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        for name in [
            "CAPSTEAD_NAME",
            "CAPSTEAD_DATA_DIR",
            "CAPSTEAD_CAPI_VERSION",
            "CAPSTEAD_DEBIAN_MIRRORS",
            "CAPSTEAD_HOST",
            "CAPSTEAD_HOST_TLS",
            "CAPSTEAD_HOST_TLS_CA",
            "CAPSTEAD_HOST_TLS_CERT",
            "CAPSTEAD_HOST_TLS_KEY",
            "CAPSTEAD_HOST_TLS_SERVER_NAME",
            "CAPSTEAD_HOST_TOKEN",
            "CAPSTEAD_KUBERNETES",
            "CAPSTEAD_LAB",
            "CAPSTEAD_LOG",
            "CAPSTEAD_REGISTRY_MIRRORS",
            "FLINTLOCKD_RUN_DIR",
            "FLINTLOCKD_STATE_DIR",
            "KUBECONFIG",
        ] {
            command.env_remove(name);
        }
        command.env("XDG_CONFIG_HOME", home).args(args);
        // `make capi-1-13` tries all with another Cluster API than the default.
        if let Some(series) = super::capi_series() {
            command.env("CAPSTEAD_CAPI_VERSION", series);
        }
        Self { command, input: None }
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn input(mut self, text: &str) -> Self {
        self.input = Some(text.to_owned());
        self
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Ran {
        let what = self.command.get_args().map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
        let input = self.input.unwrap_or_default();
        let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
        let mut child = self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if let Some(mut pipe) = child.stdin.take() {
            // One that does not read all of it says why at its end.
            let _ = pipe.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ran { what, code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    /// It succeeded; gives what it printed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }

    /// It succeeded and printed JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// It failed with this code; gives its message.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self.err
    }

    /// It ended with this code and told on standard output what it found.
    #[track_caller]
    pub fn fails_with_output(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self.out
    }
}
