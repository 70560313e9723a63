use super::*;
use tokio::net::UnixListener;

const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}"#;

/// A QEMU that says these lines after its greeting and capabilities, whatever it is told.
async fn says(lines: &[u8]) -> (tempfile::TempDir, Result<Qmp, ControlError>) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).expect("bound");
    let text = [GREETING.as_bytes(), b"\n{\"return\": {}, \"id\": 1}\n", lines].concat();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        let _ = stream.write_all(&text).await;
        // Keeps the connection until the other side has ended it.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    let qmp = Qmp::connect(&path, Duration::from_millis(300)).await;
    drop(server);
    (dir, qmp)
}

#[tokio::test]
async fn answers_are_matched_by_id_and_events_kept() {
    let lines = b"{\"event\": \"STOP\"}\n{\"return\": \"late\", \"id\": 99}\n{\"return\": 5, \"id\": 2}\n{\"event\": \"RESET\", \"data\": {\"guest\": true}}\n";
    let (_dir, qmp) = says(lines).await;
    let mut qmp = qmp.expect("connected");
    assert_eq!(qmp.execute("x", None).await.expect("answered"), 5);
    assert_eq!(qmp.event().await.expect("kept").0, "STOP");
    assert_eq!(qmp.event().await.expect("read"), ("RESET".to_owned(), serde_json::json!({"guest": true})));
}

#[tokio::test]
async fn a_refusal_tells_qemus_words() {
    let (_dir, qmp) = says(b"{\"id\": 2, \"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no such thing\"}}\n").await;
    let error = qmp.expect("connected").execute("frob", None).await.expect_err("refused");
    assert_eq!(error.to_string(), "the VMM refused frob: CommandNotFound: no such thing");
}

#[tokio::test]
async fn silence_garbage_and_floods_are_errors() {
    let (_dir, qmp) = says(b"").await;
    assert!(matches!(qmp.expect("connected").execute("x", None).await, Err(ControlError::Timeout { .. })));
    let (_dir, qmp) = says(b"[1]\n").await;
    assert!(matches!(qmp.expect("connected").execute("x", None).await, Err(ControlError::Garbled { .. })));
    let (_dir, qmp) = says(&vec![b'a'; LINE_MAX + 1]).await;
    let error = qmp.expect("connected").execute("x", None).await.expect_err("too long");
    assert!(error.to_string().contains("a line of more than"), "{error}");
    let nobody = Qmp::connect(Path::new("/nowhere/s"), Duration::from_millis(300)).await.expect_err("nobody");
    assert!(matches!(nobody, ControlError::Connect { .. }));
}
