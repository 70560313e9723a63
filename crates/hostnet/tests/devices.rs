//! Taps and macvtaps, against the kernel.

mod support;

use std::io::Read;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::Command;
use std::process::Stdio;

use capstead_hostnet::device;
use capstead_hostnet::device::DeviceError;
use capstead_hostnet::mac::Mac;
use capstead_hostnet::macvtap;
use capstead_hostnet::macvtap::Macvtap;
use capstead_hostnet::name;
use capstead_hostnet::name::Mark;
use capstead_hostnet::name::Prefix;
use capstead_hostnet::netlink::Netlink;
use capstead_hostnet::tap;
use capstead_hostnet::tap::Tap;
use serde_json::json;
use support::cut;
use support::devices;
use support::in_namespace;
use support::ip;
use support::told;

fn mark(uid: &str, device_id: &str) -> Mark {
    Mark { instance: "test".into(), uid: uid.into(), device_id: device_id.into() }
}

fn tap_on(bridge: &str) -> Tap {
    Tap { mark: mark("uid1", "eth1"), position: 0, bridge: Some(bridge.into()), owner: None }
}

fn macvtap_on(parent: &str) -> Macvtap {
    Macvtap { mark: mark("uid1", "eth1"), position: 0, parent: parent.into(), mac: None }
}

/// A bridge whose MTU was chosen: one that was not follows its ports.
fn bridge() {
    ip("link add br0 type bridge");
    ip("link set br0 up mtu 1400");
}

async fn owned(netlink: &Netlink) -> Vec<String> {
    device::list(netlink, "test").await.expect("listed").into_iter().map(|device| device.name).collect()
}

#[test]
fn a_tap_is_made_once_and_removed_once() {
    in_namespace("a_tap_is_made_once_and_removed_once", || async {
        bridge();
        let netlink = Netlink::open().expect("netlink");
        let made = tap::ensure(&netlink, &tap_on("br0")).await.expect("made");
        let seen = told(&made.name).expect("it is there");
        assert!(made.name.starts_with("fltap"), "{seen}");
        assert_eq!(seen["master"], "br0", "{seen}");
        assert_eq!(seen["mtu"], 1400, "{seen}");
        assert_eq!(seen["ifalias"], "capstead/test/uid1/eth1", "{seen}");
        assert_eq!(seen["linkinfo"]["info_data"]["persist"], true, "{seen}");
        assert!(seen["flags"].as_array().expect("flags").contains(&json!("UP")), "{seen}");
        assert!(seen["address"].as_str().expect("a MAC").starts_with("fe:"), "{seen}");
        assert_eq!(tap::ensure(&netlink, &tap_on("br0")).await.expect("found"), made, "the same device");

        // Somebody undoes half of it.
        ip(&format!("link set {} nomaster down mtu 1500", made.name));
        let again = tap::ensure(&netlink, &tap_on("br0")).await.expect("repaired");
        assert_eq!((again.index, again.mtu, again.up, again.master), (made.index, 1400, true, made.master));

        let opened = tap::open(&netlink, &made.name, true).await.expect("opened");
        support::eventually("carrier", || told(&made.name).filter(|seen| seen["operstate"] == "UP" || seen["operstate"] == "UNKNOWN"))
            .await;
        drop(opened);

        device::delete(&netlink, "test", "uid2").await.expect("nothing to do");
        device::delete(&netlink, "other", "uid1").await.expect("nothing to do");
        assert_eq!(owned(&netlink).await, std::slice::from_ref(&made.name));
        device::delete(&netlink, "test", "uid1").await.expect("removed");
        device::delete(&netlink, "test", "uid1").await.expect("still removed");
        assert!(told(&made.name).is_none() && owned(&netlink).await.is_empty());
        assert!(told("br0").is_some());
        assert!(matches!(tap::open(&netlink, &made.name, true).await, Err(DeviceError::Missing(_))), "opening makes none");
        assert!(told(&made.name).is_none());
    });
}

#[test]
fn a_tap_for_another_user_or_bridge_takes_the_place_of_the_old() {
    in_namespace("a_tap_for_another_user_or_bridge_takes_the_place_of_the_old", || async {
        ip("link add br0 type bridge");
        ip("link add br1 type bridge");
        let netlink = Netlink::open().expect("netlink");
        let first = tap::ensure(&netlink, &tap_on("br0")).await.expect("made");
        let owner = Tap { owner: Some(0), ..tap_on("br1") };
        let second = tap::ensure(&netlink, &owner).await.expect("made");
        assert_eq!((second.owner, first.owner, &second.name), (Some(0), None, &first.name));
        assert_eq!(told(&second.name).expect("it is there")["master"], "br1");
        assert_eq!(tap::ensure(&netlink, &owner).await.expect("found"), second);
        assert_eq!(owned(&netlink).await.len(), 1);
        // One that a VMM has open is left to it, and whoever made taps may open any.
        let open = tap::open(&netlink, &second.name, false).await.expect("opened");
        let busy = tap::ensure(&netlink, &Tap { owner: Some(1), ..owner.clone() }).await.expect("left alone");
        assert_eq!((busy.owner, busy.index), (Some(0), second.index));
        drop(open);
        let found = tap::ensure(&netlink, &Tap { owner: None, ..owner.clone() }).await.expect("found");
        assert_eq!((found.owner, found.index), (Some(0), second.index));
        let alone = Tap { bridge: None, position: 1, mark: mark("uid1", "eth2"), owner: None };
        assert_eq!(tap::ensure(&netlink, &alone).await.expect("made").master, None);
    });
}

#[test]
fn anothers_device_of_the_same_name_is_left_alone() {
    in_namespace("anothers_device_of_the_same_name_is_left_alone", || async {
        ip("link add br0 type bridge");
        let netlink = Netlink::open().expect("netlink");
        let names: Vec<String> = name::candidates(Prefix::Tap, "test", "uid1", 0).collect();
        ip(&format!("tuntap add {} mode tap", names[0]));
        let made = tap::ensure(&netlink, &tap_on("br0")).await.expect("made");
        assert_eq!(made.name, names[1]);
        device::delete(&netlink, "test", "uid1").await.expect("removed");
        assert!(told(&names[0]).is_some(), "another's");
        for name in &names[1..] {
            ip(&format!("link add {name} type bridge"));
        }
        let refused = tap::ensure(&netlink, &tap_on("br0")).await.expect_err("no name is left");
        assert!(matches!(refused, DeviceError::NamesTaken { .. }), "{refused}");
        assert!(owned(&netlink).await.is_empty());
        assert_eq!(devices().iter().filter(|device| names.iter().any(|name| device["ifname"] == **name)).count(), 5);
    });
}

#[test]
fn a_crash_between_any_two_steps_of_a_tap_leaves_nothing_astray() {
    in_namespace("a_crash_between_any_two_steps_of_a_tap_leaves_nothing_astray", || async {
        bridge();
        let netlink = Netlink::open().expect("netlink");
        let wanted = tap_on("br0");
        let before = devices().len();
        for polls in 0.. {
            let done = cut(polls, tap::ensure(&netlink, &wanted)).await.is_some();
            device::delete(&netlink, "test", "uid1").await.expect("removed");
            assert_eq!(devices().len(), before, "after {polls} steps: {:?}", devices());
            assert_eq!(cut(polls, tap::ensure(&netlink, &wanted)).await.is_some(), done);
            let made = tap::ensure(&netlink, &wanted).await.expect("finished");
            assert_eq!((devices().len(), made.mtu, made.up), (before + 1, 1400, true));
            cut(polls, device::delete(&netlink, "test", "uid1")).await;
            device::delete(&netlink, "test", "uid1").await.expect("removed");
            assert_eq!(devices().len(), before);
            if done {
                assert!(polls > 3, "it was cut at {polls} places");
                break;
            }
        }
    });
}

#[test]
fn what_is_no_bridge_is_named() {
    in_namespace("what_is_no_bridge_is_named", || async {
        let netlink = Netlink::open().expect("netlink");
        let told = tap::ensure(&netlink, &tap_on("br0")).await.expect_err("refused").to_string();
        assert_eq!(told, "there is no network interface \"br0\" on this host");
        ip("link add br0 type veth peer name br1");
        let told = tap::ensure(&netlink, &tap_on("br0")).await.expect_err("refused").to_string();
        assert_eq!(told, "the network interface \"br0\" is no bridge");
        let told = macvtap::ensure(&netlink, &macvtap_on("eth9")).await.expect_err("refused").to_string();
        assert_eq!(told, "there is no network interface \"eth9\" on this host");
        assert!(owned(&netlink).await.is_empty());
    });
}

/// A pair of interfaces: `v0` for macvtaps, `v1` the way to them.
fn pair() {
    ip("link add v0 mtu 1400 type veth peer name v1 mtu 1400");
    ip("link set v0 up");
    ip("link set v1 up");
    ip("addr add 10.1.0.1/24 dev v1");
}

#[test]
fn a_macvtap_gets_what_its_parent_is_sent() {
    in_namespace("a_macvtap_gets_what_its_parent_is_sent", || async {
        pair();
        let netlink = Netlink::open().expect("netlink");
        let mac: Mac = "02:00:00:00:00:42".parse().expect("a MAC");
        let wanted = Macvtap { mac: Some(mac), ..macvtap_on("v0") };
        let made = macvtap::ensure(&netlink, &wanted).await.expect("made");
        let seen = told(&made.name).expect("it is there");
        assert!(made.name.starts_with("flvtap"), "{seen}");
        assert_eq!(seen["link"], "v0", "{seen}");
        assert_eq!(seen["mtu"], 1400, "{seen}");
        assert_eq!(seen["address"], mac.to_string(), "{seen}");
        assert_eq!(seen["ifalias"], "capstead/test/uid1/eth1", "{seen}");
        assert_eq!(seen["linkinfo"]["info_data"]["mode"], "bridge", "{seen}");
        assert_eq!(macvtap::ensure(&netlink, &wanted).await.expect("found"), made);

        if !support::root_on_the_host() {
            return not_opened(macvtap::open(&made), &format!("/dev/tap{}", made.index));
        }
        let mut opened = macvtap::open(&made).expect("opened");
        ip(&format!("neigh add 10.1.0.2 lladdr {mac} dev v1"));
        let sender = UdpSocket::bind("10.1.0.1:0").expect("bound");
        sender.send_to(b"hello guest", "10.1.0.2:9").expect("sent");
        let mut frame = vec![0; 2000];
        loop {
            let mut ready = [rustix::event::PollFd::from_borrowed_fd(opened.as_fd(), rustix::event::PollFlags::IN)];
            let limit = rustix::event::Timespec { tv_sec: 30, tv_nsec: 0 };
            assert_eq!(rustix::event::poll(&mut ready, Some(&limit)).expect("polled"), 1, "no frame came");
            let length = opened.read(&mut frame).expect("read");
            if frame[..length].ends_with(b"hello guest") {
                break;
            }
        }

        // What a spec with another MAC or parent finds is changed or made anew.
        let other = Macvtap { mac: None, ..macvtap_on("v0") };
        let changed = macvtap::ensure(&netlink, &other).await.expect("changed");
        assert!(changed.index == made.index && changed.mac != made.mac);
        let moved = macvtap::ensure(&netlink, &macvtap_on("v1")).await.expect("moved");
        assert_eq!(told(&moved.name).expect("it is there")["link"], "v1");
        assert_eq!(owned(&netlink).await, std::slice::from_ref(&moved.name));
        device::delete(&netlink, "test", "uid1").await.expect("removed");
        device::delete(&netlink, "test", "uid1").await.expect("still removed");
        assert!(told(&moved.name).is_none() && told("v0").is_some());
    });
}

/// The file of a macvtap belongs to root, and only root can make another. The error names it.
fn not_opened(opened: Result<std::fs::File, DeviceError>, file: &str) {
    let error = opened.expect_err("refused");
    let denied = |source: &std::io::Error| source.kind() == std::io::ErrorKind::PermissionDenied;
    let named = matches!(&error, DeviceError::Node { path, source, .. } if path.to_str() == Some(file) && denied(source));
    assert!(named, "{error:?}");
}

#[test]
fn a_crash_between_any_two_steps_of_a_macvtap_leaves_nothing_astray() {
    in_namespace("a_crash_between_any_two_steps_of_a_macvtap_leaves_nothing_astray", || async {
        pair();
        let netlink = Netlink::open().expect("netlink");
        let wanted = macvtap_on("v0");
        let before = devices().len();
        let mut unfinished = 0;
        for polls in 0.. {
            let done = cut(polls, macvtap::ensure(&netlink, &wanted)).await.is_some();
            let listed = device::list(&netlink, "test").await.expect("listed");
            assert_eq!(listed.len(), devices().len() - before, "what is there is listed");
            unfinished += listed.iter().filter(|device| device.mark.is_none()).count();
            device::delete(&netlink, "test", "uid2").await.expect("nothing to do");
            assert_eq!(device::list(&netlink, "test").await.expect("listed"), listed, "another's uid removes nothing");
            device::delete(&netlink, "test", "uid1").await.expect("removed");
            assert_eq!(devices().len(), before, "after {polls} steps");
            cut(polls, macvtap::ensure(&netlink, &wanted)).await;
            let made = macvtap::ensure(&netlink, &wanted).await.expect("finished");
            assert_eq!((devices().len(), made.mtu, made.up), (before + 1, 1400, true));
            assert_eq!(made.alias.as_deref(), Some("capstead/test/uid1/eth1"));
            device::delete(&netlink, "test", "uid1").await.expect("removed");
            if done {
                break;
            }
        }
        assert!(unfinished > 0, "one cut was between making and marking");
    });
}

#[test]
fn the_file_of_another_namespaces_macvtap_is_not_taken_for_ours() {
    in_namespace("the_file_of_another_namespaces_macvtap_is_not_taken_for_ours", || async {
        // Its device has the number that ours will have, and came first.
        let make = "ip link add v0 type veth && ip link add link v0 name other index 7777 type macvtap && echo made && read done";
        let mut elsewhere = Command::new("unshare");
        elsewhere.args(["--net", "sh", "-c", make]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut elsewhere = elsewhere.spawn().expect("unshare");
        let mut said = [0; 5];
        elsewhere.stdout.take().expect("piped").read_exact(&mut said).expect("made");
        pair();
        ip("link add link v0 name ours index 7777 type macvtap");
        let link = Netlink::open().expect("netlink").link("ours").await.expect("asked").expect("it is there");
        if support::root_on_the_host() {
            macvtap::open(&link).expect("made and opened");
        } else {
            not_opened(macvtap::open(&link), "/dev/capstead-ours");
        }
        assert!(!std::path::Path::new("/dev/capstead-ours").exists());
        drop(elsewhere.stdin.take());
        elsewhere.wait().expect("ended");
    });
}

#[test]
fn only_what_is_ours_is_listed() {
    in_namespace("only_what_is_ours_is_listed", || async {
        pair();
        ip("link add br0 type bridge");
        let netlink = Netlink::open().expect("netlink");
        tap::ensure(&netlink, &tap_on("br0")).await.expect("made");
        let other = Mark { instance: "other".into(), ..mark("uid1", "eth1") };
        tap::ensure(&netlink, &Tap { mark: other, ..tap_on("br0") }).await.expect("made");
        let second = Macvtap { mark: mark("uid2", "eth0"), ..macvtap_on("v0") };
        macvtap::ensure(&netlink, &second).await.expect("made");
        ip("tuntap add fltap0000000 mode tap");
        ip("link set fltap0000000 alias uplink");
        let mut marks: Vec<Option<Mark>> =
            device::list(&netlink, "test").await.expect("listed").into_iter().map(|owned| owned.mark).collect();
        marks.sort_by_key(|mark| mark.as_ref().map(Mark::alias));
        assert_eq!(marks, [Some(mark("uid1", "eth1")), Some(mark("uid2", "eth0"))]);
        device::delete(&netlink, "test", "uid1").await.expect("removed");
        assert_eq!(owned(&netlink).await.len(), 1);
        assert_eq!(device::list(&netlink, "other").await.expect("listed").len(), 1);
    });
}
