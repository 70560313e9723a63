//! A simulated host.

use std::path::Path;
use std::process::Child;
use std::process::Stdio;

use serde_json::Value;

use crate::support::Capstead;

/// A running `capstead lab flintlock`, stopped when dropped.
pub struct Lab {
    process: Child,
    address: String,
    home: tempfile::TempDir,
}

impl Lab {
    pub fn start(flags: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let args = [&["lab", "flintlock", "--listen", "127.0.0.1:0", "--output", "json"], flags].concat();
        let mut command = Capstead::new(home.path(), args).command;
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        // The pipe stays open: the value ends before the process does.
        let out = serde_json::Deserializer::from_reader(process.stdout.take().unwrap());
        let listening: Value = out.into_iter().next().unwrap().unwrap();
        let address = listening["hosts"][0]["address"].as_str().unwrap().to_owned();
        Self { process, address, home }
    }

    /// A folder that goes with it.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// `capstead vm` with these words, of this host.
    pub fn vm(&self, words: &[&str]) -> Capstead {
        Capstead::new(self.home.path(), [&["vm"], words].concat()).env("CAPSTEAD_HOST", &self.address)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
