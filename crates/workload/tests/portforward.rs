//! Port-forward over real connections: what client-go sent, and a client of our own. See `golden/README.md`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::routing::any;
use capstead_workload::tunnel::Decoder;
use capstead_workload::tunnel::Encoder;
use capstead_workload::tunnel::Frame;
use capstead_workload::tunnel::portforward;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// Port 7 echoes, all others refuse.
async fn target(port: u16) -> io::Result<DuplexStream> {
    if port != 7 {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let (near, far) = tokio::io::duplex(1024);
    tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(far);
        tokio::io::copy(&mut read, &mut write).await
    });
    Ok(near)
}

/// A server that cuts its connections when told.
async fn server() -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("listens");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = watch::channel(false);
    let forward = move |request: Request| async move {
        let mut stopped = stopped.clone();
        let stopped = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
        portforward(request, target, stopped).await
    };
    let app = Router::new().route("/api/v1/namespaces/{namespace}/pods/{pod}/portforward", any(forward));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, stop)
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

async fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut read = vec![0; length];
    timeout(PATIENCE, stream.read_exact(&mut read)).await.expect("in time").expect("as many bytes");
    read
}

/// A response's head without what differs each time.
fn head(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().filter(|line| !line.starts_with("date:")).map(str::to_owned).collect()
}

async fn replay(golden: &str) {
    let (address, _stop) = server().await;
    let mut stream = TcpStream::connect(address).await.expect("connects");
    for (number, line) in golden.lines().enumerate() {
        let expected = bytes(&line[2..]);
        if line.starts_with('>') {
            stream.write_all(&expected).await.expect("sent");
            continue;
        }
        let got = read(&mut stream, expected.len()).await;
        if expected.starts_with(b"HTTP/") {
            assert_eq!(head(&got), head(&expected));
        } else {
            assert_eq!(got, expected, "line {}", number + 1);
        }
    }
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("in time").expect("closed");
    assert!(rest.is_empty(), "{rest:x?}");
}

#[tokio::test]
async fn client_go_is_answered_in_plain_spdy() {
    replay(include_str!("golden/spdy.txt")).await;
}

#[tokio::test]
async fn client_go_is_answered_in_a_websocket() {
    replay(include_str!("golden/websocket.txt")).await;
}

/// Asks, and gives the status line and what comes after the head.
async fn ask(address: SocketAddr, headers: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let request = format!("POST /api/v1/namespaces/n/pods/p/portforward HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read(&mut stream, 1).await);
    }
    (String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned(), stream)
}

#[tokio::test]
async fn requests_that_are_none_are_refused() {
    let (address, _stop) = server().await;
    let websocket =
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let refused = [
        (String::new(), "400"),
        ("Connection: Upgrade\r\nUpgrade: h2c\r\n".to_owned(), "400"),
        ("Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n".to_owned(), "403"),
        ("Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n".to_owned(), "403"),
        // WebSockets begin with GET.
        (websocket.to_owned(), "405"),
    ];
    for (headers, code) in refused {
        let (status, _) = ask(address, &headers).await;
        assert_eq!(status.split(' ').nth(1), Some(code), "{headers}");
    }
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let request = format!("GET /api/v1/namespaces/n/pods/p/portforward HTTP/1.1\r\nHost: x\r\n{websocket}\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    assert_eq!(read(&mut stream, 12).await, b"HTTP/1.1 400");
}

/// A client of plain SPDY.
struct Client {
    stream: TcpStream,
    encoder: Encoder,
    decoder: Decoder,
}

impl Client {
    async fn new(address: SocketAddr) -> Self {
        let (status, stream) =
            ask(address, "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n").await;
        assert_eq!(status, "HTTP/1.1 101 Switching Protocols");
        Self { stream, encoder: Encoder::default(), decoder: Decoder::default() }
    }

    async fn send(&mut self, frame: Frame) {
        self.stream.write_all(&self.encoder.encode(&frame)).await.expect("sent");
    }

    async fn open(&mut self, stream: u32, kind: &str, request: u32) {
        let headers = [("streamtype", kind.to_owned()), ("port", "7".to_owned()), ("requestid", request.to_string())];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
        self.send(Frame::SynStream { stream, headers, fin: false }).await;
    }

    /// `None` when the server has closed the connection.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next_frame().expect("a frame") {
                return Some(frame);
            }
            let mut buffer = vec![0; 4096];
            let length = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("in time").ok().filter(|length| *length > 0)?;
            self.decoder.push(Bytes::copy_from_slice(&buffer[..length]));
        }
    }
}

#[tokio::test]
async fn streams_do_not_mix() {
    const PAIRS: u32 = 100;
    let (address, _stop) = server().await;
    let mut client = Client::new(address).await;
    for pair in 0..PAIRS {
        client.open(4 * pair + 1, "error", pair).await;
        client.open(4 * pair + 3, "data", pair).await;
    }
    for chunk in 0..10 {
        for pair in 0..PAIRS {
            let bytes = vec![pair as u8; 100].into();
            client.send(Frame::Data { stream: 4 * pair + 3, bytes, fin: chunk == 9 }).await;
        }
        client.send(Frame::Ping(2 * chunk + 1)).await;
    }
    let (mut lengths, mut ended, mut pings) = (vec![0; PAIRS as usize], 0, Vec::new());
    while ended < 2 * PAIRS || pings.len() < 10 {
        match client.next().await.expect("open") {
            Frame::Data { stream, bytes, fin } => {
                let pair = stream / 4;
                assert!(bytes.iter().all(|byte| *byte == pair as u8) && (stream % 4 == 3 || bytes.is_empty()));
                lengths[pair as usize] += bytes.len();
                ended += u32::from(fin);
            }
            Frame::Ping(number) => pings.push(number),
            Frame::SynReply { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(lengths, vec![1000; PAIRS as usize]);
    assert_eq!(pings, (0..10).map(|chunk| 2 * chunk + 1).collect::<Vec<_>>());
}

#[tokio::test]
async fn nonsense_is_told_and_ends_the_connection() {
    let (address, _stop) = server().await;
    let mut client = Client::new(address).await;
    client.stream.write_all(b"\x80\x02\0\x01\0\0\0\0").await.expect("sent");
    assert_eq!(client.next().await, Some(Frame::GoAway { last: 0, status: 1 }));
    assert_eq!(client.next().await, None);
}

#[tokio::test]
async fn a_server_that_stops_cuts_its_clients() {
    let (address, stop) = server().await;
    let mut client = Client::new(address).await;
    client.send(Frame::Ping(1)).await;
    assert_eq!(client.next().await, Some(Frame::Ping(1)));
    stop.send_replace(true);
    assert_eq!(client.next().await, None);
}
