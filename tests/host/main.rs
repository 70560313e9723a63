//! A microVM host as its users meet it: the real daemon, grpcurl, QEMU, a registry, and guests with a real Linux and its real cloud-init.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod chaos;
mod daemon;
#[path = "../lab/grpcurl.rs"]
mod grpcurl;
mod guest;
#[path = "../../crates/hostnet/tests/support/mod.rs"]
mod namespace;
#[allow(dead_code, reason = "the library's tests use all of it")]
#[path = "../../crates/artifact/tests/fetch/registry.rs"]
mod registry;
mod ssh;
#[allow(unused_imports, reason = "these tests need no plane")]
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;

use namespace::ip;
use registry::TestRegistry;
use ssh::At;
use ssh::Key;
use support::Capstead;
use support::entries;
use support::host::HostDaemon;
use support::kernel;
use support::until;

/// A spec of a guest of ours, by name, with these interfaces.
fn spec(registry: &str, name: &str, key: &Key, interfaces: &Value) -> Value {
    spec_with(registry, name, key, interfaces, &[])
}

/// The same with more to do at its first boot.
fn spec_with(registry: &str, name: &str, key: &Key, interfaces: &Value, last: &[Value]) -> Value {
    let mut user_data = json!({
        "ssh_authorized_keys": [key.public],
        "write_files": [{ "path": "/etc/told", "content": format!("hello {name}\n"), "permissions": "0640" }],
        // The next boot is one of Linux alone: emulated, each of cloud-init's four stages takes seconds to find that nothing is to be done.
        "runcmd": [["cp", "/etc/told", "/etc/done"], ["touch", "/etc/cloud/cloud-init.disabled"]],
    });
    user_data["runcmd"].as_array_mut().unwrap().extend_from_slice(last);
    let meta_data = format!("instance_id: test/{name}\nlocal_hostname: {name}\n");
    let kernel = format!("{registry}/guest/kernel:1");
    json!({
        "id": name, "namespace": "test", "vcpu": 1, "memory_in_mb": 1024,
        "labels": { "test": "host" },
        "kernel": { "image": kernel, "filename": "boot/vmlinuz", "add_network_config": true, "cmdline": { "net.ifnames": "0", "mitigations": "off", "quiet": "" } },
        "initrd": { "image": kernel, "filename": "boot/initrd" },
        "root_volume": { "id": "root", "size_in_mb": 1500, "source": { "container_source": format!("{registry}/guest/root:1") } },
        "interfaces": interfaces,
        "metadata": {
            "meta-data": STANDARD.encode(meta_data),
            "user-data": STANDARD.encode(format!("#cloud-config\n{user_data}\n")),
        },
    })
}

/// The port of this machine that leads to a guest's port 22.
fn forwarded(told: &Value, device: &str) -> u16 {
    let name = told["status"]["networkInterfaces"][device]["hostDeviceName"].as_str().unwrap_or_default();
    let port = name.strip_prefix("127.0.0.1:").and_then(|rest| rest.strip_suffix("->22")).and_then(|port| port.parse().ok());
    port.unwrap_or_else(|| panic!("{told:#}"))
}

#[test]
fn guests_boot_with_what_they_were_given_on_every_kind_of_network() {
    let guest = guest::made(&guest::LEAN);
    // Built where there is a network.
    grpcurl::run(&["-version"]).ok();
    let at = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    drop(at.block_on(TestRegistry::start(tempfile::tempdir().unwrap().path())));
    drop(at);
    namespace::in_namespace("guests_boot_with_what_they_were_given_on_every_kind_of_network", || async move {
        let folder = tempfile::Builder::new().prefix("host").tempdir().unwrap();
        let registry = TestRegistry::start(folder.path()).await;
        guest::push(&registry, &guest).await;
        let root = namespace::root_on_the_host();
        // Nothing else is to be done on this thread.
        networks(folder.path(), &registry.address, root);
    });
}

fn networks(folder: &Path, registry: &str, root: bool) {
    let key = Key::make(folder);
    let start = Instant::now();
    let progress = |what: &str| println!("{:5.1} s: {what}", start.elapsed().as_secs_f64());
    for line in ["link add br0 type bridge", "addr add 10.20.0.1/24 dev br0", "link set br0 up"] {
        ip(line);
    }
    for line in ["link add outer type veth peer name inner", "addr add 10.21.0.1/24 dev outer", "link set outer up", "link set inner up"] {
        ip(line);
    }
    let before = kernel_devices();
    let shared = folder.join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("hello"), "hello guest\n").unwrap();
    let shared = shared.to_str().unwrap();
    let flags = ["--bridge-name", "br0", "--parent-iface", "inner", "--virtiofs-allow", shared];
    let mut daemon = HostDaemon::start(&folder.join("s"), &flags);

    let tap = |device: &str, bridge: Option<&str>, address: Option<&str>| {
        let mut interface = json!({ "device_id": device, "type": "TAP" });
        bridge.iter().for_each(|bridge| interface["overrides"] = json!({ "bridge_name": bridge }));
        address.iter().for_each(|address| interface["address"] = json!({ "address": address }));
        interface
    };
    let mut wires = vec![tap("eth0", Some("user"), None), tap("eth1", None, Some("10.20.0.10/24"))];
    if root {
        wires.push(json!({ "device_id": "eth2", "type": "MACVTAP", "address": { "address": "10.21.0.10/24" } }));
    } else {
        println!("no macvtap: its device takes root");
    }
    let mut wired = spec(registry, "wired", &key, &json!(wires));
    let volume = |id: &str, point: &str| {
        let source = json!({ "container_source": format!("{registry}/guest/kernel:1") });
        json!({ "id": id, "size_in_mb": 100, "mount_point": point, "source": source })
    };
    let share = |folder: &str| json!({ "id": "shared", "source": { "virtiofs_source": folder } });
    wired["additional_volumes"] = json!([volume("one", "/one"), share("/etc"), volume("two", "/two")]);
    let refused = daemon.call("CreateMicroVM", &json!({ "microvm": wired })).error();
    assert!(refused.0 == "InvalidArgument" && refused.1.contains("--virtiofs-allow"), "{refused:?}");
    wired["additional_volumes"][1] = share(shared);
    let wired_uid = daemon.create(&wired);
    // Said again it is the same; said otherwise it is refused.
    assert_eq!(daemon.create(&wired), wired_uid);
    let mut other = wired.clone();
    other["vcpu"] = json!(2);
    assert_eq!(daemon.call("CreateMicroVM", &json!({ "microvm": other })).error().0, "AlreadyExists");

    // The last of what the second one is told to do fails.
    let fails = [json!(["sh", "-c", "echo nobody knows frobnicate >&2; exit 3"])];
    let lans: Vec<String> = [("lan1", &[][..]), ("lan2", &fails[..])]
        .map(|(name, last)| daemon.create(&spec_with(registry, name, &key, &json!([tap("eth0", Some("user-lan"), None)]), last)))
        .into();

    let uids: [&str; 3] = [&wired_uid, &lans[0], &lans[1]];
    let [wired, lan1, lan2] = uids.map(|uid| daemon.reaches(uid, "CREATED"));
    progress("all have a VMM");
    assert_eq!(wired["spec"]["labels"], json!({ "test": "host" }));
    let at = At { host: "127.0.0.1", port: forwarded(&wired, "eth0") };
    let [lan1, lan2] = [&lan1, &lan2].map(|told| At { host: "127.0.0.1", port: forwarded(told, "eth0") });
    for uid in uids {
        daemon.finished(uid);
        progress("a guest has booted");
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // The VMM's own NAT, where an address is asked for by DHCP.
            let look = || daemon.console(&wired_uid);
            let said = key.run(&at, "cat /etc/done && hostname && stat -c %a /etc/told && df -m / | tail -n 1", look);
            let lines: Vec<&str> = said.lines().collect();
            assert_eq!(&lines[..3], ["hello wired", "wired", "640"], "{said}");
            let megabytes: u32 = lines[3].split_whitespace().nth(1).unwrap().parse().unwrap();
            assert!((1300..=1500).contains(&megabytes), "the root file system has the size that was asked for: {said}");
            let volumes = key.run(&at, "ls /one/boot && touch /two/mine && sync && df -m /two | tail -n 1", look);
            assert!(volumes.contains("vmlinuz") && volumes.contains("/dev/vdc"), "{volumes}");

            // A folder of the host, from both sides.
            let both = "mount -t virtiofs user /mnt && cat /mnt/hello && echo hello host > /mnt/back";
            assert_eq!(key.run(&at, both, look), "hello guest");
            assert_eq!(fs::read_to_string(Path::new(shared).join("back")).unwrap(), "hello host\n");

            // A bridge, and a macvtap that is reached from the other end of the wire.
            assert_eq!(key.run(&At { host: "10.20.0.10", port: 22 }, "cat /etc/done", look), "hello wired");
            if root {
                assert_eq!(key.run(&At { host: "10.21.0.10", port: 22 }, "hostname", look), "wired");
            }
        });
        // A LAN without privileges.
        let address = key.run(&lan2, "hostname -I", || daemon.console(&lans[1]));
        let reached = format!("bash -c '</dev/tcp/{address}/22' && hostname");
        assert_eq!(key.run(&lan1, &reached, || daemon.console(&lans[0])), "lan1");
    });
    progress("what they were given is there");
    looked_into(folder, &daemon, &key, &lans);
    progress("they were looked into");

    // The daemon dies, and the guests do not notice.
    let pids = |daemon: &HostDaemon| uids.map(|uid| daemon.vmm(uid));
    let running = pids(&daemon);
    assert!(running.iter().all(Option::is_some), "{running:?}");
    daemon.kill_and_start();
    assert_eq!(pids(&daemon), running);
    daemon.reaches(&wired_uid, "CREATED");
    assert_eq!(key.run(&at, "hostname && cat /mnt/back", || daemon.console(&wired_uid)), "wired\nhello host");
    progress("another daemon has found them");

    // A guest starts anew, and the VMM of another dies, which is told.
    let boots = "cat /proc/sys/kernel/random/boot_id";
    let first = key.run(&lan2, &format!("{boots} && systemctl reboot --no-block >&2"), || daemon.console(&lans[1]));
    kernel::kill(running[0].unwrap());
    until("the death is told", || {
        let told = daemon.call("GetMicroVM", &json!({ "uid": wired_uid })).json()["microvm"].clone();
        let retries = told["status"]["retry"].as_i64().unwrap_or_default();
        if retries > 0 { Ok(()) } else { Err(format!("{told:#}")) }
    });
    // That one comes up again with its disk, the first in the same process.
    let told = daemon.reaches(&wired_uid, "CREATED");
    let at = At { host: "127.0.0.1", port: forwarded(&told, "eth0") };
    assert_eq!(key.run(&at, "ls /two/mine", || daemon.console(&wired_uid)), "/two/mine");
    progress("the one whose VMM died is there again");
    until_other(&key, &lan2, boots, &first, || daemon.console(&lans[1]));
    assert_eq!(daemon.vmm(&lans[1]), running[2]);
    progress("the one that started anew is there again");

    // Nothing is left of what is deleted.
    for uid in uids {
        daemon.call("DeleteMicroVM", &json!({ "uid": uid })).ok();
    }
    until("all are gone", || if daemon.list().is_empty() { Ok(()) } else { Err(format!("{:#?}\n{}", daemon.list(), daemon.log())) });
    progress("all are gone");
    assert_eq!(pids(&daemon), [None; 3]);
    for folder in ["vm", "records", "run", "net/records", "net/lans"] {
        assert_eq!(entries(&daemon.state.join(folder)), Vec::<String>::new(), "{folder}");
    }
    assert_eq!(kernel_devices(), before);
    assert_eq!(daemon.processes(), Vec::<String>::new());
}

/// `capstead debug` finds nothing in a guest that is well, and in the other what its cloud-init failed at: from within, and by its console alone.
fn looked_into(folder: &Path, daemon: &HostDaemon, key: &Key, lans: &[String]) {
    // Nothing of this machine's own is read or written.
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    let ssh = "#!/bin/sh\nPATH=${PATH#*:} exec ssh -F none -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \"$@\"\n";
    fs::write(bin.join("ssh"), ssh).unwrap();
    fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let (file, state, kept) = (key.file.to_str().unwrap(), daemon.state.to_str().unwrap(), folder.join("kept"));
    let debug = |uid: &str, more: &[&str]| {
        let args = ["debug", uid, "--host", &daemon.address, "--state-dir", state, "--ssh-key", file, "--timeout", "400s", "-o", "json"];
        Capstead::new(folder, args.iter().chain(more)).env("PATH", &path).run()
    };
    let told = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let (well, failed) = std::thread::scope(|scope| {
        let well = scope.spawn(|| debug(&lans[0], &["--artefacts", kept.to_str().unwrap()]));
        let failed = debug(&lans[1], &[]);
        (well.join().unwrap(), failed)
    });
    // On a busy machine an emulated clock falls behind.
    let found = told(&well.out)["findings"].clone();
    assert!(found.as_array().unwrap().iter().all(|finding| finding["id"] == "node-clock"), "{found:#}\n{}", well.err);
    let status = told(&fs::read_to_string(kept.join("cloud-init.txt")).unwrap());
    assert!(status["v1"]["modules-final"]["finished"].is_number(), "{status:#}");
    assert!(fs::read_to_string(kept.join("addresses.txt")).unwrap().contains("eth0"));

    let is_cause = |text: &str, cause: &str, said: &str| {
        let told = told(text);
        let found = told["findings"]
            .as_array()
            .unwrap()
            .iter()
            .find(|finding| finding["id"] == "node-cloud-init")
            .unwrap_or_else(|| panic!("{told:#}"));
        assert!(found["cause"].as_str().unwrap().contains(cause), "{found:#}");
        assert!(found["evidence"].to_string().contains(said), "{found:#}");
    };
    is_cause(&failed.fails_with_output(1), "scripts_user failed", "Runparts: 1 failures (runcmd) in 1 attempted commands");
    // Nobody listens there.
    let console = debug(&lans[1], &["--address", "127.0.0.1:1"]);
    assert_eq!(console.code, Some(1), "{console:#?}\n{}", daemon.console(&lans[1]));
    let console = console.out;
    is_cause(&console, "final stage failed", "nobody knows frobnicate");
    assert!(told(&console)["unseen"].to_string().contains("the inside of test/lan2"), "{console}");
}

/// Waits until a command prints something else.
fn until_other(key: &Key, at: &At<'_>, command: &str, first: &str, look: impl Fn() -> String) {
    support::within(daemon::BOOT, "the guest has started anew", || {
        let now = key.run(at, command, &look);
        if now == first { Err(now) } else { Ok(()) }
    });
}

/// The network devices of this namespace.
fn kernel_devices() -> Vec<String> {
    namespace::devices().iter().map(|device| device["ifname"].as_str().unwrap().to_owned()).collect()
}
