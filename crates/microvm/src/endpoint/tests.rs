use tokio::net::TcpListener;

use super::*;

#[test]
fn a_status_line_is_read_by_its_number() {
    assert_eq!(status(b"HTTP/1.1 200"), Some(200));
    assert_eq!(status(b"HTTP/1.0 503"), Some(503));
    assert_eq!(status(b"SSH-2.0-Open"), None);
}

#[tokio::test]
async fn who_does_not_answer_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = ApiEndpoint::new("127.0.0.1", listener.local_addr().unwrap().port()).unwrap();
    let at = format!("127.0.0.1:{}", endpoint.port);
    let talk = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH\r\n").await.unwrap();
    };
    let (answer, ()) = tokio::join!(answers(&endpoint), talk);
    assert_eq!(answer, Err(format!("{at} does not speak TLS")));
    drop(listener);
    assert_eq!(answers(&endpoint).await, Err(format!("nothing listens at {at}")));
}
