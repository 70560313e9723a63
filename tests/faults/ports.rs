//! Ports that somebody else has.

use std::net::Ipv4Addr;
use std::net::TcpListener;

use serde_json::json;

use crate::NO_CAPI;
use crate::ONLY_ETCD;
use crate::support::TestPlane;
use crate::support::kernel;
use crate::support::until;

#[test]
fn a_port_taken_while_the_plane_is_down_is_left_to_its_new_owner() {
    let plane = TestPlane::new("moves");
    plane.run(&["up", "--detach", ONLY_ETCD]).ok();
    let before = plane.ports();
    plane.down();
    let (port, _) = before["etcd/client"].clone();
    let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    plane.up();
    let after = plane.ports();
    assert_ne!(after["etcd/client"], before["etcd/client"]);
    assert_eq!((&after["etcd/peer"], &after["etcd/health"]), (&before["etcd/peer"], &before["etcd/health"]), "the others stay");
    assert!(kernel::listeners(plane.pids()["etcd"]).iter().any(|(_, number)| *number == after["etcd/client"].0));
}

#[test]
fn who_took_the_port_of_a_component_that_was_down_is_said() {
    let plane = TestPlane::new("taken");
    plane.run(&["up", "--detach", NO_CAPI]).ok();
    plane.kubectl(&["create", "configmap", "kept"]).ok();
    let ports = plane.ports();
    let (port, _) = ports["etcd/client"].clone();
    // With the supervisor gone there is time to be faster than a restart.
    kernel::kill(plane.supervisor());
    kernel::kill(plane.pids()["etcd"]);
    let thief = until("the port can be taken", || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| error.to_string()));
    let error = plane.run(&["up", "--detach"]).fails(3);
    let who = format!("(pid {})", std::process::id());
    assert!(error.contains(&format!("port {port} is taken by ")) && error.contains(&who), "{error}");
    let etcd = plane.component("etcd");
    assert_eq!((&etcd["state"], &etcd["ready"]), (&json!("failing"), &json!(false)));
    assert!(etcd["message"].as_str().unwrap().contains(&who), "{etcd}");
    assert_eq!(plane.ports(), ports, "those that run still use the others");
    // As soon as the port is free all heals, without a command.
    drop(thief);
    plane.wait_ready();
    plane.get(&["configmap", "kept"]);
}
