use std::sync::Arc;
use std::sync::Mutex;

use futures::channel::mpsc as channel;
use tokio::time::Instant;

use super::super::frame::status;
use super::*;

/// A client of a connection in memory.
struct Client {
    encoder: Encoder,
    decoder: Decoder,
    to: channel::UnboundedSender<io::Result<Bytes>>,
    from: channel::UnboundedReceiver<Bytes>,
}

/// Serves a client; the far ends of what it connects to are kept.
fn client() -> (Client, Arc<Mutex<Vec<DuplexStream>>>) {
    let (to, incoming) = channel::unbounded();
    let (outgoing, from) = channel::unbounded();
    let ends = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&ends);
    let connect = move |port| {
        let (near, far) = tokio::io::duplex(64);
        kept.lock().expect("not poisoned").push(far);
        std::future::ready(if port == 1 { Err(io::Error::other("no")) } else { Ok(near) })
    };
    tokio::spawn(run(incoming, outgoing.sink_map_err(io::Error::other), connect));
    (Client { encoder: Encoder::default(), decoder: Decoder::default(), to, from }, ends)
}

impl Client {
    fn send(&mut self, frame: Frame) {
        // Errors are connections that have ended.
        let _ = self.to.unbounded_send(Ok(self.encoder.encode(&frame).into()));
    }

    fn data(&mut self, stream: u32, bytes: Vec<u8>, fin: bool) {
        self.send(Frame::Data { stream, bytes: bytes.into(), fin });
    }

    async fn pair(&mut self, error: u32, port: &str) {
        for (stream, kind) in [(error, "error"), (error + 2, "data")] {
            let headers = [("streamtype", kind), ("port", port)].map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
            self.send(Frame::SynStream { stream, headers, fin: false });
            assert!(matches!(self.next().await, Some(Frame::SynReply { .. })));
        }
    }

    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next_frame().expect("a frame") {
                return Some(frame);
            }
            self.decoder.push(self.from.next().await?);
        }
    }
}

fn end(stream: u32, text: &'static str) -> Option<Frame> {
    Some(Frame::Data { stream, bytes: Bytes::from_static(text.as_bytes()), fin: true })
}

#[tokio::test]
async fn a_target_that_closes_ends_both_streams() {
    let (mut client, ends) = client();
    client.pair(1, "80").await;
    let mut far = ends.lock().expect("not poisoned").pop().expect("connected");
    far.write_all(b"hi").await.expect("written");
    assert_eq!(client.next().await, Some(Frame::Data { stream: 3, bytes: Bytes::from_static(b"hi"), fin: false }));
    drop(far);
    assert_eq!((client.next().await, client.next().await), (end(1, ""), end(3, "")));
    client.data(3, b"late".to_vec(), true);
    client.send(Frame::Ping(1));
    assert_eq!(client.next().await, Some(Frame::Ping(1)));
}

#[tokio::test]
async fn a_client_that_has_said_all_can_still_listen() {
    let (mut client, ends) = client();
    client.pair(1, "80").await;
    let mut far = ends.lock().expect("not poisoned").pop().expect("connected");
    client.data(3, b"all".to_vec(), true);
    let mut heard = Vec::new();
    far.read_to_end(&mut heard).await.expect("read");
    assert_eq!(heard, b"all");
    far.write_all(b"answer").await.expect("written");
    assert_eq!(client.next().await, Some(Frame::Data { stream: 3, bytes: Bytes::from_static(b"answer"), fin: false }));
}

#[tokio::test]
async fn an_error_is_told() {
    let (mut client, _ends) = client();
    client.pair(1, "1").await;
    assert_eq!((client.next().await, client.next().await), (end(1, "error forwarding port 1: no"), end(3, "")));
}

#[tokio::test]
async fn a_client_that_cuts_or_leaves_frees_the_target() {
    let (mut client, ends) = client();
    client.pair(1, "80").await;
    client.pair(5, "80").await;
    let mut second = ends.lock().expect("not poisoned").pop().expect("connected");
    let mut first = ends.lock().expect("not poisoned").pop().expect("connected");
    client.send(Frame::Reset { stream: 3, status: status::CANCEL });
    assert_eq!(client.next().await, end(1, ""));
    let mut heard = Vec::new();
    first.read_to_end(&mut heard).await.expect("closed");
    client.to.close_channel();
    second.read_to_end(&mut heard).await.expect("closed");
    assert!(heard.is_empty());
    assert_eq!(client.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_read_holds_others_up_only_so_long() {
    let (mut client, ends) = client();
    client.pair(1, "80").await;
    let far = ends.lock().expect("not poisoned").pop().expect("connected");
    for _ in 0..QUEUE + 3 {
        client.data(3, vec![0; 100], false);
    }
    let start = Instant::now();
    client.send(Frame::Ping(1));
    let mut seen = [client.next().await, client.next().await, client.next().await];
    seen.sort_by_key(|frame| format!("{frame:?}"));
    let reset = Some(Frame::Reset { stream: 3, status: status::CANCEL });
    assert_eq!(seen, [end(1, ""), Some(Frame::Ping(1)), reset]);
    assert!(start.elapsed() >= STALL && start.elapsed() < 2 * STALL);
    drop(far);
}
