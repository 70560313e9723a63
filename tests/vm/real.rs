//! A real host: a microVM with QEMU, whose guest says a word and then repeats what it is told.

use std::fs;
use std::net::SocketAddr;

use serde_json::json;

use crate::collector::Collector;
use crate::support::Capstead;
use crate::support::host::HostDaemon;
use crate::support::until;

/// Writes to its serial port, then echoes it for ever.
const ECHO: &[u8] = &[
    0xbe, 0xf4, 0x00, 0x10, 0x00, // mov $alive, %esi
    0xb9, 0x06, 0x00, 0x00, 0x00, // mov $6, %ecx
    0xba, 0xf8, 0x03, 0x00, 0x00, 0xf3, 0x6e, // mov $0x3f8, %edx; rep outsb
    0xba, 0xfd, 0x03, 0x00, 0x00, 0xec, 0xa8, 0x01, 0x74, 0xf6, // loop: in 0x3fd; test $1; jz loop
    0xba, 0xf8, 0x03, 0x00, 0x00, 0xec, 0xee, 0xeb, 0xed, // in 0x3f8; out 0x3f8; jmp loop
    b'a', b'l', b'i', b'v', b'e', b'\n', // alive, at 0x1000f4
];

const TOKEN: &str = "open sesame";

/// A host, and a folder of the user's.
struct Host {
    daemon: HostDaemon,
    folder: tempfile::TempDir,
}

impl Host {
    fn start(collector: SocketAddr) -> Self {
        let folder = tempfile::Builder::new().prefix("vm").tempdir().unwrap();
        let flags = ["--basic-auth-token", TOKEN, "--deleteMicroVM-timeout", "1s"];
        Self { daemon: HostDaemon::start_traced(&folder.path().join("s"), &flags, collector), folder }
    }

    fn command(&self, words: &[&str]) -> Capstead {
        let command = Capstead::new(self.folder.path(), words).env("FLINTLOCKD_STATE_DIR", &self.daemon.state);
        command.env("CAPSTEAD_HOST", &self.daemon.address).env("CAPSTEAD_HOST_TOKEN", TOKEN)
    }

    /// Takes in a raw file under a name.
    fn import(&self, name: &str, content: &[u8]) {
        let file = self.folder.path().join("file");
        fs::write(&file, content).unwrap();
        self.command(&["image", "import", &format!("file:{}", file.display()), "--as", name]).run().ok();
    }
}

#[test]
fn people_make_a_microvm_sit_at_its_console_and_delete_it() {
    let traces = Collector::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let host = {
        let _inside = runtime.enter();
        Host::start(traces.listen())
    };
    host.import("local.test/kernel:1", &capstead_vmm::guest::elf(ECHO));
    host.import("local.test/disk:1", &vec![0; 1 << 20]);
    let vm = |words: &[&str]| host.command(&[&["vm"], words].concat());
    let error = vm(&["ls", "--token", "other"]).run().fails(1);
    assert!(error.contains("give it with --token"), "{error}");

    let create =
        ["create", "m1", "--kernel", "local.test/kernel:1", "--root", "local.test/disk:1", "--network", "user", "--label", "a=b", "--wait"];
    let said = vm(&create).run().ok();
    assert!(said.contains(") runs at 127.0.0.1:") && said.contains("->22"), "{said}");
    let table = vm(&["ls"]).run().ok();
    assert!(table.contains("qemu") && table.contains("CREATED"), "{table}");
    // The same again is the same one.
    let again = vm(&create).run().ok();
    assert_eq!(again, said);

    let logs = |text: &str| {
        until(text, || {
            let logs = vm(&["logs", "m1"]).run().ok();
            if logs.contains(text) { Ok(()) } else { Err(logs) }
        });
    };
    logs("alive\n");
    let left = vm(&["console", "m1"]).input("hello\x1d").run();
    assert!(left.err.contains("the microVM runs on"), "{left:?}");
    logs("hello");

    let listed = host.command(&["image", "ls", "-o", "json"]).run().json();
    assert_eq!((&listed[0]["usedBy"], &listed[1]["usedBy"]), (&json!(["default/m1"]), &json!(["default/m1"])));
    let error = host.command(&["image", "rm", "local.test/kernel:1"]).run().fails(1);
    assert!(error.contains("default/m1"), "{error}");
    assert!(host.command(&["image", "prune", "--all"]).run().ok().contains("nothing to remove"));

    vm(&["delete", "m1"]).run().ok();
    assert_eq!(vm(&["ls", "-o", "json"]).run().json(), json!([]));
    let error = vm(&["logs", "m1"]).run().fails(1);
    assert!(error.contains("there is no microVM m1"), "{error}");
    until("what was done is traced", || {
        let calls = ["CreateMicroVM", "DeleteMicroVM"].map(|method| (format!("microvm.services.api.v1alpha1.MicroVM/{method}"), "grpc"));
        let steps = ["Launch", "Kill"].map(|step| ("apply".to_owned(), step));
        let missing = calls.into_iter().chain(steps).find(|(name, value)| !traces.heard("capstead-host", name, value));
        missing.map_or(Ok(()), |missing| Err(format!("no {missing:?} in {traces:?}")))
    });
    assert_eq!(
        host.command(&["image", "prune", "--all", "-o", "json"]).run().json()["images"],
        json!(["local.test/disk:1", "local.test/kernel:1"])
    );
}
