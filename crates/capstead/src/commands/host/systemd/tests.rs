use super::*;

fn with(variables: &[(&str, &str)]) -> Systemd {
    let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
    Systemd::new(find, 7).expect("a systemd")
}

fn heard(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 64];
    let length = socket.recv(&mut bytes).expect("a message");
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[test]
fn it_hears_us_by_path_and_by_abstract_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let by_path = UnixDatagram::bind(&path).expect("bound");
    with(&[("NOTIFY_SOCKET", &path.display().to_string())]).tell("READY=1");
    assert_eq!(heard(&by_path), "READY=1");

    let name = format!("capstead-test-{}", std::process::id());
    let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).expect("a name")).expect("bound");
    with(&[("NOTIFY_SOCKET", &format!("@{name}"))]).tell("STOPPING=1");
    assert_eq!(heard(&by_name), "STOPPING=1");

    // Nobody listens: that is no reason to fail.
    with(&[("NOTIFY_SOCKET", "/nowhere/at/all")]).tell("READY=1");
    with(&[]).tell("READY=1");
}

#[test]
fn only_our_own_watchdog_counts() {
    let limit = |variables: &[(&str, &str)]| with(variables).watchdog;
    assert_eq!(limit(&[("WATCHDOG_USEC", "3000000")]), Some(Duration::from_secs(3)));
    assert_eq!(limit(&[("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", "7")]), Some(Duration::from_secs(3)));
    assert_eq!(limit(&[("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", "8")]), None);
    assert_eq!((limit(&[("WATCHDOG_USEC", "0")]), limit(&[("WATCHDOG_USEC", "soon")]), limit(&[])), (None, None, None));
}

#[tokio::test(start_paused = true)]
async fn it_is_told_that_we_live_before_it_loses_patience() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    let systemd = with(&[("NOTIFY_SOCKET", &path.display().to_string()), ("WATCHDOG_USEC", "10000000")]);
    let lived = std::cell::Cell::new(0);
    // Within 12 s of a clock that is set forward while nobody works: at 0, 5 and 10 s.
    let watch = systemd.watch(|| lived.set(lived.get() + 1));
    assert!(tokio::time::timeout(Duration::from_secs(12), watch).await.is_err());
    assert_eq!(lived.get(), 3);
    for _ in 0..3 {
        assert_eq!(heard(&socket), "WATCHDOG=1");
    }
}
