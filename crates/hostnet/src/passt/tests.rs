use super::*;

fn text(forwards: &[Forward], runas: Option<u32>) -> String {
    let args = args(Path::new("/run/s"), forwards, runas);
    args.join(std::ffi::OsStr::new(" ")).into_string().expect("text")
}

#[test]
fn arguments_say_all_that_passt_would_else_choose() {
    assert_eq!(text(&[], None), "--foreground --no-map-gw --socket /run/s --tcp-ports none --udp-ports none");
    let forward = |protocol, host_port, guest_port| Forward { protocol, host_port, guest_port };
    let forwards = [forward(Protocol::Tcp, 24000, 22), forward(Protocol::Udp, 24001, 53), forward(Protocol::Tcp, 24002, 80)];
    let told = text(&forwards, Some(1000));
    assert!(told.ends_with("--tcp-ports 127.0.0.1/24000:22,24002:80 --udp-ports 127.0.0.1/24001:53 --runas 1000"), "{told}");
}

#[tokio::test]
async fn a_folder_too_deep_for_a_socket_is_told() {
    let dir = PathBuf::from(format!("/{}", "d".repeat(100)));
    let passt = Passt { dir: &dir, instance: "i", uid: "u", position: 0, owner: None };
    let told = passt.ensure(&[]).await.expect_err("refused");
    assert!(std::error::Error::source(&told).is_some_and(|why| why.to_string().contains("107 bytes")), "{told}");
}
