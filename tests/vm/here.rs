//! Consoles and logs: of microVMs whose host is this machine.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixListener;

use crate::lab::Lab;

/// The uid of the one microVM.
fn only(lab: &Lab) -> String {
    lab.vm(&["ls", "-o", "json"]).run().json()[0]["spec"]["uid"].as_str().unwrap().to_owned()
}

#[test]
fn a_console_is_read_and_typed_at() {
    let lab = Lab::start(&["--boot-delay", "0s"]);
    lab.vm(&["create", "m1", "--wait"]).run().ok();
    let state = lab.home().join("state");
    let here = |words: &[&str]| lab.vm(&[words, &["--state-dir", state.to_str().unwrap()]].concat());

    // A simulated host starts nothing; one on another machine looks the same from here.
    for words in [&["logs", "m1"], &["console", "m1"]] {
        let error = here(words).run().fails(1);
        assert!(
            error.contains("microVM default/m1 has no folder in") && error.contains("it is CREATED") && error.contains("--run-dir"),
            "{error}"
        );
    }
    let folder = state.join("run").join(only(&lab));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("serial.log"), "one\ntwo\nthree\n").unwrap();
    fs::write(folder.join("vmm.log"), "warning\n").unwrap();
    assert_eq!(here(&["logs", "m1"]).run().ok(), "one\ntwo\nthree\n");
    assert_eq!(here(&["logs", "m1", "--tail", "1"]).run().ok(), "three\n");
    assert_eq!(here(&["logs", "default/m1", "--vmm"]).run().ok(), "warning\n");
    // By its uid, nobody is asked.
    let uid = only(&lab);
    assert_eq!(here(&["logs", &uid, "--host", "127.0.0.1:1"]).run().ok(), "one\ntwo\nthree\n");

    let error = here(&["console", "m1"]).run().fails(1);
    assert!(error.contains("can only be read") && error.contains("only QEMU does"), "{error}");
    let socket = folder.join("console.sock");
    let console = UnixListener::bind(&socket).unwrap();
    let guest = std::thread::spawn(move || {
        let (mut peer, _) = console.accept().unwrap();
        peer.write_all(b"login: ").unwrap();
        let mut heard = String::new();
        peer.read_to_string(&mut heard).unwrap();
        heard
    });
    let ran = here(&["console", &uid]).input("root\n\x1d").run();
    assert!(ran.err.contains("is left; the microVM runs on"), "{ran:?}");
    ran.ok();
    assert_eq!(guest.join().unwrap(), "root\n");

    // The listener is gone, and its socket is not: the VMM was killed.
    let error = here(&["console", "m1"]).run().fails(1);
    assert!(error.contains("default/m1 does not run"), "{error}");

    // Two do not share a console.
    let _console = {
        fs::remove_file(&socket).unwrap();
        UnixListener::bind(&socket).unwrap()
    };
    let seat = fs::File::open(&folder).unwrap();
    seat.lock().unwrap();
    let error = here(&["console", "m1"]).run().fails(1);
    assert!(error.contains("somebody else sits at the console"), "{error}");
}

#[test]
fn a_log_is_followed_until_its_microvm_is_gone() {
    let lab = Lab::start(&[]);
    let uid = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let folder = lab.home().join("run").join(uid);
    fs::create_dir_all(&folder).unwrap();
    let log = folder.join("serial.log");
    fs::write(&log, "one\n").unwrap();
    let run = lab.home().join("run");
    let mut command = lab.vm(&["logs", uid, "-f", "--run-dir", run.to_str().unwrap()]).command;
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut expect = |text: &str| {
        let mut seen = vec![0; text.len()];
        out.read_exact(&mut seen).unwrap();
        assert_eq!(String::from_utf8(seen).unwrap(), text);
    };
    expect("one\n");
    fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(b"two\n").unwrap();
    expect("two\n");
    fs::remove_dir_all(&folder).unwrap();
    assert!(child.wait().unwrap().success());
}
