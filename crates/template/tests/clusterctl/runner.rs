//! Runs the real clusterctl, away from the user's own configuration and from the network.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Case;
use crate::outcome::{self, Outcome};

const BINARY: &str = "CAPSTEAD_TEST_CLUSTERCTL";
const THREADS: usize = 2;

pub struct Clusterctl {
    binary: PathBuf,
    home: tempfile::TempDir,
}

impl Clusterctl {
    pub fn find() -> Self {
        let binary = std::env::var_os(BINARY)
            .unwrap_or_else(|| panic!("{BINARY} is not set: run `make test`, or set {BINARY} to a clusterctl v1.14.2"));
        Self { binary: binary.into(), home: tempfile::tempdir().unwrap() }
    }

    pub fn render(&self, case: &Case) -> Outcome {
        let config = case.config.as_ref().map(|text| {
            let mut file = tempfile::Builder::new().suffix(".yaml").tempfile_in(self.home.path()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.into_temp_path()
        });
        let mut command = self.command(&["generate", "yaml", "--from", "-"]);
        if let Some(config) = &config {
            command.arg("--config").arg(config);
        }
        command.envs(case.env.iter().map(|(name, value)| (name, value)));
        outcome::theirs(&run(command, &case.template))
    }

    /// Runs with arguments and a template on standard input; the run must succeed.
    pub fn stdout(&self, arguments: &[&str], template: &str) -> String {
        let output = run(self.command(arguments), template);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path())
            .env("CLUSTERCTL_DISABLE_VERSIONCHECK", "true")
            .env("GOPROXY", "off");
        command
    }
}

fn run(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{:?} does not start: {error}", command.get_program()));
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // written on the side, so that neither end waits for the other with a full pipe; an early exit shows in the output
        scope.spawn(move || {
            let _ = stdin.write_all(input.as_bytes());
        });
        child.wait_with_output().unwrap()
    })
}

/// Applies `work` to all items on a few threads; results keep the items' order.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((index, item)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    items.get(index).map(|item| (index, item))
                } {
                    let result = work(item);
                    done.lock().unwrap().push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    assert_eq!(done.len(), items.len());
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
