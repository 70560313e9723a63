//! Tests in network namespaces of their own.
#![allow(dead_code)]

use std::future::Future;
use std::future::poll_fn;
use std::pin::pin;
use std::process::Command;
use std::process::Output;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

const INSIDE: &str = "CAPSTEAD_TEST_NAMESPACE";

/// Runs a test in new network and mount namespaces, by running this binary once more in there. Who is not root gets a user namespace, too.
pub fn in_namespace<F: Future<Output = ()>>(test: &str, body: impl FnOnce() -> F) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        return runtime.block_on(async { tokio::time::timeout(Duration::from_secs(300), body()).await.expect("in time") });
    }
    let mut command = Command::new("unshare");
    if !rustix::process::getuid().is_root() {
        command.arg("--map-root-user");
    }
    // A sysfs shows the devices of the namespace it was mounted in.
    let enter = "mount -t sysfs sysfs /sys; ip link set lo up; exec \"$@\"";
    command.args(["--net", "--mount", "sh", "-c", enter, "sh"]);
    command.arg(std::env::current_exe().expect("this binary")).args(["--exact", test, "--nocapture", "--test-threads=1"]);
    let output = command.env(INSIDE, "1").output().expect("unshare and ip are needed: apt-get install util-linux iproute2");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains("1 passed"), "in its namespace:\n{told}");
    println!("{told}");
}

/// Whether we are root outside of user namespaces, too.
pub fn root_on_the_host() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").expect("a map");
    rustix::process::getuid().is_root() && map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Runs `ip`, which must succeed.
pub fn ip(args: &str) -> Output {
    let output = Command::new("ip").args(args.split(' ')).output().expect("ip is needed: apt-get install iproute2");
    assert!(output.status.success(), "ip {args}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// What `ip` tells of a device. It asks the kernel by code that is not ours.
pub fn told(name: &str) -> Option<Value> {
    devices().into_iter().find(|device| device["ifname"] == name)
}

/// What `ip` tells of all devices.
pub fn devices() -> Vec<Value> {
    serde_json::from_slice(&ip("-json -details link show").stdout).expect("JSON")
}

/// Waits until something is there.
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not in time");
        tokio::task::yield_now().await;
    }
}

/// Lets a future run for `polls` steps and drops it, as if its process had died there. `Some` if it was done by then.
pub async fn cut<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
