//! Networks without privileges, against real passt and slirp4netns.

mod support;

use std::ffi::OsString;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use capstead_hostnet::Attach;
use capstead_hostnet::Attached;
use capstead_hostnet::Config;
use capstead_hostnet::HostNet;
use capstead_hostnet::Interface;
use capstead_hostnet::Owned;
use capstead_hostnet::netlink::Netlink;
use capstead_hostnet::port::Forward;
use capstead_hostnet::port::Protocol;
use capstead_hostnet::port::WantedForward;
use capstead_hostnet::process;
use capstead_hostnet::tap;
use support::cut;
use support::in_namespace;
use support::ip;

const HELPER: &str = "CAPSTEAD_TEST_HELPER";

/// This binary, as one of the helpers below.
fn helper(name: &str) -> Vec<OsString> {
    let exe = std::env::current_exe().expect("this binary").into_os_string();
    let role: OsString = format!("{HELPER}={name}").into();
    ["env".into(), role, exe, "--exact".into(), "the_helpers".into(), "--nocapture".into(), "--test-threads=1".into()].into()
}

/// Not a test of its own: what the tests run in the namespaces of a LAN.
#[tokio::test]
async fn the_helpers() {
    match std::env::var(HELPER).unwrap_or_default().split_once(' ').unwrap_or_default() {
        ("agent", _) => capstead_hostnet::agent::run().await.expect("answered"),
        ("serve", address) => {
            let listener = TcpListener::bind(address).expect("bound");
            println!("listening");
            let (mut stream, from) = listener.accept().expect("accepted");
            write!(stream, "hello {}", from.ip()).expect("written");
        }
        ("frames", taps) => {
            let (a, b) = taps.split_once(' ').expect("two taps");
            let netlink = Netlink::open().expect("netlink");
            let mut from = tap::open(&netlink, a, false).await.expect("opened");
            let to = tap::open(&netlink, b, false).await.expect("opened");
            let mut frame = vec![0xff; 6];
            frame.extend([2, 0, 0, 0, 0, 9, 0x88, 0xb5]);
            frame.resize(60, 7);
            let mut seen = vec![0; 2000];
            loop {
                // A bridge forwards nothing until its ports have a carrier and are through their states.
                from.write_all(&frame).expect("sent");
                let mut ready = [rustix::event::PollFd::from_borrowed_fd(to.as_fd(), rustix::event::PollFlags::IN)];
                let limit = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
                while rustix::event::poll(&mut ready, Some(&limit)).expect("polled") > 0 {
                    let length = (&to).read(&mut seen).expect("read");
                    if seen[..length] == frame {
                        return;
                    }
                }
            }
        }
        _ => {}
    }
}

/// Other runs of these tests leave ours alone.
fn instance() -> String {
    format!("test{}", std::process::id())
}

/// Ends what a test started, when it fails, too.
struct Ends;

impl Drop for Ends {
    fn drop(&mut self) {
        for left in process::list(&instance()) {
            let pid = rustix::process::Pid::from_raw(i32::try_from(left.pid).expect("a pid")).expect("a pid");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

fn config(dir: &Path) -> Config {
    let lan_network = "10.87.0.0/24".parse().expect("a network");
    Config { instance: instance(), dir: dir.to_owned(), owner: None, agent: helper("agent "), lan_network }
}

fn interface(uid: &str, attach: Attach) -> Interface {
    Interface { uid: uid.into(), device_id: "eth1".into(), position: 0, mac: None, attach }
}

fn ssh() -> Vec<WantedForward> {
    vec![WantedForward { protocol: Protocol::Tcp, guest_port: 22, host_port: None }]
}

fn lan() -> Attach {
    Attach::UserLan { lan: "default".into(), address: None, forwards: ssh() }
}

fn files(dir: &Path) -> Vec<String> {
    let folders = ["records", "lans", "passt"].into_iter();
    let all = folders.flat_map(|name| std::fs::read_dir(dir.join(name)).expect("a folder").map(|entry| entry.expect("an entry").path()));
    all.map(|path| path.display().to_string()).collect()
}

/// Tasks of a daemon move between threads.
fn movable<T: Future + Send>(future: T) -> T {
    future
}

#[tokio::test]
async fn ports_for_a_vmms_own_network_are_remembered() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let wanted = interface("uid1", Attach::User { forwards: ssh() });
    let host = HostNet::open(config(dir.path())).expect("opened");
    let Attached::User { forwards } = movable(host.ensure(&wanted)).await.expect("chosen") else { panic!("user") };
    // The VMM listens, the daemon is another one by now.
    let held = TcpListener::bind(("127.0.0.1", forwards[0].host_port)).expect("free");
    let host = HostNet::open(config(dir.path())).expect("opened");
    assert_eq!(host.ensure(&wanted).await.expect("found"), Attached::User { forwards: forwards.clone() });
    drop(held);
    let other = interface("uid2", Attach::User { forwards: vec![WantedForward { host_port: Some(forwards[0].host_port), ..ssh()[0] }] });
    host.ensure(&other).await.expect_err("uid1's");
    assert_eq!(host.list().await.expect("listed"), Owned { records: vec!["uid1".into()], ..Owned::default() });
    assert_eq!(movable(host.list()).await.expect("listed").uids(), ["uid1".to_owned()].into());
    movable(host.delete("uid1")).await.expect("removed");
    host.delete("uid1").await.expect("still removed");
    assert_eq!(host.list().await.expect("listed"), Owned::default());
    host.ensure(&other).await.expect("nobody's any more");
}

#[tokio::test]
async fn what_breaks_a_rule_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let host = HostNet::open(config(dir.path())).expect("opened");
    let good = interface("uid1", Attach::User { forwards: ssh() });
    for (bad, told) in [
        (Interface { uid: "../uid1".into(), ..good.clone() }, "uid must be"),
        (Interface { device_id: "eth/1".into(), ..good.clone() }, "interfaces[0].device_id must be"),
        (Interface { position: 16, ..good.clone() }, "interfaces must be 16 at most"),
        (interface("uid1", Attach::Tap { bridge: Some("br 0".into()) }), "interfaces[0].bridge must be"),
        (interface("uid1", Attach::Macvtap { parent: String::new() }), "interfaces[0].parent must be"),
        (interface("uid1", Attach::UserLan { lan: "a/b".into(), address: None, forwards: vec![] }), "interfaces[0].lan must be"),
    ] {
        let error = host.ensure(&bad).await.expect_err("refused").to_string();
        assert!(error.starts_with(told), "{error}");
    }
    assert!(host.delete("../records").await.is_err());
    assert_eq!(host.list().await.expect("listed"), Owned::default());
    assert!(HostNet::open(Config { instance: "a/b".into(), ..config(dir.path()) }).is_err());
    assert!(HostNet::open(Config { lan_network: "10.87.0.1/24".parse().expect("a network"), ..config(dir.path()) }).is_err());
}

/// passt takes its addresses from the interface with the default route.
fn a_way_out() {
    ip("link add out type veth peer name world");
    ip("link set world up");
    ip("addr add 10.3.0.2/24 dev out");
    ip("link set out up");
    ip("route add default via 10.3.0.1");
}

#[test]
fn passt_leads_a_port_to_the_guest_and_goes_with_it() {
    in_namespace("passt_leads_a_port_to_the_guest_and_goes_with_it", || async {
        let _ends = Ends;
        a_way_out();
        let dir = tempfile::tempdir().expect("temporary folder");
        let host = HostNet::open(config(dir.path())).expect("opened");
        let wanted = interface("uid1", Attach::Passt { forwards: ssh() });
        let first = host.ensure(&wanted).await.expect("started");
        let Attached::Passt { socket, forwards } = &first else { panic!("passt") };
        let listed = host.list().await.expect("listed");
        assert_eq!((listed.processes.len(), listed.uids()), (1, ["uid1".to_owned()].into()));

        // The VMM's end: frames with their length before them.
        let mut vmm = UnixStream::connect(socket).expect("connected");
        vmm.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        let client = TcpStream::connect(("127.0.0.1", forwards[0].host_port)).expect("connected");
        loop {
            let mut length = [0; 4];
            vmm.read_exact(&mut length).expect("a frame");
            let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).expect("a length")];
            vmm.read_exact(&mut frame).expect("a frame");
            // IPv4, TCP, to port 22.
            if frame[12..14] == [8, 0] && frame[23] == 6 && frame[36..38] == [0, 22] {
                break;
            }
        }
        drop(client);

        let again = HostNet::open(config(dir.path())).expect("opened");
        assert_eq!(again.ensure(&wanted).await.expect("found"), first);
        assert_eq!(again.list().await.expect("listed"), listed, "the same process");
        again.delete("uid2").await.expect("nothing to do");
        assert_eq!(again.list().await.expect("listed"), listed);
        again.delete("uid1").await.expect("removed");
        again.delete("uid1").await.expect("still removed");
        assert_eq!(again.list().await.expect("listed"), Owned::default());
        assert_eq!(files(dir.path()), Vec::<String>::new());

        for polls in [1, 2, 3, 5, 8] {
            cut(polls, host.ensure(&wanted)).await;
            host.delete("uid1").await.expect("removed");
            assert_eq!((host.list().await.expect("listed"), files(dir.path())), (Owned::default(), vec![]), "after {polls} steps");
            cut(polls, host.ensure(&wanted)).await;
            let finished = host.ensure(&wanted).await.expect("finished");
            assert!(matches!(finished, Attached::Passt { ref socket, .. } if socket.exists()));
            assert_eq!(host.list().await.expect("listed").processes.len(), 1);
        }
        host.delete("uid1").await.expect("removed");
    });
}

#[test]
fn passt_says_why_it_does_not_start() {
    in_namespace("passt_says_why_it_does_not_start", || async {
        let _ends = Ends;
        let dir = tempfile::tempdir().expect("temporary folder");
        let host = HostNet::open(config(dir.path())).expect("opened");
        let told = host.ensure(&interface("uid1", Attach::Passt { forwards: ssh() })).await.expect_err("no way out").to_string();
        assert!(told.starts_with("passt did not come up: ") && told.contains("xternal"), "{told}");
        host.delete("uid1").await.expect("removed");
        assert_eq!(files(dir.path()), Vec::<String>::new());
    });
}

/// Runs a helper in the namespaces of a LAN.
fn within(enter: &[String], name: &str) -> Command {
    let mut command = Command::new(&enter[0]);
    command.args(&enter[1..]).args(helper(name));
    command
}

#[test]
fn two_guests_share_a_lan() {
    in_namespace("two_guests_share_a_lan", || async {
        let _ends = Ends;
        let dir = tempfile::tempdir().expect("temporary folder");
        let host = HostNet::open(config(dir.path())).expect("opened");
        let first = host.ensure(&interface("uid1", lan())).await.expect("made");
        let second = host.ensure(&interface("uid2", lan())).await.expect("made");
        assert_eq!(host.ensure(&interface("uid1", lan())).await.expect("found"), first);
        let Attached::UserLan { tap: tap1, enter, address, gateway, nameserver, forwards } = first.clone() else { panic!("a LAN") };
        let Attached::UserLan { tap: tap2, address: address2, .. } = second else { panic!("a LAN") };
        assert_eq!([address, address2].map(|a| a.to_string()), ["10.87.0.10/24", "10.87.0.11/24"]);
        assert_eq!([gateway, nameserver].map(|a| a.to_string()), ["10.87.0.2", "10.87.0.3"]);
        assert!(support::told(&tap1.name).is_none(), "not out here");

        // One guest's frames reach the other.
        let output = within(&enter, &format!("frames {} {}", tap1.name, tap2.name)).output().expect("nsenter");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        // A port of the host leads to who has the address; the bridge stands in for the guest.
        let status = Command::new(&enter[0]).args(&enter[1..]).args(["ip", "addr", "add", "10.87.0.10/24", "dev", "br0"]).status();
        assert!(status.expect("nsenter").success());
        let mut server = within(&enter, "serve 10.87.0.10:22").stdout(Stdio::piped()).spawn().expect("nsenter");
        let mut out = server.stdout.take().expect("piped");
        let mut said = Vec::new();
        while !said.ends_with(b"listening\n") {
            let mut byte = [0];
            out.read_exact(&mut byte).expect("it speaks");
            said.push(byte[0]);
        }
        let mut client = TcpStream::connect(("127.0.0.1", forwards[0].host_port)).expect("connected");
        client.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
        let mut said = String::new();
        client.read_to_string(&mut said).expect("read");
        assert_eq!(said, "hello 10.87.0.2");
        server.wait().expect("ended");

        let listed = host.list().await.expect("listed");
        assert_eq!((listed.lans["default"].len(), listed.processes.len(), listed.devices.len()), (2, 2, 0));
        assert_eq!(listed.uids(), ["uid1".to_owned(), "uid2".to_owned()].into());

        host.delete("uid1").await.expect("removed");
        host.delete("uid1").await.expect("still removed");
        TcpStream::connect(("127.0.0.1", forwards[0].host_port)).expect_err("nobody's");
        let left = host.list().await.expect("listed");
        assert_eq!((left.lans["default"].len(), left.uids()), (1, ["uid2".to_owned()].into()));
        // A record that cannot be read may be of a microVM in the LAN, and does not keep that from being removed.
        std::fs::write(dir.path().join("records/uid2.json"), "{").expect("written");
        host.delete("uid1").await.expect("nothing to do");
        assert_eq!(host.list().await.expect("listed"), left);
        host.delete("uid2").await.expect("removed");
        host.delete("uid2").await.expect("still removed");
        assert_eq!((host.list().await.expect("listed"), files(dir.path())), (Owned::default(), vec![]));

        // A LAN whose records are lost goes with the next microVM.
        host.ensure(&interface("uid1", lan())).await.expect("made");
        std::fs::remove_file(dir.path().join("records/uid1.json")).expect("removed");
        host.delete("uid3").await.expect("swept");
        assert_eq!((host.list().await.expect("listed"), files(dir.path())), (Owned::default(), vec![]));
    });
}

#[test]
fn roots_lan_for_vmms_of_another_user_has_their_taps_and_no_user_namespace() {
    in_namespace("roots_lan_for_vmms_of_another_user_has_their_taps_and_no_user_namespace", || async {
        if !support::root_on_the_host() {
            println!("nothing to try: it takes root");
            return;
        }
        let _ends = Ends;
        let dir = tempfile::tempdir().expect("temporary folder");
        let before = HostNet::open(config(dir.path())).expect("opened");
        let host = HostNet::open(Config { owner: Some(4242), ..config(dir.path()) }).expect("opened");
        let made = host.ensure(&interface("uid1", lan())).await.expect("made");
        let Attached::UserLan { tap, enter, forwards, .. } = &made else { panic!("a LAN") };
        assert_eq!((tap.owner, enter.iter().any(|word| word == "--user")), (Some(4242), false));
        TcpStream::connect(("127.0.0.1", forwards[0].host_port)).expect("slirp4netns listens");
        assert_eq!(host.ensure(&interface("uid1", lan())).await.expect("found"), made);
        // A daemon that has another owner for its VMMs by now finds it as it is.
        assert_eq!(before.ensure(&interface("uid1", lan())).await.expect("found"), made);
        assert_eq!(before.list().await.expect("listed").lans["default"].len(), 1);
        before.delete("uid1").await.expect("removed");
        before.ensure(&interface("uid1", lan())).await.expect("made");
        let Attached::UserLan { tap, enter, .. } = host.ensure(&interface("uid1", lan())).await.expect("found") else { panic!("a LAN") };
        assert_eq!((tap.owner, enter.iter().any(|word| word == "--user")), (Some(4242), false));
        host.delete("uid1").await.expect("removed");
        assert_eq!((host.list().await.expect("listed"), files(dir.path())), (Owned::default(), vec![]));
    });
}

#[test]
fn a_lan_cut_off_anywhere_is_finished_or_removed() {
    in_namespace("a_lan_cut_off_anywhere_is_finished_or_removed", || async {
        let _ends = Ends;
        let dir = tempfile::tempdir().expect("temporary folder");
        let host = HostNet::open(config(dir.path())).expect("opened");
        let wanted = interface("uid1", lan());
        for polls in [1, 2, 4, 8, 16, 32, 64] {
            cut(polls, host.ensure(&wanted)).await;
            host.delete("uid1").await.expect("removed");
            assert_eq!((host.list().await.expect("listed"), files(dir.path())), (Owned::default(), vec![]), "after {polls} steps");
            cut(polls, host.ensure(&wanted)).await;
            host.list().await.expect("listed");
            let Attached::UserLan { address, forwards, .. } = host.ensure(&wanted).await.expect("finished") else { panic!("a LAN") };
            assert_eq!(address.to_string(), "10.87.0.10/24");
            assert!(matches!(forwards[..], [Forward { guest_port: 22, .. }]));
            TcpStream::connect(("127.0.0.1", forwards[0].host_port)).expect("slirp4netns listens");
            assert_eq!(host.list().await.expect("listed").lans["default"].len(), 1);
        }

        // Somebody kills what holds the namespaces: all is made anew, and no way out is left of the old.
        let holder = host.list().await.expect("listed").processes[0].clone();
        let pid = rustix::process::Pid::from_raw(i32::try_from(holder.pid).expect("a pid")).expect("a pid");
        let end = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).expect("it lives");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
        let mut ended = [rustix::event::PollFd::new(&end, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut ended, None).expect("ended");
        host.ensure(&wanted).await.expect("made anew");
        let listed = host.list().await.expect("listed");
        assert_eq!((listed.lans["default"].len(), listed.processes.len()), (1, 2));
        assert!(!listed.processes.contains(&holder));
        host.delete("uid1").await.expect("removed");
        assert_eq!((host.list().await.expect("listed"), files(dir.path())), (Owned::default(), vec![]));
    });
}
